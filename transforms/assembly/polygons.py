"""Polygons on a pixel grid: a pixel is inside where its centre is, whatever the window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

from transforms.elements import Window

LEAF = 64
"""Side, in pixels, of the parts that are tested pixel by pixel."""


def rasterize(
    polygons: Iterable[shapely.Polygon],
    ulx: float,
    uly: float,
    window: Window,
    resolution: float = 10.0,
) -> NDArray[np.bool_]:
    """Where a window's pixel centres lie strictly inside any of the polygons.

    The grid has its upper left corner at `ulx`, `uly`, in the polygons' CRS, and pixels of
    `resolution` metres, north up. Returns bool (h, w). A pixel's value depends on its own centre
    alone: parts of a window equal the window's parts.
    """
    out = np.zeros(window.shape, np.bool_)
    xs = ulx + (np.arange(window.col, window.right) + 0.5) * resolution
    ys = uly - (np.arange(window.row, window.bottom) + 0.5) * resolution
    if xs.size == 0 or ys.size == 0:
        return out
    shapes = np.asarray(list(polygons), dtype=object)
    box = shapely.box(xs[0], ys[-1], xs[-1], ys[0])
    for polygon in shapes[shapely.intersects(shapely.envelope(shapes), box)]:
        left, bottom, right, top = polygon.bounds
        cols = slice(*np.searchsorted(xs, (left, right), side="left"))
        rows = slice(*np.searchsorted(-ys, (-top, -bottom), side="left"))
        shapely.prepare(polygon)
        _fill(out, polygon, xs, ys, rows, cols, shapely.is_valid(polygon))
    return out


def _fill(
    out: NDArray[np.bool_],
    polygon: shapely.Polygon,
    xs: NDArray[np.floating],
    ys: NDArray[np.floating],
    rows: slice,
    cols: slice,
    valid: bool,
) -> None:
    """Set the pixels inside, by quarters: those wholly inside or outside are not tested singly."""
    height, width = rows.stop - rows.start, cols.stop - cols.start
    if height <= 0 or width <= 0:
        return
    if height <= LEAF and width <= LEAF:
        x, y = np.meshgrid(xs[cols], ys[rows])
        out[rows, cols] |= shapely.contains_xy(polygon, x, y)
        return
    if valid:  # the predicates on boxes ask for a valid polygon, the one on points does not
        box = shapely.box(xs[cols.start], ys[rows.stop - 1], xs[cols.stop - 1], ys[rows.start])
        if not shapely.intersects(polygon, box):
            return
        if shapely.contains_properly(polygon, box):
            out[rows, cols] = True
            return
    middle_row, middle_col = rows.start + (height + 1) // 2, cols.start + (width + 1) // 2
    for part_rows in (slice(rows.start, middle_row), slice(middle_row, rows.stop)):
        for part_cols in (slice(cols.start, middle_col), slice(middle_col, cols.stop)):
            _fill(out, polygon, xs, ys, part_rows, part_cols, valid)
