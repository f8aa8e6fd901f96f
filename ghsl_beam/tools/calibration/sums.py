"""Sums over pixels, from which a curve is fitted and judged; their size does not grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.cleaning.calibration import ONE, Curve, percent_of

SIDES = (2000.0, 1000.0, 500.0, 250.0)
"""Sides of the blocks of ground in metres; the largest side that gives enough blocks is used."""
MANY_BLOCKS = 20
"""Enough blocks."""
FOLDS = 5
"""Number of groups of blocks, each of which is held out once."""
SHARES = (2, 1)
"""Halves of its value that a pixel has: all, or one where a street touches it."""
_LEVELS = ONE + 1
_BLOCKS = 1 << 32
"""More than the number of blocks in a column."""
_PERCENTS = 101
"""Levels of the reference from which the mean absolute error is computed."""

Floats = NDArray[np.float64]


def log_odds(raw: NDArray[Any]) -> Floats:
    """The log-odds of a probability x 10 000; those of 0 and 10 000 are finite."""
    probability = (raw + 0.5) / _LEVELS
    return np.asarray(np.log(probability / (1 - probability)))


def _ranges(step: float) -> NDArray[np.int64]:
    """The first BUFRAC_RAW of ranges of equal width in log-odds, at least one value each.

    A network is often nearly certain. So the ranges are narrow near 0 and near 10 000.
    """
    number = np.floor(log_odds(np.arange(_LEVELS)) / step)
    return np.unique(number, return_index=True)[1]


RANGES = _ranges(0.05)
_RANGE_OF = np.searchsorted(RANGES, np.arange(_LEVELS), side="right") - 1


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over pixels with a reference.

    The arrays of kept pixels have the axes (halves as in `SHARES`, BUFRAC_RAW). `pairs` has the
    axes (halves, range of BUFRAC_RAW, percent of reference). `removed` are count, sum and sum of
    squares of the reference where BUFRAC is 0. All references are fractions.
    """

    count: Floats = field(default_factory=lambda: np.zeros((2, _LEVELS)))
    total: Floats = field(default_factory=lambda: np.zeros((2, _LEVELS)))
    square: Floats = field(default_factory=lambda: np.zeros((2, _LEVELS)))
    pairs: Floats = field(default_factory=lambda: np.zeros((2, len(RANGES), _PERCENTS)))
    removed: Floats = field(default_factory=lambda: np.zeros(3))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def kept_pixels(self) -> int:
        """Number of pixels that the cleaning keeps."""
        return int(self.count.sum())

    @property
    def kept(self) -> float:
        """Built-up of the reference in kept pixels, in pixels."""
        return float(self.total.sum())

    @property
    def built(self) -> float:
        """Built-up of the reference in all pixels, in pixels."""
        return self.kept + float(self.removed[1])

    @property
    def omitted(self) -> float:
        """Share of the built-up that is in removed pixels."""
        return float(self.removed[1]) / self.built if self.built else 0.0

    @classmethod
    def of(
        cls,
        raw: NDArray[np.integer[Any]],
        kept: NDArray[np.bool_],
        halved: NDArray[np.bool_],
        reference: Floats,
    ) -> Sums:
        """The sums of pixels, each array with one axis.

        Args:
            raw: BUFRAC_RAW, 0..10 000.
            kept: whether the cleaning keeps the pixel.
            halved: whether a street halves it.
            reference: known built-up fraction, 0..1.
        """
        made = cls()
        gone = reference[~kept]
        made.removed[:] = len(gone), gone.sum(), (gone**2).sum()
        for number, chosen in enumerate((kept & ~halved, kept & halved)):
            levels, known = raw[chosen].astype(np.int64), reference[chosen]
            made.count[number] = np.bincount(levels, minlength=_LEVELS)
            made.total[number] = np.bincount(levels, known, _LEVELS)
            made.square[number] = np.bincount(levels, known**2, _LEVELS)
            pairs = _RANGE_OF[levels] * _PERCENTS + np.rint(known * 100).astype(np.int64)
            shape = made.pairs[number].shape
            made.pairs[number] = np.bincount(pairs, minlength=np.prod(shape)).reshape(shape)
        return made


@dataclass(slots=True, eq=False)
class Ground:
    """The sums of one network by groups of blocks, for each side of a block that may be used.

    Once a side has enough blocks, smaller ones are dropped, so that the memory is limited.
    """

    sums: dict[tuple[float, int], Sums] = field(default_factory=dict)
    blocks: dict[float, set[tuple[int, int]]] = field(default_factory=dict)

    def add(
        self,
        zone: int,
        places: tuple[Floats, Floats],
        raw: NDArray[np.integer[Any]],
        kept: NDArray[np.bool_],
        halved: NDArray[np.bool_],
        reference: Floats,
    ) -> None:
        """Add pixels, each array with one axis.

        Args:
            zone: EPSG of the UTM zone.
            places: metres east and north in that zone.
            raw: as in `Sums.of`, and so are the others.
            kept: as in `Sums.of`.
            halved: as in `Sums.of`.
            reference: as in `Sums.of`.
        """
        for side in SIDES:
            east, north = (np.floor(part / side).astype(np.int64) for part in places)
            fold = (east + 2 * north) % FOLDS
            for number in np.unique(fold).tolist():
                mine = fold == number
                part = Sums.of(raw[mine], kept[mine], halved[mine], reference[mine])
                self.sums[side, number] = self.sums.get((side, number), Sums()) + part
            cells = np.unique(east[kept] * _BLOCKS + north[kept])
            self.blocks.setdefault(side, set()).update((zone, cell) for cell in cells.tolist())
            if self.side() == side:
                self._drop_below(side)
                return

    def side(self) -> float:
        """The side of the blocks that is used."""
        return next((s for s in SIDES if len(self.blocks.get(s, ())) >= MANY_BLOCKS), SIDES[-1])

    def _drop_below(self, side: float) -> None:
        self.blocks = {of: cells for of, cells in self.blocks.items() if of >= side}
        self.sums = {of: sums for of, sums in self.sums.items() if of[0] >= side}

    def groups(self, side: float) -> list[Sums]:
        """The sums of each group of blocks that has pixels."""
        return [sums for (of, _), sums in sorted(self.sums.items()) if of == side]


@dataclass(frozen=True, slots=True)
class Errors:
    """Sums of the errors of a curve; areas in pixels."""

    predicted: float
    absolute: float
    squared: float

    def __add__(self, other: Errors) -> Errors:
        return Errors(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def values_of(curve: Curve) -> Floats:
    """The fraction that BUFRAC gives to a kept pixel: (halves as in `SHARES`, BUFRAC_RAW)."""
    fractions = curve.fractions(np.arange(_LEVELS))
    return np.stack([percent_of(fractions * share) for share in SHARES]) / 100


def errors_of(curve: Curve, sums: Sums) -> Errors:
    """The errors of BUFRAC with a curve over all pixels, also the removed ones, which are 0.

    The absolute error is that of the mean in each of `RANGES` to whole percents of the reference.
    """
    values = values_of(curve)
    squared = sums.count * values**2 - 2 * values * sums.total + sums.square
    inside, made = (
        np.add.reduceat(each, RANGES, axis=1) for each in (sums.count, sums.count * values)
    )
    coarse = (made / np.maximum(inside, 1))[..., np.newaxis] - np.arange(_PERCENTS) / 100
    return Errors(
        float((sums.count * values).sum()),
        float((np.abs(coarse) * sums.pairs).sum() + sums.removed[1]),
        float(squared.sum() + sums.removed[2]),
    )
