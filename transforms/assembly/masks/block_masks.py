"""The masks of scenes over one block: which observations of a scene count."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import PIXEL, Scene
from transforms.storage.caching import DIRECT, Access

from ..reading import source_indices
from .bright import CELL_M, REACH, clear_around
from .classes import MaskClass
from .mask_files import MaskFiles
from .product import read_classes


class Seen(NamedTuple):
    """What the mask of a scene says about the pixels of a block.

    Attributes:
        classes: uint8 (h, w), `MaskClass`.
        lifted: bool (h, w), cloud in the mask, but a bright target with clear ground around it;
            None if there is no such pixel.
    """

    classes: NDArray[np.uint8]
    lifted: NDArray[np.bool_] | None = None

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Bool (h, w), pixels whose observation counts."""
        clear = self.classes == MaskClass.CLEAR
        return clear if self.lifted is None else clear | self.lifted

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Bool (h, w), pixels with data whose observation does not count."""
        return (self.classes != MaskClass.NODATA) & ~self.usable


class BlockMasks(Protocol):
    """Gives the masks of scenes over a block."""

    def of(self, scene: Scene) -> Seen:
        """The mask of a scene over the block.

        Raises:
            SceneError: the mask of the product cannot be used.
            RasterError: a storage does not answer, or a stored mask cannot be read.
        """


@dataclass(frozen=True)
class ProductMasks:
    """The masks in the products themselves, which is enough for a stage without a job."""

    grid: GeoBox
    access: Access = DIRECT

    def of(self, scene: Scene) -> Seen:
        """The mask in the product; that of L1C does not tell where the product has no data."""
        return Seen(read_classes(scene, self.grid, self.access))


@dataclass(frozen=True)
class StoredMasks:
    """The masks that the mask stage has stored, over one block, and the bright targets around it.

    Attributes:
        files: the masks.
        tile: MGRS tile.
        tile_grid: its 10 m grid, from which cells are counted.
        grid: the pixels of the block.
    """

    files: MaskFiles
    tile: str
    tile_grid: GeoBox
    grid: GeoBox

    def of(self, scene: Scene) -> Seen:
        """The stored mask; see `BlockMasks`."""
        classes = self.files.read_classes(scene, self.grid)
        return Seen(classes, self.lifted(scene, classes))

    @cached_property
    def bright(self) -> NDArray[np.bool_]:
        """Bright targets over the cells around the block."""
        return self.files.read_bright(self.tile, self.cells)

    @cached_property
    def cells(self) -> GeoBox:
        """The cells of the block and those up to `REACH` around it."""
        return cells_around(self.grid, self.tile_grid, REACH)

    @cached_property
    def at_pixels(self) -> NDArray[np.bool_]:
        """Bright targets over the pixels of the block."""
        return self._spread(self.bright)

    def lifted(self, scene: Scene, classes: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Cloudy pixels on bright targets whose ground is clear; None if there is none."""
        if not self.at_pixels.any():
            return None
        found = self.at_pixels & (classes == MaskClass.CLOUD)
        if not found.any():
            return None
        of_cells = self.files.read_classes(scene, self.cells)
        clear = clear_around(of_cells == MaskClass.CLOUD, of_cells != MaskClass.NODATA, self.bright)
        return found & self._spread(clear)

    def _spread(self, of_cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Values of cells at the pixels of the block."""
        (height, width), cells = self.grid.shape, self.cells
        down = cells.affine.f - self.grid.affine.f
        right = self.grid.affine.c - cells.affine.c
        rows = source_indices(0, height, PIXEL, down, CELL_M, cells.shape[0])
        cols = source_indices(0, width, PIXEL, right, CELL_M, cells.shape[1])
        return of_cells[np.ix_(rows, cols)]


def cells_around(grid: GeoBox, tile_grid: GeoBox, reach: int = 0) -> GeoBox:
    """The cells of `CELL_M` that touch a grid, and those up to `reach` around them.

    Cells are counted from the upper left corner of the tile's grid.
    """
    left, top = tile_grid.affine.c, tile_grid.affine.f
    bounds = grid.boundingbox
    col, right = int((bounds.left - left) // CELL_M), int(-((left - bounds.right) // CELL_M))
    row, bottom = int((top - bounds.top) // CELL_M), int(-((bounds.bottom - top) // CELL_M))
    shape = bottom - row + 2 * reach, right - col + 2 * reach
    corner = left + (col - reach) * CELL_M, top - (row - reach) * CELL_M
    return GeoBox(shape, Affine(CELL_M, 0, corner[0], 0, -CELL_M, corner[1]), grid.crs)
