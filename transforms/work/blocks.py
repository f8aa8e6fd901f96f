"""Beam transforms between the stages: fan out to blocks, read, store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
import shapely
from apache_beam.pvalue import PCollection, TaggedOutput
from numpy.typing import NDArray

from transforms.elements import (
    NODATA,
    Block,
    BlockTask,
    Layer,
    Pixels,
    RasterRef,
    StoredTile,
    TilePlan,
    Window,
)
from transforms.rasters.area_mask import area_mask, pixel_bounds
from transforms.rasters.masking import masked

from .losses import LOSSES, made_or_lost
from .metrics import block_reused, measured
from .stage import StageTransform, TellAtBundleEnd
from .work_area import WorkArea

STAGE = "storage"
STORED = "stored"
_WORTH = 0.9
"""A block is made in pieces if they have at most this share of its pixels."""
READ = "read"


def blocks_of(plan: TilePlan, size: int, margin: int, owned: bool = False) -> Iterator[Block]:
    """Blocks of a tile that are at most `margin` pixels away from the area of interest.

    If other tiles own a part of the tile, blocks are cut to the pixels that are needed. With
    `owned`, only the pixels that the tile owns are needed, without their halo.
    """
    area, mine = plan.area, plan.owned
    if owned and mine is not None:
        area = shapely.intersection(area, mine)
    shapely.prepare(area)
    for window in plan.window.split(size):
        reach = shapely.box(*plan.place(window).pad(margin).boundingbox.bbox)
        if not shapely.intersects(area, reach):
            continue
        cut = mine is not None and not shapely.contains_properly(area, reach)
        parts = _needed(area, plan, window, margin) if cut else [window]
        yield from (Block(plan.tile, part) for part in parts)


def _needed(
    area: shapely.Geometry, plan: TilePlan, window: Window, margin: int, cuts: int = 2
) -> list[Window]:
    """The part of a window with the area and its margin, in pieces if that leaves out much."""
    reach = shapely.box(*plan.place(window).pad(margin).boundingbox.bbox)
    near = shapely.intersection(area, reach)
    bounds = pixel_bounds(near, plan.grid)
    part = bounds.expand(margin).intersect(window) if bounds else None
    if part is None or cuts == 0:
        return [] if part is None else [part]
    halves = (_needed(near, plan, half, margin, cuts - 1) for half in part.halves())
    pieces = [piece for half in halves for piece in half]
    left = sum(piece.height * piece.width for piece in pieces)
    return pieces if left < _WORTH * part.height * part.width else [part]


def is_covered(
    needed: Iterable[tuple[Layer, Window]], references: Sequence[RasterRef], reach: Window
) -> bool:
    """Whether whole rasters cover everything that is needed within a window.

    Args:
        needed: layers, each with the windows that should be stored.
        references: the rasters within `reach`.
        reach: the window that will be read.
    """
    parts = ((layer, window.intersect(reach)) for layer, window in needed)
    return all(reference.whole for reference in references) and all(
        any(r.layer == layer and part.intersect(r.window) == part for r in references)
        for layer, part in parts
        if part is not None
    )


@dataclass(eq=False)
class FanOut(StageTransform):
    """Split tiles into blocks; skip layers that are stored with the right fingerprint.

    `inputs` are the layers that will be read, each with the margin of its own blocks. If one of
    them is missing within the reach of a task, the task is marked as not whole. If a tile comes
    with a raster of one of `layers` itself, that layer is published already and is not made. With
    `owned`, blocks are made only where the tile owns pixels; inputs are stored around them.

    Outputs: main, the `BlockTask`s to do, reshuffled so that the blocks of a tile spread over the
    workers; `stored`, references of blocks that exist; `losses`.
    """

    work: WorkArea
    layers: tuple[Layer, ...]
    block_size: int
    halo: int
    margin: int = 0
    inputs: tuple[tuple[Layer, int], ...] = ()
    owned: bool = False

    def expand(self, tiles: PCollection[StoredTile]) -> dict[str, PCollection[Any]]:
        """Split the tiles, spread the blocks, then look at the storage in parallel."""
        tasks = tiles | "Split" >> beam.FlatMap(self.tasks_of) | "Spread" >> beam.Reshuffle()
        outputs = tasks | "Skip stored" >> beam.FlatMap(self.skip_stored).with_outputs(
            STORED, LOSSES, main="todo"
        )
        return {"todo": outputs["todo"], STORED: outputs[STORED], LOSSES: outputs[LOSSES]}

    def tasks_of(self, stored: StoredTile) -> Iterator[BlockTask]:
        """The blocks of a tile, each with the references within its reach."""
        plan = self.work.plans.read(stored.tile)
        self.work.reporter.begin()
        needed = [
            (layer, block.window)
            for layer, margin in self.inputs
            for block in blocks_of(plan, self.block_size, margin)
        ]
        used_layers = {*self.layers, *(layer for layer, _ in self.inputs)}
        references = sorted({r for r in stored.references if r.layer in used_layers})
        for block in blocks_of(plan, self.block_size, self.margin, self.owned):
            reach = block.window.expand(self.halo)
            near = tuple(r for r in references if r.window.intersect(reach))
            whole = stored.whole and is_covered(needed, near, reach)
            yield BlockTask(block, near, whole, scenes=stored.scenes)

    def skip_stored(self, task: BlockTask) -> Iterator[BlockTask | TaggedOutput]:
        """References to stored layers, and the task if a layer is still missing."""
        block = task.block

        def look() -> tuple[dict[Layer, RasterRef | None], TilePlan]:
            stored, plan = self.find(task), self.work.plans.read(block.tile)
            self.work.reporter.begin()
            return stored, plan

        for result in made_or_lost(self.work.reporter, STAGE, block.tile, block.window, look):
            if isinstance(result, TaggedOutput):
                yield result
                continue
            stored, plan = result
            yield from (
                TaggedOutput(STORED, reference) for reference in stored.values() if reference
            )
            make = tuple(layer for layer, reference in stored.items() if reference is None)
            if make:
                yield replace(task, make=make, plan=plan)
            else:
                block_reused(self.work.reporter, self.layers[0], block.tile, block.window)

    def find(self, task: BlockTask) -> dict[Layer, RasterRef | None]:
        """The stored block of each layer that is not published; None if it must be made."""
        published = {reference.layer for reference in task.references}
        return {
            layer: self.work.blocks.find(layer, task.block)
            for layer in self.layers
            if layer not in published
        }


@dataclass(eq=False)
class ReadBlocks(StageTransform):
    """Read the pixels of block tasks: block and halo, cut at the edge of the tile's data.

    `layers` are always read, `published` only if the task comes with a raster of them. `stage` is
    the stage that is named in a loss. Reading is measured only if it is a stage of its own.
    """

    work: WorkArea
    layers: tuple[Layer, ...]
    halo: int
    published: tuple[Layer, ...] = ()
    stage: str = READ

    def expand(self, tasks: PCollection[BlockTask]) -> Any:
        """Main output: pixels; further output: losses."""
        return tasks | beam.FlatMap(self.read).with_outputs(LOSSES, main="pixels")

    def read(self, task: BlockTask) -> Iterator[Pixels | TaggedOutput]:
        """Read the pixels of one task."""
        block = task.block

        def read() -> Pixels:
            extent = self.work.plans.read(block.tile).extent
            window = block.window.expand(self.halo).intersect(extent) or block.window
            there = {reference.layer for reference in task.references}
            layers = (*self.layers, *(layer for layer in self.published if layer in there))
            size = window.height * window.width
            own = self.stage == READ
            with (
                measured(self.work.reporter, READ, size, block.tile, block.window)
                if own
                else nullcontext()
            ):
                return self.work.blocks.read_pixels(task, window, layers)

        yield from made_or_lost(self.work.reporter, self.stage, block.tile, block.window, read)


@dataclass(eq=False)
class StoreBlocks(StageTransform):
    """Store the blocks of pixels, without their halo. Outputs references, and losses.

    With `owned`, pixels that the tile does not own are nodata.
    """

    work: WorkArea
    layers: tuple[Layer, ...]
    owned: bool = False

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: references; further output: losses."""
        storing = beam.ParDo(TellAtBundleEnd(self.work.reporter, self.store))
        return pixels | storing.with_outputs(LOSSES, main="references")

    def store(self, pixels: Pixels) -> Iterator[RasterRef | TaggedOutput]:
        """Store the layers of one block, and yield their references."""
        block, window = pixels.block, pixels.block.window
        core = pixels.crop(window)

        def store() -> list[RasterRef]:
            size = window.height * window.width
            with measured(self.work.reporter, "store", size, block.tile, window):
                made = [layer for layer in self.layers if layer in pixels.make]
                return [
                    self.work.blocks.write(layer, block, array, whole=pixels.whole)
                    for layer, array in self.kept(core, made)
                ]

        for made in made_or_lost(self.work.reporter, "store", block.tile, window, store):
            yield from [made] if isinstance(made, TaggedOutput) else made

    def kept(self, core: Pixels, layers: Sequence[Layer]) -> Iterator[tuple[Layer, NDArray[Any]]]:
        """The layers of a block, with nodata where the tile does not own the pixels."""
        plan = self.work.plans.read(core.block.tile)
        mine = plan.owned if self.owned else None
        inside = None if mine is None else area_mask(mine, core.grid)
        for layer in layers:
            array = core[layer]
            yield layer, array if inside is None else masked(array, inside, NODATA[layer])
