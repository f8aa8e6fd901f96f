"""The scenes of a job: what its catalogue has, and what cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.area.mgrs_tiles import MgrsTile, grid_problem
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from ghsl_beam.planning.catalogues import catalogue_of
from ghsl_beam.planning.no_scene import no_archive, why_none
from ghsl_beam.planning.scene_manifest import manifest_problem
from transforms.assembly import Found, Wanted, scenes_of
from transforms.elements import RequestError, Scene, SceneError, StorageError, request_error
from transforms.storage import storage


def scenes_of_job(job: Job, tiles: Sequence[MgrsTile], verify: bool = False) -> Found:
    """Scenes of tiles, as the job asks its catalogue for them; there may be none.

    Args:
        job: the job.
        tiles: of the area.
        verify: whether bands and masks are compared with the manifests of their products.

    Raises:
        RequestError: the catalogue or the archive cannot be used.
        UnavailableError: it does not answer now.
    """
    settings, period = job.input, job.period
    by_id = {tile.id: tile for tile in tiles}
    wanted = Wanted(
        frozenset(by_id), period.start, period.end, settings.level, settings.max_cloud_cover
    )

    def problem(scene: Scene) -> str | None:
        reason = grid_problem(scene, by_id[scene.tile])
        return manifest_problem(scene) if reason is None and verify else reason

    key = (
        "input.archive" if settings.source is Source.ARCHIVE else f"input.source {settings.source}"
    )
    try:
        if settings.archive and not storage.is_folder(settings.archive):
            raise RequestError(f"input.archive: {no_archive(settings.archive)}")
        return scenes_of(catalogue_of(settings), wanted, problem)
    except (SceneError, StorageError) as error:
        raise request_error(f"{key}: {error}", error) from error


def check_some(job: Job, area: Area, tiles: Sequence[MgrsTile], found: Found) -> None:
    """Raises RequestError where there is no scene, with what may be the reason."""
    if found.scenes:
        return
    if found.losses:
        first = found.losses[0].summary
        raise RequestError(f"input: no scene can be used; the first problem: {first}")
    settings, period = job.input, job.period
    names = [tile.id for tile in tiles]
    place = settings.archive if settings.source is Source.ARCHIVE else settings.source
    reasons = [*found.warnings, why_none(job, area, found.left_out)]
    raise RequestError(
        f"input: no {settings.level} scene of {', '.join(names[:5])}"
        f"{' and more' if len(names) > 5 else ''} from {period.start} to {period.end} with at most "
        f"{settings.max_cloud_cover:g} % cloud in {place}: {'; '.join(reasons)}"
    )
