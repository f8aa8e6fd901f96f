"""Where a layer holds values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter


def masked(array: NDArray[Any], inside: NDArray[np.bool_], nodata: int) -> NDArray[Any]:
    """The array, with nodata outside.

    Args:
        array: axes (rows, columns) or (bands, rows, columns), any dtype.
        inside: axes (rows, columns), True where values stay.
        nodata: value for the rest.
    """
    return np.where(inside, array, np.asarray(nodata, array.dtype))


def grown(inside: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask grown by so many pixels in all eight directions, without the rim it was read with.

    Args:
        inside: axes (rows, columns), with `pixels` more on each side than the result.
        pixels: reach, a square of 2 * pixels + 1.

    Returns:
        Axes (rows - 2 * pixels, columns - 2 * pixels).
    """
    if pixels == 0:
        return inside
    wide = maximum_filter(inside, size=2 * pixels + 1, mode="constant", cval=0)
    return np.asarray(wide[pixels:-pixels, pixels:-pixels], dtype=bool)
