"""Checks a bounding box in degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east crosses the antimeridian."""


def checked_box(numbers: Sequence[float]) -> Box:
    """Four numbers as a box.

    Raises:
        ValueError: they are not a box; the text names neither file nor key.
    """
    try:
        west, south, east, north = (float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("give four numbers west, south, east, north") from error
    box = west, south, east, north
    if not all(math.isfinite(number) for number in box) or south >= north:
        raise ValueError("south must be less than north, in degrees")
    if west == east or abs(west) > 360 or abs(east) > 360:
        raise ValueError(f"west and east must differ and be within -360..360 degrees{_metres(box)}")
    if south < -90 or north > 90:
        raise ValueError(f"south and north must be within -90..90 degrees{_metres(box)}")
    return box


def _metres(box: Box) -> str:
    if max(map(abs, box)) < 1000:
        return ""
    return "; these look like metres of a projected CRS: give longitude and latitude"
