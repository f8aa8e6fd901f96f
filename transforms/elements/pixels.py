"""Pixels of a block on their way through one fused stretch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from .grid import Grid, part_of
from .layers import Layer
from .references import Block
from .window import Window


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Arrays of a block; they never pass a shuffle.

    Each array covers `window` (the block and a halo, counted from the tile's corner), which lies
    on the ground where `grid` says; axes (rows, columns) or (bands, rows, columns), in the layer's
    dtype and nodata.
    """

    block: Block
    window: Window
    grid: Grid
    layers: dict[Layer, NDArray[Any]]
    whole: bool = True
    """False where an input was lost on the way, so that the result is not taken for whole."""
    make: tuple[Layer, ...] = ()
    """Layers to make and store; others of the line are stored or published already."""

    def __getitem__(self, layer: Layer) -> NDArray[Any]:
        return self.layers[layer]

    def having(self, **layers: NDArray[Any]) -> Pixels:
        """The same pixels with one layer more (or another), by its name."""
        added = {Layer(name): array for name, array in layers.items()}
        return replace(self, layers={**self.layers, **added})

    def crop(self, window: Window) -> Pixels:
        """All layers cut to a smaller window."""
        rows, cols = window.slices_in(self.window)
        place = Window(rows.start, cols.start, *window.shape)
        cut = {layer: array[..., rows, cols] for layer, array in self.layers.items()}
        return replace(self, window=window, grid=part_of(self.grid, place), layers=cut)
