"""The ground that a raster covers, as GeoJSON: in degrees, cut at the antimeridian.

The library `antimeridian` makes the cut. Own code computes how far the outline bends, the effect of
a pole or of the edge of a CRS's world, and the box around many footprints. The library takes points
as they are, and its box of several shapes goes the long way around if none touches 180 degrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any

import antimeridian
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

Bounds = tuple[float, float, float, float]
Floats = NDArray[np.float64]
_ALONG = 64
"""Pieces of a side of a raster whose outline is computed as a whole."""
_PARTS = 24
"""Parts along a side of a raster that contains a pole or the edge of the CRS's world."""
_SAMPLES = 8
"""Pieces of a side of such a part."""
_ROUNDED = 1e-6
"""Precision of coordinates in degrees, 0.1 m; the footprint is larger by it."""
_EDGE = 90.0
"""Longest edge in degrees that is cut at the antimeridian."""
_POLAR = 80.0
"""Latitude beyond which a part at the edge of the CRS's world is extended to the pole."""
_WORLD = shapely.box(-180, -90, 180, 90)


def footprint(crs: Any, bounds: Bounds) -> shapely.Geometry:
    """Polygons in degrees, to 6 decimals, that contain every point of a rectangle in a CRS.

    The edges of the rectangle are curved in degrees, and the polygons have straight edges. So the
    polygons are larger by as much as the edges bend. They are cut at the antimeridian. Exterior
    rings run counterclockwise and holes clockwise (RFC 7946, 3.1.6 and 3.1.9).

    Args:
        crs: a CRS in any form that pyproj accepts.
        bounds: left, bottom, right, top.
    """
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    poles = _poles(to_degrees)
    lon, lat = (np.asarray(a) for a in to_degrees.transform(*_ring(bounds, 2 * _ALONG).T))
    seen = np.isfinite(lon).all() and np.isfinite(lat).all() and not _hold(bounds, poles)
    outline = (_outline(lon, lat) if seen else None) or _by_parts(to_degrees, bounds, poles)
    return oriented(shapely.set_precision(_within_180(outline), _ROUNDED))


