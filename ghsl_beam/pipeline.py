"""The graph: the lines of the design's way of the data, wired for what is still to be made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from ghsl_beam.credits import CREDITS
from ghsl_beam.plan import LINES, JobPlan, cleaning_parameters, greenness_parameters
from ghsl_beam.products import utm_pattern
from transforms.aggregation.transform import AggregateCells, CellTask, PublishGridTiles
from transforms.assembly.transform import AssembleScenes
from transforms.classification.classifier import ResidentialClassifier
from transforms.classification.transform import ClassifyResidential
from transforms.cleaning.road_file import RoadSource
from transforms.cleaning.transform import CleanBuiltUp
from transforms.elements import Layer, Loss, RasterRef, StoredTile, TilePlan, fingerprint
from transforms.greenness.transform import MeasureGreenness
from transforms.inference.handler import GhsS2NetHandler
from transforms.inference.predict import HALO
from transforms.inference.transform import PredictBuiltUp
from transforms.raster.blocks import (
    LOSSES,
    STORED,
    FanOut,
    GroupByTile,
    PublishTiles,
    ReadBlocks,
    StoreBlocks,
)
from transforms.raster.files import published
from transforms.raster.store import WorkArea


def work_area(plan: JobPlan) -> WorkArea:
    """The job's work area, beside its products."""
    return WorkArea(str(plan.job.output / "work"))


def build(pipeline: beam.Pipeline, plan: JobPlan) -> None:
    """Add the job to a pipeline: every line for the tiles that miss a product of it."""
    losses: list[PCollection[Loss]] = []
    s2 = _line_s2(pipeline, plan, losses)
    raw = _line_raw(pipeline, plan, s2, losses)
    done = _line_layers(pipeline, plan, s2, raw, losses)
    _grids(pipeline, plan, done, losses)
    _ = (
        losses
        | "All losses" >> beam.Flatten()
        | "Record losses" >> beam.Map(record_loss, str(plan.job.output / "work" / "losses"))
    )


def record_loss(loss: Loss, folder: str) -> None:
    """A loss as a small file of its own: the same loss twice is one file."""
    content = asdict(loss)
    path = Path(folder, f"{fingerprint(content)}.json")
    with published(path) as partial:
        partial.write_text(json.dumps(content))


def _published(plan: JobPlan, tile: TilePlan, layers: Iterable[Layer]) -> StoredTile:
    """A tile whose layers are read from its products."""
    return StoredTile(
        tile.tile,
        tuple(
            RasterRef(tile.tile, layer, tile.window, str(plan.path_of(layer, tile.tile)))
            for layer in layers
        ),
    )


def _publish(
    plan: JobPlan, line: int, margin: int, tiles: PCollection[StoredTile]
) -> dict[str, PCollection[Any]]:
    job = plan.job
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in LINES[line])
    name = "Publish " + " ".join(LINES[line])
    transform = PublishTiles(
        work_area(plan), str(job.output), paths, job.block_size, margin, CREDITS
    )
    outputs = tiles | name >> transform
    return {"products": outputs["products"], LOSSES: outputs[LOSSES]}


def _line_s2(
    pipeline: beam.Pipeline, plan: JobPlan, losses: list[PCollection[Loss]]
) -> PCollection[StoredTile]:
    """Line 1: scenes to the composite."""
    job, work, layers = plan.job, work_area(plan), LINES[0]
    todo = plan.missing(0)
    there = [_published(plan, tile, (Layer.S2,)) for tile in plan.tiles if tile not in todo]
    fanned = (
        pipeline
        | "Tiles to assemble" >> beam.Create([StoredTile(tile.tile) for tile in todo])
        | "Blocks to assemble" >> FanOut(work, layers, job.block_size, 0, HALO)
    )
    assembled = fanned["todo"] | "AssembleScenes" >> AssembleScenes(
        work, job.composite.percentile, HALO
    )
    stored = assembled["pixels"] | "Store S2" >> StoreBlocks(work, layers)
    tiles = (
        (fanned[STORED], stored["references"])
        | "All S2 blocks" >> beam.Flatten()
        | "S2 by tile" >> GroupByTile()
    )
    losses += [assembled[LOSSES], stored[LOSSES], _publish(plan, 0, HALO, tiles)[LOSSES]]
    return (
        tiles,
        pipeline | "S2 that exists" >> beam.Create(there),
    ) | "S2 of all tiles" >> beam.Flatten()


def _only(tiles: PCollection[StoredTile], plan: JobPlan, line: int) -> PCollection[StoredTile]:
    """Tiles for which the line has something to do."""
    todo = frozenset(tile.tile for tile in plan.missing(line))
    return tiles | f"To do in line {line + 1}" >> beam.Filter(lambda tile: tile.tile in todo)


