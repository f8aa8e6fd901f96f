"""What a run will take: blocks, bytes, memory and time, from the plan and a measured throughput.

What is there already costs nothing: products made from what the plan says, and blocks of the work
area, which a run takes up. The time is that of one process on this machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ghsl_beam.estimating.calibration import Throughput, box_of, overlap
from ghsl_beam.planning.grid_plan import GridPlan
from ghsl_beam.planning.plan import LINES, JobPlan, layers_halo
from ghsl_beam.running.pipeline import work_area
from transforms.aggregation.aggregate import published_layers
from transforms.assembly.composite import SPOOL_BYTES, STRIP_BYTES
from transforms.elements import Block, Layer, TilePlan
from transforms.inference.predict import CONTEXT
from transforms.work.blocks import blocks_of


@dataclass(frozen=True)
class TileWork:
    """What a run has to do for one tile: blocks by line, and layers whose products are missing."""

    tile: TilePlan
    todo: tuple[tuple[Block, ...], ...]
    total: tuple[int, ...]
    missing: tuple[tuple[Layer, ...], ...]

    @cached_property
    def area_pixels(self) -> float:
        """Pixels of the area of interest within the tile's data."""
        return self.tile.area.intersection(box_of(self.tile, self.tile.window)).area / 100

    def pixels_to_do(self, line: int) -> float:
        """Of these, the share of a line's blocks that are to be made."""
        return self.area_pixels * len(self.todo[line]) / max(1, self.total[line])

    def after(self, stored: Mapping[tuple[Layer, Block], str]) -> TileWork:
        """What is left where blocks with these fingerprints are stored."""
        marks = self.tile.fingerprints
        todo = tuple(
            tuple(
                block
                for block in blocks
                if any(stored.get((layer, block)) != marks[layer] for layer in layers)
            )
            for blocks, layers in zip(self.todo, self.missing, strict=True)
        )
        return replace(self, todo=todo)

    def bytes_to_read(self) -> int:
        """Bytes of the scenes' files under the blocks to assemble."""
        return round(
            sum(
                scene.size * overlap(self.tile, scene, block.window) / (scene.rows * scene.cols)
                for block in self.todo[0]
                for scene in self.tile.scenes
            )
        )


def tile_works(plan: JobPlan) -> list[TileWork]:
    """Look at what is there of all tiles, and say what is left."""
    works = [_work_without_blocks(plan, tile) for tile in plan.tiles]
    stored = work_area(plan).stored_marks(
        (layer, block)
        for work in works
        for blocks, layers in zip(work.todo, work.missing, strict=True)
        for block in blocks
        for layer in layers
    )
    return [work.after(stored) for work in works]


def _work_without_blocks(plan: JobPlan, tile: TilePlan) -> TileWork:
    """What would be left if the work area had no block."""
    size = plan.job.block_size
    lines = tuple(
        tuple(blocks_of(tile, size, CONTEXT if Layer.S2 in layers else 0)) for layers in LINES
    )
    missing = tuple(
        tuple(layer for layer in layers if not plan.exists(tile, layer)) for layers in LINES
    )
    return TileWork(tile, lines, tuple(map(len, lines)), missing)


def seconds_by_stage(plan: JobPlan, works: list[TileWork], speed: Throughput) -> dict[str, float]:
    """Seconds of one process, stage by stage."""
    found: defaultdict[str, float] = defaultdict(float)
    halo = layers_halo(plan.job)
    for work in works:
        tile = work.tile
        for line, blocks in enumerate(work.todo):
            pixels = sum(block.window.height * block.window.width for block in blocks)
            found["store"] += pixels * len(work.missing[line]) * speed.storing
            product = tile.window.height * tile.window.width * len(work.missing[line])
            found["publish"] += product * speed.publishing
        for block in work.todo[0]:
            seen = sum(overlap(tile, scene, block.window) for scene in tile.scenes)
            found["assembly"] += seen * speed.assembly
        found["inference"] += work.pixels_to_do(1) * speed.prediction
        for block in work.todo[2]:
            reach = block.window.expand(halo).intersect(tile.extent) or block.window
            found["cleaning and greenness"] += reach.height * reach.width * speed.layers
        if Layer.RES_NRES in work.missing[2]:
            found["classification"] += work.pixels_to_do(2) * speed.classification
    area = sum(work.area_pixels for work in works)
    for grid in plan.grids:
        cells = plan.missing_cells[grid.name]
        share = area * len(cells) / max(1, len(grid.cells))
        found["aggregation"] += len(cells) * speed.cell
        found["aggregation"] += share * (speed.chunk + _layers_by_cell(grid) * speed.publishing)
        found["publish"] += grid.files_of(cells) * speed.grid_file
    if any(seconds > 0 for seconds in found.values()):
        found["start"] = speed.start_up
        products = sum(1 for grid in plan.grids for _ in grid.products())
        products += sum(len(tile.fingerprints) for tile in plan.tiles)
        found["catalogue and report"] = products * speed.product
    return {stage: round(seconds, 2) for stage, seconds in found.items()}


def bytes_to_write(plan: JobPlan, works: list[TileWork], speed: Throughput) -> int:
    """Bytes of the products that are missing."""
    size = sum(
        speed.product_bytes[layer] * work.area_pixels
        for work in works
        for layers in work.missing
        for layer in layers
    )
    cells = sum(len(cells) for cells in plan.missing_cells.values())
    return round(size + cells * speed.cell_bytes)


def peak_memory(plan: JobPlan, speed: Throughput) -> int:
    """Bytes of a worker at its largest: what one block took, and more for more scenes."""
    pixels = plan.job.block_size**2
    scenes = max(len(tile.scenes) for tile in plan.tiles)
    return speed.peak_bytes + _composite_bytes(scenes, pixels) - _composite_bytes(
        min(scenes, speed.scenes), pixels
    )  # fmt: skip


def _composite_bytes(scenes: int, pixels: int) -> int:
    held = scenes * 8 * pixels
    return min(held, SPOOL_BYTES) + min(3 * held, STRIP_BYTES)


def _layers_by_cell(grid: GridPlan) -> int:
    """Products of the grid's finest levels that are written cell by cell."""
    levels = grid.spec.grid.levels
    return sum(len(published_layers(level)) for level in levels if grid.spec.by_cell(level))
