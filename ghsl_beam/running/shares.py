"""Divides the limits of a job's storage services among the machines that will work for it."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.outputs.record_schema import StorageRecord
from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.planning.scenes.access import access_kind, access_of, bytes_to_fetch
from ghsl_beam.runners.machines import machines
from transforms.elements import RequestError
from transforms.storage import services
from transforms.storage.services import Service, ServiceError, Services

_MINUTE = 60


def check_shares(job: Job, options: PipelineOptions) -> None:
    """Check, before the first request, that the workers can keep the limits.

    If the archive's files may be in a cache, `divided` checks the archive.

    Raises:
        RequestError: a share would be too small, or the number of machines is unknown.
    """
    _check_output(job)
    _divided(job, options, archive=access_kind(job) == "direct")


def divided(inventory: Inventory, options: PipelineOptions) -> Services:
    """The services of a job for its workers, each with a machine's share of the limits.

    Raises:
        RequestError: a share would be too small, or the number of machines is unknown.
    """
    job = inventory.plan.job
    todo = inventory.tiles_to_do(inventory.plan.lines.assembly)
    access = access_of(job)
    read = bool(todo) and (access.cache is None or bytes_to_fetch(todo, access) > 0)
    return _divided(job, options, archive=read)


def _divided(job: Job, options: PipelineOptions, *, archive: bool) -> Services:
    """See `divided`; `archive`: whether the workers read the archive, and not only the cache."""
    places = list(_read_by_workers(job, archive=archive))
    number = machines(options)
    if number is None:
        found = (one for place in places if (one := services.of(place)))
        limited = next((one.name for one in found if one.limited), None)
        if limited:
            runner = options.view_as(StandardOptions).runner
            raise RequestError(
                f"storage service {limited} limits requests, and the options of {runner} do not "
                "give the number of machines that share them: give --worker_machines"
            )
        return job.services
    try:
        return job.services.divided(number, places, job.input.places)
    except ServiceError as error:
        of_archive = {one.name for place in job.input.places if (one := services.of(place))}
        fetch = error.service in of_archive and access_kind(job) != "direct"
        more = "; or first run `ghsl-beam fetch` with a cache that all machines share"
        raise RequestError(f"{error}{more if fetch else ''}") from error


def storage_record(job: Job, shared: Services) -> list[StorageRecord]:
    """The entry of the run record for the services of a job, as its workers have them."""
    with services.known(shared):
        used = _used(job)
    return [_record(one) for one in used]


def _record(service: Service) -> StorageRecord:
    pause = service.pause
    return {
        "service": service.name,
        "buckets": list(service.buckets),
        "endpoint": service.endpoint,
        "keys": service.keys,
        "connections": service.connections,
        "requests_per_minute": service.requests_per_minute,
        "machines": service.machines,
        "connections_each": service.slots,
        "requests_per_minute_each": None if pause is None else round(_MINUTE / pause, 1),
    }


def _check_output(job: Job) -> None:
    """Refuse an output with limits: GDAL reads files there, and nothing counts its requests.

    Raises:
        RequestError: the output is at a service with limits.
    """
    service = services.of(job.output)
    if service and service.limited:
        raise RequestError(
            f"output: {job.output} is at storage service {service.name}, which limits requests; "
            "give a bucket of a service without limits, or a local folder"
        )


def _used(job: Job) -> list[Service]:
    """The services of the job's locations, each once, sorted by name."""
    places = (*_read_by_workers(job, archive=True), job.area.file, job.output)
    found = {one.name: one for place in places if place and (one := services.of(place))}
    return [found[name] for name in sorted(found)]


def _read_by_workers(job: Job, *, archive: bool) -> tuple[str, ...]:
    places = (job.models.folder, job.residential.model, job.cleaning.roads)
    return (*(job.input.places if archive else ()), *(place for place in places if place))
