"""The services that this process knows, and which of them serves a location."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..locations import masked, parts
from .environment import endpoint, environment
from .keys import has_keys, missing_reason
from .service import SHIPPED, Service, ServiceError, host_of


@dataclass(frozen=True)
class Services:
    """The services of a job. A process that unpickles them uses them from then on.

    So a worker of any runner has them as soon as it gets a step of the job. They have no keys.
    """

    known: tuple[Service, ...] = SHIPPED

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle them as a call that makes the process use them."""
        return _arrived, (self.known,)

    def of(self, bucket: str) -> Service | None:
        """The service of a bucket; None if none of these has it."""
        return next((one for one in self.known if bucket in one.buckets), None)

    def divided(
        self, machines: int, locations: Iterable[str], unread: Iterable[str] = ()
    ) -> Services:
        """The same services, with the limits of those that serve a location divided.

        Args:
            machines: number of machines that work for the job at the same time.
            locations: locations that they read.
            unread: locations that they read only if something goes wrong. If the share of a machine
                is less than a connection there, it is an error of the request, not of this call.

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
                    f"lower --parallelism to {most}, or give the number of machines with "
                    "--worker_machines",
                )
        used = read.keys() | {service.name for place in unread if (service := of(place))}
        return Services(
            tuple(replace(one, machines=machines if one.name in used else 1) for one in self.known)
        )


def _limits(service: Service) -> str:
    limits = []
    if service.connections is not None:
        limits.append(f"{service.connections} connections")
    if service.requests_per_minute is not None:
        limits.append(f"{service.requests_per_minute} requests a minute")
    return " and ".join(limits)


_KNOWN = Services()


def use(services: Services) -> None:
    """Make these the services of this process."""
    global _KNOWN
    _KNOWN = services


@contextmanager
def known(services: Services) -> Iterator[None]:
    """Inside the context, these are the services of this process."""
    before = current()
    use(services)
    try:
        yield
    finally:
        use(before)


def current() -> Services:
    """The services of this process; until `use` is called, the shipped ones."""
    return _KNOWN


def of(location: str) -> Service | None:
    """The service of a location; None if it is not an `s3://` URL.

    Raises:
        StorageError: the location cannot be used.
    """
    scheme, rest = parts(location)
    if scheme != "s3":
        return None
    service = _KNOWN.of(rest.partition("/")[0])
    if service and not _gives_way(service):
        return service
    named = environment()
    # The limits belong to the account, wherever its keys are.
    for one in _KNOWN.known:
        if named.endpoint and one.endpoint and host_of(one.endpoint) == host_of(named.endpoint):
            return replace(
                named,
                name=one.name,
                connections=one.connections,
                requests_per_minute=one.requests_per_minute,
                machines=one.machines,
                help=one.help,
            )
    return named


def replaced(location: str) -> str | None:
    """The address that was used for a bucket because its own service has no keys, and that reason.

    None if the service of the location is used.
    """
    scheme, rest = parts(location)
    service = _KNOWN.of(rest.partition("/")[0]) if scheme == "s3" else None
    if service is None or not _gives_way(service):
        return None
    return f"the request went to {masked(str(endpoint()))}: {missing_reason(service)}"


def _gives_way(service: Service) -> bool:
    return service.gives_way and not has_keys(service) and endpoint() is not None


def limited(location: str) -> bool:
    """Whether the requests for a location are counted.

    If so, rasters are not read window by window, because GDAL's own requests cannot be counted.

    Raises:
        StorageError: the location cannot be used.
    """
    service = of(location)
    return service is not None and service.limited


def _arrived(known: tuple[Service, ...]) -> Services:
    services = Services(known)
    use(services)
    return services
