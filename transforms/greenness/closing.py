"""Morphological closing with a disk, computed by two distance transforms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def disk_reach(radius: float) -> int:
    """The longest reach of a disk along an axis, in pixels."""
    return math.isqrt(_squared(radius))


def close_support(support: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Closing of a set by the disk dx² + dy² <= radius², in pixels.

    Outside the array nothing is set. So the result equals a closing on the infinite plane, clipped
    to the array, and contains the whole support even at the edge. If the support continues beyond
    an edge, the result is valid from twice the radius inwards.

    The dilation by a disk is the set of pixels whose distance to the support is at most the radius.
    The erosion is the set of pixels whose distance to the complement is more. Both distances are
    exact and Euclidean, so the time does not grow with the radius.

    Args:
        support: (rows, columns), bool.
        radius: pixels, 0 or more; it need not be a whole number.

    Returns:
        (rows, columns), bool; contains the support.

    Raises:
        ValueError: the support is not two-dimensional, or the radius is negative or not a number.

    Source:
        Soille, Morphological Image Analysis (2003), chapters 3 and 4; for a flat structuring
        element the closing of a grey image is above 0 exactly where its support's closing is set.
    """
    if support.ndim != 2:
        raise ValueError(f"support has {support.ndim} axes, expected (rows, columns)")
    squared = _squared(radius)
    if squared == 0 or not support.any():
        return support.copy()
    # One pixel more than the dilation reaches, so that there is always some background.
    margin = disk_reach(radius) + 1
    padded = np.pad(support, margin)
    dilated = _squared_distances(~padded) <= squared
    closed: NDArray[np.bool_] = _squared_distances(dilated) > squared
    return closed[margin:-margin, margin:-margin].copy()


def _squared(radius: float) -> int:
    """The squared radius, as the largest whole squared distance within it."""
    if not (math.isfinite(radius) and radius >= 0):
        raise ValueError(f"radius is {radius!r} pixels, expected 0 or more")
    return math.floor(radius * radius + 1e-9)


def _squared_distances(foreground: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Squared distance to the nearest false pixel, in whole numbers."""
    distances: NDArray[np.float64] = ndimage.distance_transform_edt(foreground)
    np.square(distances, out=distances)
    return np.rint(distances, out=distances)
