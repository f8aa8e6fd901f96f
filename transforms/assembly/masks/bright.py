"""Bright targets: pixels that a mask method calls cloudy in nearly all scenes of a period.

Bright roofs, greenhouses, sand and salt look like clouds. A cloud moves, and they do not: such a
pixel is masked far more often than the ground around it. In a scene in which the ground around it
is clear, its mask is a false alarm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELL_M = 30.0
"""Side of the cells in which bright targets are found, in metres."""
REACH = 40
"""The ground around a cell: a square with so many cells on each side, 1.2 km."""
SCENES = 5
"""A cell needs so many scenes with data; from fewer nobody can tell a roof from a cloud."""
OFTEN = 0.8
"""A bright target is masked in at least this share of its scenes."""
MORE_THAN_AROUND = 0.3
"""Its share is at least so much greater than that of the ground around it."""
CLEAR_AROUND = 0.3
"""The ground around a bright target is clear in a scene if at most this share of it is masked."""


def bright_targets(masked: NDArray[np.uint16], seen: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Find bright targets from the masks of all scenes.

    Args:
        masked: uint16 (h, w), number of scenes in which a cell is cloud.
        seen: uint16 (h, w), number of scenes in which a cell has data.

    Returns:
        bool (h, w). A cell depends on the cells up to `REACH` around it.
    """
    enough = seen >= SCENES
    share = np.where(enough, masked / np.maximum(seen, 1), 0.0)
    often = enough & (share >= OFTEN)
    if not often.any():
        return often
    others = enough & ~often
    # Integers, so that a sum does not depend on where the window of cells begins.
    thousandths = np.rint(1000 * share).astype(np.int32)
    number = _sums(others.astype(np.int32))
    around = _sums(np.where(others, thousandths, 0)) / np.maximum(number, 1) / 1000
    return often & (number > 0) & (share - around >= MORE_THAN_AROUND)


def clear_around(
    masked: NDArray[np.bool_], seen: NDArray[np.bool_], bright: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where the ground around a cell is clear in one scene.

    Args:
        masked: bool (h, w), cells that the scene's mask calls cloud.
        seen: bool (h, w), cells with data.
        bright: bool (h, w), bright targets; they do not count as ground.

    Returns:
        bool (h, w). A cell depends on the cells up to `REACH` around it.
    """
    ground = seen & ~bright
    number = _sums(ground.astype(np.int32))
    return (number > 0) & (_sums((ground & masked).astype(np.int32)) <= CLEAR_AROUND * number)


def _sums(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Sums over the square of `REACH` cells around each cell; outside the array is 0."""
    for axis in (0, 1):
        lines = np.moveaxis(values, axis, 0)
        padded = np.pad(lines, [(REACH + 1, REACH), (0, 0)])
        running = np.cumsum(padded, axis=0, dtype=np.int32)
        side = 2 * REACH + 1
        values = np.moveaxis(running[side:] - running[:-side], 0, axis)
    return values
