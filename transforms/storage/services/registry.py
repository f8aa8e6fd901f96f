"""The services that this process knows, and which of them serves a location."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ..locations import parts
from .environment import endpoint, environment
from .keys import has_keys
from .service import SHIPPED, Service, ServiceError


@dataclass(frozen=True)
class Services:
    """The services of a job. Whoever unpickles them knows them from then on.

    So a worker knows them on every runner, as soon as a step of the job reaches it. They hold no
    keys.
    """

    known: tuple[Service, ...] = SHIPPED

    def __reduce__(self) -> tuple[Any, ...]:
        """How they are pickled: as what makes the process know them."""
        return _arrived, (self.known,)

    def of(self, bucket: str) -> Service | None:
        """The service of a bucket; None where none of these has it."""
        return next((one for one in self.known if bucket in one.buckets), None)

    def divided(
        self, machines: int, locations: Iterable[str], unread: Iterable[str] = ()
    ) -> Services:
        """The same services, with the limits of those that serve a location divided.

        Args:
            machines: how many work for the job at the same time.
            locations: what they read.
            unread: what they do not read, unless something goes wrong: a part of its limits that is
                less than a connection is no error here, but for who asks for it.

        Raises:
            ServiceError: the share of a machine is less than a connection, or too few requests.
        """
        read = {service.name: service for place in locations if (service := of(place))}
        for name, service in read.items():
            most = service.most_machines
            if most is not None and machines > most:
                raise ServiceError(
                    name,
                    f"allows {_limits(service)}, too few to share among {machines} machines; "
                    f"lower --parallelism to {most}, or tell how many machines there are with "
                    "--worker_machines",
                )
        used = read.keys() | {service.name for place in unread if (service := of(place))}
        return Services(
            tuple(replace(one, machines=machines if one.name in used else 1) for one in self.known)
        )


def _limits(service: Service) -> str:
    told = []
    if service.connections is not None:
        told.append(f"{service.connections} connections")
    if service.requests_per_minute is not None:
        told.append(f"{service.requests_per_minute} requests a minute")
    return " and ".join(told)


_KNOWN = Services()


def use(services: Services) -> None:
    """Make these the services of this process."""
    global _KNOWN
    _KNOWN = services


@contextmanager
def known(services: Services) -> Iterator[None]:
    """Within, these are the services of this process."""
    before = current()
    use(services)
    try:
        yield
    finally:
        use(before)


def current() -> Services:
    """The services of this process: those shipped until `use` is called."""
    return _KNOWN


def of(location: str) -> Service | None:
    """The service that a location lies at; None where it is no `s3://` URL.

    Raises:
        StorageError: the location cannot be used.
    """
    scheme, rest = parts(location)
    if scheme != "s3":
        return None
    service = _KNOWN.of(rest.partition("/")[0])
    if service and not (service.gives_way and not has_keys(service) and endpoint()):
        return service
    told = environment()
    # The limits are those of an account, wherever its keys are.
    for one in _KNOWN.known:
        if told.endpoint and one.endpoint and _host(one.endpoint) == _host(told.endpoint):
            return replace(
                told,
                name=one.name,
                connections=one.connections,
                requests_per_minute=one.requests_per_minute,
                machines=one.machines,
                help=one.help,
            )
    return told


def limited(location: str) -> bool:
    """Whether the requests for a location are counted.

    Rasters there are not read window by window: GDAL's own requests cannot be counted.

    Raises:
        StorageError: the location cannot be used.
    """
    service = of(location)
    return service is not None and service.limited


def _host(address: str) -> str:
    return urlsplit(address).netloc.lower()


def _arrived(known: tuple[Service, ...]) -> Services:
    services = Services(known)
    use(services)
    return services
