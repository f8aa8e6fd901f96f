"""Beam transforms between the stages: fan out to blocks, read, store, publish."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import shapely
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import (
    DTYPE,
    NODATA,
    Block,
    BlockTask,
    GhslBeamError,
    Layer,
    Loss,
    Pixels,
    Product,
    RasterRef,
    StoredTile,
    TilePlan,
    Window,
)

from . import storage
from .files import FINGERPRINT_TAG, cog_writer, raster_profile, read_window
from .metrics import lost, measured, reused
from .stage import StageTransform
from .store import BANDS_OF, WorkArea, read_pixels

_LOG = logging.getLogger(__name__)
LOSSES = "losses"
STORED = "stored"
_OVERVIEWS = {Layer.S2: "average", Layer.BUFRAC_RAW: "average", Layer.BUFRAC: "average"}


def blocks_of(plan: TilePlan, size: int, margin: int) -> Iterator[Block]:
    """Blocks of a tile that come within `margin` pixels of the area of interest."""
    area = plan.area
    shapely.prepare(area)
    for window in plan.window.split(size):
        reach = window.expand(margin)
        left, top = plan.ulx + 10 * reach.col, plan.uly - 10 * reach.row
        box = shapely.box(left, top - 10 * reach.height, left + 10 * reach.width, top)
        if shapely.intersects(area, box):
            yield Block(plan.tile, window)


def is_covered(
    needed: Iterable[tuple[Layer, Window]], references: Sequence[RasterRef], reach: Window
) -> bool:
    """Whether whole rasters hold all that is needed within a window.

    Args:
        needed: layers and the windows that each should be stored for.
        references: the rasters within `reach`.
        reach: the window that will be read.
    """
    parts = ((layer, window.intersect(reach)) for layer, window in needed)
    return all(reference.whole for reference in references) and all(
        any(r.layer == layer and part.intersect(r.window) == part for r in references)
        for layer, part in parts
        if part is not None
    )


def loss_of(stage: str, block: Block, error: GhslBeamError) -> TaggedOutput:
    """A block that could not be made, as an element of its own."""
    lost(stage, block.tile, str(error), block.window)
    file = str(getattr(error, "file", ""))
    return TaggedOutput(LOSSES, Loss(stage, block.tile, str(error), file=file, window=block.window))


@dataclass(eq=False)
class FanOut(StageTransform):
    """Tiles to blocks. Those stored already, made from the same things, are not made again.

    `inputs` are the layers that will be read, each with the margin its own blocks were made with:
    a task that lacks one of them within its reach is marked as not whole.

    Outputs: main, the `BlockTask`s to do, reshuffled so that a tile's blocks spread over the
    workers; `stored`, references of blocks that exist.
    """

    work: WorkArea
    layers: tuple[Layer, ...]
    block_size: int
    halo: int
    margin: int = 0
    inputs: tuple[tuple[Layer, int], ...] = ()

    def expand(self, tiles: PCollection[StoredTile]) -> dict[str, PCollection[Any]]:
        """Split, spread, then look at the storage in parallel."""
        tasks = tiles | "Split" >> beam.FlatMap(self.tasks_of) | "Spread" >> beam.Reshuffle()
        outputs = tasks | "Skip stored" >> beam.FlatMap(self.skip_stored).with_outputs(
            STORED, main="todo"
        )
        return {"todo": outputs["todo"], STORED: outputs[STORED]}

    def tasks_of(self, stored: StoredTile) -> Iterator[BlockTask]:
        """Blocks of the tile, each with the references within its reach."""
        plan = self.work.plan(stored.tile)
        needed = [
            (layer, block.window)
            for layer, margin in self.inputs
            for block in blocks_of(plan, self.block_size, margin)
        ]
        for block in blocks_of(plan, self.block_size, self.margin):
            reach = block.window.expand(self.halo)
            near = tuple(sorted({r for r in stored.references if r.window.intersect(reach)}))
            yield BlockTask(block, near, is_covered(needed, near, reach))

    def skip_stored(self, task: BlockTask) -> Iterator[BlockTask | TaggedOutput]:
        """The task, or references to what it would make."""
        found = [self.work.find(layer, task.block) for layer in self.layers]
        if all(found):
            reused(self.layers[0], task.block.tile, task.block.window)
            yield from (TaggedOutput(STORED, reference) for reference in found)
        else:
            yield task


@dataclass(eq=False)
class ReadBlocks(StageTransform):
    """Block tasks to pixels: the block and a halo, cut at the true edge of the tile's data."""

    work: WorkArea
    layers: tuple[Layer, ...]
    halo: int

    def expand(self, tasks: PCollection[BlockTask]) -> Any:
        """Main output pixels, and losses."""
        return tasks | beam.FlatMap(self.read).with_outputs(LOSSES, main="pixels")

    def read(self, task: BlockTask) -> Iterator[Pixels | TaggedOutput]:
        """Pixels of one task."""
        try:
            extent = self.work.plan(task.block.tile).extent
            window = task.block.window.expand(self.halo).intersect(extent) or task.block.window
            with measured("read", window.height * window.width, task.block.tile, task.block.window):
                pixels = read_pixels(task, window, self.layers)
        except GhslBeamError as error:
            yield loss_of("read", task.block, error)
        else:
            yield pixels


