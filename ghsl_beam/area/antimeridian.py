"""Polygons across the antimeridian: they are unwrapped, and cut at ±180 degrees.

The library `antimeridian`, which cuts the outlines of rasters, is not suitable here. It silently
takes an edge of more than half the globe as the short way, and a ring around a pole as the cap of
the pole; here both are refused. It cuts a box of more than half the globe wrongly. It leaves
polygons that overlap after the cut, which is not valid, and it rounds at the cut.
`tests/unit/ghsl_beam/area/test_antimeridian.py` shows each of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from transforms.elements import RequestError


def all_unwrapped(label: str, polygons: Sequence[shapely.Polygon]) -> list[shapely.Polygon]:
    """Polygons as they were drawn; there may be a million, and most are small and have no holes."""
    west, _, east, _ = shapely.bounds(polygons).T
    plain = (east - west < 180) & (shapely.get_num_interior_rings(polygons) == 0)
    return [
        polygon if stays else unwrapped(label, polygon)
        for polygon, stays in zip(polygons, plain, strict=True)
    ]


def unwrapped(label: str, polygon: shapely.Polygon) -> shapely.Polygon:
    """The polygon as it was drawn, with its rings unwrapped at the antimeridian."""
    shell = _unwrap_ring(label, polygon.exterior)
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    holes = []
    for interior in polygon.interiors:
        hole = _unwrap_ring(label, interior)
        center = (hole[:, 0].min() + hole[:, 0].max()) / 2
        hole[:, 0] += 360 * round((middle - center) / 360)
        holes.append(hole)
    return shapely.Polygon(shell, holes)


def _unwrap_ring(label: str, ring: shapely.LinearRing) -> NDArray[np.float64]:
    """A ring without jumps: an edge from near 180 to near -180 crosses the antimeridian."""
    points: NDArray[np.float64] = shapely.get_coordinates(ring)
    start, end = points[:-1, 0], points[1:, 0]
    step = end - start
    jump = (np.abs(step) > 180) & (np.abs(step) < 360)
    across = (np.minimum(start, end) < -90) & (np.maximum(start, end) > 90)
    if (doubtful := np.flatnonzero(jump & ~across)).size:
        edge = doubtful[0]
        raise RequestError(
            f"{label}: an edge from {start[edge]:g} to {end[edge]:g} is {abs(step[edge]):g} "
            "degrees wide and may go either way around the globe; add a vertex between, or give a "
            "bounding box [west, south, east, north]"
        )
    turns = np.where(jump, -np.sign(step) * 360, 0.0)
    points[1:, 0] += np.cumsum(turns)
    if points[0, 0] != points[-1, 0]:
        raise RequestError(f"{label}: a ring goes around a pole; cut it along the antimeridian")
    return points


def within_180(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of a geometry, cut at ±180 and moved within, if they reach beyond."""
    west, _, east, _ = geometry.bounds if not geometry.is_empty else (0.0, 0.0, 0.0, 0.0)
    if west >= -180 and east <= 180:
        return polygonal(geometry)
    parts = []
    for turn in range(math.floor((west + 180) / 360), math.floor((east + 180) / 360) + 1):
        strip = shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        parts.append(shift(geometry.intersection(strip), -360.0 * turn))
    return polygonal(shapely.union_all([polygonal(part) for part in parts]))


def shift(geometry: shapely.Geometry, degrees: float) -> shapely.Geometry:
    """The geometry moved in longitude."""
    return shapely.transform(geometry, lambda points: points + np.array([degrees, 0.0]))


def polygonal(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of a geometry, without lines and points, which have no area."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    kept = [part for part in parts if shapely.get_type_id(part) == 3 and part.area > 0]
    return shapely.MultiPolygon(kept)
