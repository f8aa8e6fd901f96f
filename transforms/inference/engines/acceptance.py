"""Measures whether a model stays within the bounds of `fast`, when it is loaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .base import Engine

MOST, MEAN = 0.015, 2e-4
"""Bounds of `fast`: largest and mean difference of probability from `exact`."""
SIDE = 160
"""Rows and columns of the sample."""


def sample() -> NDArray[np.float32]:
    """Reflectance of an artificial landscape with realistic values; the same every time.

    It has fields, woods, water and soil, and in the lower half roofs of any brightness, 1 to 8
    pixels wide. It is artificial, because pixels of one job must not decide what another job
    accepts.

    Returns:
        Axes (row, column, band), float32, 0..1, red, green, blue, near infrared, SIDE + 4 px.
    """
    random = np.random.default_rng(20200604)
    cover = np.array(
        [  # red, green, blue, near infrared
            [0.05, 0.08, 0.07, 0.35],
            [0.03, 0.05, 0.06, 0.22],
            [0.02, 0.04, 0.06, 0.02],
            [0.16, 0.13, 0.12, 0.22],
            [0.12, 0.12, 0.12, 0.18],
            [0.30, 0.27, 0.25, 0.34],
            [0.75, 0.75, 0.75, 0.80],
        ]
    )
    size = SIDE + 4
    fields = random.choice(4, (size // 20 + 1, size // 20 + 1), p=(0.4, 0.3, 0.1, 0.2))
    ground = np.kron(fields, np.ones((20, 20), int))[:size, :size]
    for _ in range(700):
        row, col = random.integers(size // 2, size), random.integers(0, size)
        height, width = random.integers(1, 9, 2)
        ground[row : row + height, col : col + width] = random.choice((4, 5, 6), p=(0.5, 0.4, 0.1))
    light = random.normal(1, 0.04, (size, size, 1))
    texture = random.normal(1, 0.01, (size, size, 4))
    return np.clip(cover[ground] * light * texture, 0.0001, 1).astype(np.float32)


def difference(fast: Engine, exact: Engine) -> tuple[float, float]:
    """Largest and mean difference of probability between two engines on the sample."""
    x = sample()
    gap = np.abs(fast.probabilities(x) - exact.probabilities(x))
    return float(gap.max()), float(gap.mean())
