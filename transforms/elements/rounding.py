"""Rounding that keeps means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .window import Window

# Generalised golden ratio in two dimensions: thresholds that are spread evenly (Roberts 2018).
_SPREAD_ROW, _SPREAD_COL = 0.5698402909980532, 0.7548776662466927


def thresholds(window: Window) -> NDArray[np.float32]:
    """Rounding thresholds 0..1, shape of the window, by a pixel's place in the whole grid.

    With one threshold (0.5) an area of equal values would round the same way everywhere, and 0.3
    of 100.3 m² be lost in each pixel; with these, the mean of the rounded values is the mean.
    """
    rows = np.arange(window.row, window.bottom) * _SPREAD_ROW % 1.0
    cols = np.arange(window.col, window.right) * _SPREAD_COL % 1.0
    total = rows[:, None] + cols[None, :]
    return (total - np.floor(total)).astype(np.float32)
