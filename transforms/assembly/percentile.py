"""The percentile of the observations of each pixel and band.

Source: the percentile is numpy's default definition (linear interpolation, Hyndman and Fan 1996,
type 7).

The observations of many pixels are sorted at once by a sorting network. It compares the same pairs
of places for every pixel, so numpy compares whole rows of pixels at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_PIXELS = 1 << 14
"""Pixels that are sorted together: ten observations of them fit the cache of a core."""
_MOST_IN_NETWORK = 256
"""With more observations, numpy sorts them: a network has more and more pairs."""


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

    Examples:
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
    out = np.zeros((bands, height, width), np.uint16)
    counts = np.count_nonzero(valid, axis=0)
    if n == 0 or not counts.any():
        return out
    position = np.maximum(np.arange(n + 1) - 1, 0) * (percentile / 100)
    step = max(1, _PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        # All bits are set where an observation does not count, so that it comes last.
        last = valid[:, rows].astype(np.uint16) - np.uint16(1)
        seen = counts[rows].ravel()
        groups = [(count, np.flatnonzero(seen == count)) for count in _present(seen)]
        most = groups[-1][0] if groups else 0
        for band in range(bands):
            lanes = (stack[:, band, rows] | last).reshape(n, -1)
            ordered = _sorted(lanes, math.floor(position[most]) + 1)
            made = out[band, rows].reshape(-1)
            for count, pixels in groups:
                values = _between(ordered, position[count], count, pixels)
                made[pixels] = np.maximum(np.rint(values), 1)
    return out


def _present(counts: NDArray[np.intp]) -> list[int]:
    """The numbers above 0 that occur, in ascending order."""
    return [int(count) for count in np.unique(counts) if count]


def _sorted(lanes: NDArray[np.uint16], last: int) -> Sequence[NDArray[np.uint16]]:
    """The values of each pixel in ascending order, right up to place `last`.

    Args:
        lanes: (n, pixels); its content changes.
        last: the last place that has to be right.
    """
    n = len(lanes)
    if n > _MOST_IN_NETWORK:
        return list(np.sort(lanes, axis=0))
    rows, spare = list(lanes), np.empty_like(lanes[0])
    for one, other in comparators(n, min(last, n - 1)):
        np.minimum(rows[one], rows[other], out=spare)
        np.maximum(rows[one], rows[other], out=rows[other])
        rows[one], spare = spare, rows[one]
    return rows


def _between(
    lanes: Sequence[NDArray[np.uint16]], position: float, count: int, pixels: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The values at a position between two places, for some pixels."""
    lower = math.floor(position)
    weight = position - lower
    a = lanes[lower].take(pixels).astype(np.float64)
    if not weight:
        return a
    b = lanes[min(lower + 1, count - 1)].take(pixels).astype(np.float64)
    # Interpolate from the nearer end, as numpy does: the last bit decides how a half rounds.
    return a + (b - a) * weight if weight < 0.5 else b - (b - a) * (1 - weight)


@lru_cache(maxsize=256)
def comparators(n: int, last: int) -> tuple[tuple[int, int], ...]:
    """The pairs of places to compare, one after the other, to sort n values.

    Source: the odd-even merge of Batcher (1968), without the pairs that change nothing up to the
    place `last`.

    Args:
        n: number of values.
        last: the last place that has to be right, counted from 0.

    Returns:
        Pairs of a lower and a higher place; the smaller value goes to the lower one.
    """
    pairs = []
    for merged in _doubled_below(n):
        for step in reversed(list(_doubled_below(2 * merged))):
            pairs += [
                (place, place + step)
                for start in range(step % merged, n - step, 2 * step)
                for place in range(start, min(start + step, n - step))
                if place // (2 * merged) == (place + step) // (2 * merged)
            ]
    needed, kept = set(range(last + 1)), []
    for pair in reversed(pairs):
        if needed.intersection(pair):
            kept.append(pair)
            needed.update(pair)
    return tuple(reversed(kept))


def _doubled_below(limit: int) -> Iterator[int]:
    """1, 2, 4 and so on, below a limit."""
    number = 1
    while number < limit:
        yield number
        number *= 2
