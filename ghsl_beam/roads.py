"""The job's road lines: checked before anything starts, and what products depend on of them."""

from __future__ import annotations

from ghsl_beam.configuration import Job
from transforms.cleaning.road_file import RoadSource
from transforms.elements import (
    RasterError,
    RequestError,
    StorageError,
    fingerprint,
    request_error,
)
from transforms.raster import storage

_WHOLE = (".gpkg", ".zip", ".geojson", ".json", ".geojsonl", ".fgb", ".parquet")
"""Formats that are one file; of any other, files of the same stem may be parts (a shapefile's
widths are in its `.dbf`, its CRS in its `.prj`)."""
_PARTS = ("dbf", "prj", "shx", "cpg", "qix", "sbn", "sbx")
"""A shapefile's, to be asked for where nothing can be listed."""


def road_source(job: Job) -> RoadSource | None:
    """The job's road lines, None where it has none."""
    settings = job.cleaning
    return RoadSource(settings.roads, settings.road_width_field) if settings.roads else None


def roads_fingerprint(job: Job) -> str:
    """Hash of all files that the road lines are read from; empty where the job has none.

    Raises:
        RequestError: there is no such file, or it does not hold road lines with a width.
        UnavailableError: its storage does not answer now.
    """
    source = road_source(job)
    if source is None:
        return ""
    try:
        if not storage.is_file(source.path):
            raise RequestError(f"cleaning.roads: no such file: {source.path}")
        source.check()
        return fingerprint([storage.sha256(source.path), *_parts(source.path)])
    except RasterError as error:
        raise request_error(f"cleaning.roads: {error}", error) from error


def _parts(location: str) -> list[list[str]]:
    """Extension and hash of the other files of a vector file, in order.

    Raises:
        StorageError: one cannot be read.
    """
    folder, name = location.removesuffix(storage.name(location)), storage.name(location)
    stem, dot, extension = name.rpartition(".")
    if f".{extension}".lower() in _WHOLE or not dot:
        return []
    listed = not location.startswith("http")
    names = storage.listing(folder) if listed else [f"{stem}.{part}" for part in _PARTS]
    found = []
    for other in names:
        start, dot, part = other.rpartition(".")
        if start.lower() != stem.lower() or not dot or other == name:
            continue
        path = storage.join(folder, other)
        try:
            found.append([part.lower(), storage.sha256(path)])
        except StorageError:
            # A folder; or what a server does not give, of which GDAL reads nothing either.
            if listed and storage.is_file(path):
                raise
    return sorted(found)
