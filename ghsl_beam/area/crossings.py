"""How often the edges of polygons cross: what making them valid, or joining them, costs.

GEOS takes minutes for a ring of some hundred edges drawn at random, since each crossing is a vertex
of the result. A file of some kilobytes could so stop a launch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

_PAIRS = 5_000_000
"""Pairs of edges looked at together, at most: some hundred megabytes."""


def crossings(polygons: Sequence[shapely.Polygon] | NDArray[np.object_], enough: int) -> int:
    """Number of points in which two edges cross, ends apart; counted no further than `enough`.

    Edges whose boxes overlap are looked at in pairs; some ten million pairs and a hundred for each
    edge count as enough too.
    """
    rings = shapely.get_rings(np.asarray(polygons, dtype=object))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    same = (ring[1:] == ring[:-1]) & (points[1:] != points[:-1]).any(axis=1)
    start, end = points[:-1][same], points[1:][same]
    # In any order, so that each part is like the others, and one of few pairs may grow.
    order = np.random.default_rng(len(start)).permutation(len(start))
    start, end = start[order], end[order]
    edges = shapely.linestrings(np.stack([start, end], axis=1))
    tree = shapely.STRtree(edges)
    step = max(1, _PAIRS // max(1, len(edges)))
    first, found, looked, most = 0, 0, 0, 2 * _PAIRS + 100 * len(edges)
    while first < len(edges):
        one, other = tree.query(edges[first : first + step])
        one = one + first
        looked += len(one)
        first += step
        if len(one) < _PAIRS // 8:
            step *= 2
        once = one < other
        one, other = one[once], other[once]
        found += int(_cross(start[one], end[one], start[other], end[other]).sum())
        if found >= enough or looked > most:
            return enough
    return found


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
