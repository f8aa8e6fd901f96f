"""The percentile of the observations of each pixel and band.

Source: the percentile is numpy's default definition (linear interpolation, Hyndman and Fan 1996,
type 7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EMPTY = np.iinfo(np.uint16).max


def percentile_of_stack(
    stack: NDArray[np.uint16], valid: NDArray[np.bool_], percentile: float
) -> NDArray[np.uint16]:
    """Percentile over the observations of each pixel and band.

    Args:
        stack: uint16 (n, bands, h, w), digital numbers.
        valid: bool (n, h, w), True where an observation counts, in all its bands.
        percentile: 0 to 100.

    Returns:
        uint16 (bands, h, w): `numpy.percentile` of the valid values, rounded half to even and
        clamped to at least 1; 0 where no observation is valid.

    Raises:
        ValueError: shapes, dtype or percentile do not fit.

    Example:
        Three observations of one pixel in one band; the last is a cloud.

        >>> stack = np.array([800, 1000, 9000], np.uint16).reshape(3, 1, 1, 1)
        >>> valid = np.array([True, True, False]).reshape(3, 1, 1)
        >>> percentile_of_stack(stack, valid, 30).tolist()
        [[[860]]]
    """
    if stack.ndim != 4 or valid.shape != (stack.shape[0], *stack.shape[2:]):
        raise ValueError(f"stack has shape {stack.shape}, valid has shape {valid.shape}")
    if stack.dtype != np.uint16:
        raise ValueError(f"stack has dtype {stack.dtype}, expected uint16")
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile is {percentile}, expected 0 to 100")
    n, bands, height, width = stack.shape
    counts = np.count_nonzero(valid, axis=0)
    if n == 0 or not counts.any():
        return np.zeros((bands, height, width), np.uint16)
    # Observations are the last axis, so that those of a pixel are adjacent; invalid ones sort last.
    lanes = np.empty((bands, height, width, n), np.uint16)
    np.copyto(lanes, np.moveaxis(stack, 0, -1))
    np.copyto(lanes, _EMPTY, where=~np.moveaxis(valid, 0, -1))
    lanes.sort(axis=-1)
    position = np.maximum(counts - 1, 0) * (percentile / 100)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = position - lower
    out = np.empty((bands, height, width), np.uint16)
    for band in range(bands):
        a = np.take_along_axis(lanes[band], lower[..., np.newaxis], -1)[..., 0].astype(np.float64)
        b = np.take_along_axis(lanes[band], upper[..., np.newaxis], -1)[..., 0].astype(np.float64)
        # Interpolate from the nearer end, as numpy does: the last bit decides how a half rounds.
        value = np.where(weight < 0.5, a + (b - a) * weight, b - (b - a) * (1 - weight))
        out[band] = np.where(counts > 0, np.maximum(np.rint(value), 1), 0)
    return out
