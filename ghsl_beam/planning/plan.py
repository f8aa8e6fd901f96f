"""The plan: tiles, scenes, models and fingerprints of results. It reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import shapely
from odc.geo.geobox import geobox_union_conservative
from pyproj.exceptions import CRSError

from ghsl_beam.area.area_of_interest import Area, area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import MgrsTile, grid_problem, needed_tiles, not_covered, tiles_of
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.models.chosen import (
    ChosenClassifier,
    Model,
    chosen_classifier,
    chosen_models,
    classifier_warnings,
    model_warnings,
)
from ghsl_beam.models.credits import CREDITS_TAG, credit_line
from ghsl_beam.planning.grid_plan import GridPlan, plan_grid
from ghsl_beam.planning.lines import Lines, lines_of
from ghsl_beam.planning.no_scene import no_archive, why_none
from ghsl_beam.planning.products import utm_path
from ghsl_beam.planning.roads import roads_fingerprint
from ghsl_beam.planning.scene_manifest import manifest_problem
from transforms import assembly, classification, cleaning, greenness, inference
from transforms.elements import (
    Layer,
    Level,
    Loss,
    RequestError,
    Scene,
    SceneError,
    StorageError,
    TilePlan,
    extent_of,
    fingerprint,
    request_error,
)
from transforms.inference.engines import FAST, Choice, choose
from transforms.inference.predict import CONTEXT
from transforms.rasters.area_mask import pixel_bounds
from transforms.storage import storage


@dataclass(frozen=True)
class JobPlan:
    """Everything that a launch needs. It is a value; the `Inventory` says what exists."""

    job: Job
    tiles: tuple[TilePlan, ...]
    grids: tuple[GridPlan, ...]
    models: tuple[Model, ...]
    classifier: ChosenClassifier
    engine: Choice
    losses: tuple[Loss, ...]
    warnings: tuple[str, ...]
    verify: bool = False
    """Whether a product counts as existing only if its content is what was published."""
    launch: str = field(default_factory=lambda: uuid4().hex)

    def path_of(self, layer: Layer, tile: str) -> str:
        """The location of the product of a layer of a tile."""
        path = utm_path(tile, layer, self.job.epoch, self.job.name)
        return storage.join(self.job.output, path)

    @cached_property
    def lines(self) -> Lines:
        """The lines of the job's graph."""
        return lines_of(self.job, self.classifier.halo)


def make_plan(job: Job, *, verify: bool = False) -> JobPlan:
    """Plan a job.

    Args:
        job: the configuration.
        verify: whether to read and compare every product that exists, and to compare the bands of
            the scenes with their manifests; a scene that differs is a loss.

    Raises:
        RequestError: one line that names the mistake and the remedy.
    """
    area = _area(job)
    candidates = tiles_of(area)
    if not candidates:
        raise RequestError("area: no MGRS tile covers it (Sentinel-2's grid ends at 84 N, 80 S)")
    scenes, losses, skipped = _scenes(job, candidates, verify)
    reached = {
        tile.id: plan
        for tile in candidates
        if (plan := _tile_plan(tile, scenes[tile.id], area)) is not None
    }
    seen = [tile for tile in candidates if tile.id in reached]
    tiles = needed_tiles(seen, area)
    if not tiles:
        raise RequestError(
            "area: the scenes have data beside the area, but none in it: check area and archive"
        )
    losses += _not_seen(job, area, candidates, seen, scenes)
    models = chosen_models(job, sorted({tile.zone for tile in tiles}))
    engine = choose(job.models.precision)
    classifier = chosen_classifier(job)
    roads_mark = roads_fingerprint(job)
    lines = lines_of(job, classifier.halo)
    plans = []
    for tile in tiles:
        plan = reached[tile.id]
        marks = _fingerprints(job, plan, models, engine, classifier.sha256, roads_mark)
        model = next(m for m in models if m.zone == plan.zone)
        applied = model.tags | {"ENGINE": engine.engine, CREDITS_TAG: credit_line([model])}
        tags = {
            layer: {CREDITS_TAG: credit_line([])} if layer in lines.assembly.makes else applied
            for line in lines
            for layer in line.makes
        }
        plans.append(replace(plan, fingerprints=marks, tags=tags))
    grids = tuple(_grid(number, job, plans) for number in range(len(job.grids)))
    warnings = [*area.warnings, *skipped]
    if 0 < job.input.max_cloud_cover < 1:
        warnings.append(
            f"input.max_cloud_cover: {job.input.max_cloud_cover:g} is less than 1 %; "
            f"write {100 * job.input.max_cloud_cover:g} for {100 * job.input.max_cloud_cover:g} %"
        )
    if job.input.level is Level.L2A:
        warnings.append("L2A input: the networks were trained on top-of-atmosphere (L1C) values")
    warnings += [
        f"zone {m.zone}: uses model {m.file} of another zone" for m in models if m.fallback
    ]
    warnings += model_warnings(models)
    warnings += [
        f"scene {scene.id}: has no cloud mask, so its clouds are not masked"
        for plan in plans
        for scene in plan.scenes
        if scene.mask is None
    ]
    warnings += classifier_warnings(classifier, models)
    if job.models.precision == FAST and engine.precision != FAST:
        warnings.append(
            "models.precision: this machine has no fast engine (it needs AVX-512 VNNI or a GPU); "
            f"the exact engine {engine.engine} is used"
        )
    return JobPlan(
        job,
        tuple(plans),
        grids,
        models,
        classifier,
        engine,
        tuple(losses),
        tuple(warnings),
        verify,
    )


