"""The masks of a job's scenes, the choice of its scenes, and the rules of its composite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from typing import Any

from ghsl_beam.jobfile.configuration import Job
from transforms.assembly.assemble import Rules
from transforms.assembly.masks.choice import ChoiceParameters
from transforms.assembly.masks.choose import ChosenScene, last_choice
from transforms.assembly.masks.make import METHOD_VERSION, user_mask
from transforms.assembly.masks.mask_files import MaskFiles
from transforms.assembly.masks.methods import csmask, s2cloudless
from transforms.assembly.masks.parameters import CLOUD_M, SHADOW_M, MaskParameters, Method
from transforms.elements import (
    S2CLOUDLESS_BANDS,
    Level,
    ModelError,
    RequestError,
    Scene,
    TilePlan,
)
from transforms.storage import storage

_AT_A_TIME = 16


def mask_files(job: Job) -> MaskFiles:
    """The stored masks of a job."""
    return MaskFiles(job.output, f"E{job.epoch}_{job.name}")


def mask_method(job: Job) -> Method:
    """The method of a job's masks."""
    if job.masks.method is not None:
        return job.masks.method
    return Method.CSMASK if job.input.level is Level.L1C else Method.PRODUCT


def mask_bands(job: Job) -> tuple[str, ...]:
    """The bands of each scene that only the mask method needs."""
    return S2CLOUDLESS_BANDS if mask_method(job) is Method.S2CLOUDLESS else ()


def growth(job: Job) -> tuple[float, float]:
    """The distances in metres by which clouds and cloud shadows of a job grow."""
    given, grows = job.masks, mask_method(job) is Method.CSMASK
    cloud = (CLOUD_M if grows else 0.0) if given.cloud_m is None else given.cloud_m
    shadow = (SHADOW_M if grows else 0.0) if given.shadow_m is None else given.shadow_m
    return cloud, shadow


def masks_in_words(job: Job) -> str:
    """How the masks of a job are made: `csmask; clouds grow by 60 m, cloud shadows by 60 m`."""
    cloud, shadow = growth(job)
    return f"{mask_method(job)}; clouds grow by {cloud:g} m, cloud shadows by {shadow:g} m"


def last_shares(job: Job, tiles: Iterable[TilePlan]) -> dict[tuple[str, str], ChosenScene]:
    """What the last run of a job found out about its scenes, by tile and name of the scene.

    Raises:
        StorageError: the storage of the output does not answer.
    """
    files, names = mask_files(job), [plan.tile for plan in tiles]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        choices = pool.map(lambda tile: last_choice(files, tile), names)
        return {
            (tile, scene["id"]): scene
            for tile, choice in zip(names, choices, strict=True)
            for scene in (choice["scenes"] if choice else ())
        }


def mask_parameters(job: Job, scenes: Iterable[Scene] = ()) -> MaskParameters:
    """How the masks of scenes are made.

    Raises:
        RequestError: the network or classifier is not installed.
        StorageError: the folder of the user's masks does not answer.
    """
    given, method = job.masks, mask_method(job)
    cloud, shadow = growth(job)
    files: list[tuple[str, str]] = []
    if given.folder is not None:
        files = _marks(given.folder, scenes)
    network = _version(job, method)
    return MaskParameters(method, cloud, shadow, given.folder or "", network, tuple(files))


def _version(job: Job, method: Method) -> str:
    """The version of the network or classifier for a job's masks; empty if there is none."""
    try:
        if method is Method.CSMASK:
            return csmask.version(job.input.level)
        return s2cloudless.version() if method is Method.S2CLOUDLESS else ""
    except ModelError as error:
        raise RequestError(
            f"masks.method: {method}: {error}; or set masks.method: product"
        ) from error


def _marks(folder: str, scenes: Iterable[Scene]) -> list[tuple[str, str]]:
    """The SHA-256 of the user's mask of each scene that has one."""
    by_location = {user_mask(folder, scene): f"{scene.id}_{scene.tile}" for scene in scenes}

    def mark(location: str) -> str:
        return storage.sha256(location) if storage.stored_or_none(location) else ""

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        marks = zip(by_location.items(), pool.map(mark, by_location), strict=True)
        return [(scene, mark) for (_, scene), mark in marks if mark]


def choice_parameters(job: Job) -> ChoiceParameters:
    """Which scenes of a job are used, and in which order."""
    start, end = (
        datetime.combine(day, time(12), UTC) for day in (job.period.start, job.period.end)
    )
    middle = start + (end - start) / 2
    return ChoiceParameters(job.scenes.order, middle, job.scenes.at_most, job.scenes.enough)


def composite_rules(job: Job) -> Rules:
    """Which observations the pixels of a job's composite use."""
    return Rules(job.scenes.enough, job.masks.fill)


def masking_facts(job: Job, masks: MaskParameters, scenes: Sequence[Scene]) -> list[Any]:
    """What a composite depends on through its masks and choice, for its fingerprint.

    The order of the scenes only matters if not all of them are used. Then the masks decide it, and
    which scenes are nearer to the middle of the period.
    """
    choice = choice_parameters(job)
    limits = [limit for limit in (choice.at_most, choice.enough) if limit is not None]
    order: list[Any] = []
    if any(len(scenes) > limit for limit in limits):
        away = [abs(scene.sensing - choice.middle) for scene in scenes]
        nearest = sorted(range(len(scenes)), key=lambda n: (away[n], scenes[n].sensing, n))
        order = [choice.order, choice.at_most, choice.enough, nearest]
    return [
        [METHOD_VERSION, masks.method, masks.network, masks.cloud_m, masks.shadow_m],
        job.masks.fill,
        [masks.file_mark(scene.id, scene.tile) for scene in scenes],
        order,
    ]
