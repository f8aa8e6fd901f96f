"""Chooses the scenes of a job from its catalogue, with losses for those that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import shapely
from odc.geo.geobox import geobox_union_conservative

from ghsl_beam.area.area_of_interest import Area, area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import (
    MgrsTile,
    grid_problem,
    needed_tiles,
    not_covered,
    tiles_of,
)
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sections import Tiles
from ghsl_beam.jobfile.sources import Input, Source
from ghsl_beam.planning.cover import Cover, cover_of
from ghsl_beam.planning.owned import overlap_warnings, with_owned_parts, with_whole_parts
from ghsl_beam.planning.scenes.catalogue import catalogue_of
from ghsl_beam.planning.scenes.manifest import manifest_problem
from ghsl_beam.planning.scenes.masking import mask_bands
from ghsl_beam.planning.scenes.no_scene import no_archive, why_none
from ghsl_beam.process import status
from transforms.assembly import FoundScenes, LeftOut, Wanted, scenes_of
from transforms.assembly.masks.parameters import Method
from transforms.elements import (
    Cause,
    Loss,
    RequestError,
    Scene,
    SceneError,
    StorageError,
    TilePlan,
    extent_of,
    request_error,
)
from transforms.inference.predict import CONTEXT
from transforms.rasters.area_mask import pixel_bounds
from transforms.storage import services, storage


@dataclass(frozen=True)
class ChosenScenes:
    """The tiles that a job needs, each with its scenes, before models are chosen.

    `left_out` are products that exist and are not used; `tiles` are plans without fingerprints.
    `cover` says how much of the area the scenes reach.
    """

    tiles: tuple[TilePlan, ...]
    left_out: tuple[LeftOut, ...]
    losses: tuple[Loss, ...]
    warnings: tuple[str, ...]
    cover: Cover = field(default_factory=Cover)


def choose_scenes(job: Job, verify: bool = False) -> ChosenScenes:
    """Choose the tiles of a job's area and their scenes.

    Args:
        job: the job.
        verify: whether bands and masks are compared with the manifests of their products.

    Raises:
        RequestError: one line that names what is wrong and the remedy.
        UnavailableError: a storage or a catalogue does not answer now.
    """
    status.now("reading the area")
    area = area_of(job)
    candidates = tiles_of(area)
    if not candidates:
        raise RequestError("area: no MGRS tile covers it (Sentinel-2's grid ends at 84 N, 80 S)")
    status.now(f"searching scenes of {len(candidates)} tiles")
    found = wanted_of(job, scenes_of_job(job, candidates, verify))
    check_some(job, area, candidates, found)
    status.now(f"planning with {len(found.scenes)} scenes")
    scenes = {
        tile.id: tuple(scene for scene in found.scenes if scene.tile == tile.id)
        for tile in candidates
    }
    reached = {
        tile.id: plan
        for tile in candidates
        if (plan := _tile_plan(tile, scenes[tile.id], area)) is not None
    }
    seen = [tile for tile in candidates if tile.id in reached]
    tiles = tuple(reached[tile.id] for tile in needed_tiles(seen, area))
    if not tiles:
        raise RequestError(
            "area: the scenes have data only outside the area: check area and archive"
        )
    overlaps: list[str] = []
    some = job.scenes.at_most is not None
    known = job.masks.fill and job.masks.method is not Method.FILE
    if job.tiles is Tiles.OWNED and known:
        overlaps = list(overlap_warnings(tiles))
        tiles = with_owned_parts(tiles, some)
    else:
        if job.tiles is Tiles.OWNED and len(tiles) > 1:
            overlaps = [
                f"{'masks.method: file' if job.masks.fill else 'masks.fill: false'}: nobody knows "
                "before the run where a tile has data, so tiles compute the ground that they share "
                "too"
            ]
        tiles = with_whole_parts(tiles, some)
    used = {scene for tile in tiles for scene in tile.scenes}
    elsewhere = [
        LeftOut.of(scene, "its tile is not needed: others cover the area")
        for scene in found.scenes
        if scene not in used
    ]
    return ChosenScenes(
        tiles,
        (*found.left_out, *elsewhere),
        (*found.losses, *_not_seen(job, area, candidates, seen, scenes)),
        (*area.warnings, *found.warnings, *overlaps),
        cover_of(area, reached.values()),
    )


def scenes_of_job(job: Job, tiles: Sequence[MgrsTile], verify: bool = False) -> FoundScenes:
    """Find the scenes of tiles in the catalogue of a job; there may be none.

    Args:
        job: the job.
        tiles: tiles of the area.
        verify: whether bands and masks are compared with the manifests of their products.

    Raises:
        RequestError: the catalogue or the archive cannot be used.
        UnavailableError: it does not answer now.
    """
    settings, period = job.input, job.period
    by_id = {tile.id: tile for tile in tiles}
    wanted = Wanted(
        frozenset(by_id),
        period.start,
        period.end,
        settings.level,
        settings.max_cloud_cover,
        job.composite.names,
        mask_bands(job),
    )

    def problem(scene: Scene) -> str | None:
        mismatch = grid_problem(scene, by_id[scene.tile])
        return manifest_problem(scene) if mismatch is None and verify else mismatch

    key = (
        "input.archive" if settings.source is Source.ARCHIVE else f"input.source {settings.source}"
    )
    try:
        if settings.archive and not storage.is_folder(settings.archive):
            raise RequestError(f"input.archive: {no_archive(settings.archive)}{_no_keys(settings)}")
        return scenes_of(catalogue_of(settings), wanted, problem)
    except (SceneError, StorageError) as error:
        raise request_error(f"{key}: {error}{_no_keys(settings)}", error) from error


def wanted_of(job: Job, found: FoundScenes) -> FoundScenes:
    """The scenes that the section `scenes` of a job asks for; the others are left out."""
    asked = job.scenes
    kept, left_out = [], []
    for scene in found.scenes:
        if asked.only and scene.id not in asked.only:
            left_out.append(LeftOut.of(scene, "scenes.only does not name it"))
        elif scene.id in asked.without:
            left_out.append(LeftOut.of(scene, "scenes.without names it"))
        elif asked.months and scene.sensing.month not in asked.months:
            left_out.append(LeftOut.of(scene, "scenes.months does not have its month"))
        else:
            kept.append(scene)
    names = {scene.id for scene in found.scenes}
    unknown = [
        f"scenes.{key}: {name}: there is no such scene"
        for key, given in (("only", asked.only), ("without", asked.without))
        for name in given
        if name not in names
    ]
    return FoundScenes(
        kept, found.losses, [*found.warnings, *unknown], [*found.left_out, *left_out]
    )


def _no_keys(settings: Input) -> str:
    """The end of a message if the archive's own service is not used, because it has no keys."""
    reason = services.replaced(settings.place)
    return f"; {reason}" if reason else ""


