"""Grid zones of the military grid: a UTM zone number and a latitude band, such as `33U`.

The name of an MGRS tile begins with its grid zone, which is the key of its model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from transforms.elements import RequestError

BANDS = "CDEFGHJKLMNPQRSTUVWX"
"""Latitude bands from 80 degrees south, 8 degrees each; X has 12."""
EXCEPTIONS: dict[str, tuple[float, float] | None] = {
    "31V": (0.0, 3.0),
    "32V": (3.0, 12.0),
    "31X": (0.0, 9.0),
    "32X": None,
    "33X": (9.0, 21.0),
    "34X": None,
    "35X": (21.0, 33.0),
    "36X": None,
    "37X": (33.0, 42.0),
}
"""West and east in degrees of zones that are wider or narrower at Norway and Svalbard; None if
there is no such zone."""
_ZONE = re.compile(rf"(\d{{1,2}})([{BANDS}])")


def zone_bounds(zone: str) -> tuple[float, float, float, float]:
    """West, south, east and north of a grid zone, degrees.

    Raises:
        RequestError: there is no such grid zone.
    """
    match = _ZONE.fullmatch(zone)
    number = int(match[1]) if match else 0
    span = EXCEPTIONS.get(normal(zone), (6.0 * number - 186.0, 6.0 * number - 180.0))
    if match is None or not 1 <= number <= 60 or span is None:
        raise RequestError(
            f"grid zone {zone!r} does not exist, expected a UTM zone and latitude band such as 33U"
        )
    south = -80.0 + 8.0 * BANDS.index(match[2])
    return span[0], south, span[1], 84.0 if match[2] == "X" else south + 8.0


def is_zone(text: str) -> bool:
    """Whether a grid zone of this name exists."""
    try:
        zone_bounds(text)
    except RequestError:
        return False
    return True


def normal(zone: str) -> str:
    """A grid zone with two digits: `5Q` is `05Q`."""
    return zone if len(zone) != 2 else f"0{zone}"


def zone_centre(zone: str) -> tuple[float, float]:
    """Longitude and latitude of a grid zone's centre, degrees.

    Raises:
        RequestError: there is no such grid zone.
    """
    west, south, east, north = zone_bounds(zone)
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


def nearest(zone: str, candidates: Iterable[str]) -> str | None:
    """The candidate with the nearest centre, by name if two are equally near; None if none.

    Raises:
        RequestError: there is no such grid zone.
    """
    ranked = sorted((round(zone_distance(zone, other), 9), other) for other in candidates)
    return ranked[0][1] if ranked else None
