"""Brings the layers of a tile to the fine pixels of the output grid.

Built-up is an area: the mean fraction over 5 x 5 samples of the fine pixel, times the m² of UTM
that the pixel covers (by the Jacobian of the mapping). So built-up m² on the grid equals built-up
m² in UTM, even where the grid is not equal-area. Non-residential built-up is computed in the same
way from the samples of its class. Class and validity come from the pixel under the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_ALONG = np.concatenate(
    [(np.arange(LATTICE) + (sub + 0.5) / SUBSAMPLES) / LATTICE for sub in range(SUBSAMPLES)]
).astype(np.float32)
"""Places of the samples along a line of a square, 0..1, sample by sample of all pixels."""
_AT_ONCE = 10
"""Squares that are sampled together; what they need fits into the cache of a core."""
_FEW = 0.2
"""Pixels that are a smaller share of a window are computed one by one."""
_PATCH = 16
"""Pixels a side of the patches in which equal pixels are looked for."""


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
    padded = None if classes is None else np.pad(classes, 1, constant_values=CLASS_NODATA)
    same = _equal_squares(mapping, reads, [packed] if padded is None else [packed, padded])
    sums, centre = _gather(mapping, reads, packed, same)
    area, limits = _pixel_areas(mapping), thresholds(mapping.window)
    valid = ((packed.ravel().take(centre) >> _COUNT) & _COUNTS) == 1
    count = (sums >> _COUNT) & _COUNTS
    built = _square_metres(grid, limits, sums & _FRACTIONS, count, area, valid)
    taken = other = None
    if padded is not None:
        taken = np.where(valid, padded.ravel().take(centre), np.uint8(CLASS_NODATA))
        known = taken != CLASS_NODATA
        other = _square_metres(grid, limits, sums >> _OTHER, count, area, known)
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
    mapping: Mapping, reads: Window, packed: NDArray[np.int64], same: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sum of the samples of each fine pixel, and the index of the sample at its centre.

    Args:
        mapping: the position of the window in the source.
        reads: the part of the source in `packed`.
        packed: all layers, with a border.
        same: as from `_equal_squares`; squares with an index there are not sampled.
    """
    width = packed.shape[1]
    flat = packed.ravel()
    n, m = mapping.areas.shape
    sums = np.zeros((n, LATTICE, m, LATTICE), np.int64)
    centre = np.zeros((n, LATTICE, m, LATTICE), np.int32)
    sums[...] = np.where(same >= 0, flat.take(same, mode="clip"), 0)[:, None, :, None]
    sums *= SUBSAMPLES**2
    centre[...] = np.maximum(same, 0)[:, None, :, None]
    node_rows, node_cols = np.nan_to_num(mapping.rows), np.nan_to_num(mapping.cols)
    for i in range(n):
        if np.isnan(mapping.rows[i : i + 2]).all():
            continue
        sampled = np.flatnonzero(same[i] < 0)
        for first in range(0, len(sampled), _AT_ONCE):
            squares = sampled[first : first + _AT_ONCE]
            strip_rows = _Strip.of(node_rows[i : i + 2], squares, reads.row, reads.height)
            strip_cols = _Strip.of(node_cols[i : i + 2], squares, reads.col, reads.width)
            total = np.zeros((LATTICE, len(squares), LATTICE), np.int64)
            value = np.empty((LATTICE, len(squares), SUBSAMPLES * LATTICE), np.int64)
            for a in range(SUBSAMPLES):
                index = strip_rows.at(a)
                index *= np.int32(width)
                index += strip_cols.at(a)
                np.take(flat, index, out=value, mode="clip")
                for b in range(SUBSAMPLES):
                    total += value[:, :, b * LATTICE : (b + 1) * LATTICE]
                if a == _CENTRE:
                    middle = slice(_CENTRE * LATTICE, (_CENTRE + 1) * LATTICE)
                    centre[i][:, squares] = index[:, :, middle]
            sums[i][:, squares] = total
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


