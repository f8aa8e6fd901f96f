"""Pure functions that prepare pixels for the network and encode its result.

Source: Corbane, Syrris, Sabo et al. (2020), Neural Computing and Applications, and the JRC's
workflow: input / 10 000 clipped to 0..1, reflection at the edge, output x 10 000 truncated to
uint16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window

HALO = 2
"""Pixels that the network uses on each side of the pixel that it predicts."""
CONTEXT = HALO + 3
"""Pixels that an engine needs on each side of a block. Some engines predict 4 x 4 pixels at a time,
and a block may begin or end inside them. The composite reaches as far beyond the area of interest.
So no prediction depends, even in its last bit, on where blocks or the area end."""
SCALE = 10000
NODATA_RAW = 65535


def prepare(dn: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Convert digital numbers to the input of the network.

    Args:
        dn: axes (band, row, column), red, green, blue, near infrared (B04, B03, B02, B08);
            uint16, reflectance x 10 000, nodata 0 (it stays 0, as in the JRC's workflow).

    Returns:
        Axes (row, column, band), float32, reflectance clipped to 0..1.

    Raises:
        ValueError: there are not four bands.
    """
    _check(dn)
    reflectance = dn.astype(np.float32) / np.float32(SCALE)
    np.clip(reflectance, 0, 1, out=reflectance)
    return np.ascontiguousarray(reflectance.transpose(1, 2, 0))


def valid(dn: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels with data: all four bands are above 0.

    Args:
        dn: axes (band, row, column), four bands, uint16, nodata 0.

    Returns:
        Axes (row, column), True where valid.

    Raises:
        ValueError: there are not four bands.
    """
    _check(dn)
    return np.asarray((dn > 0).all(axis=0))


def _check(dn: NDArray[np.uint16]) -> None:
    if dn.ndim != 3 or dn.shape[0] != 4:
        raise ValueError(f"array has shape {dn.shape}, expected (4, rows, columns)")


def encode(probability: NDArray[np.float32], is_valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """BUFRAC_RAW of a probability: the integer part of probability x 10 000, in float32.

    Args:
        probability: axes (row, column), float32, 0..1.
        is_valid: axes (row, column), False where there is no data.

    Returns:
        Axes (row, column), uint16, 0..10 000, nodata 65535.
    """
    scaled = np.floor(probability.astype(np.float32, copy=False) * np.float32(SCALE))
    whole = np.clip(np.where(is_valid, scaled, 0), 0, SCALE).astype(np.uint16)
    return np.where(is_valid, whole, np.uint16(NODATA_RAW))


def reflected(first: int, last: int, size: int) -> NDArray[np.intp]:
    """Indices `first`..`last - 1` of an axis of `size`; those outside are mirrored at its ends.

    The end pixel itself is not repeated (numpy's `reflect`), except on an axis of one pixel.

    Args:
        first: first index, may be below 0.
        last: one past the last index, may be above `size`.
        size: length of the axis, at least 1.

    Raises:
        ValueError: the axis has no pixels.
    """
    if size < 1:
        raise ValueError(f"axis has {size} pixels, expected at least 1")
    index = np.arange(first, last, dtype=np.intp)
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    index = np.mod(index, period)
    return np.where(index < size, index, period - index)


def pad_block(
    dn: NDArray[np.uint16], inside: Window, wanted: Window, extent: Window
) -> NDArray[np.uint16]:
    """A block and its halo, mirrored only at the true edge of the tile's data.

    Args:
        dn: axes (band, row, column), uint16: the pixels of `inside`.
        inside: the part of `wanted` within `extent`, which was read.
        wanted: the block and its halo; may reach beyond `extent`.
        extent: all pixels of the tile.

    Returns:
        Axes (band, row, column), uint16: the pixels of `wanted`.

    Raises:
        ValueError: `dn` does not cover `inside`, or `inside` lacks a necessary pixel.
    """
    if dn.shape[-2:] != inside.shape:
        raise ValueError(f"pixels have shape {dn.shape[-2:]}, expected {inside.shape}")
    rows = reflected(wanted.row - extent.row, wanted.bottom - extent.row, extent.height)
    cols = reflected(wanted.col - extent.col, wanted.right - extent.col, extent.width)
    rows, cols = rows + extent.row - inside.row, cols + extent.col - inside.col
    for index, size in ((rows, inside.height), (cols, inside.width)):
        if index.size and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"{inside} lacks pixels that {wanted} needs")
    return np.ascontiguousarray(dn[:, rows[:, np.newaxis], cols])
