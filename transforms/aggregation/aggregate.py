"""Computes the published levels from the fine one: exact sums of m², means of greenness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Coarser, GridLayer, Layer

from .grid import GridLevel
from .resample import Fine

GREENNESS_NODATA = NODATA[Layer.GREENNESS]

Ints = NDArray[np.int64]


def published_layers(level: GridLevel) -> tuple[GridLayer, ...]:
    """The layers of a level; the class of a pixel exists only at the fine level."""
    return tuple(
        layer for layer in GridLayer if level.factor == 1 or layer.spec.coarser is not Coarser.NONE
    )


def layer_dtype(layer: GridLayer, level: GridLevel) -> tuple[str, int]:
    """(dtype, nodata) of a layer at a level."""
    spec = layer.spec
    return (spec.dtype, spec.nodata) if spec.dtype else (level.dtype, level.nodata)


def sum_blocks(values: NDArray[Any], factor: int) -> Ints:
    """Sums over blocks of factor x factor, int64; the shape must be a multiple of the factor."""
    if factor == 1:
        return values.astype(np.int64)
    rows, cols = values.shape
    if rows % factor or cols % factor:
        raise ValueError(f"shape is {values.shape}, expected multiples of {factor}")
    across = values.reshape(rows, cols // factor, factor).sum(axis=2, dtype=np.int64)
    down: Ints = across.reshape(rows // factor, factor, cols // factor).sum(axis=1)
    return down


class Pyramid:
    """Sums and counts of one layer, passed from level to level as whole numbers.

    `values` are those of the fine level; `valid` says which of them are valid.
    """

    def __init__(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        self.factor = 1
        self._sums: NDArray[Any] = np.where(valid, values, 0)
        self._counts: NDArray[Any] = valid

    def coarsen(self, factor: int) -> None:
        """Change to a level with `factor` fine pixels a side, a multiple of the present one."""
        if factor % self.factor:
            raise ValueError(f"factor is {factor}, expected a multiple of {self.factor}")
        self._sums = sum_blocks(self._sums, factor // self.factor)
        self._counts = sum_blocks(self._counts, factor // self.factor)
        self.factor = factor

    def area(self, dtype: str, nodata: int) -> NDArray[Any]:
        """Sums; nodata if no fine pixel is valid."""
        return np.where(self._counts > 0, self._sums, nodata).astype(dtype)

    def mean(self, dtype: str, nodata: int) -> NDArray[Any]:
        """Rounded mean of the valid fine values; nodata if there is none."""
        mean = np.rint(self._sums / np.maximum(self._counts, 1))
        return np.where(self._counts > 0, mean, nodata).astype(dtype)


def within_capacity(fine: Fine, capacity: int) -> tuple[Fine, int]:
    """The layers with built-up limited to the capacity of a pixel, and the m² that this removes."""
    built, other = _held(fine.built, capacity), fine.non_residential
    cut = int((fine.built - built).sum(dtype=np.int64))
    part = None if other is None else _held(other, capacity)
    return replace(fine, built=built, non_residential=part), cut


def _held(square_metres: NDArray[Any], capacity: int) -> NDArray[Any]:
    """Limit values to the capacity; nodata (the dtype's greatest value) stays."""
    over = (square_metres > capacity) & (square_metres != np.iinfo(square_metres.dtype).max)
    return np.where(over, capacity, square_metres).astype(square_metres.dtype)


def aggregate(
    fine: Fine, levels: tuple[GridLevel, ...]
) -> tuple[dict[GridLayer, NDArray[Any]], ...]:
    """Compute all published layers of all levels, finest first.

    Args:
        fine: a window whose edges are multiples of the coarsest level.
        levels: ascending by factor, each a multiple of the one before.

    Returns:
        For each level its arrays, axes (rows, columns). BUILT_S and BUILT_S_NRES are in m², sums of
        the fine values, nodata only if every fine value is. GREENNESS is the mean of all valid fine
        values. BUILT_C_FUN exists at factor 1. Layers that were not given are left out.
    """
    pyramids = {GridLayer.BUILT_S: Pyramid(fine.built, fine.valid)}
    if fine.non_residential is not None:
        known = fine.non_residential != np.iinfo(fine.non_residential.dtype).max
        pyramids[GridLayer.BUILT_S_NRES] = Pyramid(fine.non_residential, known)
    if fine.greenness is not None:
        inside = fine.greenness != GREENNESS_NODATA
        pyramids[GridLayer.GREENNESS] = Pyramid(fine.greenness, inside)
    results = []
    for level in levels:
        arrays: dict[GridLayer, NDArray[Any]] = {}
        for layer, pyramid in pyramids.items():
            pyramid.coarsen(level.factor)
            mean = layer.spec.coarser is Coarser.MEAN
            take = pyramid.mean if mean else pyramid.area
            arrays[layer] = take(*layer_dtype(layer, level))
        if level.factor == 1 and fine.classes is not None:
            arrays[GridLayer.BUILT_C_FUN] = fine.classes
        results.append(arrays)
    return tuple(results)
