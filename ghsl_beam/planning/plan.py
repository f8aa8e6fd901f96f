"""The plan: tiles, scenes, models and fingerprints of results. It reads, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from pyproj.exceptions import CRSError

from ghsl_beam.area.districts import District, read_districts
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.models.calibration import (
    ChosenCalibration,
    calibration_warnings,
    chosen_calibration,
)
from ghsl_beam.models.chosen import (
    ChosenClassifier,
    Model,
    chosen_classifier,
    chosen_models,
    classifier_warnings,
    model_warnings,
)
from ghsl_beam.models.credits import CREDITS_TAG, credit_line, licence_text
from ghsl_beam.planning.cover import Cover
from ghsl_beam.planning.grid_plan import GridPlan, job_tags, plan_grid
from ghsl_beam.planning.lines import Lines, lines_of
from ghsl_beam.planning.owned import GROUND_TAG, RIM, halo_of, with_halo
from ghsl_beam.planning.products import utm_path
from ghsl_beam.planning.roads import roads_fingerprint
from ghsl_beam.planning.scenes.chosen import choose_scenes
from ghsl_beam.planning.scenes.masking import mask_parameters, masking_facts
from ghsl_beam.process import status
from transforms import assembly, classification, cleaning, greenness, inference
from transforms.assembly import LeftOut
from transforms.assembly.decoders import FASTER, OPENJPEG, Decoder, driver_for
from transforms.assembly.masks.parameters import MaskParameters, Method
from transforms.cleaning.calibration import Curve
from transforms.elements import (
    Layer,
    Level,
    Loss,
    RequestError,
    TilePlan,
    fingerprint,
)
from transforms.inference.engines import FAST, Choice, choose
from transforms.storage import services, storage


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
    calibration: ChosenCalibration | None = None
    """Turns the probability of each network into a fraction; None leaves it as it is."""
    masks: MaskParameters = field(default_factory=MaskParameters)
    """How the masks of the scenes are made."""
    districts: tuple[District, ...] = ()
    """The polygons with totals of their own."""
    left_out: tuple[LeftOut, ...] = ()
    """Products that the catalogue offers and the job does not use."""
    cover: Cover = field(default_factory=Cover)
    """How much of the area the scenes reach."""
    launch: str = field(default_factory=lambda: uuid4().hex)

    def path_of(self, layer: Layer, tile: str) -> str:
        """The location of the product of a layer of a tile."""
        path = utm_path(tile, layer, self.job.epoch, self.job.name)
        return storage.join(self.job.output, path)

    @property
    def curves(self) -> tuple[tuple[str, Curve], ...]:
        """The curve of the calibration for each grid zone; empty if there is no calibration."""
        if self.calibration is None:
            return ()
        return tuple((model.zone, self.calibration.curves[model.sha256]) for model in self.models)

    @cached_property
    def lines(self) -> Lines:
        """The lines of the job's graph."""
        return lines_of(self.job, self.classifier.halo, self.classifier.bands)


def make_plan(job: Job, *, verify: bool = False) -> JobPlan:
    """Plan a job.

    Args:
        job: the configuration.
        verify: whether to read and compare every product that exists, and to compare the bands of
            the scenes with their manifests; a scene that differs is a loss.

    Raises:
        RequestError: one line that names the mistake and the remedy.
    """
    services.use(job.services)
    districts = _districts(job)
    chosen = choose_scenes(job, verify)
    status.now("checking the models")
    models = chosen_models(job, sorted({tile.zone for tile in chosen.tiles}))
    calibration = chosen_calibration(job, models)
    status.now("planning")
    engine = choose(job.models.precision)
    classifier = chosen_classifier(job)
    roads_mark = roads_fingerprint(job)
    masks = mask_parameters(job, [scene for plan in chosen.tiles for scene in plan.scenes])
    lines = lines_of(job, classifier.halo, classifier.bands)
    plans = []
    for chosen_tile in chosen.tiles:
        plan = with_halo(chosen_tile, lines.layers.halo)
        marks = _fingerprints(
            *(job, plan, models, engine, classifier.sha256, roads_mark, calibration, masks)
        )
        model = next(m for m in models if m.zone == plan.zone)
        tags = {
            layer: _tags(layer, line.name, model, engine, calibration)
            for line in lines
            for layer in line.makes
        }
        if plan.owned is not None:
            for line in lines:
                beyond = RIM if line.owned else RIM + halo_of(lines.layers.halo)
                for layer in line.makes:
                    tags[layer] |= {GROUND_TAG: f"owned pixels and {beyond} pixels around them"}
        classified = credit_line([model], classifier.credit)
        tags[Layer.RES_NRES] |= classifier.tags | {CREDITS_TAG: classified}
        for made_with in tags.values():
            made_with |= {**job_tags(job), "LICENCE": licence_text(made_with[CREDITS_TAG])}
        made = {layer: mark for layer, mark in marks.items() if layer in tags}
        plans.append(replace(plan, fingerprints=made, tags=tags))
    grids = tuple(
        _grid(number, job, plans, calibration, classifier) for number in range(len(job.grids))
    )
    warnings = [*chosen.warnings]
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
    if ignored := job.models.not_used():
        keys = ", ".join(f"models.{key}" for key in ignored)
        warnings.append(f"{keys}: not used, because of models.starter")
    if masks.method is Method.PRODUCT:
        warnings += [
            f"scene {scene.id}: has no cloud mask, so its clouds are not masked"
            for plan in plans
            for scene in plan.scenes
            if scene.mask is None
        ]
    warnings += classifier_warnings(classifier, models)
    warnings += calibration_warnings(calibration, job)
    if job.input.decoder is Decoder.FASTEST and driver_for(Decoder.FASTEST) == OPENJPEG:
        warnings.append(
            f"input.decoder: fastest: GDAL on this machine has no {' or '.join(FASTER)} that gives "
            f"the same pixels; {OPENJPEG} is used"
        )
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
        chosen.losses,
        tuple(warnings),
        verify,
        calibration,
        masks,
        districts,
        chosen.left_out,
        chosen.cover,
    )