def _equal_squares(
    mapping: Mapping, reads: Window, layers: Sequence[NDArray[Any]]
) -> NDArray[np.int64]:
    """An index into the source for each lattice square that only touches equal pixels, or -1.

    Most of the land is not built, so most squares need no samples.

    Args:
        mapping: the position of the window in the source.
        reads: the part of the source in the layers.
        layers: arrays with a border of one pixel, all of one shape.
    """
    height, width = layers[0].shape
    equal = np.ones((-(-height // _PATCH), -(-width // _PATCH)), np.bool_)
    for layer in layers:
        equal &= _equal_patches(layer)
    missing = np.isnan(mapping.rows)
    rows, cols = np.nan_to_num(mapping.rows), np.nan_to_num(mapping.cols)
    # The first and the last pixel that a square can touch, one more for rounding.
    low_row, high_row = _bounds(rows, reads.row - 1, height)
    low_col, high_col = _bounds(cols, reads.col - 1, width)
    top, bottom = low_row // _PATCH, high_row // _PATCH + 1
    left, right = low_col // _PATCH, high_col // _PATCH + 1
    # The number of patches that are not equal, in every rectangle of patches.
    number = np.pad(np.cumsum(np.cumsum(~equal, axis=0), axis=1), ((1, 0), (1, 0)))
    unequal = number[bottom, right] - number[top, right] - number[bottom, left] + number[top, left]
    result = np.where(unequal == 0, low_row * width + low_col, -1)
    result[missing[:-1, :-1] | missing[1:, :-1] | missing[:-1, 1:] | missing[1:, 1:]] = -1
    for i, j in np.argwhere(result >= 0):
        patches = (
            slice(top[i, j] * _PATCH, bottom[i, j] * _PATCH, _PATCH),
            slice(left[i, j] * _PATCH, right[i, j] * _PATCH, _PATCH),
        )
        firsts = (layer[patches] for layer in layers)
        if not all((first == first[0, 0]).all() for first in firsts):
            result[i, j] = -1
    return result


def _bounds(nodes: Floats, start: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest index into a padded array that each lattice square can touch."""
    corners = np.stack([nodes[:-1, :-1], nodes[1:, :-1], nodes[:-1, 1:], nodes[1:, 1:]])
    low = np.floor(corners.min(axis=0)).astype(np.int64) - start - 1
    high = np.floor(corners.max(axis=0)).astype(np.int64) - start + 1
    return np.clip(low, 0, size - 1), np.clip(high, 0, size - 1)


def _equal_patches(layer: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether the pixels of each patch, smaller at the edges, are equal."""
    rows, cols = layer.shape
    padded = np.pad(layer, ((0, -rows % _PATCH), (0, -cols % _PATCH)), mode="edge")
    across = padded.reshape(padded.shape[0], -1, _PATCH)
    flat: NDArray[np.bool_] = (across == across[:, :, :1]).all(axis=2)
    first = across[:, :, 0].reshape(-1, _PATCH, across.shape[1])
    return flat.reshape(first.shape).all(axis=1) & (first == first[:, :1]).all(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """One source coordinate over some squares of a strip, relative to each square's base."""

    left: tuple[Floats, Floats]
    """Coordinates of the upper and the lower left corner of each square."""
    right: tuple[Floats, Floats]
    base: Floats
    start: NDArray[np.int32]
    """Base of each square, minus the first pixel of the padded array."""
    size: int
    clip: bool

    @staticmethod
    def of(lines: Floats, squares: NDArray[np.intp], first: int, size: int) -> _Strip:
        left = (lines[0, squares], lines[1, squares])
        right = (lines[0, squares + 1], lines[1, squares + 1])
        corners = np.stack([*left, *right])
        base = np.floor(corners.min(axis=0))
        start = (base - (first - 1)).astype(np.int32)[None, :, None]
        clip = bool(corners.min() < first or corners.max() >= first + size)
        return _Strip(left, right, base, start, size, clip)

    def at(self, sub: int) -> NDArray[np.int32]:
        """Index into the padded array, shape (LATTICE, squares, SUBSAMPLES x LATTICE)."""
        t = ((np.arange(LATTICE) + (sub + 0.5) / SUBSAMPLES) / LATTICE)[:, None]
        first, last = (upper + (lower - upper) * t for upper, lower in (self.left, self.right))
        place = (last - first).astype(np.float32)[:, :, None] * _ALONG
        place += (first - self.base).astype(np.float32)[:, :, None]
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
    limits: NDArray[np.float32],
    fractions: NDArray[np.int64],
    count: NDArray[np.int64],
    area: Floats,
    valid: NDArray[np.bool_],
) -> NDArray[Any]:
    """Area from sums of fractions over `count` samples; rounded once, so no part is larger."""
    dtype = fine_dtype(grid)
    nodata = np.iinfo(dtype).max
    known = valid & ~np.isnan(area)
    square_metres = np.where(known, dtype.type(0), nodata)
    # Where nothing is built the area is 0, whatever the threshold is.
    is_built = known & (fractions > 0)
    chosen = _where(is_built)
    fraction = fractions[chosen] / np.maximum(count[chosen], 1)
    values = fraction * area[chosen] / FULL + limits[chosen]
    values = np.where(is_built[chosen], np.minimum(np.floor(values), nodata - 1), 0)
    square_metres[chosen] += values.astype(dtype)
    return square_metres


def _where(mask: NDArray[np.bool_]) -> Any:
    """An index that has at least the pixels of a mask: these alone if they are few, or all."""
    return np.nonzero(mask) if mask.mean() < _FEW else ...


def _greenness(sums: NDArray[np.int64], inside: NDArray[np.bool_]) -> NDArray[np.int16]:
    green = np.full(sums.shape, GREENNESS_NODATA, np.int16)
    chosen = _where(inside)
    count = (sums[chosen] >> _GREEN_COUNT) & _COUNTS
    total = (sums[chosen] >> _GREEN) & ((1 << (_GREEN_COUNT - _GREEN)) - 1)
    mean = np.rint(total / np.maximum(count, 1)) - 32768
    green[chosen] = np.where(inside[chosen], mean, GREENNESS_NODATA)
    return green
