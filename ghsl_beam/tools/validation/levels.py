"""Errors of the fraction on cells of 100 m and 1 km, weighted by the compared area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.windows import Window

from ghsl_beam.tools.area_mean import Grid, mean_pixel_area
from ghsl_beam.tools.validation.scores import Floats, ratio

SIZES = (100.0, 1000.0)
"""Sides of the cells in metres."""
WIDTH = 6
"""Columns of `error_sums`."""
_NEAR = 1e-6
STRETCHED = 0.1
"""If a projection changes areas by more than this share, metres of its coordinates are not those of
the ground."""


@dataclass(frozen=True, slots=True)
class Nesting:
    """How the pixels of a grid lie in larger cells.

    Cells begin at whole multiples of their side in the coordinates of the CRS. `pixels` is the
    number of pixels along a side of a cell; `rows` and `cols` are the pixels of the first cell that
    lie before the grid's first row and column.
    """

    pixels: int
    rows: int
    cols: int

    @classmethod
    def of(cls, grid: Grid, side: float) -> Nesting | None:
        """The nesting of a grid in cells of a side in metres; None if its pixels do not nest.

        In a projection that changes areas much, 100 m of its coordinates are not 100 m on the
        ground, so there are no cells.
        """
        transform = grid.transform
        crs = CRS.from_user_input(grid.crs)
        if crs.is_geographic or not grid.aligned:
            return None
        metres = crs.axis_info[0].unit_conversion_factor or 1.0
        plain = abs(transform.determinant) * metres**2
        if not math.isclose(mean_pixel_area(grid), plain, rel_tol=STRETCHED):
            return None
        side = side / metres
        starts = []
        for step, start in ((transform.e, transform.f), (transform.a, transform.c)):
            pixels, before = side / abs(step), (start % side) / abs(step)
            if round(pixels) < 1 or not _whole(pixels) or not _whole(before):
                return None
            # Along a negative axis, the distance to the start of the cell is on the other side.
            starts.append(round(before if step > 0 else pixels - before) % round(pixels))
        if not np.isclose(abs(transform.e), abs(transform.a), rtol=_NEAR):
            return None
        return cls(round(side / abs(transform.a)), *starts)

    def part(self, window: Window) -> Nesting:
        """The nesting of a window of the grid."""
        return Nesting(
            self.pixels,
            (self.rows + int(window.row_off)) % self.pixels,
            (self.cols + int(window.col_off)) % self.pixels,
        )

    def edges(self, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First rows and first columns of the cells of a grid of this shape."""
        return (
            _firsts(self.rows, self.pixels, shape[0]),
            _firsts(self.cols, self.pixels, shape[1]),
        )


def nested_windows(grid: Grid, side: int) -> list[Window]:
    """Windows of at most `side` pixels a side that cover a grid and cut no cell of 1 km.

    If a cell of 1 km does not fit or the pixels do not nest in it, they begin at the grid's corner.
    """
    nesting = Nesting.of(grid, SIZES[-1])
    if nesting is None or nesting.pixels > side:
        return list(grid.windows(side))
    step = side // nesting.pixels * nesting.pixels
    rows, cols = Nesting(step, nesting.rows, nesting.cols).edges(grid.shape)
    bottoms, rights = [*rows[1:], grid.shape[0]], [*cols[1:], grid.shape[1]]
    return [
        Window(int(left), int(top), int(right - left), int(bottom - top))
        for top, bottom in zip(rows, bottoms, strict=True)
        for left, right in zip(cols, rights, strict=True)
    ]


def cell_sums(
    product: NDArray[np.floating[Any]],
    reference: NDArray[np.floating[Any]],
    pixel_m2: float | Floats,
    nesting: Nesting,
) -> Floats:
    """Areas and fractions of the cells of a window, from the pixels that both arrays have.

    Args:
        product: (rows, columns), fraction 0..1, NaN without data.
        reference: the same shape and unit.
        pixel_m2: area of a pixel in m², broadcastable to that shape.
        nesting: how the window's pixels lie in the cells.

    Returns:
        (4, cell rows, cell columns), float64: compared area, compared pixels, area x fraction of
        the product, area x fraction of the reference.
    """
    valid = np.isfinite(product) & np.isfinite(reference)
    area = np.where(valid, pixel_m2, 0.0)
    ours, theirs = (np.where(valid, values, 0) * area for values in (product, reference))
    edges = nesting.edges((product.shape[0], product.shape[1]))
    return np.stack([_summed(values, edges) for values in (area, valid * 1.0, ours, theirs)])


def larger_cells(cells: Floats, small: Nesting, large: Nesting) -> Floats | None:
    """The sums of larger cells from those of smaller ones; None if these do not nest in them.

    Args:
        cells: as of `cell_sums`.
        small: how the window's pixels lie in the smaller cells.
        large: how they lie in the larger cells.
    """
    if large.pixels % small.pixels:
        return None
    times = large.pixels // small.pixels
    edges = Nesting(times, large.rows // small.pixels, large.cols // small.pixels).edges(
        (cells.shape[1], cells.shape[2])
    )
    return np.stack([_summed(values, edges) for values in cells])


def _summed(values: Floats, edges: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Floats:
    down = np.add.reduceat(values, edges[0], axis=0)
    return np.asarray(np.add.reduceat(down, edges[1], axis=1))


def error_sums(cells: Floats, nesting: Nesting) -> Floats:
    """Sums for each cell from which the errors of a level are computed.

    A cell counts with the area of its compared pixels. So a cell at the edge counts less, and the
    bias of all levels is the same.

    Args:
        cells: as of `cell_sums`.
        nesting: how the window's pixels lie in the cells.

    Returns:
        (cell rows, cell columns, WIDTH), float64: area, area x error, area x absolute error,
        area x squared error, 1 if the cell has a compared pixel, 1 if all its pixels are compared.
    """
    area, number, ours, theirs = cells
    error = np.nan_to_num(ratio(ours - theirs, area))
    whole = number == nesting.pixels**2
    columns = (area, area * error, area * np.abs(error), area * error**2, number > 0, whole)
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=-1)


def level_measures(sums: Floats) -> dict[str, Floats]:
    """RMSE, MAE and bias of a level, from sums (..., WIDTH)."""
    area, error, absolute, squared, cells, whole = np.moveaxis(sums, -1, 0)
    return {
        "cells": cells,
        "whole_cells": whole,
        "rmse": np.sqrt(ratio(squared, area)),
        "mae": ratio(absolute, area),
        "bias": ratio(error, area),
    }


def _whole(number: float) -> bool:
    return abs(number - round(number)) < _NEAR * max(1.0, abs(number))


def _firsts(before: int, pixels: int, number: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.arange(pixels - before, number, pixels)]).astype(np.int64)
