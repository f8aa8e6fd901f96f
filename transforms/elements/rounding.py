"""Rounding that keeps the mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .window import Window

# Generalised golden ratio in two dimensions: evenly spread thresholds (Roberts 2018).
_SPREAD_ROW, _SPREAD_COL = 0.5698402909980532, 0.7548776662466927


def thresholds(window: Window) -> NDArray[np.float32]:
    """Rounding thresholds for the pixels of a window, by their position in the whole grid.

    With one threshold (0.5), an area of equal values would round the same way everywhere, and each
    pixel of 100.3 m² would lose 0.3 m². With these thresholds, the mean of the rounded values is
    the mean of the values.

    Args:
        window: rows and columns, counted in the whole grid.

    Returns:
        float32 (rows, columns), the shape of the window; 0 to below 1, so that a whole number stays
        as it is.

    Source:
        Roberts (2018), The unreasonable effectiveness of quasirandom sequences.
    """
    rows = np.arange(window.row, window.bottom) * _SPREAD_ROW % 1.0
    cols = np.arange(window.col, window.right) * _SPREAD_COL % 1.0
    total = rows[:, None] + cols[None, :]
    below_one = np.nextafter(np.float32(1), np.float32(0))  # float32 rounds 0.99999998 to 1
    return np.minimum((total - np.floor(total)).astype(np.float32), below_one)
