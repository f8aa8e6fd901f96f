"""Finds components below a size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT = np.ones((3, 3), dtype=bool)


def small_components(support: NDArray[np.bool_], minimum_pixels: int) -> NDArray[np.bool_]:
    """Pixels of 8-connected components that have fewer than `minimum_pixels` pixels.

    The result is valid for pixels at least `minimum_pixels - 1` pixels away from an edge of the
    array beyond which the support continues.

    Args:
        support: (rows, columns), bool; true where a pixel belongs to a component.
        minimum_pixels: pixels, 1 or more; components of this size are kept.

    Returns:
        (rows, columns), bool.

    Raises:
        ValueError: the support is not two-dimensional.

    Source:
        The sieve filter of GDAL (`gdal_sieve -8`), with zero around each component.

    Examples:
        >>> small_components(np.array([[1, 1, 0, 1]], bool), 2).tolist()
        [[False, False, False, True]]
    """
    if support.ndim != 2:
        raise ValueError(f"support has {support.ndim} axes, expected (rows, columns)")
    labels, _ = ndimage.label(support, structure=_EIGHT)
    small = np.bincount(labels.ravel(), minlength=1) < minimum_pixels
    small[0] = False
    result: NDArray[np.bool_] = small[labels]
    return result
