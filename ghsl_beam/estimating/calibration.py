"""Measures the speed of this machine at the job's own work: one block goes through every stage.

The stages are called as in a run (the same transforms, model, engine, storage), but without Beam,
in a temporary folder that is removed. Only a part of the block is predicted, and only a few scenes
are read, so the measurement takes seconds.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from apache_beam.pvalue import TaggedOutput

from ghsl_beam.outputs.run_record import new_record, now, products_as_json
from ghsl_beam.planning.grid_plan import GridPlan, plan_grid
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.lines import Line, cleaning_parameters, greenness_parameters
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import utm_pattern
from ghsl_beam.planning.roads import road_source
from ghsl_beam.planning.scenes.access import access_of, kept_files
from ghsl_beam.running.completion import finish
from ghsl_beam.running.lock import Lock
from ghsl_beam.running.pipeline import assembler_of, handler_of, masker_of
from transforms.aggregation.cell import aggregate_cell
from transforms.aggregation.source import TileSource
from transforms.aggregation.transform import AggregateCells, CellTask, PublishGridTiles
from transforms.classification.transform import ClassifyResidential
from transforms.cleaning.transform import CalibrateBuiltUp, CleanBuiltUp
from transforms.elements import (
    DTYPE,
    Block,
    BlockTask,
    Layer,
    Loss,
    Pixels,
    RasterError,
    RasterRef,
    Scene,
    StoredTile,
    TilePlan,
    Window,
    window_in,
)
from transforms.greenness.transform import MeasureGreenness
from transforms.inference.handler import PredictionInput
from transforms.inference.predict import CONTEXT
from transforms.inference.transform import PredictBuiltUp
from transforms.storage import services
from transforms.storage.caching import Access
from transforms.work.blocks import ReadBlocks, StoreBlocks, blocks_of
from transforms.work.publish import PublishTiles
from transforms.work.work_area import WorkArea

SIDE = 384
"""Rows and columns that are predicted for the measurement."""
SCENES = 3
"""Largest number of scenes that are read for it."""
_WARM = 128
"""Rows and columns of a first prediction, which starts the engine."""


@dataclass(frozen=True)
class Throughput:
    """The cost of the work on this machine, in seconds; pixels are of 10 m.

    Attributes:
        start_up: Time of a run before its first block.
        masks: For a pixel of a tile's window and a scene.
        assembly: For a pixel of a block and a scene.
        prediction: For a pixel of the area.
        layers: To read with halo, clean and close, for a pixel of a block and its halo.
        classification: For a pixel of the area.
        storing: For a pixel of one layer.
        publishing: For a pixel of one layer.
        chunk: To reproject and aggregate, for a pixel of the area on a grid.
        cell: For an output cell, in addition to its chunks.
        grid_file: For a file of an R/C tile.
        product: To describe one product in catalogue and report.
    """

    start_up: float
    masks: float
    assembly: float
    prediction: float
    layers: float
    classification: float
    storing: float
    publishing: float
    chunk: float
    cell: float
    grid_file: float
    product: float
    product_bytes: Mapping[Layer, float]
    """Bytes for a pixel of the area in a tile's products."""
    cell_bytes: float
    """Bytes of all grid products of a cell."""
    scenes: int
    """Number of scenes that were read."""
    peak_bytes: int
    """The largest memory of this process, with one block through every stage."""


