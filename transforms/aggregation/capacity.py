"""Checks whether the pixels of a grid fit the pixels of a place."""

from __future__ import annotations

import numpy as np

from .grid import OutputGrid
from .lattice import source_pixels, transformer
from .source import SOURCE_PIXEL, TileSource

MAX_CUT = 0.01
"""Largest share of built-up that a grid may lose; Mollweide loses up to 0.6 % near the poles."""
MOST_REACH = 3.0
"""Largest `reach` at which tiles may be cut to what they own."""
_SIDE = 9
"""Points along a side of a tile at which areas are compared."""


def share_cut(grid: OutputGrid, source: TileSource) -> float:
    """Share 0..1 of a completely built-up tile that the pixels of the grid cannot hold.

    At 9 x 9 points of the tile, the m² of UTM that a fine pixel covers (by the Jacobian of the
    mapping) is compared with its capacity. Points outside the grid's CRS do not count.
    """
    left, bottom, right, top = source.bounds
    east, north = np.meshgrid(np.linspace(left, right, _SIDE), np.linspace(bottom, top, _SIDE))
    to_grid = transformer(source.crs, grid.crs)
    x, y = to_grid.transform(east, north)
    x_east, y_east = to_grid.transform(east + SOURCE_PIXEL, north)
    x_north, y_north = to_grid.transform(east, north + SOURCE_PIXEL)
    with np.errstate(invalid="ignore", divide="ignore"):
        jacobian = (x_east - x) * (y_north - y) - (x_north - x) * (y_east - y)
        covered = (grid.pixel * SOURCE_PIXEL) ** 2 / np.abs(jacobian)
    covered = covered[np.isfinite(covered)]
    if not covered.size:
        return 0.0
    return 1 - float(np.minimum(1, grid.fine_capacity / covered).mean())


def reach(grid: OutputGrid, source: TileSource) -> float:
    """How far from its centre a fine pixel reads a tile, in pixels along a row or column.

    It is measured at 9 x 9 points of the tile. Points outside the grid's CRS do not count.
    """
    left, bottom, right, top = source.bounds
    east, north = np.meshgrid(np.linspace(left, right, _SIDE), np.linspace(bottom, top, _SIDE))
    x, y = transformer(source.crs, grid.crs).transform(east, north)
    cols, rows = (x - grid.origin[0]) / grid.pixel, (grid.origin[1] - y) / grid.pixel
    known = np.isfinite(cols) & np.isfinite(rows)
    middle = np.array(source_pixels(grid, source, rows[known], cols[known]))
    away = [0.0]
    for down, right_ in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
        corner = source_pixels(grid, source, rows[known] + down, cols[known] + right_)
        far = np.abs(np.array(corner) - middle)
        away.append(float(far[np.isfinite(far)].max(initial=0.0)))
    return max(away)
