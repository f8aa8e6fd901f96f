"""The calibration of one network: from its probability to the built-up fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

ONE = 10_000
"""The stored value of a probability, a fraction or a deviation of 1."""
Knot = tuple[int, int, int]
"""A point of a curve: probability, fraction, standard deviation; each x 10 000."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A monotone curve, linear between its knots, in whole numbers.

    The fraction never falls where the probability rises. Each value follows from one pixel alone,
    so a calibrated block is the same as its part of the whole.
    """

    knots: tuple[Knot, ...]
    """The first has probability 0, the last 10 000, and probabilities rise."""

    def __post_init__(self) -> None:
        """Check the knots.

        Raises:
            ValueError: they are no monotone curve from 0 to 10 000; the text names the place.
        """
        probabilities = [knot[0] for knot in self.knots]
        if len(self.knots) < 2 or (probabilities[0], probabilities[-1]) != (0, ONE):
            raise ValueError(f"a curve has knots from probability 0 to {ONE}, both included")
        for number, (probability, fraction, deviation) in enumerate(self.knots):
            if not (0 <= fraction <= ONE and 0 <= deviation <= ONE):
                raise ValueError(f"knot {number} is out of range, expected values from 0 to {ONE}")
            before = self.knots[number - 1] if number else (-1, 0, 0)
            if probability <= before[0]:
                raise ValueError(f"knot {number}: its probability is not above that of the last")
            if fraction < before[1]:
                raise ValueError(f"knot {number}: its fraction is below that of the last")

    def fractions(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """The fraction of each pixel, x 10 000, rounded half up.

        Args:
            raw: BUFRAC_RAW, any shape, 0..10 000.
        """
        return np.asarray(_table(self.knots, 1)[raw])

    def deviations(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """The standard deviation of the fraction of pixels with this probability, x 10 000.

        Args:
            raw: BUFRAC_RAW, any shape, 0..10 000.
        """
        return np.asarray(_table(self.knots, 2)[raw])


@lru_cache(maxsize=256)
def _table(knots: tuple[Knot, ...], column: int) -> NDArray[np.int64]:
    """The value of a column for each probability 0..10 000, read-only."""
    table = np.empty(ONE + 1, np.int64)
    for one, other in pairwise(knots):
        steps = other[0] - one[0]
        along = np.arange(steps + 1, dtype=np.int64)
        numerator = one[column] * (steps - along) + other[column] * along
        table[one[0] : other[0] + 1] = (2 * numerator + steps) // (2 * steps)
    table.flags.writeable = False
    return table


def shares(
    raw: NDArray[np.integer[Any]], percent: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cleaned pixels have their whole probability, and which of them half of it.

    A street that touches a pixel halves it. Where half and whole are the same percent, below 1.5 %,
    the pixel counts as whole.

    Args:
        raw: BUFRAC_RAW, any shape, 0..10 000.
        percent: the cleaned probability, the same shape, percent.
    """
    value = raw.astype(np.int64)
    whole, half = (percent == percent_of(value * halves) for halves in (2, 1))
    return whole & (percent > 0), half & ~whole & (percent > 0)


def calibrate(
    raw: NDArray[np.uint16], percent: NDArray[np.uint8], curve: Curve
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The built-up fraction and its uncertainty, from the cleaned probability.

    A pixel that the cleaning keeps gets the fraction of its probability, and half of the fraction
    if a street halves it. Fractions are rounded to percent, half up; below half a percent they
    become 0. What the cleaning removes stays 0. The uncertainty is the standard deviation of the
    known fraction among held-out pixels of the same probability. It is nodata where the fraction is
    0, because the curve knows nothing about what the cleaning removes.

    Args:
        raw: (rows, columns), uint16, BUFRAC_RAW, 0..10 000, nodata 65535.
        percent: (rows, columns), uint8, the probability after the cleaning, percent, nodata 255.
        curve: the calibration of the network that made `raw`.

    Returns:
        BUFRAC and BUFRAC_SD: (rows, columns), uint8, percent 0..100, nodata 255.

    Raises:
        ValueError: a value of `raw` is out of range where `percent` has data.

    Examples:
        >>> curve = Curve(((0, 0, 0), (10_000, 5_000, 2_000)))
        >>> raw = np.array([[8000, 8000, 8000, 65535]], np.uint16)
        >>> bufrac, sd = calibrate(raw, np.array([[80, 40, 0, 255]], np.uint8), curve)
        >>> bufrac.tolist(), sd.tolist()
        ([[40, 20, 0, 255]], [[16, 16, 255, 255]])
    """
    valid = percent != NODATA[Layer.BUFRAC]
    value = np.where(valid, raw, 0)
    if (value > ONE).any():
        raise ValueError(f"BUFRAC_RAW is {value.max()}, expected at most {ONE}")
    kept = valid & (percent > 0)
    _, halved = shares(value, percent)
    fraction = percent_of(curve.fractions(value) * np.where(halved, 1, 2))
    bufrac = np.where(kept, fraction, np.where(valid, 0, NODATA[Layer.BUFRAC]))
    deviation = percent_of(curve.deviations(value) * 2)
    sd = np.where(kept & (fraction > 0), deviation, NODATA[Layer.BUFRAC_SD])
    return bufrac.astype(np.uint8), sd.astype(np.uint8)


def percent_of(halves: NDArray[np.int64]) -> NDArray[np.int64]:
    """Percent of a value in halves of 1/10 000, half up."""
    return np.asarray((halves + ONE // 100) // (2 * ONE // 100))
