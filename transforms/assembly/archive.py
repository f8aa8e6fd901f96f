"""Scenes of an archive: an `/eodata` tree, or a folder of `.SAFE` folders and `.zip` files.

It may lie on a local disk or on object storage.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

from transforms.elements import Level, Scene, SceneError, StorageError
from transforms.raster import storage

from .naming import parse_name
from .products import product_tiles, read_scene

SAME_ACQUISITION = timedelta(minutes=10)
"""Sensing starts of one satellite over one tile closer than this are one acquisition: an orbit
takes 100 minutes, while reprocessings and old names differ by seconds at most."""
SAME_DATASTRIP = timedelta(seconds=5)
"""Sensing starts of an acquisition's datastrips no further apart than this are one datastrip's:
those of its reprocessings differ by a second or so, those of two datastrips by what lies between
two ground stations, and a tile is flown over in 15 s."""
_EXTENSIONS = (".safe", ".zip")
_AT_A_TIME = 16
"""Products of object storage that are looked at together: each is a few short requests."""


def find_scenes(
    archive: str,
    tiles: Collection[str],
    start: date,
    end: date,
    level: Level,
    max_cloud: float,
) -> tuple[list[Scene], list[SceneError]]:
    """Scenes of MGRS tiles (`33UUU`) in a period, both days included, up to a cloud cover.

    `archive` is an `/eodata` tree (or its `Sentinel-2/MSI`, or a collection in it), a folder of
    products, or one product; `max_cloud` is in percent. Products whose name says that they are
    not wanted are not opened; in a dated tree only the period's folders are visited. Of an
    acquisition's processings only what `reduce_duplicates` keeps counts, with its own cloud
    cover. Returns the scenes by tile, sensing and name, and what could not be read, by path.
    Raises SceneError where the archive itself cannot be listed.
    """
    wanted = set(tiles)
    scenes: list[Scene] = []
    failures: list[SceneError] = []

    def read(path: str) -> list[Scene | SceneError]:
        return _scenes_of(path, wanted, start, end, level)

    with ThreadPoolExecutor(_AT_A_TIME if storage.is_url(archive) else 1) as pool:
        for found in pool.map(read, _products(archive, start, end, level)):
            scenes += [one for one in found if isinstance(one, Scene)]
            failures += [one for one in found if isinstance(one, SceneError)]
    kept = [scene for scene in reduce_duplicates(scenes) if scene.cloud_cover <= max_cloud]
    return kept, sorted(failures, key=lambda error: (error.file, error.reason))


def _scenes_of(
    path: str, wanted: set[str], start: date, end: date, level: Level
) -> list[Scene | SceneError]:
    """Scenes of one product, and what cannot be read of it; empty where its name says no."""
    name = parse_name(storage.name(path))
    if name is not None and name.level is not level:
        return []
    tile = name.tile if name else None
    if name and tile and (tile not in wanted or not start <= name.sensing.date() <= end):
        return []
    try:
        present = (tile,) if tile else product_tiles(path)
    except SceneError as error:
        return [error]
    found: list[Scene | SceneError] = []
    for tile in sorted(wanted.intersection(present)):
        try:
            scene = read_scene(path, tile)
        except SceneError as error:
            found.append(error)
            continue
        if scene.level is level and start <= scene.sensing.date() <= end:
            found.append(scene)
    return found


def reduce_duplicates(scenes: Iterable[Scene]) -> list[Scene]:
    """Of each datastrip of an acquisition the highest baseline, and of that the latest made.

    An acquisition is a satellite's pass over a tile at one level. It may be cut into datastrips,
    a product each, that cover parts of the tile: one that was not reprocessed with the others
    stays in its older baseline. Datastrips are told apart by their sensing starts, see
    `SAME_DATASTRIP`; two products of one start and baseline are one processing made twice. Where
    the metadata of one of an acquisition's scenes name no datastrip, nothing tells which part of
    the tile it covers: then only the acquisition's highest baseline stays. Returns scenes by tile,
    sensing and name, whatever the order given.
    """
    kept: list[Scene] = []
    ordered = sorted(scenes, key=lambda s: (s.tile, s.level, s.id[:3], s.sensing, s.id, s.path))
    for acquisition in _runs(ordered, _same_acquisition):
        strips = [acquisition]
        if all(scene.datastrip for scene in acquisition):
            by_start = sorted(acquisition, key=lambda s: (s.datastrip, s.sensing, s.id, s.path))
            strips = _runs(by_start, _same_datastrip)
        for strip in strips:
            highest = max(_baseline(scene) for scene in strip)
            latest: dict[str, Scene] = {}
            for scene in strip:
                if _baseline(scene) == highest:
                    other = latest.setdefault(scene.datastrip, scene)
                    latest[scene.datastrip] = max(other, scene, key=_made)
            kept += latest.values()
    return sorted(kept, key=lambda s: (s.tile, s.sensing, s.id, s.path))


def _runs(scenes: list[Scene], same: Callable[[Scene, Scene], bool]) -> list[list[Scene]]:
    """Scenes in order, cut where one is not the same as the one before it."""
    runs: list[list[Scene]] = []
    for scene in scenes:
        if runs and same(runs[-1][-1], scene):
            runs[-1].append(scene)
        else:
            runs.append([scene])
    return runs


def _same_datastrip(one: Scene, other: Scene) -> bool:
    return abs(_start(other) - _start(one)) <= SAME_DATASTRIP


def _start(scene: Scene) -> datetime:
    return datetime.strptime(scene.datastrip, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _same_acquisition(one: Scene, other: Scene) -> bool:
    return (one.tile, one.level, one.id[:3]) == (other.tile, other.level, other.id[:3]) and (
        abs(other.sensing - one.sensing) < SAME_ACQUISITION
    )


def _baseline(scene: Scene) -> tuple[int, ...]:
    return tuple(int(part) for part in scene.baseline.split("."))


def _made(scene: Scene) -> tuple[str, str, str]:
    name = parse_name(scene.id)
    return name.made if name else "", scene.id, scene.path


def _products(archive: str, start: date, end: date, level: Level) -> Iterator[str]:
    """Paths that may be products, in order; each product once."""
    archive = archive.rstrip("/") if storage.is_url(archive) else os.path.abspath(archive)
    if archive.lower().endswith(_EXTENSIONS):
        yield archive
        return
    entries = _entries(archive)
    for name in ("Sentinel-2", "MSI"):
        if name in entries:
            archive = storage.join(archive, name)
            entries = _entries(archive)
    if not entries and not storage.is_folder(archive):
        raise SceneError(archive, "not a readable archive: no such folder")
    collections = [n for n in entries if re.fullmatch(rf"{level}(_N\d{{4}})?", n)]
    if not collections and any(re.fullmatch(r"(19|20)\d\d", name) for name in entries):
        collections = ["."]
    if collections:
        for collection in collections:
            root = archive if collection == "." else storage.join(archive, collection)
            for folder in _days(root, start, end):
                yield from _products_in(folder)
    else:
        yield from _products_in(archive)


def _products_in(folder: str) -> Iterator[str]:
    for name in _entries(folder):
        if name.lower().endswith(_EXTENSIONS):
            yield storage.join(folder, name)


def _days(root: str, start: date, end: date) -> Iterator[str]:
    """Folders YYYY/MM/DD of the period, in order."""
    for year in _numbered(root, 4):
        if not start.year <= int(year) <= end.year:
            continue
        for month in _numbered(storage.join(root, year), 2):
            if not (start.year, start.month) <= (int(year), int(month)) <= (end.year, end.month):
                continue
            for day in _numbered(storage.join(root, year, month), 2):
                try:
                    inside = start <= date(int(year), int(month), int(day)) <= end
                except ValueError:
                    continue
                if inside:
                    yield storage.join(root, year, month, day)


def _numbered(folder: str, digits: int) -> list[str]:
    return [name for name in _entries(folder) if re.fullmatch(rf"[0-9]{{{digits}}}", name)]


def _entries(folder: str) -> list[str]:
    try:
        return storage.listing(folder)
    except StorageError as error:
        raise SceneError(folder, f"not a readable archive: {error.reason}") from error