def check_some(job: Job, area: Area, tiles: Sequence[MgrsTile], found: FoundScenes) -> None:
    """Raise RequestError if there is no scene, with possible reasons."""
    if found.scenes:
        return
    if found.losses:
        first = found.losses[0].summary
        raise RequestError(
            f"input: no scene can be used; the first problem: {first}{_no_keys(job.input)}"
        )
    settings, period = job.input, job.period
    names = [tile.id for tile in tiles]
    place = settings.archive if settings.source is Source.ARCHIVE else settings.source
    reasons = [*found.warnings, why_none(job, area, found.left_out)]
    raise RequestError(
        f"input: no {settings.level} scene of {', '.join(names[:5])}"
        f"{' and more' if len(names) > 5 else ''} from {period.start} to {period.end} with at most "
        f"{settings.max_cloud_cover:g} % cloud in {place}: {'; '.join(reasons)}"
    )


def area_of(job: Job) -> Area:
    """The area of a job.

    Raises:
        RequestError: it cannot be read.
    """
    settings = job.area
    source = settings.file if settings.file else settings.wkt or settings.bbox
    if source is None:
        raise RequestError("area: give exactly one of file, wkt, bbox")
    return read_area(source, Path.cwd())


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
            losses.append(Loss("plan", tile.id, reason, cause=Cause.NO_SCENE))
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
