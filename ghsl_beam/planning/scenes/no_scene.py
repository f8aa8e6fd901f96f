"""Explains why an archive has no scene for a job: facts to compare with the request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.area.mgrs_tiles import tiles_of
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from transforms.assembly import LeftOut
from transforms.storage import storage

_PRODUCT = re.compile(r"S2._MSI(L1C|L2A)_(\d{4})(\d\d)(\d\d)T\d{6}_.*_T(\d\d[A-Z]{3})_")
_SHOWN = 5
EODATA_MOUNT = "/eodata"


def no_archive(location: str) -> str:
    """What exists in place of the archive's folder."""
    if storage.is_file(location):
        folder = location.rpartition("/")[0] or "/"
        return f"{location} is a file, expected the folder that contains it: {folder}"
    if location == EODATA_MOUNT:
        return f"no such folder: {location}; only machines of CREODIAS have this mount"
    return f"no such folder: {location}"


def why_none(job: Job, area: Area, left_out: Sequence[LeftOut]) -> str:
    """Possible reasons why no tile has a scene, on one line.

    Args:
        job: the job.
        area: its area.
        left_out: products that exist and are not used.

    Raises:
        StorageError: the archive cannot be listed.
    """
    settings = job.input
    reasons = []
    if 0 < settings.max_cloud_cover < 1:
        reasons.append("max_cloud_cover is in percent")
    covers = (one.cloud_cover for one in left_out)
    cloudy = [cover for cover in covers if cover is not None and cover > settings.max_cloud_cover]
    if cloudy:
        reasons.append(
            f"{len(cloudy)} scenes are too cloudy, the clearest has {min(cloudy):.3g} %: raise "
            "input.max_cloud_cover"
        )
        return "; ".join(reasons)
    west, south, east, north = area.bounds
    box = f"longitude {west:.6g} to {east:.6g}, latitude {south:.6g} to {north:.6g}"
    reasons.append(f"the area is {box}")
    listed = _listed(settings.archive) if settings.archive else []
    if listed:
        reasons.append(_describe(listed))
    if _swapped(area).intersection(tile for _, _, tile in listed):
        reasons.append("longitude and latitude may be swapped")
    where = "archive" if settings.source is Source.ARCHIVE else "source"
    reasons.append(f"check {where}, period, level and area")
    return "; ".join(reasons)


def _listed(archive: str) -> list[tuple[str, date, str]]:
    """Level, day and tile in the names of the products directly in the archive."""
    products = []
    for name in storage.listing(archive):
        if match := _PRODUCT.match(name):
            level, year, month, day, tile = match.groups()
            try:
                products.append((level, date(int(year), int(month), int(day)), tile))
            except ValueError:  # not a day of the calendar, so not a product's name
                continue
    return products


def _describe(products: Sequence[tuple[str, date, str]]) -> str:
    tiles = sorted({tile for _, _, tile in products})
    listed = ", ".join(tiles[:_SHOWN]) + (" and more" if len(tiles) > _SHOWN else "")
    levels = " and ".join(sorted({level for level, _, _ in products}))
    first, last = min(day for _, day, _ in products), max(day for _, day, _ in products)
    return f"the archive has {levels} of {listed} from {first} to {last}"


def _swapped(area: Area) -> set[str]:
    """Tiles of the area with latitude and longitude swapped; none if that is not a place."""
    west, _, east, _ = area.bounds
    if max(abs(west), abs(east)) > 90:
        return set()
    return {tile.id for tile in tiles_of(Area(shapely.transform(area.geometry, _turned)))}


def _turned(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[:, ::-1]
