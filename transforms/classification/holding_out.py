"""Chooses which labelled pixels are held out together: those of one block of ground.

Neighbouring pixels are similar, and so are the parts of one built-up patch, however its polygons
are drawn. A score is honest only if the test pixels are at a distance from the training pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .majority import NON_RESIDENTIAL, RESIDENTIAL

SIDES = (2000.0, 1000.0, 500.0, 250.0)
"""Sides of the blocks in metres; the largest side that gives enough blocks is used."""
APART = 100.0
"""Distance in metres between training and test pixels."""
ENOUGH = 5
"""Number of blocks of each class that is enough."""

Places = NDArray[np.float64]
Groups = NDArray[np.int64]


def blocks(places: Places, patches: NDArray[np.int64], side: float) -> Groups:
    """Number of the block of each pixel.

    Args:
        places: (pixels, 2), metres east and north.
        patches: (pixels), for each pixel the number of its patch, which are touching polygons of
            one class. A patch that is not larger than a block is in one block completely.
        side: side of a block in metres.

    Returns:
        (pixels), numbers from 0.
    """
    number = patches.max(initial=0) + 1
    low, high = np.full((number, 2), np.inf), np.full((number, 2), -np.inf)
    np.minimum.at(low, patches, places)
    np.maximum.at(high, patches, places)
    low, high = low[patches], high[patches]
    small, middle = (high - low).max(axis=1) <= side, (high + low) / 2
    cells = np.floor(np.where(small[:, np.newaxis], middle, places) / side).astype(np.int64)
    return np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def choose_blocks(
    places: Places, patches: NDArray[np.int64], labels: NDArray[np.uint8]
) -> tuple[Groups, float, int]:
    """Choose blocks that are as large as the labels allow.

    Args:
        places: as in `blocks`.
        patches: as in `blocks`.
        labels: (pixels), 1 residential, 2 non-residential.

    Returns:
        The block of each pixel, the side of the blocks in metres, and the number of blocks of the
        class that has fewer.
    """
    candidates: list[tuple[Groups, float, int]] = []
    for side in SIDES:
        groups = blocks(places, patches, side)
        fewer = min(
            len(np.unique(groups[labels == label])) for label in (RESIDENTIAL, NON_RESIDENTIAL)
        )
        candidates.append((groups, side, fewer))
        if fewer >= ENOUGH:
            break
    return max(candidates, key=lambda item: item[2])


def near(places: Places, held: NDArray[np.bool_], apart: float = APART) -> NDArray[np.bool_]:
    """Pixels within `apart` metres of a pixel that is held out, and some up to 3 times as far.

    Args:
        places: (pixels, 2), metres east and north.
        held: (pixels), bool.
        apart: distance in metres.
    """
    cells = np.floor(places / apart).astype(np.int64)
    cells -= cells.min(axis=0, initial=0) - 1
    width = cells[:, 0].max(initial=0) + 2
    keys = cells[:, 1] * width + cells[:, 0]
    steps = [row * width + col for row in (-1, 0, 1) for col in (-1, 0, 1)]
    around = np.unique(np.unique(keys[held])[:, np.newaxis] + np.array(steps))
    return np.isin(keys, around)
