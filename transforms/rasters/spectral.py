"""Normalized differences of two bands, compared with a threshold exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MILLIONTHS = 1_000_000
"""Thresholds are compared as whole millionths, so that 0.1 is exactly one tenth."""


def millionths(threshold: float) -> int:
    """A threshold in whole millionths."""
    return round(threshold * MILLIONTHS)


def index_above(plus: NDArray[Any], minus: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Whether (plus - minus) / (plus + minus) is above a threshold; false for 0 / 0.

    It is NDVI for near infrared and red, and NDWI for green and near infrared.

    Args:
        plus: any shape, whole numbers 0..65535.
        minus: the same shape and range.
        threshold: -1..1, with at most six decimals.

    Returns:
        The same shape, bool; exact, because everything is computed in whole numbers.

    Examples:
        >>> index_above(np.array([3000, 1000]), np.array([1000, 1000]), 0.3).tolist()
        [True, False]
    """
    plus, minus = plus.astype(np.int64), minus.astype(np.int64)
    above: NDArray[np.bool_] = (plus - minus) * MILLIONTHS > (plus + minus) * millionths(threshold)
    return above
