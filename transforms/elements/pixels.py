"""The pixels of a block, on their way through one line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import shapely
from numpy.typing import NDArray

from .grid import Grid, extent_of, part_of
from .layers import Layer
from .references import Block
from .window import Window


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Arrays of a block; they never pass a shuffle.

    Each array covers `window`, which is the block and a halo, counted from the corner of the tile.
    `grid` is the grid of `window`. The axes are (rows, columns) or (bands, rows, columns); dtype
    and nodata are those of the layer.
    """

    block: Block
    window: Window
    grid: Grid
    layers: dict[Layer, NDArray[Any]]
    whole: bool = True
    """False if an input was lost on the way; the result then does not count as whole."""
    make: tuple[Layer, ...] = ()
    """Layers to make and store; the other layers of the line are stored or published already."""
    zone: str = ""
    """Grid zone, which is the key of the tile's model (`33U`)."""
    area_wkb: str = ""
    """Area of interest in the grid's CRS, hexadecimal WKB; empty if all pixels count."""

    @classmethod
    def of(
        cls, tile: str, grid: Grid, area: shapely.Geometry | None = None, **layers: NDArray[Any]
    ) -> Pixels:
        """Make pixels in memory, as one block without a halo; every layer is to be made.

        Args:
            tile: MGRS tile; its first letters are the grid zone.
            grid: the grid of the arrays.
            area: area of interest in the grid's CRS, None for the whole grid.
            layers: arrays by the names of their layers.

        Examples:
            >>> import numpy as np
            >>> from transforms.elements import utm_grid
            >>> grid = utm_grid(32633, 300000, 5900040, 2, 3)
            >>> pixels = Pixels.of("33UUU", grid, BUFRAC=np.zeros((2, 3), np.uint8))
            >>> pixels.zone, pixels[Layer.BUFRAC].shape
            ('33U', (2, 3))
        """
        window = extent_of(grid)
        wkb = "" if area is None else shapely.to_wkb(area, hex=True)
        block = Block(tile, window)
        made = cls(block, window, grid, {}, True, tuple(Layer), block.zone, wkb)
        return made.having(**layers)

    @property
    def area(self) -> shapely.Geometry | None:
        """The area of interest in the grid's CRS; None if all pixels count."""
        return shapely.from_wkb(bytes.fromhex(self.area_wkb)) if self.area_wkb else None

    def __getitem__(self, layer: Layer) -> NDArray[Any]:
        return self.layers[layer]

    def having(self, **layers: NDArray[Any]) -> Pixels:
        """The same pixels with more layers, or with other arrays for them, by name."""
        added = {Layer(name): array for name, array in layers.items()}
        return replace(self, layers={**self.layers, **added})

    def crop(self, window: Window) -> Pixels:
        """All layers cut to a smaller window."""
        rows, cols = window.slices_in(self.window)
        place = Window(rows.start, cols.start, *window.shape)
        cut = {layer: array[..., rows, cols] for layer, array in self.layers.items()}
        return replace(self, window=window, grid=part_of(self.grid, place), layers=cut)
