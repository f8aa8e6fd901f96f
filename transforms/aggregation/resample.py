"""Brings the layers of a tile to the fine pixels of the output grid.

Built-up is an area: the mean fraction over 5 x 5 samples of the fine pixel, times the m² of UTM
that the pixel covers (by the Jacobian of the mapping). So built-up m² on the grid equals built-up
m² in UTM, even where the grid is not equal-area. Non-residential built-up is computed in the same
way from the samples of its class. Class and validity come from the pixel under the centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer, RasterError, Window, thresholds

from .grid import LATTICE, OutputGrid
from .lattice import SUBSAMPLES, Floats, Mapping, Square
from .source import SOURCE_PIXEL

GREENNESS_NODATA = NODATA[Layer.GREENNESS]
CLASS_NODATA = NODATA[Layer.RES_NRES]
FULL = 100
"""BUFRAC of a completely built-up pixel, in percent; a greater value is nodata."""
NON_RESIDENTIAL = 2
# One sample in 64 bits, so that one look-up and one sum serve all layers: fraction, its count,
# greenness shifted to 0..65535, its count, fraction of the non-residential class.
_COUNT, _GREEN, _GREEN_COUNT, _OTHER = 12, 17, 40, 45
_FRACTIONS, _COUNTS = (1 << 12) - 1, (1 << 5) - 1
_CENTRE = SUBSAMPLES // 2


@dataclass(frozen=True, slots=True, eq=False)
class Fine:
    """Layers of a fine window, axes (rows, columns).

    `built`: m², before the limit of the grid's capacity, in the dtype of the grid's fine level,
    nodata its greatest value. `non_residential`: the part of it in that class, in the same form.
    `classes`: uint8 0 not built, 1 residential, 2 non-residential, nodata 255. `greenness`: int16,
    NDVI x 10 000, nodata -32768. A layer that was not given is None.
    """

    built: NDArray[Any]
    non_residential: NDArray[Any] | None
    classes: NDArray[np.uint8] | None
    greenness: NDArray[np.int16] | None

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels where built-up is known."""
        return self.built != np.iinfo(self.built.dtype).max


def fine_dtype(grid: OutputGrid) -> np.dtype[Any]:
    """Smallest unsigned type for the m² of a fine pixel and a nodata value."""
    return np.dtype(
        next(d for d in ("uint8", "uint16", "uint32") if grid.fine_capacity < np.iinfo(d).max)
    )


def resample(
    grid: OutputGrid,
    mapping: Mapping,
    bufrac: NDArray[np.uint8],
    classes: NDArray[np.uint8] | None = None,
    greenness: NDArray[np.int16] | None = None,
) -> Fine:
    """Bring the layers of a source to a fine window.

    Args:
        grid: the output grid.
        mapping: the position of the window in the source; its `reads` is not None.
        bufrac: percent 0..100, nodata 255, over `mapping.reads`, axes (rows, columns).
        classes: RES_NRES, nodata 255, same shape.
        greenness: NDVI x 10 000, nodata -32768, same shape.

    Raises:
        RasterError: an array does not cover `mapping.reads`.
    """
    reads = mapping.reads
    if reads is None:
        raise RasterError("the window does not touch the source")
    for name, array in (("BUFRAC", bufrac), ("RES_NRES", classes), ("GREENNESS", greenness)):
        if array is not None and array.shape != reads.shape:
            raise RasterError(f"{name}: has shape {array.shape}, expected {reads.shape}")
    packed = _pack(bufrac, classes, greenness)
    sums, centre = _gather(mapping, reads, packed)
    area = _pixel_areas(mapping)
    valid = ((packed.ravel().take(centre) >> _COUNT) & _COUNTS) == 1
    count = (sums >> _COUNT) & _COUNTS
    built = _square_metres(grid, mapping.window, sums & _FRACTIONS, count, area, valid)
    taken = other = None
    if classes is not None:
        padded = np.pad(classes, 1, constant_values=CLASS_NODATA).ravel()
        taken = np.where(valid, padded.take(centre), np.uint8(CLASS_NODATA))
        known = taken != CLASS_NODATA
        other = _square_metres(grid, mapping.window, sums >> _OTHER, count, area, known)
    green = None
    if greenness is not None:
        padded_green = np.pad(greenness, 1, constant_values=GREENNESS_NODATA).ravel()
        inside = valid & (padded_green.take(centre) != GREENNESS_NODATA)
        green = _greenness(sums, inside)
    return Fine(built, other, taken, green)