def _grid(number: int, job: Job, tiles: Sequence[TilePlan]) -> GridPlan:
    try:
        return plan_grid(job.grids[number], job, tiles)
    except (CRSError, ValueError, RequestError) as error:
        raise RequestError(f"grids.{number}: {error}") from error


def _area(job: Job) -> Area:
    settings = job.area
    source = settings.file if settings.file else settings.wkt or settings.bbox
    if source is None:
        raise RequestError("area: give exactly one of file, wkt, bbox")
    return read_area(source, Path.cwd())


def _scenes(
    job: Job, tiles: Sequence[MgrsTile], verify: bool
) -> tuple[Mapping[str, tuple[Scene, ...]], list[Loss], list[str]]:
    """Scenes by tile, losses for what cannot be used, and warnings for what was skipped."""
    settings, period = job.input, job.period
    wanted = {tile.id: tile for tile in tiles}

    def problem(scene: Scene) -> str | None:
        mismatch = grid_problem(scene, wanted[scene.tile])
        return manifest_problem(scene) if mismatch is None and verify else mismatch

    try:
        if not storage.is_folder(settings.archive):
            raise RequestError(f"input.archive: {no_archive(settings.archive)}")
        scenes, losses, warnings = assembly.find_scenes(
            settings.archive,
            wanted,
            period.start,
            period.end,
            settings.level,
            settings.max_cloud_cover,
            problem,
        )
    except (SceneError, StorageError) as error:
        raise request_error(f"input.archive: {error}", error) from error
    if not scenes and not losses:
        raise RequestError(
            f"input: no {settings.level} scene of {', '.join([*wanted][:5])}"
            f"{' and more' if len(wanted) > 5 else ''} from {period.start} to {period.end} with at "
            f"most {settings.max_cloud_cover:g} % cloud in {settings.archive}: "
            f"{'; '.join([*warnings, why_none(job, _area(job), tiles)])}"
        )
    if not scenes:
        raise RequestError(f"input: no scene can be used; the first problem: {losses[0].summary}")
    by_tile = {tile: tuple(scene for scene in scenes if scene.tile == tile) for tile in wanted}
    return by_tile, losses, warnings


def _not_seen(
    job: Job,
    area: Area,
    candidates: list[MgrsTile],
    seen: list[MgrsTile],
    scenes: Mapping[str, tuple[Scene, ...]],
) -> list[Loss]:
    """Losses for tiles with a part of the area that no tile with scenes covers."""
    losses = []
    days = f"from {job.period.start} to {job.period.end}"
    for tile in needed_tiles(candidates, area):
        if tile in seen:
            continue
        left = not_covered(tile, seen, area)
        if left.area > 100:
            reason = f"no {job.input.level} scene {days}"
            if scenes[tile.id]:
                reason += " with data in the area"
            losses.append(Loss("plan", tile.id, reason))
    return losses


def _tile_plan(tile: MgrsTile, scenes: tuple[Scene, ...], area: Area) -> TilePlan | None:
    """The plan of a tile; its grid is the union of its scenes. None if it misses the area.

    The area itself is tested, not its bounding box, because it may be on both sides of a small
    grid.
    """
    if not scenes:
        return None
    grid = geobox_union_conservative([scene.grid for scene in scenes])
    geometry = area_in_tile(area, tile)
    if not shapely.intersects(geometry, shapely.box(*grid.boundingbox.bbox)):
        return None
    bounds = pixel_bounds(geometry, grid)
    window = bounds.expand(CONTEXT).intersect(extent_of(grid)) if bounds else None
    if window is None:
        return None
    return TilePlan(
        tile.id,
        tile.zone,
        grid,
        tile.center_lon,
        tile.center_lat,
        window,
        shapely.to_wkb(geometry, hex=True),
        scenes,
    )


def _fingerprints(
    job: Job,
    plan: TilePlan,
    models: tuple[Model, ...],
    engine: Choice,
    classifier: str,
    roads: str,
) -> dict[Layer, str]:
    place = plan.grid
    corner = place.affine.c, place.affine.f
    grid = [plan.tile, place.crs.epsg, *corner, *place.shape, plan.area_wkb]
    scenes = [
        [
            *(s.id, s.baseline, s.quantification, s.offsets, s.ulx, s.uly, s.rows, s.cols),
            *(s.files, s.sensing.isoformat(), s.datastrip),
        ]
        for s in plan.scenes
    ]
    s2 = fingerprint("S2", assembly.METHOD_VERSION, grid, scenes, job.composite.percentile)
    model = next(m for m in models if m.zone == plan.zone)
    raw = fingerprint("BUFRAC_RAW", inference.METHOD_VERSION, s2, model.sha256, engine.engine)
    settings = job.cleaning.model_dump(mode="json", exclude={"roads"})
    bufrac = fingerprint("BUFRAC", cleaning.METHOD_VERSION, raw, settings, roads)
    classes = fingerprint("RES_NRES", classification.METHOD_VERSION, bufrac, classifier)
    green = fingerprint(
        "GREENNESS", greenness.METHOD_VERSION, bufrac, job.greenness.model_dump(mode="json")
    )
    return {
        Layer.S2: s2,
        Layer.S2_COUNT: fingerprint("S2_COUNT", s2),
        Layer.BUFRAC_RAW: raw,
        Layer.BUFRAC: bufrac,
        Layer.RES_NRES: classes,
        Layer.GREENNESS: green,
    }
