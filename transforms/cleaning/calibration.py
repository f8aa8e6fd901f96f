"""The calibration of one network: from its probability to the built-up fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

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


def uncertainty(
    raw: NDArray[np.uint16], bufrac: NDArray[np.uint8], curve: Curve
) -> NDArray[np.uint8]:
    """The standard deviation of the fraction in each pixel that is built-up.

    It is the one between the known fractions of held-out pixels of the same probability. Where
    BUFRAC is 0 there is no data: the curve knows nothing about what the cleaning removes.

    Args:
        raw: (rows, columns), uint16, BUFRAC_RAW, nodata 65535.
        bufrac: (rows, columns), uint8, BUFRAC after the calibration, percent, nodata 255.
        curve: the curve with which `bufrac` was made.

    Returns:
        (rows, columns), uint8, BUFRAC_SD, percent 0..100, nodata 255.
    """
    built = (bufrac > 0) & (bufrac != NODATA[Layer.BUFRAC])
    deviations = curve.deviations(np.where(built, raw, 0))
    percent = (2 * deviations + ONE // 100) // (2 * ONE // 100)
    return np.where(built, percent, NODATA[Layer.BUFRAC_SD]).astype(np.uint8)
