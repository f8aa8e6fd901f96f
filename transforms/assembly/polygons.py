"""Rasterizes polygons: a pixel is inside if its centre is, independent of the window.

Each row is filled between the edges that cross it. So the work grows with the length of the edges,
not with the number of edges times the number of pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import pixel_centres

EDGES_A_PIXEL = 4
"""Limit of edges across rows for each pixel of a window; an outline around every pixel has two."""
_STRIP = 1 << 20
"""Pixels that are filled at a time."""
Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]


class PolygonsError(ValueError):
    """The polygons have more edges than a mask of pixels can have."""


class _Edges(NamedTuple):
    """Ends of edges, the lower end first, and the index of the polygon of each edge."""

    x1: Floats
    y1: Floats
    x2: Floats
    y2: Floats
    polygon: Integers


def rasterize(polygons: Iterable[shapely.Polygon], grid: GeoBox) -> NDArray[np.bool_]:
    """Find the pixels whose centres are strictly inside any of the polygons.

    If the rings of a polygon cross, a point is inside if a ray from it crosses an odd number of
    edges. The result for a pixel depends only on its centre: a part of a grid gives the same pixels
    as the whole grid.

    Args:
        polygons: in the CRS of the grid.
        grid: the pixels, north up.

    Returns:
        bool (h, w).

    Raises:
        PolygonsError: more than `EDGES_A_PIXEL` edges for each pixel cross the rows.
    """
    out = np.zeros(grid.shape, np.bool_)
    height, width = grid.shape
    if out.size == 0:
        return out
    ys, xs = pixel_centres(grid)
    shapes = np.asarray(list(polygons), dtype=object)
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        rows = ys[top : top + step]
        box = shapely.box(xs[0], rows[-1], xs[-1], rows[0])
        near = shapes[shapely.intersects(shapely.envelope(shapes), box)]
        if near.size == 0:
            continue
        left, bottom, right, upper = shapely.total_bounds(near)
        first_row, last_row = np.searchsorted(-rows, (-upper, -bottom), side="left")
        first_col, last_col = np.searchsorted(xs, (left, right), side="left")
        inner = xs[first_col:last_col], rows[first_row:last_row]
        if all(centres.size for centres in inner):
            out[top + first_row : top + last_row, first_col:last_col] = _fill(
                _edges(near), shapely.bounds(near), *inner, grid.affine.a
            )
    return out


def _edges(shapes: NDArray[np.object_]) -> _Edges:
    rings, polygon = shapely.get_rings(shapes, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    inner = ring[1:] == ring[:-1]
    start, end = points[:-1][inner], points[1:][inner]
    upward = (start[:, 1] <= end[:, 1])[:, np.newaxis]
    low, high = np.where(upward, start, end), np.where(upward, end, start)
    return _Edges(low[:, 0], low[:, 1], high[:, 0], high[:, 1], polygon[ring[1:][inner]])


def _fill(
    edges: _Edges, bounds: Floats, xs: Floats, ys: Floats, resolution: float
) -> NDArray[np.bool_]:
    """Pixels inside; `xs` and `ys` are the centres of columns and rows, `ys` from the top.

    A ring encloses nothing outside the bounds of its polygon's exterior.
    """
    height, width = ys.size, xs.size
    left, right = np.searchsorted(xs, bounds[:, 0]), np.searchsorted(xs, bounds[:, 2], side="right")
    upper, lower = np.searchsorted(-ys, -bounds[:, [3, 1]].T)
    # An edge crosses the rows from its lower end (included) to its upper end (excluded). So a ring
    # crosses each row an even number of times, even if a vertex is exactly on the row.
    first, last = (
        np.clip(np.searchsorted(-ys, -y, side="right"), upper[edges.polygon], lower[edges.polygon])
        for y in (edges.y2, edges.y1)
    )
    counts = last - first
    limit = EDGES_A_PIXEL * max(height * width, 1 << 16)
    if counts.sum() > limit:
        raise PolygonsError(
            f"has {counts.sum()} edges in {height} x {width} pixels, expected at most {limit}"
        )
    edge = np.repeat(np.arange(counts.size), counts)
    row = first[edge] + np.arange(edge.size) - np.repeat(counts.cumsum() - counts, counts)
    x1, y1, x2, y2, polygon = (values[edge] for values in edges)
    at = x1 + (ys[row] - y1) * ((x2 - x1) / (y2 - y1))
    nearest = np.clip(np.rint((at - xs[0]) / resolution), -1, width).astype(np.int64)
    centre = np.where(
        (nearest >= 0) & (nearest < width),
        xs[np.clip(nearest, 0, width - 1)],
        xs[0] + nearest * resolution,
    )
    side = (centre - x1) * (y2 - y1) - (x2 - x1) * (ys[row] - y1)  # above 0 right of the edge
    col = np.clip(nearest + (side <= 0), left[polygon], right[polygon])
    group = polygon * height + row
    crossings = np.sort(group * (width + 1) + col)
    # In a sorted row, the pixels from an odd crossing to the next one are inside.
    place = crossings % ((width + 1) * height)
    depth = _count(place[::2], height, width) - _count(place[1::2], height, width)
    # A centre on an edge is not inside the edge's polygon.
    on = _on_edges(edges, xs, ys)
    touched = (side == 0) & (nearest >= 0) & (nearest < width)
    on = np.unique(np.concatenate([on, (group * (width + 1) + nearest)[touched]]))
    before = np.searchsorted(crossings, on - on % (width + 1))
    on = on[(np.searchsorted(crossings, on, side="right") - before) % 2 == 1]
    place = on % ((width + 1) * height)
    depth += _count(place + 1, height, width) - _count(place, height, width)
    return depth.cumsum(axis=1)[:, :width] > 0


def _count(places: Integers, height: int, width: int) -> Integers:
    """How often each place occurs; a row has one place more than it has pixels."""
    return np.bincount(places, minlength=height * (width + 1)).reshape(height, width + 1)


def _on_edges(edges: _Edges, xs: Floats, ys: Floats) -> Integers:
    """Centres on edges along a row, and on upper ends of edges; all others are crossings.

    As polygon * rows * (columns + 1) + row * (columns + 1) + column.
    """
    height, width = ys.size, xs.size
    row = np.searchsorted(-ys, -edges.y2, side="left")
    on_row = (row < height) & (ys[np.minimum(row, height - 1)] == edges.y2)
    x1, y1, x2, y2, polygon = (values[on_row] for values in edges)
    along = y1 == y2
    left, right = np.where(along, np.minimum(x1, x2), x2), np.where(along, np.maximum(x1, x2), x2)
    first = np.searchsorted(xs, left, side="left")
    counts = np.searchsorted(xs, right, side="right") - first
    if counts.sum() > EDGES_A_PIXEL * max(height * width, 1 << 16):
        raise PolygonsError(
            f"has edges along {counts.sum()} pixels in a window of {height} x {width} pixels"
        )
    item = np.repeat(np.arange(counts.size), counts)
    col = first[item] + np.arange(item.size) - np.repeat(counts.cumsum() - counts, counts)
    return (polygon[item] * height + row[on_row][item]) * (width + 1) + col
