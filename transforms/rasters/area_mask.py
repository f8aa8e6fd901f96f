"""Finds the pixels that are inside the area of interest."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import Window, extent_of, part_of, pixel_centres

_LEAF = 64


def area_mask(geometry: shapely.Geometry, grid: GeoBox) -> NDArray[np.bool_]:
    """Pixels whose centre is inside the geometry.

    The result for a pixel depends only on the pixel, never on the extent of the grid. Parts of the
    grid that are completely inside or outside are filled without testing their pixels.

    Args:
        geometry: polygons in the grid's CRS, metres.
        grid: the pixels, north up.

    Returns:
        bool (rows, columns) of the grid; a centre exactly on the boundary is outside.

    Examples:
        >>> from transforms.elements import utm_grid
        >>> grid = utm_grid(32633, 300000, 5900040, 1, 3)
        >>> area_mask(shapely.box(300000, 5900000, 300018, 5900040), grid).tolist()
        [[True, True, False]]
    """
    mask = np.zeros(grid.shape, dtype=bool)
    if geometry.is_empty:
        return mask
    shapely.prepare(geometry)
    whole = extent_of(grid)
    stack = [whole]
    while stack:
        part = stack.pop()
        place, pixels = part.slices_in(whole), part_of(grid, part)
        box = shapely.box(*pixels.boundingbox.bbox)
        if not shapely.intersects(geometry, box):
            continue
        if shapely.contains_properly(geometry, box):
            mask[place] = True
        elif max(part.shape) <= _LEAF:
            y, x = pixel_centres(pixels)
            mask[place] = shapely.contains_xy(geometry, x[np.newaxis, :], y[:, np.newaxis])
        else:
            stack.extend(_quarters(part))
    return mask


def pixel_bounds(geometry: shapely.Geometry, grid: GeoBox) -> Window | None:
    """The smallest window with all pixels that the geometry's bounding box touches.

    Args:
        geometry: in the grid's CRS, metres.
        grid: the pixels, north up; the window is clipped to it.

    Returns:
        The window, None if the geometry does not reach the grid.
    """
    if geometry.is_empty:
        return None
    west, south, east, north = geometry.bounds
    # A division by the pixel size, not a product with its inverse, keeps edges on pixel edges.
    place = grid.affine
    col, row = math.floor((west - place.c) / place.a), math.floor((north - place.f) / place.e)
    right, bottom = math.ceil((east - place.c) / place.a), math.ceil((south - place.f) / place.e)
    touched = Window(row, col, max(bottom - row, 1), max(right - col, 1))
    return touched.intersect(extent_of(grid))


def _quarters(window: Window) -> list[Window]:
    """Up to four parts; a side is halved if it is longer than a leaf."""
    height = window.height if window.height <= _LEAF else (window.height + 1) // 2
    width = window.width if window.width <= _LEAF else (window.width + 1) // 2
    parts = [
        Window(row, col, height, width).intersect(window)
        for row in range(window.row, window.bottom, height)
        for col in range(window.col, window.right, width)
    ]
    return [part for part in parts if part is not None]
