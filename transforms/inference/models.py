"""The model store: a folder of weight files, one per grid zone.

A grid zone is a UTM zone number and a latitude band of the military grid: `33U`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from transforms.elements import RequestError

BANDS = "CDEFGHJKLMNPQRSTUVWX"
"""Latitude bands from 80 degrees south, 8 degrees each; X has 12."""
_EXCEPTIONS = {
    "31V": (0.0, 3.0),
    "32V": (3.0, 12.0),
    "31X": (0.0, 9.0),
    "33X": (9.0, 21.0),
    "35X": (21.0, 33.0),
    "37X": (33.0, 42.0),
}
"""West and east of the zones that Norway and Svalbard widen or narrow, degrees."""
_ABSENT = ("32X", "34X", "36X")
_ZONE = re.compile(rf"(\d{{1,2}})([{BANDS}])")
ERROR = "error"
NEAREST = "nearest"


def _parts(zone: str) -> tuple[int, str]:
    match = _ZONE.fullmatch(zone)
    if match is None or not 1 <= int(match[1]) <= 60 or normal(zone) in _ABSENT:
        raise RequestError(f"grid zone {zone!r}: expected a UTM zone and latitude band such as 33U")
    return int(match[1]), match[2]


def normal(zone: str) -> str:
    """A grid zone with two digits: `5Q` is `05Q`."""
    return zone if len(zone) != 2 else f"0{zone}"


def zone_centre(zone: str) -> tuple[float, float]:
    """Longitude and latitude of a grid zone's centre, degrees.

    Raises:
        RequestError: there is no such grid zone.
    """
    number, band = _parts(zone)
    west, east = _EXCEPTIONS.get(normal(zone), (6.0 * number - 186.0, 6.0 * number - 180.0))
    south = -80.0 + 8.0 * BANDS.index(band)
    north = 84.0 if band == "X" else south + 8.0
    return (west + east) / 2, (south + north) / 2


def zone_distance(one: str, other: str) -> float:
    """Great-circle distance between the centres of two grid zones, degrees of arc.

    Raises:
        RequestError: there is no such grid zone.
    """
    (lon1, lat1), (lon2, lat2) = zone_centre(one), zone_centre(other)
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half = (
        math.sin((phi2 - phi1) / 2) ** 2
        + math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    )
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def model_file(folder: str | Path, zone: str, prefix: str = "") -> Path:
    """Where the model of a grid zone lies: `<folder>/<prefix>MODEL_CNN_<zone>.h5`."""
    return Path(folder, f"{prefix}MODEL_CNN_{zone}.h5")


def available(folder: str | Path, prefix: str = "") -> dict[str, str]:
    """Models of a folder, path by grid zone; files with another prefix are not among them."""
    pattern = re.compile(rf"{re.escape(prefix)}MODEL_CNN_(\d{{1,2}}[{BANDS}])\.h5")
    found = {}
    root = Path(folder)
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match and path.is_file():
            found[match[1]] = str(path)
    return found


def nearest(zone: str, candidates: Iterable[str]) -> str:
    """The candidate whose centre is nearest; of two as near, the first by name.

    Raises:
        RequestError: no candidate, or no such grid zone.
    """
    ranked = sorted((round(zone_distance(zone, other), 9), other) for other in candidates)
    if not ranked:
        raise RequestError(f"grid zone {zone}: no model to take instead")
    return ranked[0][1]


def resolve(
    zones: Iterable[str],
    folder: str | Path,
    fallback: str = ERROR,
    manifest: Collection[str] | None = None,
    *,
    prefix: str = "",
) -> dict[str, str]:
    """The weight file of each grid zone.

    Args:
        zones: grid zones of the job's tiles.
        folder: folder of the models.
        fallback: for a zone without a model `error`, `nearest` (of the models that are there),
            or a grid zone whose model is taken.
        manifest: zones for which the JRC publishes a model, where known: the message then says
            which are to be had.
        prefix: prefix of the file names; the demonstration's are found by theirs alone.

    Returns:
        Path by grid zone, for all of `zones`.

    Raises:
        RequestError: a zone has no model and no fallback; all such zones are named.
    """
    found = available(folder, prefix)
    by_number = {normal(zone): path for zone, path in found.items()}
    wanted = sorted(set(zones))
    for zone in wanted:
        _parts(zone)
    missing = [zone for zone in wanted if normal(zone) not in by_number]
    paths = {zone: by_number[normal(zone)] for zone in wanted if zone not in missing}
    if not missing:
        return paths
    if fallback == NEAREST and found:
        return paths | {zone: found[nearest(zone, found)] for zone in missing}
    if fallback not in (ERROR, NEAREST) and normal(fallback) in by_number:
        return paths | dict.fromkeys(missing, by_number[normal(fallback)])
    raise RequestError(_missing(missing, folder, fallback, manifest, prefix))


def _missing(
    missing: list[str],
    folder: str | Path,
    fallback: str,
    manifest: Collection[str] | None,
    prefix: str,
) -> str:
    """What is missing and what can be done, in one line."""
    example = f"{prefix}MODEL_CNN_{missing[0]}.h5"
    text = f"models: no file for grid zone {', '.join(missing)} in {folder} ({example})"
    if fallback not in (ERROR, NEAREST):
        text += f", and none for the fallback {fallback}"
    elif fallback == NEAREST:
        return f"{text}, and none at all to take the nearest of: put the files there"
    published = {normal(zone) for zone in manifest or ()}
    if manifest is not None:
        without = [zone for zone in missing if normal(zone) not in published]
        if without:
            text += f"; the JRC publishes none for {', '.join(without)}"
    return f"{text}: put the files there, or set models.fallback to 'nearest' or a grid zone"