class _Clock:
    """Adds up seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def calibrate(plan: JobPlan, tile: TilePlan) -> Throughput:
    """Measure the throughput on a block of the tile.

    Raises:
        GhslBeamError: the block cannot be made, for example because its scenes cannot be read.
    """
    before = time.process_time()  # imports and planning, as in a run
    block = _fullest_block(plan, tile)
    small, access = _kept(_small_tile(tile, block), plan, access_of(plan.job))
    pixels = max(1.0, small.area.area / 100)
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="ghsl-beam-") as folder:
        output = Path(folder)
        job = plan.job.model_copy(update={"output": str(output)})
        mini = replace(
            plan,
            job=job,
            tiles=(small,),
            grids=tuple(plan_grid(grid, job, [small]) for grid in job.grids),
        )
        work = WorkArea(str(output / "work"))
        work.plans.write(small)
        references = _tile_layers(mini, work, block, clock, access)
        sizes = _publish(mini, work, references, clock)
        chunk, cells, files = _grids(mini, work, small, clock)
        products = _finish(mini, clock)
        grid_bytes = sum(path.stat().st_size for path in output.glob("grid/**/*.tif"))
    seconds = clock.seconds
    block_pixels = block.window.height * block.window.width
    reach = block.window.expand(plan.lines.layers.halo).intersect(small.extent) or block.window
    layers = sum(len(line.makes) for line in plan.lines)
    return Throughput(
        start_up=before + seconds["warm up"],
        masks=seconds["masks"] / block_pixels / max(1, len(small.scenes)),
        assembly=seconds["assembly"] / block_pixels / max(1, len(small.scenes)),
        prediction=min(seconds["first prediction"], seconds["prediction"]) / pixels,
        layers=seconds["layers"] / (reach.height * reach.width),
        classification=seconds["classification"] / pixels,
        storing=seconds["store"] / block_pixels / layers,
        publishing=seconds["publish"] / block_pixels / layers,
        chunk=chunk,
        cell=seconds.get("cells", 0.0) / max(1, cells),
        grid_file=seconds.get("grid files", 0.0) / max(1, files),
        product=seconds["finish"] / products,
        product_bytes={layer: size / pixels for layer, size in sizes.items()},
        cell_bytes=grid_bytes / max(1, cells),
        scenes=len(small.scenes),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
    )


def _fullest_block(plan: JobPlan, tile: TilePlan) -> Block:
    """The block with the largest part of the area."""
    area = tile.area
    blocks = list(blocks_of(tile, plan.job.block_size, 0))
    return max(blocks, key=lambda block: area.intersection(box_of(tile, block.window)).area)


def box_of(tile: TilePlan, window: Window) -> shapely.Geometry:
    """A window of a tile as a rectangle in metres of its CRS."""
    return shapely.box(*tile.place(window).boundingbox.bbox)


def _small_tile(tile: TilePlan, block: Block) -> TilePlan:
    """The tile cut to a block, with a small area in its middle and a few scenes."""
    part = tile.area.intersection(box_of(tile, block.window))
    middle = part.representative_point()
    # At a multiple of `_WARM`, so that an engine that works in pieces has only whole pieces.
    col, row = (
        max(0, round((place - SIDE / 2) / _WARM)) * _WARM
        for place in tile.grid.wld2pix(middle.x, middle.y)
    )
    area = part.intersection(box_of(tile, Window(row, col, SIDE, SIDE)))
    return replace(
        tile,
        window=block.window,
        area_wkb=shapely.to_wkb(area, hex=True),
        scenes=tuple(s for s in tile.scenes if overlap(tile, s, block.window)),
    )


def _kept(tile: TilePlan, plan: JobPlan, access: Access) -> tuple[TilePlan, Access]:
    """The tile with a few of its scenes, and how they are read; nothing is fetched for it.

    Scenes whose files are all in the cache are read there. If there is none, the scenes are read at
    their own place.

    Raises:
        RasterError: their storage service limits requests, so they can only be read in the cache.
    """
    cache = access.cache
    kept = [s for s in tile.scenes if cache and all(map(cache.has, kept_files([s], access)))]
    if kept:
        return replace(tile, scenes=tuple(kept[:SCENES])), access
    if cache and any(services.limited(place) for place in plan.job.input.places):
        raise RasterError("no scene is in the cache; `ghsl-beam fetch` fills it")
    return replace(tile, scenes=tile.scenes[:SCENES]), replace(access, cache=None)


def overlap(tile: TilePlan, scene: Scene, window: Window) -> int:
    """Number of pixels of a window inside a scene's grid."""
    inside = window_in(scene.grid, tile.grid).intersect(window)
    return inside.height * inside.width if inside else 0


def _only(outputs: Iterable[Any]) -> list[Any]:
    """The outputs of a transform; a loss ends the calibration."""
    results = list(outputs)
    for output in results:
        if isinstance(output, TaggedOutput) and isinstance(output.value, Loss):
            raise RasterError(f"calibration: {output.value.reason}")
    return results


