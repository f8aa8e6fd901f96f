"""Checks whether a job can run on this machine; see `doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ghsl_beam.area.mgrs_tiles import needed_tiles, tiles_of
from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from ghsl_beam.models.chosen import chosen_classifier, chosen_models
from ghsl_beam.planning.scenes.access import access_of
from ghsl_beam.planning.scenes.chosen import area_of
from ghsl_beam.planning.scenes.no_scene import no_archive
from ghsl_beam.tools.starting.doctor import Check, State, _disk, as_check, reach
from transforms.assembly.catalogues.odata import COPERNICUS
from transforms.elements import GhslBeamError, RequestError, StorageError
from transforms.inference.models import available
from transforms.inference.zones import normal
from transforms.storage import services, storage
from transforms.storage.services import Service
from transforms.storage.services.keys import has_keys

_WHERE = {
    "anonymous": "not needed",
    "default": "those that the AWS tools find: in the environment or in ~/.aws",
}
"""What is said of keys that are in no variables of this program."""


def check_job(job: Job) -> Iterator[Check]:
    """The checks that a job needs, in the order in which a run would come to them."""
    services.use(job.services)
    yield from _area(job)
    yield from _catalogue(job)
    yield from _keys(job)
    yield from _archive(job)
    yield from _models(job)
    yield as_check(
        "classifier",
        storage.name(job.residential.model or "") or "the starter classifier",
        lambda: _read(job),
    )
    yield from _output(job)


def check_keys() -> Iterator[Check]:
    """Whether the shipped services have keys here; never what they are."""
    for service in services.SHIPPED:
        yield from _keys_of(service, State.WARNING)


def _read(job: Job) -> None:
    chosen_classifier(job)


def _area(job: Job) -> Iterator[Check]:
    try:
        area = area_of(job)
        west, south, east, north = area.bounds
    except GhslBeamError as error:
        yield Check(State.FAULT, "area", str(error))
        return
    text = f"{area.area_km2:.6g} km2, longitude {west:.6g} to {east:.6g}, "
    yield Check(State.OK, "area", f"{text}latitude {south:.6g} to {north:.6g}")
    for warning in area.warnings:
        yield Check(State.WARNING, "area", warning)


def _catalogue(job: Job) -> Iterator[Check]:
    settings = job.input
    if settings.source is Source.ARCHIVE:
        return
    stac = settings.source is Source.STAC
    url = settings.preset.address if stac else str(settings.catalogue or COPERNICUS)
    reason = reach(url)
    if reason:
        yield Check(
            State.FAULT,
            "catalogue",
            f"{storage.masked(url)} does not answer ({reason}): check the network, or a proxy",
        )
    else:
        yield Check(State.OK, "catalogue", f"{storage.masked(url)} answers")


def _keys(job: Job) -> Iterator[Check]:
    """The keys of the services at the job's locations."""
    places = (*job.input.places, job.models.folder, job.residential.model, job.output)
    known = {one.name: one for place in places if place and (one := services.of(place))}
    for service in known.values():
        yield from _keys_of(service, State.FAULT)


def _keys_of(service: Service, lacking: State) -> Iterator[Check]:
    what = f"keys of {service.name}"
    if has_keys(service):
        yield Check(State.OK, what, _WHERE.get(service.keys, f"present, from {service.keys}"))
        return
    prefix = service.keys.removeprefix("env:")
    yield Check(
        lacking,
        what,
        f"none; a job that reads there needs {prefix}_ACCESS_KEY_ID and {prefix}_SECRET_ACCESS_KEY "
        "in the environment",
    )


def _archive(job: Job) -> Iterator[Check]:
    for place in job.input.places:
        shown = storage.masked(place)
        service = services.of(place)
        if service and not has_keys(service):
            continue  # `_keys` says it
        endpoint = service.endpoint if service else None
        if endpoint and (reason := reach(endpoint)):
            text = f"{shown}: {endpoint} does not answer ({reason}): check the network"
            yield Check(State.FAULT, "archive", text)
            continue
        try:
            there = storage.is_folder(place)
        except StorageError as error:
            yield Check(State.FAULT, "archive", f"{shown}: {error.reason}")
            continue
        if there:
            yield Check(State.OK, "archive", shown)
        else:
            yield Check(State.FAULT, "archive", f"input.archive: {no_archive(place)}")


def _models(job: Job) -> Iterator[Check]:
    """The networks of the zones that the area may need; the scenes decide which it needs."""
    settings = job.models
    try:
        area = area_of(job)
        tiles = tiles_of(area)
        if settings.starter:
            chosen_models(job, sorted({tile.zone for tile in tiles}))
            yield Check(State.OK, "models", "the starter network, in all zones")
            return
        here = {normal(zone) for zone in available(settings.folder, settings.prefix)}
    except RequestError as error:
        yield Check(State.FAULT, "models", str(error))
        return
    may = sorted({tile.zone for tile in tiles})
    likely = {tile.zone for tile in needed_tiles(tiles, area)}
    lacking = [zone for zone in may if zone not in here]
    folder = storage.masked(settings.folder)
    if not lacking or (settings.fallback != "error" and here):
        yield Check(State.OK, "models", f"{', '.join(sorted(here.intersection(may)))} in {folder}")
        return
    fetch = "ghsl-beam models fetch with this job file downloads what it needs"
    state = State.WARNING if here.intersection(may) and not likely <= set(lacking) else State.FAULT
    yield Check(state, "models", f"no file for {', '.join(lacking)} in {folder}; {fetch}")


def _output(job: Job) -> Iterator[Check]:
    if storage.is_url(job.output):
        yield as_check("output", storage.masked(job.output), lambda: _ask(job.output))
    else:
        yield _disk("output", Path(job.output))
    try:
        cache = access_of(job).cache
    except RequestError as error:
        yield Check(State.FAULT, "cache", str(error))
        return
    if cache is not None:
        yield _disk("cache", Path(cache.folder))


def _ask(location: str) -> None:
    storage.is_folder(location)
