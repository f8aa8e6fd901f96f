"""The vote of built-up objects: a majority among pixels that built-up connects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from transforms.elements import NODATA, Layer

from .majority import NON_RESIDENTIAL, RESIDENTIAL

OBJECT_REACH = 10
"""Steps of a walk over built-up pixels, and so the pixels around a pixel that its vote depends on.
A row of the window around a pixel is a word of 32 bits, so it can be at most 15."""
_AT_ONCE = 4096
"""Pixels whose windows are in memory at a time; they fit into the cache of a core."""


def object_majority(
    classes: NDArray[np.uint8], bufrac: NDArray[np.uint8], reach: int = OBJECT_REACH
) -> NDArray[np.uint8]:
    """Give each built pixel the class that most built pixels of its object have near it.

    Built pixels are those with BUFRAC above 0 and a class. The voters of a pixel are the built
    pixels that a walk of at most `reach` steps reaches, itself included. Each step goes to one of
    the 8 neighbours, and stays on built pixels. So a small object votes as a whole, a large one in
    parts, and pixels beyond a gap never vote. In a tie the pixel keeps its class. All votes count
    the given classes, so one pass is enough. Valid except in the outer `reach` pixels of the array.

    Args:
        classes: (rows, columns), uint8, 0 not built, 1 residential, 2 non-residential,
            nodata 255.
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        reach: steps, 0..15.

    Returns:
        (rows, columns), uint8, values as in `classes`.

    Raises:
        ValueError: the shapes differ, the arrays are not two-dimensional, or the reach is out of
            range.

    Source:
        The geodesic disk of mathematical morphology: Soille, Morphological Image Analysis (2003),
        chapter 6.

    Examples:
        The field at the third place separates two objects.

        >>> classes = np.array([[1, 2, 0, 2, 2, 1]], np.uint8)
        >>> bufrac = np.array([[90, 90, 0, 90, 90, 90]], np.uint8)
        >>> object_majority(classes, bufrac).tolist()
        [[1, 2, 0, 2, 2, 2]]
    """
    if classes.ndim != 2 or classes.shape != bufrac.shape:
        raise ValueError(
            f"classes have shape {classes.shape} and bufrac {bufrac.shape}, expected one (h, w)"
        )
    if not 0 <= reach <= 15:
        raise ValueError(f"reach is {reach}, expected 0 to 15 steps")
    known = (bufrac > 0) & (bufrac != NODATA[Layer.BUFRAC])
    residential = known & (classes == RESIDENTIAL)
    other = known & (classes == NON_RESIDENTIAL)
    result = classes.copy()
    side = 2 * reach + 1
    mixed = ndimage.maximum_filter(residential, side, mode="constant") & ndimage.maximum_filter(
        other, side, mode="constant"
    )
    rows, cols = np.nonzero((residential | other) & mixed)
    built, homes = _words(residential | other, reach), _words(residential, reach)
    for first in range(0, len(rows), _AT_ONCE):
        row, col = rows[first : first + _AT_ONCE], cols[first : first + _AT_ONCE]
        window = row + np.arange(side)[:, np.newaxis]
        voters = _reached(built[window, col], reach)
        for_residential = _ones(voters & homes[window, col])
        lead = 2 * for_residential - _ones(voters)
        result[row[lead > 0], col[lead > 0]] = RESIDENTIAL
        result[row[lead < 0], col[lead < 0]] = NON_RESIDENTIAL
    return result


def _words(mask: NDArray[np.bool_], reach: int) -> NDArray[np.uint32]:
    """For each column, bit k is the pixel k - reach to its right; `reach` rows are added around."""
    padded = np.pad(mask, reach)
    words = np.zeros((padded.shape[0], mask.shape[1]), np.uint32)
    for bit in range(2 * reach + 1):
        words |= padded[:, bit : bit + mask.shape[1]].astype(np.uint32) << np.uint32(bit)
    return words


def _reached(built: NDArray[np.uint32], reach: int) -> NDArray[np.uint32]:
    """The built pixels of windows that a walk from the centre reaches.

    Args:
        built: (2 reach + 1, pixels), a word for each row of the window of each pixel.
        reach: steps.

    Returns:
        As `built`.
    """
    reached = np.zeros_like(built)
    reached[reach] = 1 << reach
    one = np.uint32(1)
    for step in range(1, reach + 1):
        rows = slice(reach - step, reach + step + 1)
        inner = reached[rows]
        wide = inner | inner << one | inner >> one
        grown = wide.copy()
        grown[1:] |= wide[:-1]
        grown[:-1] |= wide[1:]
        reached[rows] = grown & built[rows]
    return reached


def _ones(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Set bits of each pixel's window."""
    number: NDArray[np.int64] = np.bitwise_count(words).sum(axis=0, dtype=np.int64)
    return number
