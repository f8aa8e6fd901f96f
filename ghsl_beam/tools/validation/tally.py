"""Adds up the pieces of a comparison, and makes scores, intervals and curve of the sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghsl_beam.tools.area_mean import mean_pixel_area
from ghsl_beam.tools.validation import blocks, curves, levels, scores
from ghsl_beam.tools.validation.blocks import BlockTable
from ghsl_beam.tools.validation.levels import Nesting
from ghsl_beam.tools.validation.pieces import Piece
from ghsl_beam.tools.validation.points import PointPiece
from ghsl_beam.tools.validation.scores import Floats

_ERRORS = ("rmse", "mae", "bias")
_CURVE = ("precision", "recall", "f1", "iou", "kappa", "balanced_accuracy")
_WITH_INTERVAL = {*_ERRORS, *_CURVE}


@dataclass(slots=True)
class Tally:
    """Sums of a comparison by file, block of ground, stratum and level."""

    threshold: float
    reference_threshold: float
    block_size: float
    seed: int
    files: dict[str, Floats] = field(default_factory=dict)
    ground: BlockTable = field(default_factory=BlockTable)
    strata: dict[str, BlockTable] = field(default_factory=dict)
    levels: dict[float, BlockTable] = field(default_factory=dict)
    pixel: float | None = None
    """Side of the compared pixels in metres; None if there are none."""
    _zones: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """By CRS: its number, and whether its blocks follow degrees."""
    _joined: int = 0
    """How often the side of the blocks was doubled before their sums were made."""

    def add(
        self,
        piece: Piece | PointPiece,
        strata: tuple[list[str], NDArray[np.int64]] | None = None,
    ) -> None:
        """Add a piece; `strata` has names, and for each pixel the place of its name."""
        valid = np.isfinite(piece.product) & np.isfinite(piece.reference)
        if not valid.any():
            return
        zone, (across, down) = self._blocks(piece, valid)
        groups = np.zeros(valid.shape, np.int64)
        groups[valid], places = self._numbered(across[valid], down[valid])
        if strata is None:
            sums = self._sums(piece, groups, len(places))
        else:
            names, numbers = strata
            by_stratum = self._sums(
                piece, numbers * len(places) + groups, len(names) * len(places)
            ).reshape(len(names), len(places), scores.WIDTH)
            for name, rows in zip(names, by_stratum, strict=True):
                self._add_all(self.strata.setdefault(name, BlockTable()), zone, places, rows)
            sums = by_stratum.sum(axis=0)
        counts = curves.counts_of(
            piece.product,
            piece.reference,
            self.reference_threshold,
            groups=groups,
            number=len(places),
        )
        self._add_all(self.ground, zone, places, np.concatenate([sums, counts], axis=1))
        if piece.file is not None:
            self.files[piece.file] = self.files.get(piece.file, 0.0) + sums.sum(axis=0)
        if isinstance(piece, Piece):
            self._add_levels(piece, zone, across, down)

    def _blocks(
        self, piece: Piece | PointPiece, valid: NDArray[np.bool_]
    ) -> tuple[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """The zone of a piece, and the block of each of its pixels or points."""
        x, y = piece.places()
        if piece.crs not in self._zones:
            self._zones[piece.crs] = (
                len(self._zones),
                blocks.stretches(x[valid], y[valid], piece.crs),
            )
        zone, in_degrees = self._zones[piece.crs]
        return zone, blocks.block_places(x, y, piece.crs, self.block_size, in_degrees=in_degrees)

    def _numbered(
        self, across: NDArray[np.int64], down: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """Numbers of at most `blocks.MOST` blocks; if there are more, 2 x 2 become one."""
        while True:
            numbers, places = blocks.numbered(across >> self._joined, down >> self._joined)
            if len(places) <= blocks.MOST:
                return numbers, places
            self._joined += 1

    def _add_all(
        self, table: BlockTable, zone: int, places: list[tuple[int, int]], rows: Floats
    ) -> None:
        """Add the rows of blocks that are not empty; the first column is a count or an area."""
        for number in np.flatnonzero(rows[:, 0]):
            table.add(zone, places[number], rows[number], self._joined)

    def _sums(self, piece: Piece | PointPiece, groups: Any, number: int) -> Floats:
        return scores.sums_of(
            piece.product,
            piece.reference,
            self.threshold,
            piece.area,
            reference_threshold=self.reference_threshold,
            groups=groups,
            number=number,
        )

    def _add_levels(
        self, piece: Piece, zone: int, across: NDArray[np.int64], down: NDArray[np.int64]
    ) -> None:
        """Add the cells of a piece; a cell is in the block of its first pixel."""
        grid = piece.canvas.grid
        self.pixel = float(f"{math.sqrt(mean_pixel_area(grid)):.4g}")
        before: tuple[Nesting, Floats] | None = None
        for side in levels.SIZES:
            whole = Nesting.of(grid, side) if side > 1.01 * self.pixel else None
            if whole is None:
                continue
            nesting = whole.part(piece.window)
            cells = None if before is None else levels.larger_cells(before[1], before[0], nesting)
            if cells is None:
                cells = levels.cell_sums(piece.product, piece.reference, piece.area, nesting)
            before = nesting, cells
            rows, cols = nesting.edges(piece.grid.shape)
            first = np.ix_(rows, cols)
            groups, places = self._numbered(across[first].ravel(), down[first].ravel())
            sums = levels.error_sums(cells, nesting).reshape(-1, levels.WIDTH)
            by_block = [np.bincount(groups, part, minlength=len(places)) for part in sums.T]
            table = self.levels.setdefault(side, BlockTable())
            self._add_all(table, zone, places, np.stack(by_block, axis=1).astype(np.float64))

    @property
    def total(self) -> Floats:
        """The sums over everything, (scores.WIDTH,)."""
        rows = self.ground.rows()
        return rows[:, : scores.WIDTH].sum(axis=0) if len(rows) else np.zeros(scores.WIDTH)

    def results(self, *, areas: bool = True) -> dict[str, Any]:
        """All scores, intervals, levels, strata, curve and reliability, for JSON.

        Args:
            areas: whether pixels have areas; points have none.
        """
        for table in (*self.strata.values(), *self.levels.values()):
            table.join(self.ground.doublings)  # all intervals are from blocks of one size
        rows = self.ground.rows()
        counts = rows[:, scores.WIDTH :]
        found: dict[str, Any] = self._scores(rows[:, : scores.WIDTH].sum(axis=0), areas=areas)
        found["bootstrap"] = {
            "block_size_m": self.block_size * 2**self.ground.doublings,
            "blocks": len(rows),
            "replicates": blocks.REPLICATES,
            "confidence": blocks.CONFIDENCE,
            "seed": self.seed,
        }
        found["intervals"] = self._intervals(rows[:, : scores.WIDTH])
        found["levels"] = self._levels(found)
        found["best"] = self._best(counts)
        found["curve"] = _curve(counts.sum(axis=0))
        found["reliability"] = curves.reliability(counts.sum(axis=0))
        found["strata"] = {
            name: self._scores(table.rows().sum(axis=0), areas=areas)
            | {"blocks": len(table), "intervals": self._intervals(table.rows())}
            for name, table in self.strata.items()
            if len(table)
        }
        found["files"] = {
            file: self._scores(sums, areas=areas) for file, sums in self.files.items()
        }
        return found

    @staticmethod
    def _scores(sums: Floats, *, areas: bool) -> dict[str, Any]:
        numbers: dict[str, Any] = scores.as_numbers(scores.measures(sums))
        if not areas:
            numbers |= {"product_m2": None, "reference_m2": None}
        return numbers

    def _intervals(self, rows: Floats) -> dict[str, list[float] | None]:
        found = blocks.intervals(rows, scores.measures, self.seed)
        return {name: ends for name, ends in found.items() if name in _WITH_INTERVAL}

    def _levels(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The errors by side of the cells; the first level is the compared pixels themselves."""
        if self.pixel is None:
            return {}
        own = dict.fromkeys(("cells", "whole_cells"), found["pixels"])
        own |= {name: found[name] for name in _ERRORS}
        own["intervals"] = {k: v for k, v in found["intervals"].items() if k in _ERRORS}
        cells = {f"{side:g} m": self._level(self.levels[side]) for side in sorted(self.levels)}
        return {f"{self.pixel:g} m": own, **cells}

    def _level(self, table: BlockTable) -> dict[str, Any]:
        rows = table.rows()
        numbers: dict[str, Any] = scores.as_numbers(levels.level_measures(rows.sum(axis=0)))
        ends = blocks.intervals(rows, levels.level_measures, self.seed)
        return numbers | {"intervals": {name: ends[name] for name in _ERRORS if name in ends}}

    def _best(self, counts: Floats) -> dict[str, Any] | None:
        """The threshold of the product with the highest F1, its scores, and how sure it is."""
        line = curves.curve(counts.sum(axis=0))
        if not np.nan_to_num(line["f1"]).any():
            return None
        place = int(curves.best_places(line["f1"]))
        at_best = scores.as_numbers({name: line[name][place] for name in _CURVE})
        held_out = scores.as_numbers({"f1": curves.held_out_f1(counts, self.seed)})["f1"]

        def thresholds(drawn: Floats) -> dict[str, Floats]:
            f1 = curves.curve(drawn)["f1"]
            chosen = curves.THRESHOLDS[curves.best_places(f1)]
            return {"threshold": np.where(np.nan_to_num(f1).any(axis=-1), chosen, np.nan)}

        ends = blocks.intervals(counts, thresholds, self.seed)
        return {
            "threshold": float(curves.THRESHOLDS[place]),
            "threshold_interval": ends.get("threshold"),
            **at_best,
            "held_out_f1": held_out,
        }


def _curve(counts: Floats) -> dict[str, Any]:
    """The curve as lists of equal length."""
    line = curves.curve(counts)
    return {"threshold": [float(threshold) for threshold in curves.THRESHOLDS]} | {
        name: [None if math.isnan(value) else round(float(value), 6) for value in line[name]]
        for name in _CURVE
    }
