"""The road lines of a job: checks them before a run, and computes their fingerprint."""

from __future__ import annotations

from ghsl_beam.jobfile.configuration import Job
from transforms.cleaning.road_file import RoadSource
from transforms.elements import (
    RasterError,
    RequestError,
    fingerprint,
    request_error,
)
from transforms.storage import storage
from transforms.storage.vectors import local_file, parts_of


def road_source(job: Job) -> RoadSource | None:
    """The road lines of a job; None if it has none."""
    settings = job.cleaning
    return RoadSource(settings.roads, settings.road_width_field) if settings.roads else None


def roads_fingerprint(job: Job) -> str:
    """Hash of all files with the road lines; empty if the job has none.

    Raises:
        RequestError: there is no such file, or it does not contain road lines with a width.
        UnavailableError: its storage does not answer now.
    """
    source = road_source(job)
    if source is None:
        return ""
    try:
        if not storage.is_file(source.path):
            raise RequestError(f"cleaning.roads: no such file: {source.path}")
        source.check()
        file = local_file(source.path)
        kinds = sorted((part.rpartition(".")[2].lower(), part) for part in parts_of(file))
        parts = [[kind, storage.sha256(part)] for kind, part in kinds]
        return fingerprint([storage.sha256(file), *parts])
    except RasterError as error:
        raise request_error(f"cleaning.roads: {error}", error) from error
