"""Sums, lowest and highest values in square windows, exact in whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]


class WindowSums:
    """Sums over square windows at chosen pixels; what is outside the array counts as 0.

    The sums are differences of sums over the rectangle above and left of a pixel. They are whole
    numbers, so that no digits are lost, and a sum does not depend on where the array begins.
    """

    def __init__(self, where: Mask) -> None:
        """Prepare the sums at the pixels of `where`, (rows, columns), in the array's order."""
        self._shape = where.shape
        self._row, self._col = np.nonzero(where)

    def rectangles(self, values: Whole) -> Whole:
        """Sum over all pixels above and left of each corner: (rows + 1, columns + 1)."""
        rows, cols = self._shape
        sums = np.zeros((rows + 1, cols + 1), np.int64)
        np.cumsum(values, axis=0, out=sums[1:, 1:])
        np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
        return sums

    def corners(self, side: int) -> tuple[Whole, Whole, Whole, Whole]:
        """Positions of the four corners of the window of each chosen pixel in `rectangles`.

        Args:
            side: side of the windows in pixels, odd.
        """
        rows, cols = self._shape
        radius = side // 2
        top = np.maximum(self._row - radius, 0) * (cols + 1)
        bottom = np.minimum(self._row + radius + 1, rows) * (cols + 1)
        left = np.maximum(self._col - radius, 0)
        right = np.minimum(self._col + radius + 1, cols)
        return bottom + right, top + right, bottom + left, top + left

    @staticmethod
    def sums(rectangles: Whole, corners: tuple[Whole, Whole, Whole, Whole]) -> Whole:
        """Sum over the window of each chosen pixel: (pixels), int64."""
        flat = rectangles.ravel()
        one, two, three, four = corners
        sums: Whole = flat[one] - flat[two] - flat[three] + flat[four]
        return sums


def lowest(values: NDArray[Any], side: int, outside: int) -> NDArray[Any]:
    """The lowest value in the square window around each pixel; of the dtype of `values`.

    Args:
        values: (rows, columns), whole numbers.
        side: side of the windows in pixels, odd.
        outside: the value of what is outside the array; the highest of the dtype counts nowhere.
    """
    return _extreme(values, side, outside, np.minimum)


def highest(values: NDArray[Any], side: int, outside: int) -> NDArray[Any]:
    """The highest value in the square window around each pixel; see `lowest`."""
    return _extreme(values, side, outside, np.maximum)


def _extreme(
    values: NDArray[Any], side: int, outside: int, better: Callable[..., NDArray[Any]]
) -> NDArray[Any]:
    """Compare first the rows, then the columns; each step doubles the length that is compared."""
    radius = side // 2
    for axis in (0, 1):
        length = values.shape[axis]
        line = np.pad(
            values,
            [(radius, radius) if axis == a else (0, 0) for a in (0, 1)],
            constant_values=outside,
        )
        reach = 1
        while 2 * reach <= side:
            line = better(_part(line, axis, 0, -reach), _part(line, axis, reach, None))
            reach *= 2
        rest = side - reach
        values = better(_part(line, axis, 0, length), _part(line, axis, rest, rest + length))
    return values


def _part(values: NDArray[Any], axis: int, start: int, stop: int | None) -> NDArray[Any]:
    return values[start:stop] if axis == 0 else values[:, start:stop]
