"""The 3 x 3 majority filter inside the built-up domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

NOT_BUILT, RESIDENTIAL, NON_RESIDENTIAL = 0, 1, 2
MAJORITY_HALO = 1
"""Pixels around a pixel that its majority depends on."""


def majority(classes: NDArray[np.uint8], bufrac: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give each built pixel the class that most built pixels of its 3 x 3 have.

    Built pixels are those with BUFRAC above 0 and a class. Only they vote, the pixel itself
    included, and only they change. In a tie the pixel keeps its class. All votes count the given
    classes, so one pass is enough.

    Args:
        classes: (rows, columns), uint8, 0 not built, 1 residential, 2 non-residential,
            nodata 255.
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.

    Returns:
        (rows, columns), uint8, values as in `classes`.

    Examples:
        >>> classes = np.array([[1, 2, 1]], np.uint8)
        >>> majority(classes, np.full((1, 3), 40, np.uint8)).tolist()
        [[1, 1, 1]]

    Raises:
        ValueError: the shapes differ, or the arrays are not two-dimensional.
    """
    if classes.ndim != 2 or classes.shape != bufrac.shape:
        raise ValueError(
            f"classes have shape {classes.shape} and bufrac {bufrac.shape}, expected one (h, w)"
        )
    built = (bufrac > 0) & (bufrac != NODATA[Layer.BUFRAC])
    residential = built & (classes == RESIDENTIAL)
    other = built & (classes == NON_RESIDENTIAL)
    lead = _votes(residential) - _votes(other)
    result = classes.copy()
    result[other & (lead > 0)] = RESIDENTIAL
    result[residential & (lead < 0)] = NON_RESIDENTIAL
    return result


def _votes(mask: NDArray[np.bool_]) -> NDArray[np.int8]:
    padded = np.pad(mask, 1).astype(np.int8)
    rows, cols = mask.shape
    votes = np.zeros(mask.shape, np.int8)
    for row in range(3):
        for col in range(3):
            votes += padded[row : row + rows, col : col + cols]
    return votes
