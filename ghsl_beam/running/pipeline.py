"""The graph: the lines of the job, connected for what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.pvalue import PCollection

from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.planning.lines import Line, cleaning_parameters, greenness_parameters
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import utm_pattern
from ghsl_beam.planning.roads import road_source
from ghsl_beam.planning.scenes.access import access_of
from ghsl_beam.planning.scenes.masking import choice_parameters, composite_rules, mask_files
from transforms.aggregation.transform import AggregateCells, CellTask, PublishGridTiles
from transforms.assembly.masks.transform import MaskScenes
from transforms.assembly.transform import AssembleScenes
from transforms.classification.transform import ClassifyResidential
from transforms.cleaning.transform import CalibrateBuiltUp, CleanBuiltUp
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
from transforms.inference.transform import STAGE as INFERENCE
from transforms.inference.transform import PredictBuiltUp
from transforms.storage import storage
from transforms.storage.caching import Access
from transforms.work.blocks import STORED, FanOut, ReadBlocks, StoreBlocks
from transforms.work.losses import LOSSES
from transforms.work.publish import GroupByTile, PublishTiles
from transforms.work.reporter import Reporter
from transforms.work.work_area import WorkArea


def work_area(plan: JobPlan) -> WorkArea:
    """The job's work area, beside its products."""
    return WorkArea(storage.join(plan.job.output, "work"), plan.launch, plan.job.strict)


def handler_of(plan: JobPlan) -> GhsS2NetHandler:
    """The handler that predicts, with the models and the engine of the plan."""
    return GhsS2NetHandler(
        tuple((model.zone, model.path) for model in plan.models),
        reporter=work_area(plan).reporter,
        choice=plan.engine,
        sha256={model.path: model.sha256 for model in plan.models},
    )


def assembler_of(plan: JobPlan, reporter: Reporter, access: Access) -> AssembleScenes:
    """The step that makes the composite, with the percentile and the bands of the plan."""
    composite, margin = plan.job.composite, plan.lines.assembly.margin
    return AssembleScenes(
        *(composite.percentile, margin, reporter, access, composite.names),
        rules=composite_rules(plan.job),
        masks=mask_files(plan.job),
        temporal=composite.layers,
    )


def masker_of(plan: JobPlan, work: WorkArea, access: Access) -> MaskScenes:
    """The step that makes the masks of scenes and chooses the scenes of tiles."""
    job = plan.job
    return MaskScenes(work, mask_files(job), plan.masks, choice_parameters(job), access)


def build(pipeline: beam.Pipeline, inventory: Inventory) -> None:
    """Add the job to a pipeline: every line, for the tiles that lack one of its products."""
    s2 = _assembly(pipeline, inventory)
    raw = _inference(pipeline, inventory, s2)
    done = _layers(pipeline, inventory, s2, raw)
    _grids(pipeline, inventory, done)
    _ = (
        losses_of(pipeline)
        | "All losses" >> beam.Flatten()
        | "Record losses" >> beam.Map(work_area(inventory.plan).losses.record)
    )


def losses_of(pipeline: beam.Pipeline) -> list[PCollection[Loss]]:
    """The losses of every step of a pipeline; no step can be forgotten.

    If a step gathers the losses of its own parts, only its output is taken.
    """
    visitor = _Losses()
    pipeline.visit(visitor)
    return [losses for losses in visitor.losses if losses not in visitor.consumed]


class _Losses(PipelineVisitor):
    """Collects the outputs with the tag of losses, and the inputs of all steps."""

    def __init__(self) -> None:
        self.losses: dict[PCollection[Loss], None] = {}
        self.consumed: set[object] = set()

    def enter_composite_transform(self, transform_node: AppliedPTransform) -> None:
        """Visit a step that consists of others."""
        if LOSSES in transform_node.outputs:
            self.losses[transform_node.outputs[LOSSES]] = None

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        """Visit a single step."""
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


def _fan_out(plan: JobPlan, line: Line) -> FanOut:
    margins = tuple((layer, plan.lines.maker(layer).margin) for layer in line.reads)
    size = plan.job.block_size
    work = work_area(plan)
    return FanOut(work, line.makes, size, line.halo, line.margin, margins, line.owned)


def _finish(
    plan: JobPlan,
    line: Line,
    fanned: dict[str, PCollection[Any]],
    pixels: PCollection[Pixels],
) -> tuple[PCollection[StoredTile], PCollection[Product]]:
    """The end of a line: store blocks, group them by tile, publish. Returns tiles and products."""
    job, work, layers = plan.job, work_area(plan), line.makes
    name = " ".join(layers)
    stored = pixels | f"Store {name}" >> StoreBlocks(work, layers, line.owned)
    tiles = (
        (fanned[STORED], stored["references"])
        | f"All blocks of {name}" >> beam.Flatten()
        | f"{name} by tile" >> GroupByTile()
    )
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in layers)
    published = tiles | f"Publish {name}" >> PublishTiles(
        work, job.output, paths, job.block_size, line.margin, line.owned
    )
    return tiles, published["products"]


