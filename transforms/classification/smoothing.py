"""The ways to smooth the classes of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .majority import MAJORITY_HALO, majority
from .objects import OBJECT_REACH, object_majority

Smoothing = Literal["none", "majority", "objects"]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Way:
    halo: int
    apply: Callable[[Bytes, Bytes], Bytes]


_WAYS: dict[Smoothing, _Way] = {
    "none": _Way(0, lambda classes, _: classes),
    "majority": _Way(MAJORITY_HALO, majority),
    "objects": _Way(OBJECT_REACH, object_majority),
}
DEFAULT_SMOOTHING: Smoothing = "objects"
"""The best of the measurement in docs/classification.md."""


def smooth(classes: Bytes, bufrac: Bytes, smoothing: Smoothing) -> Bytes:
    """Smooth the classes of the built pixels; the other pixels keep theirs.

    Valid except in the outer `smoothing_halo(smoothing)` pixels of the array.

    Args:
        classes: (rows, columns), uint8, 0 not built, 1 residential, 2 non-residential,
            nodata 255.
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        smoothing: `none`; `majority`, the vote of 3 x 3 pixels; `objects`, the vote of the pixels
            that built-up connects.

    Returns:
        (rows, columns), uint8, values as in `classes`.

    Raises:
        ValueError: there is no such smoothing, or the shapes do not fit.
    """
    return _way(smoothing).apply(classes, bufrac)


def smoothing_halo(smoothing: Smoothing) -> int:
    """Pixels around a pixel that its smoothed class depends on.

    Raises:
        ValueError: there is no such smoothing.
    """
    return _way(smoothing).halo


def _way(smoothing: Smoothing) -> _Way:
    if smoothing not in _WAYS:
        raise ValueError(f"smoothing is {smoothing!r}, expected one of {', '.join(_WAYS)}")
    return _WAYS[smoothing]
