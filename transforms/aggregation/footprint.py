"""Finds the output cells that a tile touches."""

from __future__ import annotations

import math

import numpy as np
import pyproj
from numpy.typing import NDArray

from transforms.elements import RequestError

from .grid import Cell, OutputGrid
from .lattice import transformer
from .source import TileSource

_SIDE = 241
"""Points along a side of a footprint: one every 457 m for a Sentinel-2 tile."""
_INNER = 25


def cells_of_source(grid: OutputGrid, source: TileSource) -> tuple[Cell, ...]:
    """Output cells that a tile's pixels may touch (see `cells_of_footprint`)."""
    return cells_of_footprint(grid, source.crs, source.bounds)


def cells_of_footprint(
    grid: OutputGrid, crs: str, bounds: tuple[float, float, float, float]
) -> tuple[Cell, ...]:
    """Output cells that a rectangle (left, bottom, right, top) of any CRS may touch, sorted.

    The rectangle is at most a few cells wide. Its outline has 241 points a side. A cell counts as
    touched if it is closer to a point than half the distance between points. So no cell is missed,
    and there may be one too many, which stays empty. A rectangle across the antimeridian gives
    cells at both ends of the grid. Cells that are completely outside the world are left out.

    Raises:
        RequestError: the rectangle is left of or above the grid's origin.
    """
    x, y = transformer(crs, grid.crs).transform(*_points(bounds))
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
    size = grid.cell_pixels * grid.pixel
    margin = _margin(x, y, size)
    cells: set[Cell] = set()
    for dx in (0.0, -margin, margin):
        for dy in (0.0, -margin, margin):
            cols = np.floor((x[~lost] + dx - grid.origin[0]) / size)
            rows = np.floor((grid.origin[1] - y[~lost] - dy) / size)
            touched = {Cell(int(r), int(c)) for r, c in set(zip(rows, cols, strict=True))}
            if not dx and not dy:
                touched = {_bounded(grid, cell) for cell in touched}
                cells |= touched
                if any(cell.row < 0 or cell.col < 0 for cell in touched):
                    raise RequestError(_outside(grid))
            else:
                wrapped = {_bounded(grid, cell) for cell in touched}
                cells |= {c for c in wrapped - cells if _in_world(grid, c)}
    return tuple(sorted(cells))


def _outside(grid: OutputGrid) -> str:
    use = pyproj.CRS.from_user_input(grid.crs).area_of_use
    name = f" ({use.name.rstrip('.')})" if use else ""
    return f"the area is outside the area of use of {grid.crs}{name}; choose another CRS"


def _points(
    bounds: tuple[float, float, float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The outline of a rectangle in order, then points inside it."""
    left, bottom, right, top = bounds
    x, y = np.linspace(left, right, _SIDE), np.linspace(top, bottom, _SIDE)
    outline_x = np.concatenate([x, np.full(_SIDE, right), x[::-1], np.full(_SIDE, left)])
    outline_y = np.concatenate([np.full(_SIDE, top), y, np.full(_SIDE, bottom), y[::-1]])
    inner_x, inner_y = np.meshgrid(
        np.linspace(left, right, _INNER), np.linspace(top, bottom, _INNER)
    )
    return np.append(outline_x, inner_x), np.append(outline_y, inner_y)


def _margin(x: NDArray[np.float64], y: NDArray[np.float64], size: float) -> float:
    """Half the largest step along the outline; steps across the antimeridian do not count."""
    steps = np.hypot(np.diff(x[: 4 * _SIDE]), np.diff(y[: 4 * _SIDE]))
    steps = steps[np.isfinite(steps) & (steps < size)]
    return float(steps.max()) / 2 if steps.size else 0.0


def _bounded(grid: OutputGrid, cell: Cell) -> Cell:
    """A cell inside the grid: longitude continues around the globe, 180 E is 180 W."""
    if not grid.geographic:
        return cell
    around = round(360 / (grid.cell_pixels * grid.pixel))
    return Cell(min(cell.row, around // 2 - 1), cell.col % around)


def _in_world(grid: OutputGrid, cell: Cell) -> bool:
    """Whether any part of a cell is on the globe, tested at every 20th of its side."""
    if cell.row < 0 or cell.col < 0:
        return False
    size = grid.cell_pixels * grid.pixel
    steps = np.linspace(0.0, 1.0, 21)
    cols, rows = np.meshgrid(cell.col + steps, cell.row + steps)
    x, y = grid.origin[0] + cols * size, grid.origin[1] - rows * size
    to_degrees = transformer(grid.crs, "EPSG:4326")
    lon, lat = to_degrees.transform(x, y)
    return math.isfinite(np.min(np.where(np.isfinite(lon) & np.isfinite(lat), 0.0, np.inf)))
