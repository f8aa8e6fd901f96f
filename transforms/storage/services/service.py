"""The description of a storage service, and the services that are known without a job file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT, ANONYMOUS = "default", "anonymous"
ENV, PROFILE = "env:", "profile:"
"""The beginning of `keys` if they name a prefix of variables, or a profile."""
BURST = 3.0
"""Seconds; after a pause, the requests of this time may be sent at once."""
_MINUTE = 60.0
_LEAST = 8
"""Least number of requests a minute that a machine can work with."""


class ServiceError(ValueError):
    """The limits of a service cannot be shared by this number of machines; one line.

    `service` is its name.
    """

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"storage service {service} {reason}")
        self.service = service


@dataclass(frozen=True, slots=True)
class Service:
    """An S3 service. It holds no key, so it may be stored, shown and sent to workers.

    Attributes:
        name: short name; messages and the run record use it.
        buckets: the buckets of this service.
        endpoint: http or https URL; None is Amazon S3.
        region: the region in the signature of requests; None is the region of the environment.
        path_style: whether the bucket is in the path of a URL, not in the name of the host.
        keys: where the keys are: `default` (as the AWS tools find them), `anonymous`, `env:PREFIX`
            (PREFIX_ACCESS_KEY_ID, PREFIX_SECRET_ACCESS_KEY, PREFIX_SESSION_TOKEN) or `profile:NAME`
            of `~/.aws`.
        requester_pays: whether the sender of a request agrees to pay for it.
        connections: requests at the same time, at least 1; None is without limit.
        requests_per_minute: in any minute, at least 10; None is without limit.
        machines: number of machines that share both limits, with this one.
        gives_way: whether the environment serves the buckets if it names an endpoint and the
            service has no keys.
        help: address where a person makes new keys; "" if it is not known.
    """

    name: str
    buckets: tuple[str, ...] = ()
    endpoint: str | None = None
    region: str | None = None
    path_style: bool = True
    keys: str = DEFAULT
    requester_pays: bool = False
    connections: int | None = None
    requests_per_minute: int | None = None
    machines: int = 1
    gives_way: bool = False
    help: str = ""

    @property
    def limited(self) -> bool:
        """Whether its requests are counted."""
        return self.connections is not None or self.requests_per_minute is not None

    @property
    def slots(self) -> int | None:
        """Requests at the same time from this machine; None is without limit."""
        return None if self.connections is None else self.connections // self.machines

    @property
    def pause(self) -> float | None:
        """Seconds from one request of this machine to the next; None is without limit.

        After a pause, the requests of `BURST` seconds may go at once. Each machine may do so, and
        the launcher did so before the workers began. So in any minute each machine sends at most
        (60 + 2 BURST) / pause + 1 requests. The pause is chosen so that the sum keeps the limit.
        """
        if self.requests_per_minute is None:
            return None
        # One request of each machine that may share the limit, and one of the launcher, are extra.
        sharing = max(self.machines, self.most_machines or 1)
        left = max(1, self.requests_per_minute - sharing - 1)
        return self.machines * (_MINUTE + 2 * BURST) / left

    @property
    def most_machines(self) -> int | None:
        """Largest number of machines that can share the limits; None is any number."""
        bounds = [
            bound
            for bound in (
                self.connections,
                self.requests_per_minute and max(1, self.requests_per_minute // _LEAST),
            )
            if bound is not None
        ]
        return min(bounds, default=None)


def host_of(endpoint: str) -> str:
    """The host of an endpoint, however the endpoint is written; with a port that is not the usual.

    Examples:
        >>> host_of("https://S3.example.org/") == host_of("http://s3.example.org:80")
        True
    """
    url = urlsplit(endpoint)
    usual = {"http": ":80", "https": ":443"}.get(url.scheme, "")
    return (url.netloc or endpoint).lower().removesuffix(usual)


COPERNICUS = Service(
    name="copernicus",
    buckets=("eodata",),
    endpoint="https://eodata.dataspace.copernicus.eu",
    region="default",
    keys="env:COPERNICUS",
    connections=4,
    requests_per_minute=2000,
    gives_way=True,
    help="https://eodata-s3keysmanager.dataspace.copernicus.eu",
)
"""The archive of the Copernicus Data Space Ecosystem, with the limits of a general user."""
GOOGLE = Service(
    name="google",
    buckets=("gcp-public-data-sentinel-2",),
    endpoint="https://storage.googleapis.com",
    region="auto",
    keys=ANONYMOUS,
)
"""Google's public copy of Sentinel-2, by the interface that is compatible with S3."""
AWS_SENTINEL_2 = Service(
    name="aws-sentinel-2",
    buckets=("sentinel-s2-l1c", "sentinel-s2-l2a"),
    region="eu-central-1",
    path_style=False,
    requester_pays=True,
)
"""Sentinel-2 at Amazon, which Earth Search names: the requester pays."""
SHIPPED = (COPERNICUS, GOOGLE, AWS_SENTINEL_2)
