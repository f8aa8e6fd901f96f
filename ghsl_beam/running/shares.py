"""The limits of a job's storage services, divided over the machines that will work for it."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.outputs.record_schema import StorageRecord
from ghsl_beam.runners.machines import machines
from transforms.elements import RequestError
from transforms.storage import services
from transforms.storage.services import Service, ServiceError, Services

_MINUTE = 60


def divided(job: Job, options: PipelineOptions) -> Services:
    """The services of a job for its workers, each with a machine's share of the limits.

    Raises:
        RequestError: a share would be too small, or nothing tells how many machines there are.
    """
    _check_output(job)
    number = machines(options)
    if number is None:
        limited = next((one.name for one in _used(job) if one.limited), None)
        if limited:
            runner = options.view_as(StandardOptions).runner
            raise RequestError(
                f"storage service {limited} limits requests, and the options of {runner} do not "
                "say how many machines share that: give --worker_machines"
            )
        return job.services
    try:
        return job.services.divided(number, list(_read_by_workers(job)))
    except ServiceError as error:
        raise RequestError(str(error)) from error


def storage_record(job: Job, shared: Services) -> list[StorageRecord]:
    """What the run record says of the services that a job uses, as its workers know them."""
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
    """Block files and products are read by GDAL, whose requests cannot be counted.

    Raises:
        RequestError: the output lies at a service with limits.
    """
    service = services.of(job.output)
    if service and service.limited:
        raise RequestError(
            f"output: {job.output} lies at storage service {service.name}, which limits requests; "
            "give a bucket of a service without limits, or a local folder"
        )


def _used(job: Job) -> list[Service]:
    """The services of the job's locations, each once, by name."""
    places = (*_read_by_workers(job), job.area.file, job.output)
    found = {one.name: one for place in places if place and (one := services.of(place))}
    return [found[name] for name in sorted(found)]


def _read_by_workers(job: Job) -> tuple[str, ...]:
    places = (job.input.archive, job.models.folder, job.residential.model, job.cleaning.roads)
    return tuple(place for place in places if place)
