"""Estimates a run: blocks, bytes, memory and time, from the plan and a measured throughput.

What exists costs nothing: products that are up to date, and blocks in the work area, which a run
reuses. The time is that of one process on this machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ghsl_beam.estimating.calibration import Throughput, box_of, overlap
from ghsl_beam.planning.grid_plan import GridPlan
from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.planning.lines import Line
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.running.pipeline import work_area
from transforms.aggregation.aggregate import published_layers
from transforms.assembly.composite import SPOOL_BYTES, STRIP_BYTES
from transforms.elements import Block, Layer, TilePlan


@dataclass(frozen=True)
class LineWork:
    """The work of a line for one tile.

    Attributes:
        todo: The blocks to make.
        total: The number of all its blocks.
        missing: The layers whose products are missing.
    """

    todo: tuple[Block, ...]
    total: int
    missing: tuple[Layer, ...]

    @property
    def share(self) -> float:
        """The share of the blocks that must be made."""
        return len(self.todo) / max(1, self.total)


@dataclass(frozen=True)
class TileWork:
    """The work of a run for one tile, by line."""

    tile: TilePlan
    by_line: Mapping[Line, LineWork]

    @cached_property
    def area_pixels(self) -> float:
        """Number of pixels of the area of interest inside the tile's data."""
        return self.tile.area.intersection(box_of(self.tile, self.tile.window)).area / 100

    @property
    def missing(self) -> tuple[Layer, ...]:
        """The layers whose products are missing."""
        return tuple(layer for work in self.by_line.values() for layer in work.missing)

    def blocks(self) -> Iterator[tuple[Layer, Block]]:
        """The blocks to make, once for each layer that is made of them."""
        for work in self.by_line.values():
            yield from ((layer, block) for block in work.todo for layer in work.missing)

    def after(self, stored: Mapping[tuple[Layer, Block], str]) -> TileWork:
        """The remaining work if blocks with these fingerprints are stored."""
        marks = self.tile.fingerprints

        def left(work: LineWork) -> tuple[Block, ...]:
            return tuple(
                block
                for block in work.todo
                if any(stored.get((layer, block)) != marks[layer] for layer in work.missing)
            )

        return replace(
            self,
            by_line={line: replace(work, todo=left(work)) for line, work in self.by_line.items()},
        )

    def bytes_to_read(self, assembly: Line) -> int:
        """Bytes of the scenes' files under the blocks to assemble."""
        return round(
            sum(
                scene.size * overlap(self.tile, scene, block.window) / (scene.rows * scene.cols)
                for block in self.by_line[assembly].todo
                for scene in self.tile.scenes
            )
        )


def tile_works(inventory: Inventory) -> list[TileWork]:
    """The remaining work of all tiles; it reads which blocks the work area has."""
    works = [_work_without_blocks(inventory, tile) for tile in inventory.plan.tiles]
    stored = work_area(inventory.plan).blocks.stored_marks(
        block for work in works for block in work.blocks()
    )
    return [work.after(stored) for work in works]


def _work_without_blocks(inventory: Inventory, tile: TilePlan) -> TileWork:
    """The remaining work if the work area had no block."""
    by_line = {}
    for line in inventory.plan.lines:
        blocks = tuple(line.blocks(tile, inventory.plan.job.block_size))
        by_line[line] = LineWork(blocks, len(blocks), inventory.missing(tile, line))
    return TileWork(tile, by_line)


def seconds_by_stage(
    inventory: Inventory, works: list[TileWork], speed: Throughput
) -> dict[str, float]:
    """Seconds of one process for each stage."""
    seconds_of: defaultdict[str, float] = defaultdict(float)
    plan = inventory.plan
    lines = plan.lines
    for work in works:
        tile = work.tile
        for of_line in work.by_line.values():
            pixels = sum(block.window.height * block.window.width for block in of_line.todo)
            seconds_of["store"] += pixels * len(of_line.missing) * speed.storing
            product = tile.window.height * tile.window.width * len(of_line.missing)
            seconds_of["publish"] += product * speed.publishing
        if work.by_line[lines.assembly].todo:
            masked = tile.window.height * tile.window.width * len(tile.scenes)
            seconds_of["masks"] += masked * speed.masks
        for block in work.by_line[lines.assembly].todo:
            seen = sum(overlap(tile, scene, block.window) for scene in tile.scenes)
            seconds_of["assembly"] += seen * speed.assembly
        predicted = work.area_pixels * work.by_line[lines.inference].share
        seconds_of["inference"] += predicted * speed.prediction
        last = work.by_line[lines.layers]
        for block in last.todo:
            reach = block.window.expand(lines.layers.halo).intersect(tile.extent) or block.window
            seconds_of["cleaning and greenness"] += reach.height * reach.width * speed.layers
        if Layer.RES_NRES in last.missing:
            seconds_of["classification"] += work.area_pixels * last.share * speed.classification
    area = sum(work.area_pixels for work in works)
    for grid in plan.grids:
        cells = inventory.missing_cells[grid.name]
        share = area * len(cells) / max(1, len(grid.cells))
        seconds_of["aggregation"] += len(cells) * speed.cell
        seconds_of["aggregation"] += share * (
            speed.chunk + _layers_by_cell(grid) * speed.publishing
        )
        seconds_of["publish"] += grid.files_of(cells) * speed.grid_file
    if any(seconds > 0 for seconds in seconds_of.values()):
        seconds_of["start"] = speed.start_up
        products = sum(1 for grid in plan.grids for _ in grid.products())
        products += sum(len(tile.fingerprints) for tile in plan.tiles)
        seconds_of["catalogue and report"] = products * speed.product
    return {stage: round(seconds, 2) for stage, seconds in seconds_of.items()}


def bytes_to_write(inventory: Inventory, works: list[TileWork], speed: Throughput) -> int:
    """Bytes of the products that are missing."""
    size = sum(
        speed.product_bytes[layer] * work.area_pixels for work in works for layer in work.missing
    )
    cells = sum(len(cells) for cells in inventory.missing_cells.values())
    return round(size + cells * speed.cell_bytes)


def peak_memory(plan: JobPlan, speed: Throughput) -> int:
    """Bytes of a worker at its peak: those of the measured block, and more for more scenes."""
    pixels = plan.job.block_size**2
    scenes = max(len(tile.scenes) for tile in plan.tiles)
    bands = len(plan.job.composite.names)
    return (
        speed.peak_bytes
        + _composite_bytes(scenes, pixels, bands)
        - _composite_bytes(min(scenes, speed.scenes), pixels, bands)
    )


def _composite_bytes(scenes: int, pixels: int, bands: int) -> int:
    held = scenes * 2 * bands * pixels
    return min(held, SPOOL_BYTES) + min(3 * held, STRIP_BYTES)


def _layers_by_cell(grid: GridPlan) -> int:
    """Number of products of the grid's finest levels that are written cell by cell."""
    levels = grid.spec.grid.levels
    return sum(len(published_layers(level)) for level in levels if grid.spec.by_cell(level))
