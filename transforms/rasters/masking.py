"""Masks for the pixels in which a layer has values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter


def masked(array: NDArray[Any], inside: NDArray[np.bool_], nodata: int) -> NDArray[Any]:
    """The array, with nodata outside the mask.

    Args:
        array: axes (rows, columns) or (bands, rows, columns), any dtype.
        inside: axes (rows, columns), True where the values are kept.
        nodata: value for the other pixels.
    """
    return np.where(inside, array, np.asarray(nodata, array.dtype))


def grown(inside: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Grow a mask by `pixels` in all eight directions, and cut off the margin of the input.

    Args:
        inside: axes (rows, columns), with `pixels` more on each side than the result.
        pixels: reach; the neighbourhood is a square of 2 * pixels + 1.

    Returns:
        Axes (rows - 2 * pixels, columns - 2 * pixels).
    """
    if pixels == 0:
        return inside
    wide = maximum_filter(inside, size=2 * pixels + 1, mode="constant", cval=0)
    return np.asarray(wide[pixels:-pixels, pixels:-pixels], dtype=bool)
