"""Which pixels lie in the area of interest."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from transforms.elements import Window

_LEAF = 64


def area_mask(
    geometry: shapely.Geometry, ulx: float, uly: float, window: Window, resolution: float = 10.0
) -> NDArray[np.bool_]:
    """Pixels whose centre lies inside the geometry.

    A pixel's answer depends on the pixel alone, never on the window it is asked in. Parts of the
    window that lie wholly inside or outside are filled without a look at their pixels.

    Args:
        geometry: polygons in the grid's CRS, metres.
        ulx: west edge of the grid's column 0, metres.
        uly: north edge of the grid's row 0, metres.
        window: rows and columns of the grid.
        resolution: pixel size in metres.

    Returns:
        bool (rows, columns) of the window; a centre exactly on the boundary is outside.
    """
    mask = np.zeros(window.shape, dtype=bool)
    if geometry.is_empty:
        return mask
    shapely.prepare(geometry)
    stack = [window]
    while stack:
        part = stack.pop()
        place = part.slices_in(window)
        left, top = ulx + resolution * part.col, uly - resolution * part.row
        right, bottom = ulx + resolution * part.right, uly - resolution * part.bottom
        box = shapely.box(left, bottom, right, top)
        if not shapely.intersects(geometry, box):
            continue
        if shapely.contains_properly(geometry, box):
            mask[place] = True
        elif max(part.shape) <= _LEAF:
            x = ulx + resolution * (np.arange(part.col, part.right) + 0.5)
            y = uly - resolution * (np.arange(part.row, part.bottom) + 0.5)
            mask[place] = shapely.contains_xy(geometry, x[np.newaxis, :], y[:, np.newaxis])
        else:
            stack.extend(_quarters(part))
    return mask


def pixel_bounds(
    geometry: shapely.Geometry,
    ulx: float,
    uly: float,
    shape: tuple[int, int],
    resolution: float = 10.0,
) -> Window | None:
    """The smallest window with all pixels that the geometry's bounding box touches.

    Args:
        geometry: in the grid's CRS, metres.
        ulx: west edge of the grid, metres.
        uly: north edge of the grid, metres.
        shape: (rows, columns) of the grid; the window is cut to it.
        resolution: pixel size in metres.

    Returns:
        The window, None where the geometry does not reach the grid.
    """
    if geometry.is_empty:
        return None
    west, south, east, north = geometry.bounds
    col, row = math.floor((west - ulx) / resolution), math.floor((uly - north) / resolution)
    right, bottom = math.ceil((east - ulx) / resolution), math.ceil((uly - south) / resolution)
    found = Window(row, col, max(bottom - row, 1), max(right - col, 1))
    return found.intersect(Window(0, 0, *shape))


def _quarters(window: Window) -> list[Window]:
    """Up to four parts, cut across each side longer than a leaf."""
    height = window.height if window.height <= _LEAF else (window.height + 1) // 2
    width = window.width if window.width <= _LEAF else (window.width + 1) // 2
    parts = [
        Window(row, col, height, width).intersect(window)
        for row in range(window.row, window.bottom, height)
        for col in range(window.col, window.right, width)
    ]
    return [part for part in parts if part is not None]