def _pack(
    bufrac: NDArray[np.uint8],
    classes: NDArray[np.uint8] | None,
    greenness: NDArray[np.int16] | None,
) -> NDArray[np.int64]:
    """All layers in one array with a border of nodata (0)."""
    packed = np.zeros((bufrac.shape[0] + 2, bufrac.shape[1] + 2), np.int64)
    inner = packed[1:-1, 1:-1]
    fraction, valid = bufrac.astype(np.int64), bufrac <= FULL
    inner[...] = np.where(valid, fraction | (1 << _COUNT), 0)
    if classes is not None:
        inner |= np.where(valid & (classes == NON_RESIDENTIAL), fraction << _OTHER, 0)
    if greenness is not None:
        shifted = (greenness.astype(np.int64) + 32768) << _GREEN
        inner |= np.where(greenness != GREENNESS_NODATA, shifted | (1 << _GREEN_COUNT), 0)
    return packed


def _gather(
    mapping: Mapping, reads: Window, packed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sum of the samples of each fine pixel, and the index of the sample at its centre."""
    width = packed.shape[1]
    flat = packed.ravel()
    n, m = mapping.areas.shape
    sums = np.zeros((n, LATTICE, m, LATTICE), np.int64)
    centre = np.zeros((n, LATTICE, m, LATTICE), np.int32)
    node_rows, node_cols = np.nan_to_num(mapping.rows), np.nan_to_num(mapping.cols)
    value = np.empty((LATTICE, m, LATTICE), np.int64)
    for i in range(n):
        if np.isnan(mapping.rows[i : i + 2]).all():
            continue
        strip_rows = _Strip.of(node_rows[i], node_rows[i + 1], reads.row, reads.height)
        strip_cols = _Strip.of(node_cols[i], node_cols[i + 1], reads.col, reads.width)
        for a in range(SUBSAMPLES):
            lines_r, lines_c = strip_rows.lines(a), strip_cols.lines(a)
            for b in range(SUBSAMPLES):
                index = strip_rows.at(lines_r, b)
                index *= np.int32(width)
                index += strip_cols.at(lines_c, b)
                np.take(flat, index, out=value, mode="clip")
                sums[i] += value
                if a == b == _CENTRE:
                    centre[i] = index
    missing = np.isnan(mapping.rows)
    lost = missing[:-1, :-1] | missing[1:, :-1] | missing[:-1, 1:] | missing[1:, 1:]
    for i, j in np.argwhere(lost):
        sums[i, :, j, :] = 0
        centre[i, :, j, :] = 0
    for square in mapping.irregular:
        index = _exact_index(square, reads, width)
        shape = (LATTICE, SUBSAMPLES, LATTICE, SUBSAMPLES)
        sums[square.row, :, square.col, :] = flat.take(index).reshape(shape).sum(axis=(1, 3))
        centre[square.row, :, square.col, :] = index[_CENTRE::SUBSAMPLES, _CENTRE::SUBSAMPLES]
    size = (n * LATTICE, m * LATTICE)
    return sums.reshape(size), centre.reshape(size)


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """One source coordinate over a strip of lattice squares, relative to each square's base."""

    upper: Floats
    lower: Floats
    base: Floats
    start: NDArray[np.int32]
    """Base of each square, minus the first pixel of the padded array."""
    size: int
    clip: bool

    @staticmethod
    def of(upper: Floats, lower: Floats, first: int, size: int) -> _Strip:
        corners = np.stack([upper[:-1], upper[1:], lower[:-1], lower[1:]])
        base = np.floor(corners.min(axis=0))
        start = (base - (first - 1)).astype(np.int32)[None, :, None]
        clip = bool(corners.min() < first or corners.max() >= first + size)
        return _Strip(upper, lower, base, start, size, clip)

    def lines(self, sub: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Left end and slope along each pixel row, shape (LATTICE, squares)."""
        t = ((np.arange(LATTICE) + (sub + 0.5) / SUBSAMPLES) / LATTICE)[:, None]
        edge = self.upper + (self.lower - self.upper) * t
        left = (edge[:, :-1] - self.base).astype(np.float32)
        return left, (edge[:, 1:] - edge[:, :-1]).astype(np.float32)

    def at(
        self, lines: tuple[NDArray[np.float32], NDArray[np.float32]], sub: int
    ) -> NDArray[np.int32]:
        """Index into the padded array, shape (LATTICE, squares, LATTICE)."""
        left, slope = lines
        s = ((np.arange(LATTICE) + (sub + 0.5) / SUBSAMPLES) / LATTICE).astype(np.float32)
        place = slope[:, :, None] * s
        place += left[:, :, None]
        index = place.astype(np.int32)  # truncation is floor: never below the base
        index += self.start
        if self.clip:
            np.clip(index, 0, self.size + 1, out=index)
        return index


def _exact_index(square: Square, reads: Window, width: int) -> NDArray[np.int32]:
    rows = np.floor(square.rows) - reads.row + 1
    cols = np.floor(square.cols) - reads.col + 1
    with np.errstate(invalid="ignore"):
        inside = (rows >= 1) & (rows <= reads.height) & (cols >= 1) & (cols <= reads.width)
    return np.where(inside, rows * width + cols, 0).astype(np.int32)


def _pixel_areas(mapping: Mapping) -> Floats:
    """m² of UTM under each fine pixel, in the shape of the window (broadcast if possible)."""
    n, m = mapping.areas.shape
    spread = np.broadcast_to(mapping.areas[:, None, :, None], (n, LATTICE, m, LATTICE))
    if mapping.irregular:
        spread = spread.copy()
        for square in mapping.irregular:
            spread[square.row, :, square.col, :] = _exact_areas(square)
    return spread.reshape(n * LATTICE, m * LATTICE)


def _exact_areas(square: Square) -> Floats:
    """m² of UTM in a pixel, from the Jacobian by the differences of the samples.

    If an outer sample has no position, the other half of the pixel counts for both. The result is
    NaN if neither half has one.
    """
    last, scale = SUBSAMPLES - 1, SUBSAMPLES / (SUBSAMPLES - 1)

    def across(first: Floats, middle: Floats, end: Floats) -> Floats:
        half = np.where(np.isnan(end), middle - first, end - middle)
        return np.where(np.isnan(end - first), 2 * half, end - first) * scale

    def differences(values: Floats) -> tuple[Floats, Floats]:
        v = values.reshape(LATTICE, SUBSAMPLES, LATTICE, SUBSAMPLES)
        middle = v[:, _CENTRE, :, _CENTRE]
        down = across(v[:, 0, :, _CENTRE], middle, v[:, last, :, _CENTRE])
        return down, across(v[:, _CENTRE, :, 0], middle, v[:, _CENTRE, :, last])

    row_down, row_across = differences(square.rows)
    col_down, col_across = differences(square.cols)
    return np.abs(row_down * col_across - row_across * col_down) * SOURCE_PIXEL**2


def _square_metres(
    grid: OutputGrid,
    window: Window,
    fractions: NDArray[np.int64],
    count: NDArray[np.int64],
    area: Floats,
    valid: NDArray[np.bool_],
) -> NDArray[Any]:
    """Area from sums of fractions over `count` samples; rounded once, so no part is larger."""
    dtype = fine_dtype(grid)
    known = valid & ~np.isnan(area)
    fraction = fractions / np.maximum(count, 1)
    square_metres = np.where(known, fraction * area, 0.0) / FULL
    square_metres += thresholds(window)
    nodata = np.iinfo(dtype).max
    return np.where(known, np.minimum(np.floor(square_metres), nodata - 1), nodata).astype(dtype)


def _greenness(sums: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int16]:
    count = (sums >> _GREEN_COUNT) & _COUNTS
    total = (sums >> _GREEN) & ((1 << (_GREEN_COUNT - _GREEN)) - 1)
    mean = np.rint(total / np.maximum(count, 1)) - 32768
    return np.where(inside, mean, GREENNESS_NODATA).astype(np.int16)
