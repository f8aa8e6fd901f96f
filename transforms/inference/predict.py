"""What is done to pixels before and after the network: pure functions on arrays.

Source: Corbane, Syrris, Sabo et al. (2020), Neural Computing and Applications, and the JRC's
workflow: input / 10 000 clipped to 0..1, reflection at the edge, output x 10 000 cut to uint16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window

HALO = 2
"""Pixels the network sees on each side of the pixel it predicts."""
CONTEXT = HALO + 3
"""Pixels that an engine is given on each side of a block: some predict 4 x 4 px at a time, and a
block may begin or end within these. The composite reaches as far past the area of interest, so
that no prediction depends, even in its last bit, on where blocks or the area end."""
SCALE = 10000
NODATA_RAW = 65535


def prepare(dn: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Digital numbers to the network's input.

    Args:
        dn: axes (band, row, column), red, green, blue, near infrared (B04, B03, B02, B08);
            uint16, reflectance x 10 000, nodata 0 (which stays 0, as the JRC's workflow has it).

    Returns:
        Axes (row, column, band), float32, reflectance clipped to 0..1.

    Raises:
        ValueError: not four bands.
    """
    _check(dn)
    reflectance = dn.astype(np.float32) / np.float32(SCALE)
    np.clip(reflectance, 0, 1, out=reflectance)
    return np.ascontiguousarray(reflectance.transpose(1, 2, 0))


def valid(dn: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Where a pixel holds data: all four bands above 0.

    Args:
        dn: axes (band, row, column), four bands, uint16, nodata 0.

    Returns:
        Axes (row, column), True where valid.

    Raises:
        ValueError: not four bands.
    """
    _check(dn)
    return np.asarray((dn > 0).all(axis=0))


def _check(dn: NDArray[np.uint16]) -> None:
    if dn.ndim != 3 or dn.shape[0] != 4:
        raise ValueError(f"found an array of shape {dn.shape}, expected (4, rows, columns)")


def encode(probability: NDArray[np.float32], is_valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Probability to BUFRAC_RAW: the integer part of probability x 10 000, computed in float32.

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
    """Indices `first`..`last - 1` of an axis of `size`, those outside mirrored at its ends.

    The end pixel itself is not repeated (numpy's `reflect`); an axis of one pixel repeats it.

    Args:
        first: first index, may be below 0.
        last: one past the last index, may be above `size`.
        size: length of the axis, at least 1.

    Raises:
        ValueError: an axis without pixels.
    """
    if size < 1:
        raise ValueError(f"found an axis of {size} pixels, expected at least 1")
    index = np.arange(first, last, dtype=np.intp)
    if size == 1:
        return np.zeros_like(index)
    period = 2 * (size - 1)
    index = np.mod(index, period)
    return np.where(index < size, index, period - index)


def pad_block(
    dn: NDArray[np.uint16], inside: Window, wanted: Window, extent: Window
) -> NDArray[np.uint16]:
    """A block and its halo, mirrored at the true edge of the tile's data and nowhere else.

    Args:
        dn: axes (band, row, column), uint16: the pixels of `inside`.
        inside: what was read: the part of `wanted` within `extent`.
        wanted: the block and its halo; may reach past `extent`.
        extent: all pixels of the tile.

    Returns:
        Axes (band, row, column), uint16: the pixels of `wanted`.

    Raises:
        ValueError: `dn` does not cover `inside`, or `inside` lacks a pixel that is needed.
    """
    if dn.shape[-2:] != inside.shape:
        raise ValueError(f"found pixels of shape {dn.shape[-2:]}, expected {inside.shape}")
    rows = reflected(wanted.row - extent.row, wanted.bottom - extent.row, extent.height)
    cols = reflected(wanted.col - extent.col, wanted.right - extent.col, extent.width)
    rows, cols = rows + extent.row - inside.row, cols + extent.col - inside.col
    for index, size in ((rows, inside.height), (cols, inside.width)):
        if index.size and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"{inside} lacks pixels that {wanted} needs")
    return np.ascontiguousarray(dn[:, rows[:, np.newaxis], cols])
