"""The block files in a job's work area: their paths, which of them exist, and their content."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from transforms.elements import (
    DTYPE,
    NODATA,
    Block,
    BlockTask,
    Layer,
    Pixels,
    RasterRef,
    StorageError,
    Window,
)
from transforms.rasters.fingerprints import INCOMPLETE, stored_fingerprint, stored_fingerprints
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    is_damaged,
    raster_profile,
    read_window,
    write_block,
)
from transforms.storage import storage

from . import work_files
from .plans import Plans

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BlockFiles:
    """Block files in a work area; `plans` gives the grids and fingerprints of the tiles."""

    folder: str
    plans: Plans

    def path(self, layer: Layer, block: Block) -> str:
        """The path of a block file; its name contains window and tile."""
        return storage.join(self.folder, _name(layer, block))

    def stored_marks(self, blocks: Iterable[tuple[Layer, Block]]) -> dict[tuple[Layer, Block], str]:
        """Fingerprints of those blocks that are stored; object storage is listed once.

        Raises:
            RasterError: the storage does not say.
        """
        named = {_name(*block): block for block in blocks}
        return {named[name]: mark for name, mark in stored_fingerprints(self.folder, named).items()}

    def located(self, reference: RasterRef) -> RasterRef:
        """The same reference, with the path of its raster."""
        block = Block(reference.tile, reference.window)
        return replace(reference, path=reference.path or self.path(reference.layer, block))

    def read(self, layer: Layer, references: Iterable[RasterRef], window: Window) -> NDArray[Any]:
        """Read a window of a layer from the rasters that hold parts of it; see `read_window`."""
        located = (self.located(r) for r in references if r.layer == layer)
        return read_window(located, window, len(layer.spec.bands), DTYPE[layer], NODATA[layer])

    def read_pixels(self, task: BlockTask, window: Window, layers: tuple[Layer, ...]) -> Pixels:
        """Read stored layers of a block, over a window that may reach past the block."""
        arrays = {layer: self.read(layer, task.references, window) for layer in layers}
        plan = self.plans.read(task.block.tile)
        place = plan.place(window)
        return Pixels(
            task.block, window, place, arrays, task.whole, task.make, plan.zone, plan.area_wkb
        )

    def find(self, layer: Layer, block: Block) -> RasterRef | None:
        """The stored block, if its fingerprint is the one in the plan; otherwise None."""
        path = self.path(layer, block)
        if stored_fingerprint(path) != self.plans.read(block.tile).fingerprints[layer]:
            return None
        return RasterRef(block.tile, layer, block.window)

    def write(self, layer: Layer, block: Block, array: NDArray[Any], *, whole: bool) -> RasterRef:
        """Store a block; one that lost an input gets no fingerprint, so it is made again."""
        plan = self.plans.read(block.tile)
        window = block.window
        path = self.path(layer, block)
        georeference = raster_profile(plan.place(window))
        tags = {FINGERPRINT_TAG: plan.fingerprints[layer] if whole else INCOMPLETE}
        write_block(path, array, georeference, NODATA[layer], tags)
        return RasterRef(block.tile, layer, window, whole=whole)

    def remove(self, tile: str) -> None:
        """Remove the blocks of a tile.

        Raises:
            StorageError: they cannot be removed.
        """
        for layer in Layer:
            work_files.clear(self.folder, f"blocks/{layer}/{tile}")


def _name(layer: Layer, block: Block) -> str:
    """The path of a block file, relative to the work area."""
    window = block.window
    name = f"r{window.row}_c{window.col}_{window.height}x{window.width}.tif"
    return f"blocks/{layer}/{block.tile}/{name}"


def discard(folder: str, path: str) -> None:
    """Remove a damaged block, part of a grid, or mask, so that the next launch makes it again.

    A file that is not damaged stays, because its storage failed. A file outside the work area and
    the masks beside it stays too.

    Args:
        folder: the work area.
        path: the file that could not be read.
    """
    mine = tuple(f"{storage.join(folder, kind)}/" for kind in ("blocks", "grid"))
    masks = f"{storage.join(folder.rstrip('/').rpartition('/')[0], 'masks')}/"
    if not path.startswith((*mine, masks)):
        return
    try:
        if is_damaged(path):
            storage.remove(path)
    except StorageError as error:
        if not error.absent:
            _LOG.warning("cannot remove a damaged file: %s", error)