def _line_raw(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    s2: PCollection[StoredTile],
    losses: list[PCollection[Loss]],
) -> PCollection[StoredTile]:
    """Line 2: the composite to the network's prediction."""
    job, work, layers = plan.job, work_area(plan), LINES[1]
    todo = plan.missing(1)
    there = [_published(plan, tile, layers) for tile in plan.tiles if tile not in todo]
    handler = GhsS2NetHandler(tuple((model.zone, model.path) for model in plan.models))
    fanned = _only(s2, plan, 1) | "Blocks to predict" >> FanOut(work, layers, job.block_size, HALO)
    predicted = fanned["todo"] | "PredictBuiltUp" >> PredictBuiltUp(work, handler)
    stored = predicted["pixels"] | "Store BUFRAC_RAW" >> StoreBlocks(work, layers)
    tiles = (
        (fanned[STORED], stored["references"])
        | "All predicted blocks" >> beam.Flatten()
        | "Predictions by tile" >> GroupByTile()
    )
    losses += [predicted[LOSSES], stored[LOSSES], _publish(plan, 1, 0, tiles)[LOSSES]]
    return (
        tiles,
        pipeline | "Predictions that exist" >> beam.Create(there),
    ) | "Predictions of all tiles" >> beam.Flatten()


def _line_layers(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    s2: PCollection[StoredTile],
    raw: PCollection[StoredTile],
    losses: list[PCollection[Loss]],
) -> PCollection[str]:
    """Line 3: predictions to the three layers. Returns the tiles that have them published."""
    job, work, layers = plan.job, work_area(plan), LINES[2]
    todo = plan.missing(2)
    clean, green = cleaning_parameters(job), greenness_parameters(job)
    classifier_halo = ResidentialClassifier.load(str(job.residential.model)).halo
    halo = clean.halo + max(classifier_halo, green.halo)
    roads = (
        RoadSource(str(job.cleaning.roads), job.cleaning.road_width_field)
        if job.cleaning.roads
        else None
    )
    inputs = (
        (_only(s2, plan, 2), raw)
        | "Both inputs" >> beam.Flatten()
        | "References of both" >> beam.FlatMap(lambda tile: tile.references)
        | "Both by tile" >> GroupByTile()
    )
    wanted = frozenset(tile.tile for tile in todo)
    fanned = (
        inputs
        | "With something to do" >> beam.Filter(lambda tile: tile.tile in wanted)
        | "Blocks to clean" >> FanOut(work, layers, job.block_size, halo)
    )
    read = fanned["todo"] | "Read with halo" >> ReadBlocks(work, (Layer.S2, Layer.BUFRAC_RAW), halo)
    made = (
        read["pixels"]
        | "CleanBuiltUp" >> CleanBuiltUp(work, clean, roads)
        | "ClassifyResidential" >> ClassifyResidential(str(job.residential.model))
        | "MeasureGreenness" >> MeasureGreenness(green)
    )
    stored = made | "Store layers" >> StoreBlocks(work, layers)
    tiles = (
        (fanned[STORED], stored["references"])
        | "All layer blocks" >> beam.Flatten()
        | "Layers by tile" >> GroupByTile()
    )
    published = _publish(plan, 2, 0, tiles)
    losses += [read[LOSSES], stored[LOSSES], published[LOSSES]]
    there = [tile.tile for tile in plan.tiles if tile not in todo]
    finished = (
        published["products"]
        | "Layer of a tile" >> beam.Map(lambda product: (product.key, product.layer))
        | "Published layers" >> beam.GroupByKey()
        | "Tiles with all" >> beam.Filter(lambda item: len(set(item[1])) == len(layers))
        | "Tile" >> beam.Keys()
    )
    return (
        finished,
        pipeline | "Layers that exist" >> beam.Create(there),
    ) | "Finished tiles" >> beam.Flatten()


def _grids(
    pipeline: beam.Pipeline,
    plan: JobPlan,
    tiles: PCollection[str],
    losses: list[PCollection[Loss]],
) -> None:
    """Line 4: tile products to output cells, cells to the grid's products."""
    job, work = plan.job, work_area(plan)
    paths = tuple((layer, utm_pattern(layer, job.epoch, job.name)) for layer in LINES[2])
    for grid_plan in plan.grids:
        label = grid_plan.name
        todo = frozenset(grid_plan.missing_cells(job.output))
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
            work, str(job.output), paths, grid_plan.spec, CREDITS
        )
        products = made["blocks"] | f"{label}: publish" >> PublishGridTiles(
            str(job.output), grid_plan.spec, CREDITS
        )
        losses += [made[LOSSES], products[LOSSES]]
