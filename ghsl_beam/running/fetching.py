"""Fills the cache of a job before its run: masks first, then the bands of usable scenes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ghsl_beam.observing.progress import Count
from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.planning.scenes.access import (
    access_kind,
    access_of,
    check_cache,
    gigabytes_for,
    kept_files,
)
from transforms.assembly.assemble import needs_bands
from transforms.assembly.masks.parameters import Method
from transforms.assembly.products.passes import passes
from transforms.elements import (
    Loss,
    RequestError,
    Scene,
    SceneError,
    SourceFile,
    StorageError,
    TilePlan,
    cause_of,
)
from transforms.storage.caching import Access, Cache, CacheError
from transforms.storage.room import in_words
from transforms.storage.services import refused

STAGE = "fetch"
MASKS, BANDS = "masks", "bands"


@dataclass
class Fetched:
    """The result of a fetch: all scenes, those whose bands are needed, files, bytes, losses."""

    scenes: int = 0
    scenes_with_bands: int = 0
    files: int = 0
    bytes: int = 0
    files_there: int = 0
    bytes_there: int = 0
    seconds: float = 0.0
    losses: tuple[Loss, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as JSON-like values."""
        return {**asdict(self), "losses": [asdict(loss) for loss in self.losses]}


class _Wanted(NamedTuple):
    """A scene of a tile, and whether it is the last of its pass."""

    tile: TilePlan
    scene: Scene
    last: bool


class _File(NamedTuple):
    """A file to fetch, and its scene."""

    wanted: _Wanted
    file: SourceFile


def new_counts() -> dict[str, Count]:
    """Counts of zero, with totals that are not yet known."""
    return {MASKS: Count(0), BANDS: Count(0)}


def fetch(
    inventory: Inventory, connections: int, counts: dict[str, Count], *, verify: bool = False
) -> Fetched:
    """Fetch the files of the archive that a run would read.

    Args:
        inventory: what exists; nothing is fetched for tiles whose composite exists.
        connections: number of files that are fetched at a time.
        counts: they change during the fetch.
        verify: whether the content of files in the cache is compared.

    Raises:
        RequestError: the job reads its archive directly, or the cache is too small or not a cache.
        StorageError: the cache cannot be written any more.
    """
    start = time.monotonic()
    plan = inventory.plan
    access = access_of(plan.job, verify=verify)
    cache = access.cache
    if cache is None:
        raise RequestError(
            f"input.access: {access_kind(plan.job)}: the job reads files at their own place, so "
            "there is nothing to fetch; set input.access: download"
        )
    check_cache(inventory)
    wanted = list(_scenes(inventory))
    losses: list[Loss] = []
    before = {file.file.location for file in _files(wanted, access) if cache.has(file.file)}
    pool = ThreadPoolExecutor(connections, "fetching")
    try:
        counting = _with_clear_pixels(wanted, inventory, access, pool, counts[MASKS], losses)
        files = _files(counting, access)
        _check_room(files, cache)
        _fetch(files, cache, pool, counts[BANDS], losses)
    finally:
        pool.shutdown(cancel_futures=True)
    useful = [*_files(wanted, access, masks_alone=True), *files]
    sizes = {f.file.location: f.file.size for f in useful if cache.has(f.file)}
    new = [size for location, size in sizes.items() if location not in before]
    old = [size for location, size in sizes.items() if location in before]
    return Fetched(
        scenes=len(wanted),
        scenes_with_bands=len(counting),
        files=len(new),
        bytes=sum(new),
        files_there=len(old),
        bytes_there=sum(old),
        seconds=round(time.monotonic() - start, 1),
        losses=tuple(losses),
    )


def _scenes(inventory: Inventory) -> Iterator[_Wanted]:
    """The scenes that a run reads."""
    for tile in inventory.tiles_to_do(inventory.plan.lines.assembly):
        for one in passes(tile.scenes):
            for number, scene in enumerate(one, start=1):
                yield _Wanted(tile, scene, number == len(one))


def _with_clear_pixels(
    wanted: Sequence[_Wanted],
    inventory: Inventory,
    access: Access,
    pool: ThreadPoolExecutor,
    count: Count,
    losses: list[Loss],
) -> list[_Wanted]:
    """The scenes whose bands a run may read; masks in the products are fetched for this."""
    line, job = inventory.plan.lines.assembly, inventory.plan.job
    size = job.block_size
    if inventory.plan.masks.method is not Method.PRODUCT or job.masks.fill:
        return list(wanted)  # a mask is made from the bands, or masked pixels may be used
    count.total, count.start = len(wanted), time.time()

    def look(one: _Wanted) -> bool:
        grids = (one.tile.place(block.window) for block in line.blocks(one.tile, size))
        return needs_bands(one.scene, grids, access, one.last)

    done = _each(wanted, look, lambda one: one, pool, count, losses)
    return [one for one, needed in zip(wanted, done, strict=True) if needed]


def _files(wanted: Iterable[_Wanted], access: Access, *, masks_alone: bool = False) -> list[_File]:
    """The files of scenes that go through the cache: masks first, each file once."""
    by_location: dict[str, _File] = {}
    for masks in (True,) if masks_alone else (True, False):
        for one in wanted:
            for file in kept_files([one.scene], access, masks=masks, bands=not masks):
                by_location.setdefault(file.location, _File(one, file))
    return list(by_location.values())


def _check_room(files: Iterable[_File], cache: Cache) -> None:
    """Raise RequestError if the files do not fit: the last ones would replace the first ones."""
    size = sum(file.file.size for file in files)
    if size > cache.limit:
        raise RequestError(
            f"input.cache.gigabytes: the files to fetch have {in_words(size)}, the cache holds "
            f"{in_words(cache.limit)}; give {gigabytes_for(size)} or more"
        )


def _fetch(
    files: Sequence[_File],
    cache: Cache,
    pool: ThreadPoolExecutor,
    count: Count,
    losses: list[Loss],
) -> None:
    """Fetch files into the cache."""
    count.total, count.start = len(files), time.time()

    def get(file: _File) -> bool:
        with cache.held(file.file):
            return True

    _each(files, get, lambda file: file.wanted, pool, count, losses)


def _each(
    items: Sequence[Any],
    action: Callable[[Any], bool],
    whose: Callable[[Any], _Wanted],
    pool: ThreadPoolExecutor,
    count: Count,
    losses: list[Loss],
) -> list[bool]:
    """The result of the action for each item; False if the item was lost."""

    def try_it(item: Any) -> bool | Loss:
        try:
            return action(item)
        except CacheError:
            raise  # no other file would fit either
        except (SceneError, StorageError) as error:
            if keys_error := refused(error):
                raise keys_error from error
            wanted = whose(item)
            where = (wanted.scene.id, error.file)
            return Loss(STAGE, wanted.tile.tile, error.reason, *where, cause=cause_of(error))

    found = []
    for one in pool.map(try_it, items):
        if isinstance(one, Loss):
            losses.append(one)
            count.lost += 1
        else:
            count.made += 1
        count.end = time.time()
        found.append(one is True)
    return found
