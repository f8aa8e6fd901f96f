"""Explains why an archive has no scene for a job: facts to compare with the request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from ghsl_beam.area.mgrs_tiles import tiles_of
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from ghsl_beam.planning.scenes.holdings import Held, Holdings, holdings, nearest
from transforms.assembly import LeftOut
from transforms.elements import RequestError
from transforms.storage import storage

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
    reasons = []
    if 0 < job.input.max_cloud_cover < 1:
        reasons.append("max_cloud_cover is in percent")
    if left_out:
        return "; ".join([*reasons, _of_left_out(job, left_out), _place(area)])
    reasons.append(_place(area))
    tiles = frozenset(tile.id for tile in tiles_of(area))
    held = holdings(job, tiles)
    here = [one for one in held.products if one.tile in tiles]
    where = "archive" if job.input.source is Source.ARCHIVE else "source"
    if here:
        reasons += [_for_tiles(here, job, where), _remedy(here, job)]
        return "; ".join(reasons)
    turned = _swapped(area, held.products)
    reasons += _elsewhere(held, where, job)
    reasons += [turned] if turned else _ground(held.products)
    reasons.append(f"check {where}, period, level and area")
    return "; ".join(reasons)


def _of_left_out(job: Job, left_out: Sequence[LeftOut]) -> str:
    """The products that the job leaves out, and the key that does it."""
    limit = job.input.max_cloud_cover
    cloudy = [one for one in left_out if one.cloud_cover is not None and one.cloud_cover > limit]
    cover = [one.cloud_cover for one in cloudy if one.cloud_cover is not None]
    if not cover:
        named = [f"{one.name} ({one.reason})" for one in left_out]
        number = "1 scene is" if len(left_out) == 1 else f"{len(left_out)} scenes are"
        return f"{number} left out: {_some(named)}"
    cloudy.sort(key=lambda one: (one.cloud_cover, one.name))
    named = [f"{one.name} ({one.cloud_cover:.3g} %)" for one in cloudy]
    number = "1 scene is" if len(cloudy) == 1 else f"{len(cloudy)} scenes are"
    return (
        f"{number} too cloudy, the clearest has {min(cover):.3g} %: raise input.max_cloud_cover "
        f"(--set input.max_cloud_cover={math.ceil(min(cover))}): {_some(named)}"
    )


def _place(area: Area) -> str:
    west, south, east, north = area.bounds
    return f"the area is {_box(west, south, east, north)}"


def _box(west: float, south: float, east: float, north: float) -> str:
    return f"longitude {west:.6g} to {east:.6g}, latitude {south:.6g} to {north:.6g}"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _for_tiles(here: Iterable[Held], job: Job, where: str) -> str:
    """The products of the area's tiles, the nearest in time first."""
    named = [
        f"{one.level} of {one.tile} on {one.day}"
        + ("" if one.cloud is None else f" with {one.cloud:.3g} % cloud")
        for one in nearest(here, job)
    ]
    return f"for these tiles the {where} has {_some(named)}"


def _remedy(here: Sequence[Held], job: Job) -> str:
    """The key to change for the nearest product of the area's tiles."""
    settings, period = job.input, job.period
    of_level = [one for one in here if one.level is settings.level]
    if not of_level:
        return f"another level: --set input.level={nearest(here, job)[0].level}"
    first = nearest(of_level, job)[0]
    if period.start <= first.day <= period.end:
        return "check the area: these scenes have no data in it"
    return f"another period, such as --set period={first.day}/{first.day}"


def _elsewhere(held: Holdings, where: str, job: Job) -> list[str]:
    """What is there instead of the area's tiles."""
    if not held.products:
        if job.input.source is not Source.ARCHIVE:
            return [f"the {where} has no scene of these tiles within a year of the period"]
        return [f"the {where} has no product of Sentinel-2"] if held.whole else []
    tiles = sorted({one.tile for one in held.products if one.tile})
    levels = " and ".join(sorted({one.level for one in held.products}))
    days = [one.day for one in held.products]
    listed = ", ".join(tiles[:_SHOWN]) + (" and more" if len(tiles) > _SHOWN else "")
    return [f"the {where} has {levels} of {listed} from {min(days)} to {max(days)}"]


def _ground(products: Iterable[Held]) -> list[str]:
    """Where the products lie, in degrees, for a person who compares."""
    centers = []
    for name in {one.tile for one in products if one.tile}:
        try:
            tile = mgrs_tile(name)
        except RequestError:  # the name of a product may hold any letters
            continue
        centers.append((tile.center_lon, tile.center_lat))
    if not centers:
        return []
    lon, lat = zip(*centers, strict=True)
    return [f"their centres are at {_box(min(lon), min(lat), max(lon), max(lat))}"]


def _swapped(area: Area, held: Iterable[Held]) -> str:
    """A hint if latitude and longitude are swapped; empty if the products do not show it."""
    west, south, east, north = area.bounds
    if max(abs(west), abs(east)) > 90:
        return ""
    turned = Area(shapely.transform(area.geometry, _turned))
    if {tile.id for tile in tiles_of(turned)}.isdisjoint(one.tile for one in held):
        return ""
    return (
        "longitude and latitude may be swapped, longitude comes first: "
        f"area: {{bbox: [{south:.6g}, {west:.6g}, {north:.6g}, {east:.6g}]}}"
    )


def _turned(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points[:, ::-1]