def _assembly(pipeline: beam.Pipeline, inventory: Inventory) -> PCollection[StoredTile]:
    """The first line: from scenes to their masks, and from both to the composite."""
    plan, line = inventory.plan, inventory.plan.lines.assembly
    todo = inventory.tiles_to_do(line)
    read = [layer for layer in line.makes if layer in plan.lines.layers.reads]
    existing = [_published(plan, tile, read) for tile in plan.tiles if tile not in todo]
    work, access = work_area(plan), access_of(plan.job, verify=plan.verify)
    masked = (
        pipeline
        | "Tiles to assemble" >> beam.Create([StoredTile(tile.tile) for tile in todo])
        | "MaskScenes" >> masker_of(plan, work, access)
    )
    fanned = masked["tiles"] | "Blocks to assemble" >> _fan_out(plan, line)
    assembled = fanned["todo"] | "AssembleScenes" >> assembler_of(plan, work.reporter, access)
    tiles, _ = _finish(plan, line, fanned, assembled["pixels"])
    return (
        tiles,
        pipeline | "S2 that exists" >> beam.Create(existing),
    ) | "S2 of all tiles" >> beam.Flatten()


def _only(inventory: Inventory, line: Line) -> beam.PTransform:
    """Keep only tiles for which the line has something to do."""
    todo = frozenset(tile.tile for tile in inventory.tiles_to_do(line))
    return beam.Filter(lambda tile: tile.tile in todo)


def _inference(
    pipeline: beam.Pipeline,
    inventory: Inventory,
    s2: PCollection[StoredTile],
) -> PCollection[StoredTile]:
    """The second line: from the composite to the network's prediction."""
    plan, line = inventory.plan, inventory.plan.lines.inference
    todo = inventory.tiles_to_do(line)
    existing = [_published(plan, tile, line.makes) for tile in plan.tiles if tile not in todo]
    handler = handler_of(plan)
    fanned = (
        s2
        | "Tiles to predict" >> _only(inventory, line)
        | "Blocks to predict" >> _fan_out(plan, line)
    )
    read = fanned["todo"] | "Read the composite" >> ReadBlocks(
        work_area(plan), line.reads, line.halo, stage=INFERENCE
    )
    predicted = read["pixels"] | "PredictBuiltUp" >> PredictBuiltUp(
        handler, work_area(plan).reporter
    )
    tiles, _ = _finish(plan, line, fanned, predicted["pixels"])
    return (
        tiles,
        pipeline | "Predictions that exist" >> beam.Create(existing),
    ) | "Predictions of all tiles" >> beam.Flatten()


def _layers(
    pipeline: beam.Pipeline,
    inventory: Inventory,
    s2: PCollection[StoredTile],
    raw: PCollection[StoredTile],
) -> PCollection[str]:
    """The third line: from predictions to the cleaned layers. Returns the tiles that have them."""
    plan, line = inventory.plan, inventory.plan.lines.layers
    job, work = plan.job, work_area(plan)
    todo = inventory.tiles_to_do(line)
    missing = {tile.tile: set(inventory.missing(tile, line)) for tile in todo}
    existing = [
        _published(plan, tile, [layer for layer in line.makes if inventory.exists(tile, layer)])
        for tile in todo
    ]
    fanned = (
        (s2, raw, pipeline | "Layers that need not be made" >> beam.Create(existing))
        | "All inputs" >> beam.Flatten()
        | "Tiles to clean" >> _only(inventory, line)
        | "References of all" >> beam.FlatMap(lambda tile: tile.references)
        | "Inputs by tile" >> GroupByTile()
        | "Blocks to clean" >> _fan_out(plan, line)
    )
    read = fanned["todo"] | "Read with halo" >> ReadBlocks(work, line.reads, line.halo, line.makes)
    cleaned = read["pixels"] | "CleanBuiltUp" >> CleanBuiltUp(
        cleaning_parameters(job), road_source(job), work.reporter, bool(plan.curves)
    )
    classified = cleaned["pixels"] | "ClassifyResidential" >> ClassifyResidential(
        plan.classifier.path, plan.classifier.sha256, work.reporter, job.residential.smoothing
    )
    made = classified["pixels"] | "MeasureGreenness" >> MeasureGreenness(
        greenness_parameters(job), work.reporter
    )
    pixels = made["pixels"]
    if plan.curves:
        last = pixels | "CalibrateBuiltUp" >> CalibrateBuiltUp(plan.curves, work.reporter)
        pixels = last["pixels"]
    _, products = _finish(plan, line, fanned, pixels)
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
    inventory: Inventory,
    tiles: PCollection[str],
) -> None:
    """The last step: from tile products to output cells, and from cells to the grid's products."""
    plan = inventory.plan
    job, work, layers = plan.job, work_area(plan), plan.lines.layers.makes
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in layers)
    for grid_plan in plan.grids:
        label = grid_plan.name
        todo = inventory.missing_cells[label]
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
