"""The block files of a job's work area: where they lie, which exist, and what they hold."""

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
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    INCOMPLETE,
    is_damaged,
    raster_profile,
    read_window,
    stored_fingerprint,
    stored_fingerprints,
    write_block,
)
from transforms.storage import storage

from . import work_files
from .plans import Plans

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BlockFiles:
    """Block files below a work area; the tiles' `plans` say where on Earth, and made from what."""

    folder: str
    plans: Plans

    def path(self, layer: Layer, block: Block) -> str:
        """Where a block file lies; its name tells window and tile."""
        return storage.join(self.folder, _name(layer, block))

    def stored_marks(self, blocks: Iterable[tuple[Layer, Block]]) -> dict[tuple[Layer, Block], str]:
        """Fingerprints of the stored ones of many blocks; on object storage by one listing.

        Raises:
            RasterError: the storage cannot be asked.
        """
        named = {_name(*block): block for block in blocks}
        return {named[name]: mark for name, mark in stored_fingerprints(self.folder, named).items()}

    def located(self, reference: RasterRef) -> RasterRef:
        """The reference with the path of its raster."""
        block = Block(reference.tile, reference.window)
        return replace(reference, path=reference.path or self.path(reference.layer, block))

    def read(self, layer: Layer, references: Iterable[RasterRef], window: Window) -> NDArray[Any]:
        """A window of a layer out of the rasters that hold it; see `read_window`."""
        located = (self.located(r) for r in references if r.layer == layer)
        return read_window(located, window, len(layer.spec.bands), DTYPE[layer], NODATA[layer])

    def read_pixels(self, task: BlockTask, window: Window, layers: tuple[Layer, ...]) -> Pixels:
        """The stored layers of a block, over a window that may reach past it."""
        arrays = {layer: self.read(layer, task.references, window) for layer in layers}
        plan = self.plans.read(task.block.tile)
        place = plan.place(window)
        return Pixels(
            task.block, window, place, arrays, task.whole, task.make, plan.zone, plan.area_wkb
        )

    def find(self, layer: Layer, block: Block) -> RasterRef | None:
        """The stored block, if it was made from what the plan says."""
        path = self.path(layer, block)
        if stored_fingerprint(path) != self.plans.read(block.tile).fingerprints[layer]:
            return None
        return RasterRef(block.tile, layer, block.window)

    def write(self, layer: Layer, block: Block, array: NDArray[Any], *, whole: bool) -> RasterRef:
        """Store a block; one that lost an input is not marked as made from what the plan says."""
        plan = self.plans.read(block.tile)
        window = block.window
        path = self.path(layer, block)
        georeference = raster_profile(plan.place(window))
        tags = {FINGERPRINT_TAG: plan.fingerprints[layer] if whole else INCOMPLETE}
        write_block(path, array, georeference, NODATA[layer], tags)
        return RasterRef(block.tile, layer, window, whole=whole)

    def remove(self, tile: str) -> None:
        """Remove a tile's blocks.

        Raises:
            StorageError: they cannot be removed.
        """
        for layer in Layer:
            work_files.clear(self.folder, f"blocks/{layer}/{tile}")


def _name(layer: Layer, block: Block) -> str:
    """A block file's path below the work area."""
    window = block.window
    name = f"r{window.row}_c{window.col}_{window.height}x{window.width}.tif"
    return f"blocks/{layer}/{block.tile}/{name}"


def discard(folder: str, path: str) -> None:
    """Remove a damaged block, or part of a grid, so that the next launch makes it anew.

    One that is whole stays: it was its storage that failed. So does what lies elsewhere.

    Args:
        folder: the work area.
        path: the file that cannot be read.
    """
    mine = tuple(f"{storage.join(folder, kind)}/" for kind in ("blocks", "grid"))
    if not path.startswith(mine):
        return
    try:
        if is_damaged(path):
            storage.remove(path)
    except StorageError as error:
        if not error.absent:
            _LOG.warning("a file that was not readable stays: %s", error)