@dataclass(eq=False)
class StoreBlocks(StageTransform):
    """Pixels to block files: the core alone is kept. Outputs references, and losses."""

    work: WorkArea
    layers: tuple[Layer, ...]

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output references, and losses."""
        return pixels | beam.FlatMap(self.store).with_outputs(LOSSES, main="references")

    def store(self, pixels: Pixels) -> Iterator[RasterRef | TaggedOutput]:
        """References to the stored layers of one block."""
        block = pixels.block
        core = pixels.crop(block.window)
        try:
            with measured(
                "store", block.window.height * block.window.width, block.tile, block.window
            ):
                references = [
                    self.work.write(layer, block, core[layer], whole=pixels.whole)
                    for layer in self.layers
                ]
        except GhslBeamError as error:
            yield loss_of("store", block, error)
        else:
            yield from references


@dataclass(eq=False)
class PublishTiles(StageTransform):
    """Stored blocks of a tile to one cloud-optimised GeoTIFF a layer.

    `paths` gives for a layer the path pattern below `output`, with `{tile}`.
    A tile with lost blocks is published with nodata in their place, marked as not whole.
    """

    work: WorkArea
    output: str
    paths: tuple[tuple[Layer, str], ...]
    block_size: int
    margin: int = 0
    credits: str = ""

    def expand(self, tiles: PCollection[StoredTile]) -> Any:
        """Main output products, and losses."""
        return (
            tiles
            | "By layer" >> beam.FlatMap(self.by_layer)
            | "Spread" >> beam.Reshuffle()
            | "Publish" >> beam.FlatMap(self.publish).with_outputs(LOSSES, main="products")
        )

    def by_layer(self, stored: StoredTile) -> Iterator[tuple[Layer, StoredTile]]:
        """The tile once for each layer to publish."""
        for layer, _ in self.paths:
            mine = tuple(sorted({r for r in stored.references if r.layer == layer}))
            yield layer, StoredTile(stored.tile, mine)

    def publish(self, item: tuple[Layer, StoredTile]) -> Iterator[Product | TaggedOutput]:
        """The product of one layer of one tile."""
        layer, stored = item
        plan = self.work.plan(stored.tile)
        relative = dict(self.paths)[layer].format(tile=stored.tile)
        expected = {b.window for b in blocks_of(plan, self.block_size, self.margin)}
        references = [r for r in stored.references if r.window in expected]
        try:
            with measured("publish", plan.window.height * plan.window.width, plan.tile):
                whole = len(references) == len(expected) and all(r.whole for r in references)
                tag = plan.fingerprints[layer] if whole else "incomplete"
                with cog_writer(
                    storage.join(self.output, relative),
                    raster_profile(
                        f"EPSG:{plan.epsg}",
                        plan.ulx + 10 * plan.window.col,
                        plan.uly - 10 * plan.window.row,
                        10,
                        plan.window.shape,
                    ),
                    bands=BANDS_OF.get(layer, 1),
                    dtype=DTYPE[layer],
                    nodata=NODATA[layer],
                    tags={FINGERPRINT_TAG: tag, "LAYER": layer, "CREDITS": self.credits},
                    resampling=_OVERVIEWS.get(layer, "nearest"),
                ) as write:
                    for window, array in self.parts(plan, layer, references):
                        write(window, array)
        except GhslBeamError as error:
            yield loss_of("publish", Block(stored.tile, plan.window), error)
        else:
            _LOG.info("published", extra={"tile": plan.tile, "path": relative, "whole": whole})
            yield Product(layer, stored.tile, "utm", relative, tag, whole)

    @staticmethod
    def parts(
        plan: TilePlan, layer: Layer, references: Iterable[RasterRef]
    ) -> Iterator[tuple[Window, Any]]:
        """Blocks one by one, with windows counted from the product's corner."""
        for reference in references:
            window = reference.window
            array = read_window(
                [reference], window, BANDS_OF.get(layer, 1), DTYPE[layer], NODATA[layer]
            )
            place = Window(
                window.row - plan.window.row,
                window.col - plan.window.col,
                window.height,
                window.width,
            )
            yield place, array


@dataclass(eq=False)
class GroupByTile(StageTransform):
    """References to tiles; only references are grouped."""

    def expand(self, references: PCollection[RasterRef]) -> PCollection[StoredTile]:
        """One element a tile, its references in a fixed order."""
        return (
            references
            | "Key" >> beam.Map(lambda reference: (reference.tile, reference))
            | "Group" >> beam.GroupByKey()
            | "Tile" >> beam.MapTuple(lambda tile, refs: StoredTile(tile, tuple(sorted(set(refs)))))
        )