def _districts(job: Job) -> tuple[District, ...]:
    """The districts of a job; a mistake in their file is found before a run starts."""
    if job.districts is None:
        return ()
    return tuple(read_districts(job.districts.file, Path.cwd(), job.districts.name))


def _tags(
    layer: Layer,
    line: str,
    model: Model,
    engine: Choice,
    calibration: ChosenCalibration | None,
) -> dict[str, str]:
    """The tags of a layer of a tile that name what it was made with."""
    if line == "assembly":
        return {CREDITS_TAG: credit_line([])}
    applied = model.tags | {"ENGINE": engine.engine}
    if calibration is None or not layer.spec.follows_calibration:
        return applied | {CREDITS_TAG: credit_line([model])}
    return {
        **applied,
        **calibration.tags,
        **layer.spec.described(calibrated=True).tags,
        CREDITS_TAG: credit_line([model], calibration.credit),
    }


def _grid(
    number: int,
    job: Job,
    tiles: Sequence[TilePlan],
    calibration: ChosenCalibration | None,
    classifier: ChosenClassifier | None = None,
) -> GridPlan:
    tags = {} if classifier is None else classifier.tags
    try:
        return plan_grid(job.grids[number], job, tiles, calibration, tags)
    except (CRSError, ValueError, RequestError) as error:
        raise RequestError(f"grids.{number}: {error}") from error


def _fingerprints(
    job: Job,
    plan: TilePlan,
    models: tuple[Model, ...],
    engine: Choice,
    classifier: str,
    roads: str,
    calibration: ChosenCalibration | None,
    masks: MaskParameters,
) -> dict[Layer, str]:
    place = plan.grid
    corner = place.affine.c, place.affine.f
    grid = [plan.tile, place.crs.epsg, *corner, *place.shape, plan.area_wkb]
    scenes = [scene.facts for scene in plan.scenes]
    masking = masking_facts(job, masks, plan.scenes)
    masking += filter(None, [plan.measured_wkb])
    s2 = fingerprint(
        *("S2", assembly.METHOD_VERSION, grid, scenes, job.composite.percentile, masking)
    )
    model = next(m for m in models if m.zone == plan.zone)
    raw = fingerprint("BUFRAC_RAW", inference.METHOD_VERSION, s2, model.sha256, engine.engine)
    settings = job.cleaning.model_dump(mode="json", exclude={"roads"})
    parts = [raw, settings, roads, *filter(None, [plan.owned_wkb])]
    bufrac = fingerprint("BUFRAC", cleaning.METHOD_VERSION, *parts)
    classes = fingerprint(
        *("RES_NRES", classification.METHOD_VERSION, bufrac, classifier, job.residential.smoothing)
    )
    green = fingerprint(
        "GREENNESS", greenness.METHOD_VERSION, bufrac, job.greenness.model_dump(mode="json")
    )
    fractions = {Layer.BUFRAC: bufrac}
    if calibration is not None:  # the layers after BUFRAC follow from the probability
        curve = [cleaning.CALIBRATION_VERSION, bufrac, calibration.sha256]
        fractions = {layer: fingerprint(layer, *curve) for layer in (Layer.BUFRAC, Layer.BUFRAC_SD)}
    return {
        Layer.S2: s2,
        **{layer: fingerprint(layer, s2) for layer in Layer if layer.spec.optional},
        Layer.S2_COUNT: fingerprint("S2_COUNT", s2),
        Layer.S2_QUALITY: fingerprint("S2_QUALITY", s2),
        Layer.BUFRAC_RAW: raw,
        **fractions,
        Layer.RES_NRES: classes,
        Layer.GREENNESS: green,
    }
