"""Positions of fine grid pixels in a tile: exact at lattice nodes, bilinear between them.

Nodes are at multiples of `LATTICE` fine pixels of the whole grid, so the position of a pixel does
not depend on its chunk. Between nodes 500 m apart the error is far below 0.02 pixels. A lattice
square is computed pixel by pixel if one of its nodes has no position (outside the ellipse).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import NDArray

from transforms.elements import Window

from .grid import LATTICE, OutputGrid
from .source import SOURCE_PIXEL, TileSource

SUBSAMPLES = 5
"""Samples along a side of a fine pixel; an odd number, so that one is at its centre."""
FAR = 1.0e8
"""A position more source pixels away than this counts as none."""

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Transformation between two CRSs, x before y."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


@dataclass(frozen=True, slots=True, eq=False)
class Square:
    """A lattice square that is computed pixel by pixel.

    `rows`, `cols`: source pixel coordinates of the sub-samples, axes (rows, columns), float64,
    shape (LATTICE x SUBSAMPLES) both ways, NaN if there is none.
    """

    row: int
    col: int
    rows: Floats
    cols: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """The position of a fine window in a source.

    `rows`, `cols`: source pixel coordinates of the lattice nodes (float64, axes rows, columns;
    pixel (0, 0) covers 0..1), NaN if there is none. `areas`: m² of UTM that a fine pixel covers, in
    each lattice square. `reads`: the part of the source that the window can touch, or None.
    """

    window: Window
    rows: Floats
    cols: Floats
    areas: Floats
    irregular: tuple[Square, ...]
    reads: Window | None


def grid_coordinates(grid: OutputGrid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """CRS coordinates (x, y) of positions in fine pixels of the whole grid (edges are whole)."""
    return grid.origin[0] + cols * grid.pixel, grid.origin[1] - rows * grid.pixel


def source_pixels(
    grid: OutputGrid, source: TileSource, rows: Floats, cols: Floats
) -> tuple[Floats, Floats]:
    """Exact source (row, col), float64, of fine positions; NaN if there is none."""
    x, y = grid_coordinates(grid, rows, cols)
    to_utm = transformer(grid.crs, source.crs)
    east, north = to_utm.transform(x, y)
    corner = source.grid.affine
    row = (corner.f - np.asarray(north)) / SOURCE_PIXEL
    col = (np.asarray(east) - corner.c) / SOURCE_PIXEL
    with np.errstate(invalid="ignore"):
        lost = ~((np.abs(row) < FAR) & (np.abs(col) < FAR))
    row[lost] = np.nan
    col[lost] = np.nan
    return row, col


def nodes(window: Window) -> tuple[Floats, Floats]:
    """Fine (row, col) of the lattice nodes of a window, two arrays of axes (rows, columns).

    Raises:
        ValueError: the window's edges are not on the lattice.
    """
    edges = (window.row, window.col, window.height, window.width)
    if any(edge % LATTICE for edge in edges):
        raise ValueError(f"{window} is not on the lattice of {LATTICE} pixels")
    rows = np.arange(window.row, window.bottom + 1, LATTICE, dtype=np.float64)
    cols = np.arange(window.col, window.right + 1, LATTICE, dtype=np.float64)
    fine_rows, fine_cols = np.meshgrid(rows, cols, indexing="ij")
    return fine_rows, fine_cols


def sub_positions(window: Window, row: int, col: int, samples: int) -> tuple[Floats, Floats]:
    """Fine (row, col) of the sub-samples of lattice square (row, col) of a window."""
    offsets = (np.arange(LATTICE * samples) + 0.5) / samples
    rows = window.row + row * LATTICE + offsets
    cols = window.col + col * LATTICE + offsets
    fine_rows, fine_cols = np.meshgrid(rows, cols, indexing="ij")
    return fine_rows, fine_cols


def irregular_squares(values: Floats) -> list[tuple[int, int]]:
    """Squares with some nodes that have a position and some that have none."""
    lost = np.isnan(values).astype(np.int8)
    count = lost[:-1, :-1] + lost[1:, :-1] + lost[:-1, 1:] + lost[1:, 1:]
    return [(int(i), int(j)) for i, j in np.argwhere((count > 0) & (count < 4))]


def map_window(grid: OutputGrid, window: Window, source: TileSource) -> Mapping:
    """Map a fine window (of the whole grid, on the lattice) to a source."""
    rows, cols = source_pixels(grid, source, *nodes(window))
    irregular = []
    for i, j in irregular_squares(rows):
        if not _near(source, rows[i : i + 2, j : j + 2], cols[i : i + 2, j : j + 2]):
            continue
        exact = source_pixels(grid, source, *sub_positions(window, i, j, SUBSAMPLES))
        irregular.append(Square(i, j, *exact))
    # Area of the mapped square by its diagonals: the integral of the bilinear Jacobian.
    down, across = rows[1:, 1:] - rows[:-1, :-1], cols[1:, 1:] - cols[:-1, :-1]
    down2, across2 = rows[1:, :-1] - rows[:-1, 1:], cols[1:, :-1] - cols[:-1, 1:]
    area = np.abs(down * across2 - across * down2) / 2
    areas = area * (SOURCE_PIXEL**2 / LATTICE**2)
    reads = _reach(source, rows, cols, irregular)
    return Mapping(window, rows, cols, areas, tuple(irregular), reads)


def _near(source: TileSource, rows: Floats, cols: Floats) -> bool:
    """Whether a square with these corners can touch the source, however it is sheared."""
    margin = 12 * LATTICE
    row = (rows > -margin) & (rows < source.extent.height + margin)
    return bool((row & (cols > -margin) & (cols < source.extent.width + margin)).any())


def _reach(
    source: TileSource, rows: Floats, cols: Floats, irregular: list[Square]
) -> Window | None:
    all_rows = np.concatenate([rows.ravel(), *(square.rows.ravel() for square in irregular)])
    all_cols = np.concatenate([cols.ravel(), *(square.cols.ravel() for square in irregular)])
    if np.isnan(all_rows).all():
        return None
    top, bottom = math.floor(np.nanmin(all_rows)), math.floor(np.nanmax(all_rows)) + 1
    left, right = math.floor(np.nanmin(all_cols)), math.floor(np.nanmax(all_cols)) + 1
    return Window(top, left, bottom - top, right - left).intersect(source.extent)
