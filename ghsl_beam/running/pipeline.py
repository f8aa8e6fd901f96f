"""The graph: the lines of the design's way of the data, wired for what is still to be made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.pvalue import PCollection

from ghsl_beam.planning.plan import (
    LINES,
    JobPlan,
    cleaning_parameters,
    greenness_parameters,
    layers_halo,
)
from ghsl_beam.planning.products import utm_pattern
from ghsl_beam.planning.roads import road_source
from transforms.aggregation.transform import AggregateCells, CellTask, PublishGridTiles
from transforms.assembly.transform import AssembleScenes
from transforms.classification.transform import ClassifyResidential
from transforms.cleaning.transform import CleanBuiltUp
from transforms.elements import (
    Layer,
    Loss,
    Pixels,
    Product,
    RasterRef,
    StoredTile,
    TilePlan,
)
from transforms.greenness.transform import MeasureGreenness
from transforms.inference.handler import GhsS2NetHandler
from transforms.inference.predict import CONTEXT
from transforms.inference.transform import PredictBuiltUp
from transforms.storage import storage
from transforms.work.blocks import STORED, FanOut, ReadBlocks, StoreBlocks
from transforms.work.losses import LOSSES
from transforms.work.publish import GroupByTile, PublishTiles
from transforms.work.work_area import WorkArea


def work_area(plan: JobPlan) -> WorkArea:
    """The job's work area, beside its products."""
    return WorkArea(storage.join(plan.job.output, "work"), plan.launch, plan.job.strict)


def handler_of(plan: JobPlan) -> GhsS2NetHandler:
    """What predicts, with the models and the engine that the plan says."""
    return GhsS2NetHandler(
        tuple((model.zone, model.path) for model in plan.models),
        work=work_area(plan),
        choice=plan.engine,
        sha256={model.path: model.sha256 for model in plan.models},
    )


def build(pipeline: beam.Pipeline, plan: JobPlan) -> None:
    """Add the job to a pipeline: every line for the tiles that miss a product of it."""
    s2 = _line_s2(pipeline, plan)
    raw = _line_raw(pipeline, plan, s2)
    done = _line_layers(pipeline, plan, s2, raw)
    _grids(pipeline, plan, done)
    _ = (
        losses_of(pipeline)
        | "All losses" >> beam.Flatten()
        | "Record losses" >> beam.Map(work_area(plan).record)
    )


def losses_of(pipeline: beam.Pipeline) -> list[PCollection[Loss]]:
    """The losses of every step of a pipeline: none is passed over, whoever adds one.

    Those that a step has gathered from its own parts come as it puts them out.
    """
    found = _Losses()
    pipeline.visit(found)
    return [losses for losses in found.losses if losses not in found.consumed]


class _Losses(PipelineVisitor):
    """Sees what steps put out under the tag of losses, and what steps take in."""

    def __init__(self) -> None:
        self.losses: dict[PCollection[Loss], None] = {}
        self.consumed: set[object] = set()

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Look at a step that is made of others."""
        if LOSSES in transform_node.outputs:
            self.losses[transform_node.outputs[LOSSES]] = None

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        """Look at one step."""
        self.enter_composite_transform(transform_node)
        self.consumed.update(transform_node.inputs)


def _published(plan: JobPlan, tile: TilePlan, layers: Iterable[Layer]) -> StoredTile:
    """A tile whose layers are read from its products."""
    return StoredTile(
        tile.tile,
        tuple(
            RasterRef(tile.tile, layer, tile.window, plan.path_of(layer, tile.tile))
            for layer in layers
        ),
    )


def _margin(layer: Layer) -> int:
    """Pixels that a layer's blocks reach past the area of interest."""
    return CONTEXT if layer in LINES[0] else 0


def _fan_out(plan: JobPlan, line: int, halo: int, inputs: tuple[Layer, ...] = ()) -> FanOut:
    layers = LINES[line]
    margins = tuple((layer, _margin(layer)) for layer in inputs)
    return FanOut(work_area(plan), layers, plan.job.block_size, halo, _margin(layers[0]), margins)


def _finish(
    plan: JobPlan,
    line: int,
    fanned: dict[str, PCollection[Any]],
    pixels: PCollection[Pixels],
) -> tuple[PCollection[StoredTile], PCollection[Product]]:
    """The end of a line: blocks stored, grouped by tile, published. Returns tiles and products."""
    job, work, layers = plan.job, work_area(plan), LINES[line]
    name = " ".join(layers)
    stored = pixels | f"Store {name}" >> StoreBlocks(work, layers)
    tiles = (
        (fanned[STORED], stored["references"])
        | f"All blocks of {name}" >> beam.Flatten()
        | f"{name} by tile" >> GroupByTile()
    )
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in layers)
    published = tiles | f"Publish {name}" >> PublishTiles(
        work, job.output, paths, job.block_size, _margin(layers[0])
    )
    return tiles, published["products"]


