"""The outline of the area in the record: simple enough for a picture, in degrees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import shapely

Coordinates = list[list[list[list[float]]]]
"""The coordinates of a MultiPolygon of GeoJSON."""
_DETAIL = 3000
"""Parts of the longer side below which no detail of the outline is kept."""
_MOST_POINTS = 3000
_MOST_IN_RECORD = 100_000
"""Largest number of points of a record that is drawn."""
_DIGITS = 6


def outline_of(area: shapely.Geometry) -> Coordinates:
    """The outline of an area, with at most some thousand points.

    Args:
        area: polygons in degrees within ±180.

    Example:
        >>> outline_of(shapely.box(0, 0, 2, 1))
        [[[[2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0], [2.0, 0.0]]]]
    """
    west, south, east, north = area.bounds
    tolerance = max(east - west, north - south) / _DETAIL
    simple = area
    while shapely.get_num_coordinates(simple) > (_MOST_POINTS if simple is not area else 0):
        simple = shapely.simplify(area, tolerance)
        tolerance *= 2
        simple = simple if not simple.is_empty else shapely.convex_hull(area)
    parts = [part for part in shapely.get_parts(simple) if part.geom_type == "Polygon"]
    return [[_ring(ring) for ring in (part.exterior, *part.interiors)] for part in parts]


def _ring(ring: shapely.LinearRing) -> list[list[float]]:
    return [[round(x, _DIGITS), round(y, _DIGITS)] for x, y in ring.coords]


def recorded_outline(record: Mapping[str, Any]) -> shapely.Geometry | None:
    """The outline in a record; None if it has none that can be drawn."""
    polygons = record.get("outline") or []
    rings = [ring for polygon in polygons for ring in polygon]
    if not rings or sum(map(len, rings)) > _MOST_IN_RECORD:
        return None
    if not all(len(ring) >= 4 and all(map(_is_position, ring)) for ring in rings):
        return None
    return shapely.MultiPolygon([shapely.Polygon(p[0], p[1:]) for p in polygons if p])


def _is_position(point: list[float]) -> bool:
    return len(point) == 2 and all(map(math.isfinite, point)) and _in_world(*point)


def _in_world(lon: float, lat: float) -> bool:
    return abs(lon) <= 180 and abs(lat) <= 90