def oriented(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a geometry, with exterior rings counterclockwise and holes clockwise."""
    parts = [
        shapely.geometry.polygon.orient(part)
        for part in shapely.get_parts(geometry)
        if part.geom_type == "Polygon" and part.area > 0
    ]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _outline(lon: Floats, lat: Floats) -> shapely.Geometry | None:
    """A polygon around a closed ring of an odd number of points; None if it goes around a pole.

    Longitudes continue beyond 180 where the ring does. Every second point measures how far the
    outline bends away from the straight lines between the other points.
    """
    lon = np.unwrap(lon, period=360)
    if abs(lon[-1] - lon[0]) > 180:
        return None
    points = np.column_stack([lon, lat])
    between = (points[0:-2:2] + points[2::2]) / 2
    bend = float(np.abs(points[1::2] - between).max())
    valid = shapely.make_valid(shapely.Polygon(points[::2]))
    # A quarter more: the bend is measured in the middle of a piece, where it is nearly the largest.
    around = valid.buffer(1.25 * bend + 2 * _ROUNDED, join_style="mitre")
    # A rectangle in degrees that ends at 180 does not cross it.
    straight = bend < _ROUNDED**2 and lon.min() >= -180 and lon.max() <= 180
    return shapely.intersection(around, _WORLD) if straight else around


def _ring(bounds: Bounds, pieces: int) -> Floats:
    """Points of a rectangle's outline, closed, with `pieces` pieces a side."""
    left, bottom, right, top = bounds
    t = np.linspace(0, 1, pieces + 1)[:-1]
    x = np.concatenate([left + (right - left) * t, np.full(pieces, right)])
    y = np.concatenate([np.full(pieces, bottom), bottom + (top - bottom) * t])
    x = np.concatenate([x, right - (right - left) * t, np.full(pieces, left), [left]])
    y = np.concatenate([y, np.full(pieces, top), top - (top - bottom) * t, [bottom]])
    return np.column_stack([x, y])


def _poles(to_degrees: pyproj.Transformer) -> list[tuple[float, float]]:
    """Positions of the poles in the CRS, if a pole is a single point there."""
    points = []
    for lat in (-90.0, 90.0):
        places = to_degrees.transform([0.0, 90.0, 180.0], [lat] * 3, direction="INVERSE")
        x, y = (np.asarray(axis) for axis in places)
        if np.isfinite(x + y).all() and max(np.ptp(x), np.ptp(y)) < 1:  # a metre
            points.append((float(x[0]), float(y[0])))
    return points


def _hold(bounds: Bounds, points: Sequence[tuple[float, float]]) -> bool:
    """Whether any of the points is inside a rectangle or on its edge."""
    left, bottom, right, top = bounds
    near = 1e-6 * max(right - left, top - bottom)
    return any(
        left - near <= x <= right + near and bottom - near <= y <= top + near for x, y in points
    )


def _by_parts(
    to_degrees: pyproj.Transformer, bounds: Bounds, poles: Sequence[tuple[float, float]]
) -> shapely.Geometry:
    """The union of the ground of the parts of a rectangle, with fewer corners.

    A part across the edge of the world is extended to 180 degrees on its side. A part with a pole
    is extended all around the pole.
    """
    left, bottom, right, top = bounds
    samples = _PARTS * _SAMPLES + 1
    x, y = np.meshgrid(np.linspace(left, right, samples), np.linspace(bottom, top, samples))
    lon, lat = (np.asarray(degrees) for degrees in to_degrees.transform(x, y))
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    places = []
    for row in range(0, samples - 1, _SAMPLES):
        for col in range(0, samples - 1, _SAMPLES):
            square = slice(row, row + _SAMPLES + 1), slice(col, col + _SAMPLES + 1)
            here = ~lost[square]
            if not here.any():
                continue
            part = x[square][0, 0], y[square][0, 0], x[square][-1, -1], y[square][-1, -1]
            seen = here.all() and not _hold(part, poles)
            place = _outline(_rim(lon[square]), _rim(lat[square])) if seen else None
            places.append(place or _rough(lon[square][here], lat[square][here], not here.all()))
    if not places:
        return _WORLD
    union = shapely.union_all(places)
    west, south, east, north = union.bounds
    tolerance = (north - south) / 1000
    # Half of it, because `simplify` moves some edges by more than it is asked for.
    simple = union.buffer(tolerance, join_style="mitre").simplify(tolerance / 2)
    return simple.intersection(_WORLD) if west >= -180 and east <= 180 else simple


def _rim(square: Floats) -> Floats:
    """The outline of a square array, closed."""
    return np.concatenate([square[0, :-1], square[:-1, -1], square[-1, :0:-1], square[::-1, 0]])


def _rough(lon: Floats, lat: Floats, at_edge: bool) -> shapely.Geometry:
    """A box with all longitudes around a pole, or with those up to 180 at the world's edge."""
    south, north = lat.min(), lat.max()
    step = max((north - south) / _SAMPLES, 0.01)
    south, north = max(south - 2 * step, -90.0), min(north + 2 * step, 90.0)
    if at_edge:  # near a pole the step between two samples is much longer
        south = -90.0 if south < -_POLAR else south
        north = 90.0 if north > _POLAR else north
    if at_edge and (lon > 0).all():
        return shapely.box(lon.min() - 0.01, south, 180, north)
    if at_edge and (lon < 0).all():
        return shapely.box(-180, south, lon.max() + 0.01, north)
    if lat.max() > 0 and not at_edge:
        return shapely.box(-180, south, 180, 90)
    if not at_edge:
        return shapely.box(-180, -90, 180, north)
    return shapely.box(-180, south, 180, north)


def _within_180(geometry: shapely.Geometry) -> shapely.Geometry:
    """Move the parts beyond 180 degrees to their place within.

    `antimeridian` cuts the outlines. Three cases that it misunderstands are treated before: an
    outline around the whole globe (all longitudes of its latitudes are covered), an edge of half
    the globe or more (points are added on it), and parts beyond a pole.
    """
    west, south, east, north = geometry.bounds
    if west >= -180 and east <= 180:
        return shapely.intersection(geometry, _WORLD)
    if east - west >= 360:
        return shapely.box(-180, max(south, -90), 180, min(north, 90))
    cut = shapely.intersection(geometry, shapely.box(west, -90, east, 90))
    parts = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon"]
    outline = shapely.MultiPolygon(list(shapely.segmentize(parts, _EDGE)))
    return shapely.union_all(
        antimeridian.fix_multi_polygon(outline, fix_winding=True, great_circle=False)
    )


def narrowest_box(boxes: Iterable[Sequence[float]]) -> list[float]:
    """The box around boxes, each (west, south, east, north) in degrees, as in GeoJSON.

    The widest range of longitudes without any box is left out. If the result crosses the
    antimeridian, its west is greater than its east (RFC 7946, 5.2).
    """
    spans, latitudes = [], []
    for west, south, east, north in boxes:
        spans += [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        latitudes += [south, north]
    spans.sort()
    easts = list(accumulate((east for _, east in spans), max))
    first, last = spans[0][0], easts[-1]
    # The range across the antimeridian comes first, so it is left out if two are equally wide.
    gaps = [(first + 360 - last, first, last)]
    gaps += [(west - east, west, east) for (west, _), east in zip(spans[1:], easts, strict=False)]
    _, west, east = max(gaps, key=itemgetter(0))
    return [west, min(latitudes), east, max(latitudes)]
