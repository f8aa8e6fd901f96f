"""Sums by block of ground, and intervals of confidence by drawing blocks (block bootstrap)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from scipy.stats import norm, t

from ghsl_beam.tools.validation.levels import STRETCHED
from ghsl_beam.tools.validation.scores import Floats

MOST = 4096
"""Largest number of blocks in memory. Above it, 2 x 2 blocks become one."""
FEWEST = 10
"""Below this number of blocks there are no intervals."""
REPLICATES = 1000
CONFIDENCE = 0.95
_DEGREE = 111_320.0
"""Metres of a degree along a meridian, and along the equator."""

Key = tuple[int, int, int]


def stretches(x: Floats, y: Floats, crs: str) -> bool:
    """Whether a projection makes areas around positions clearly larger or smaller than they are.

    Web Mercator does, UTM and the projections of countries do not.

    Args:
        x: coordinates in the CRS of places on the Earth, any shape, not empty.
        y: the same shape.
        crs: WKT of the CRS.
    """
    parsed = CRS.from_user_input(crs)
    if parsed.is_geographic:
        return False
    lon, lat = _degrees(np.mean(x), np.mean(y), crs)
    scale = Proj(parsed).get_factors(lon, lat).areal_scale
    return bool(abs(scale - 1) > STRETCHED)


def block_places(
    x: Floats, y: Floats, crs: str, side: float, *, in_degrees: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The block of each position, as two whole numbers.

    In degrees, a block has about `side` metres along both axes: the width follows the latitude of
    the middle of its row.

    Args:
        x: coordinates in the CRS, any shape.
        y: the same shape.
        crs: WKT of the CRS.
        side: metres.
        in_degrees: the blocks follow degrees although the CRS is projected.
    """
    parsed = CRS.from_user_input(crs)
    if in_degrees and not parsed.is_geographic:
        x, y = (np.nan_to_num(a, posinf=0.0) for a in _degrees(x, y, crs))  # beyond the Earth
    if in_degrees or parsed.is_geographic:
        down = np.floor(y * _DEGREE / side)
        middle = np.clip((down + 0.5) * side / _DEGREE, -89.9, 89.9)
        across = np.floor(x * _DEGREE * np.cos(np.radians(middle)) / side)
    else:
        side = side / (parsed.axis_info[0].unit_conversion_factor or 1.0)
        across, down = np.floor(x / side), np.floor(y / side)
    return across.astype(np.int64), down.astype(np.int64)


def _degrees(x: Any, y: Any, crs: str) -> tuple[Any, Any]:
    lon, lat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    return lon, lat


def numbered(
    across: NDArray[np.int64], down: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """The number of each position's block, 0 and up, and the blocks in the order of numbers.

    Args:
        across: any shape, as of `block_places`.
        down: the same shape.
    """
    if not across.size:
        return np.zeros(across.shape, np.int64), []
    left, top = int(across.min()), int(down.min())
    wide, high = int(across.max()) - left + 1, int(down.max()) - top + 1
    places = (across - left) * high + (down - top)
    if wide * high <= max(64, across.size):
        present = np.flatnonzero(np.bincount(places.ravel()))
        number_of = np.zeros(wide * high, np.int64)
        number_of[present] = np.arange(len(present))
        groups = number_of[places]
    else:
        present, groups = np.unique(places, return_inverse=True)
    blocks = [(left + at // high, top + at % high) for at in present.tolist()]
    return groups.reshape(across.shape), blocks


class BlockTable:
    """Rows of sums by block. The number of rows is limited: blocks are joined if there are many."""

    def __init__(self) -> None:
        """Start without rows."""
        self._rows: dict[Key, Floats] = {}
        self.doublings = 0
        """How often the side of the blocks was doubled."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, zone: int, block: tuple[int, int], row: Floats, doublings: int = 0) -> None:
        """Add a row to a block of a zone; zones are different CRSs.

        `doublings` says how often the side of this block was doubled.
        """
        self.join(doublings)
        more = self.doublings - doublings
        self._put((zone, block[0] >> more, block[1] >> more), row)
        while len(self._rows) > MOST:
            self.join(self.doublings + 1)

    def join(self, doublings: int) -> None:
        """Join blocks until their side was doubled at least this often."""
        while self.doublings < doublings:
            rows, self._rows = self._rows, {}
            self.doublings += 1
            for (of, across, down), values in rows.items():
                self._put((of, across >> 1, down >> 1), values)

    def _put(self, key: Key, row: Floats) -> None:
        there = self._rows.get(key)
        self._rows[key] = row if there is None else there + row

    def rows(self) -> Floats:
        """All rows in the order of their blocks, (blocks, width)."""
        return np.array([self._rows[key] for key in sorted(self._rows)], np.float64)


@lru_cache(maxsize=1)
def draws(blocks: int, seed: int, replicates: int = REPLICATES) -> Floats:
    """How often each block is in each replicate, (replicates, blocks), float64.

    Each replicate draws as many blocks as there are, with replacement.
    """
    random = np.random.default_rng(seed)
    return random.multinomial(blocks, np.full(blocks, 1 / blocks), replicates).astype(np.float64)


def intervals(
    rows: Floats, scores: Callable[[Floats], Mapping[str, Floats]], seed: int
) -> dict[str, list[float] | None]:
    """Intervals of confidence of scores, from sums by block.

    Args:
        rows: (blocks, width), sums of each block.
        scores: gives scores by name, (replicates,), from sums (replicates, width).
        seed: seed of the draws.

    Returns:
        Lower and upper end by name; None if a score is undefined, and nothing if there are fewer
        than `FEWEST` blocks. Replicates in which a score is undefined are left out.

    Source:
        Davison and Hinkley (1997), chapter 8; Hesterberg (2015), expanded percentile intervals,
        because those of Efron and Tibshirani (1993) are too narrow if there are few blocks.
    """
    if len(rows) < FEWEST:
        return {}
    found: dict[str, list[float] | None] = {}
    for name, values in scores(draws(len(rows), seed) @ rows).items():
        found[name] = interval(values, len(rows))
    return found


def interval(values: Floats, blocks: int) -> list[float] | None:
    """The interval of confidence, from values of replicates; None if all are undefined.

    Args:
        values: (replicates,), NaN if undefined.
        blocks: number of blocks that were drawn.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    tail = t.ppf((1 - CONFIDENCE) / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    edge = 100 * float(norm.cdf(tail))
    low, high = np.percentile(known, [edge, 100 - edge])
    return [float(low), float(high)]
