"""Counts the crossings of polygons' edges, which decide how long a repair or a union takes.

GEOS takes minutes for a ring of a few hundred edges drawn at random, because each crossing is a
vertex of the result. So a file of a few kilobytes could block a launch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

_PAIRS = 5_000_000
"""Largest number of edge pairs in memory at a time: they take a few hundred megabytes."""


def crossings(polygons: Sequence[shapely.Polygon] | NDArray[np.object_], enough: int) -> int:
    """Number of points in which two edges cross, except at their ends; counted up to `enough`.

    Edges whose boxes overlap are tested in pairs. About ten million pairs, and a hundred more for
    each edge, also count as enough.
    """
    rings = shapely.get_rings(np.asarray(polygons, dtype=object))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    same = (ring[1:] == ring[:-1]) & (points[1:] != points[:-1]).any(axis=1)
    start, end = points[:-1][same], points[1:][same]
    # In random order, so that all parts are similar, and a part with few pairs may grow.
    order = np.random.default_rng(len(start)).permutation(len(start))
    start, end = start[order], end[order]
    edges = shapely.linestrings(np.stack([start, end], axis=1))
    tree = shapely.STRtree(edges)
    step = max(1, _PAIRS // max(1, len(edges)))
    first, number, tested, most = 0, 0, 0, 2 * _PAIRS + 100 * len(edges)
    while first < len(edges):
        one, other = tree.query(edges[first : first + step])
        one = one + first
        tested += len(one)
        first += step
        if len(one) < _PAIRS // 8:
            step *= 2
        once = one < other
        one, other = one[once], other[once]
        number += int(_cross(start[one], end[one], start[other], end[other]).sum())
        if number >= enough or tested > most:
            return enough
    return number


def _cross(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether each edge a-b has c and d on its two sides, and the reverse."""
    return (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)


def _side(
    a: NDArray[np.float64], b: NDArray[np.float64], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    along, to = b - a, point - a
    return np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])