def _tile_layers(
    plan: JobPlan, work: WorkArea, block: Block, clock: _Clock, access: Access
) -> tuple[RasterRef, ...]:
    """Run every line over one block; return references to what was stored."""
    job, lines, (tile,) = plan.job, plan.lines, plan.tiles
    references: list[RasterRef] = []

    def store(pixels: Pixels, line: Line) -> None:
        with clock.on("store"):
            references.extend(_only(StoreBlocks(work, line.makes).store(pixels)))

    mask, assemble = masker_of(plan, work, access), assembler_of(plan, work.reporter, access)
    with clock.on("masks"):
        masks = _only(made for n in range(len(tile.scenes)) for made in mask.mask((tile.tile, n)))
        (chosen,) = _only(mask.choose((tile.tile, [shares for _, shares in masks])))
    task = BlockTask(block, make=lines.assembly.makes, plan=tile, scenes=chosen.scenes)
    with clock.on("assembly"):
        (pixels,) = _only(assemble.assemble(task))
    store(pixels, lines.assembly)

    handler = handler_of(plan)
    predict = PredictBuiltUp(handler, work.reporter)
    read = ReadBlocks(work, lines.inference.reads, lines.inference.halo)
    task = BlockTask(block, tuple(references), make=lines.inference.makes)
    (pixels,) = _only(read.read(task))
    (example,) = _only(predict.prepare(pixels))
    with clock.on("warm up"):
        bank = handler.load_model()
        some = np.full((4, _WARM + 2 * CONTEXT, _WARM + 2 * CONTEXT), 1000, np.uint16)
        bank.predict(PredictionInput(tile.zone, tile.tile, Window(0, 0, _WARM, _WARM), some))
    for name in ("first prediction", "prediction"):
        with clock.on(name):
            (output,) = handler.run_inference([example], bank)
    (pixels,) = _only(predict.within_area(output))
    store(pixels, lines.inference)

    read = ReadBlocks(work, lines.layers.reads, lines.layers.halo)
    clean = CleanBuiltUp(cleaning_parameters(job), road_source(job), work.reporter)
    green = MeasureGreenness(greenness_parameters(job), work.reporter)
    classify = ClassifyResidential(
        plan.classifier.path, plan.classifier.sha256, work.reporter, job.residential.smoothing
    )
    with clock.on("layers"):
        (pixels,) = _only(read.read(BlockTask(block, tuple(references), make=lines.layers.makes)))
        (pixels,) = _only(clean.clean(pixels))
        (pixels,) = _only(green.measure(pixels))
    for name in ("first classification", "classification"):  # the first call reads the model
        with clock.on(name):
            (pixels,) = _only(classify.classify(pixels))
    if plan.curves:
        with clock.on("layers"):
            (pixels,) = _only(CalibrateBuiltUp(plan.curves, work.reporter).calibrate(pixels))
    store(pixels, lines.layers)
    return tuple(references)


def _publish(
    plan: JobPlan, work: WorkArea, references: tuple[RasterRef, ...], clock: _Clock
) -> dict[Layer, int]:
    """Publish all products of the tile; return their sizes in bytes."""
    job, (tile,) = plan.job, plan.tiles
    sizes = {}
    for line in plan.lines:
        paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in line.makes)
        publish = PublishTiles(work, job.output, paths, job.block_size)
        for item in publish.by_layer(StoredTile(tile.tile, references)):
            with clock.on("publish"):
                (product,) = _only(publish.publish(item))
            sizes[Layer(product.layer)] = Path(job.output, product.path).stat().st_size
    return sizes


def _finish(plan: JobPlan, clock: _Clock) -> int:
    """Write catalogue, record and report; return the number of products in them."""
    products = read_inventory(plan).products
    record = new_record(plan)
    record["products"] = products_as_json(products)
    record["ended"] = now()
    with clock.on("finish"):
        finish(plan, record, products, Lock())
    return len(products)


def _grids(plan: JobPlan, work: WorkArea, tile: TilePlan, clock: _Clock) -> tuple[float, int, int]:
    """Make the first cell of each grid: seconds for a pixel of a chunk, cells made, files made."""
    job = plan.job
    paths = tuple(
        (layer, utm_pattern(layer, job.epoch, job.name)) for layer in plan.lines.layers.makes
    )
    chunk, cells, files = 0.0, 0, 0
    for grid in plan.grids:
        chunk += _chunk_seconds(grid, tile)
        aggregate = AggregateCells(work, job.output, paths, grid.spec)
        for cell in grid.cells[:1]:
            with clock.on("cells"):
                parts = _only(aggregate.make(CellTask(cell.key, cell.tiles)))
            cells += 1
            by_file: dict[tuple[str, str, str], list[Any]] = {}
            for part in parts:
                by_file.setdefault((part.level, str(part.layer), part.tile), []).append(part)
            publish = PublishGridTiles(work, job.output, grid.spec)
            with clock.on("grid files"):
                for item in by_file.items():
                    _only(publish.publish(item))
            files += len(by_file)
    return chunk / max(1, len(plan.grids)), cells, files


def _chunk_seconds(grid: GridPlan, tile: TilePlan) -> float:
    """Seconds for a pixel, measured on the second of two chunks of the grid inside the tile."""
    source = TileSource(tile.tile, tile.grid, tile.center_lon, tile.center_lat)

    def read(_: TileSource, layer: Layer, window: Window) -> Any:
        return np.ones(window.shape, DTYPE[layer])

    output = grid.spec.grid
    made = aggregate_cell(output, output.parse_cell(grid.cells[0].key), [source], read)
    if next(made, None) is None:
        return 0.0
    start = time.perf_counter()
    second = next(made, None)
    if second is None:
        return 0.0
    pixels = second.window.height * second.window.width * (output.fine / 10) ** 2
    return (time.perf_counter() - start) / pixels
