"""What an archive or a catalogue holds beside the wanted scenes, for the answer "no scene"."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from ghsl_beam.planning.scenes.catalogue import catalogue_of
from transforms.assembly import Candidate, ProductName, Wanted, parse_name, scenes_of
from transforms.assembly.catalogues.catalogue import Answer
from transforms.elements import Level, SceneError, StorageError
from transforms.storage import storage

_FOLDERS, _SECONDS = 2000, 5.0
"""An archive is listed until so many folders are read, or so much time has passed."""
_ANSWERS = 500
"""Products of a catalogue that are looked at."""
_AROUND = timedelta(366)
"""A catalogue is asked for so many days before and after the period."""
_READ = 5
"""Products whose metadata is read for their cloud cover."""
_FIRST_DAY = date(2015, 6, 23)


@dataclass(frozen=True)
class Held:
    """A product: its level, tile, day, and its cloud cover in percent, if it is known."""

    level: Level
    tile: str
    day: date
    cloud: float | None
    location: str


class Holdings(NamedTuple):
    """The products that were found; `whole`: nothing else is there."""

    products: list[Held]
    whole: bool


def holdings(job: Job, tiles: frozenset[str]) -> Holdings:
    """The products that the archive of a job holds, or its catalogue around the job's period.

    Those of the given tiles that are nearest to the period have their cloud cover.
    """
    if job.input.source is Source.ARCHIVE:
        found = _listed(job.input.place, Wanted(tiles, _FIRST_DAY, date.max, job.input.level))
        return found._replace(products=_with_cloud(job, tiles, found.products))
    wanted = Wanted(
        tiles,
        max(job.period.start - _AROUND, _FIRST_DAY),
        min(job.period.end + _AROUND, datetime.now(UTC).date()),
        job.input.level,
    )
    try:
        answers = list(islice(catalogue_of(job.input).search(wanted), _ANSWERS))
    except (SceneError, StorageError):  # it answered before: only this explanation is shorter
        return Holdings([], whole=False)
    names = [(parse_name(one.name), one) for one in answers if isinstance(one, Candidate)]
    return Holdings(
        [_held(name, one.location, one.cloud_cover) for name, one in names if name],
        whole=False,
    )


def nearest(products: Iterable[Held], job: Job) -> list[Held]:
    """Products in the order of their distance in time to the period of a job."""

    def days(one: Held) -> int:
        return max((job.period.start - one.day).days, (one.day - job.period.end).days, 0)

    return sorted(products, key=lambda one: (days(one), one.day, one.tile, one.level))


def _listed(archive: str, wanted: Wanted) -> Holdings:
    """Products by their names, in folders of any arrangement."""
    found: list[Held] = []
    folders, end, number = deque([archive]), time.monotonic() + _SECONDS, 0
    while folders:
        number += 1
        if number > _FOLDERS or time.monotonic() > end:
            return Holdings(found, whole=False)
        folder = folders.popleft()
        try:
            entries = storage.contents(folder)
        except StorageError:  # the search itself has named it
            continue
        if entries.get("Sentinel-2"):
            entries = {"Sentinel-2": True}
        for entry, is_folder in entries.items():
            path = storage.join(folder, entry)
            if name := parse_name(entry):
                found.append(_held(name, path, None))
            elif is_folder and wanted.in_tile_tree(path):
                folders.append(path)
    return Holdings(found, whole=True)


def _held(name: ProductName, location: str, cloud: float | None) -> Held:
    return Held(name.level, name.tile or "", name.sensing.date(), cloud, location)


class _These:
    """A catalogue of given products."""

    products_at_once = 1

    def __init__(self, place: str, products: Sequence[Held]) -> None:
        self.place = place
        self._products = products

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """See `Catalogue`."""
        return (Candidate(one.location) for one in self._products)


def _with_cloud(job: Job, tiles: frozenset[str], products: list[Held]) -> list[Held]:
    near = nearest((one for one in products if one.tile in tiles), job)[:_READ]
    cloud: dict[tuple[str, date, str], float] = {}
    for level in {one.level for one in near}:
        wanted = Wanted(tiles, _FIRST_DAY, date.max, level)
        try:
            scenes = scenes_of(_These(job.input.place, near), wanted).scenes
        except (SceneError, StorageError):  # its cloud cover stays unknown
            continue
        cloud |= {(level, one.sensing.date(), one.tile): one.cloud_cover for one in scenes}
    return [replace(one, cloud=cloud.get((one.level, one.day, one.tile))) for one in products]