def _line_s2(pipeline: beam.Pipeline, plan: JobPlan) -> PCollection[StoredTile]:
    """Line 1: scenes to the composite."""
    todo = plan.missing(0)
    there = [_published(plan, tile, (Layer.S2,)) for tile in plan.tiles if tile not in todo]
    fanned = (
        pipeline
        | "Tiles to assemble" >> beam.Create([StoredTile(tile.tile) for tile in todo])
        | "Blocks to assemble" >> _fan_out(plan, 0, 0)
    )
    assembled = fanned["todo"] | "AssembleScenes" >> AssembleScenes(
        work_area(plan), plan.job.composite.percentile, CONTEXT
    )
    tiles, _ = _finish(plan, 0, fanned, assembled["pixels"])
    return (
        tiles,
        pipeline | "S2 that exists" >> beam.Create(there),
    ) | "S2 of all tiles" >> beam.Flatten()


def _only(plan: JobPlan, line: int) -> beam.PTransform:
    """Lets through tiles for which the line has something to do."""
    todo = frozenset(tile.tile for tile in plan.missing(line))
    return beam.Filter(lambda tile: tile.tile in todo)


def _line_raw(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    s2: PCollection[StoredTile],
) -> PCollection[StoredTile]:
    """Line 2: the composite to the network's prediction."""
    todo = plan.missing(1)
    there = [_published(plan, tile, LINES[1]) for tile in plan.tiles if tile not in todo]
    handler = handler_of(plan)
    fanned = (
        s2
        | "To do in line 2" >> _only(plan, 1)
        | "Blocks to predict" >> _fan_out(plan, 1, CONTEXT, (Layer.S2,))
    )
    predicted = fanned["todo"] | "PredictBuiltUp" >> PredictBuiltUp(work_area(plan), handler)
    tiles, _ = _finish(plan, 1, fanned, predicted["pixels"])
    return (
        tiles,
        pipeline | "Predictions that exist" >> beam.Create(there),
    ) | "Predictions of all tiles" >> beam.Flatten()


def _line_layers(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    s2: PCollection[StoredTile],
    raw: PCollection[StoredTile],
) -> PCollection[str]:
    """Line 3: predictions to the three layers. Returns the tiles that have them published."""
    job, work, layers = plan.job, work_area(plan), LINES[2]
    halo = layers_halo(job)
    inputs = (Layer.S2, Layer.BUFRAC_RAW)
    todo = plan.missing(2)
    missing = {
        tile.tile: {layer for layer in layers if not plan.exists(tile, layer)} for tile in todo
    }
    there = [
        _published(plan, tile, [layer for layer in layers if plan.exists(tile, layer)])
        for tile in todo
    ]
    fanned = (
        (s2, raw, pipeline | "Layers that need not be made" >> beam.Create(there))
        | "All inputs" >> beam.Flatten()
        | "To do in line 3" >> _only(plan, 2)
        | "References of all" >> beam.FlatMap(lambda tile: tile.references)
        | "Inputs by tile" >> GroupByTile()
        | "Blocks to clean" >> _fan_out(plan, 2, halo, inputs)
    )
    read = fanned["todo"] | "Read with halo" >> ReadBlocks(work, inputs, halo, layers)
    cleaned = read["pixels"] | "CleanBuiltUp" >> CleanBuiltUp(
        work, cleaning_parameters(job), road_source(job)
    )
    classified = cleaned["pixels"] | "ClassifyResidential" >> ClassifyResidential(
        work, job.residential.model, plan.classifier.sha256
    )
    made = classified["pixels"] | "MeasureGreenness" >> MeasureGreenness(
        work, greenness_parameters(job)
    )
    _, products = _finish(plan, 2, fanned, made["pixels"])
    done = [tile.tile for tile in plan.tiles if tile not in todo]
    finished = (
        products
        | "Layer of a tile" >> beam.Map(lambda product: (product.key, product.layer))
        | "Published layers" >> beam.GroupByKey()
        | "Tiles with all" >> beam.Filter(lambda item: set(item[1]) == missing[item[0]])
        | "Tile" >> beam.Keys()
    )
    return (
        finished,
        pipeline | "Tiles that have all" >> beam.Create(done),
    ) | "Finished tiles" >> beam.Flatten()


def _grids(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    tiles: PCollection[str],
) -> None:
    """Line 4: tile products to output cells, cells to the grid's products."""
    job, work = plan.job, work_area(plan)
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in LINES[2])
    for grid_plan in plan.grids:
        label = grid_plan.name
        todo = plan.missing_cells[label]
        of_tile = {
            tile.tile: tuple(
                c.key for c in grid_plan.cells if c.key in todo and tile.tile in c.tiles
            )
            for tile in plan.tiles
        }
        cells = (
            tiles
            | f"{label}: assign to output cells"
            >> beam.FlatMap(lambda tile, cells: ((c, tile) for c in cells[tile]), of_tile)
            | f"{label}: group by cell" >> beam.GroupByKey()
            | f"{label}: cell tasks"
            >> beam.MapTuple(lambda cell, names: CellTask(cell, tuple(sorted(set(names)))))
        )
        made = cells | f"{label}: ReprojectAndAggregate" >> AggregateCells(
            work, job.output, paths, grid_plan.spec
        )
        _ = made["blocks"] | f"{label}: publish" >> PublishGridTiles(
            work, job.output, grid_plan.spec
        )
