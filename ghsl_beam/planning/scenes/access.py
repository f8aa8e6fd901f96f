"""Chooses how a job reads the files of its archive, and which files it keeps in its cache."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sources import Source
from ghsl_beam.planning.inventory import Inventory
from transforms.elements import RequestError, Scene, SourceFile, TilePlan
from transforms.storage import services, signing, storage
from transforms.storage.caching import DIRECT, Access, Cache, CacheError
from transforms.storage.room import in_words

GIGABYTE = 10**9
_DIRECT, _DOWNLOAD = "direct", "download"


def access_kind(job: Job) -> str:
    """`direct`, `download` or `download-bands`; by default, the kind of archive decides.

    On object storage a window of a JPEG 2000 band costs tens of requests, and a job needs the whole
    file anyway. Files on a disk are read directly. COGs are too, because they are made for it.
    """
    if job.input.access is not None:
        return job.input.access
    return _DOWNLOAD if storage.is_url(job.input.place) and not job.input.cogs else _DIRECT


def access_of(job: Job, *, verify: bool = False) -> Access:
    """The access of a job to its archive; `verify` compares the content of kept files.

    Raises:
        RequestError: the job needs a cache, and there is no home folder for it.
    """
    kind = access_kind(job)
    if kind == _DIRECT:
        return replace(DIRECT, signers=_signers(job), decoder=job.input.decoder)
    limit = int(job.input.cache.gigabytes * GIGABYTE)
    cache = Cache(_folder(job), limit, verify)
    return Access(cache, masks=kind == _DOWNLOAD, signers=_signers(job), decoder=job.input.decoder)


def _signers(job: Job) -> signing.Signers:
    if job.input.source is not Source.STAC:
        return signing.NO_OTHERS
    return signing.NO_OTHERS.with_more(*job.input.preset.signers())


def _folder(job: Job) -> str:
    if job.input.cache.folder is not None:
        return job.input.cache.folder
    try:
        above = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise RequestError(f"input.cache.folder: {error} Give a folder on a disk") from error
    return str(Path(above, "ghsl-beam").absolute())


def kept_files(
    scenes: Iterable[Scene], access: Access, *, masks: bool = True, bands: bool = True
) -> Iterator[SourceFile]:
    """The files of scenes that go through the cache: masks first, each file once."""
    scenes = tuple(scenes)
    found = [scene.mask_file for scene in scenes if masks and access.masks]
    found += [file for scene in scenes if bands for file in _band_files(scene)]
    seen = set()
    for file in found:
        if file is not None and file.location not in seen:
            seen.add(file.location)
            yield file


def _band_files(scene: Scene) -> tuple[SourceFile, ...]:
    return *scene.band_files, *scene.mask_band_files


def bytes_to_fetch(tiles: Iterable[TilePlan], access: Access) -> int:
    """Largest number of bytes to fetch for tiles; it is less if a mask has no clear pixel."""
    if access.cache is None:
        return 0
    files = kept_files((scene for tile in tiles for scene in tile.scenes), access)
    return sum(file.size for file in files if not access.cache.has(file))


def window_problem(job: Job, scenes: Iterable[Scene]) -> str | None:
    """Why the files of scenes cannot be read window by window as the job asks; None if they can.

    A service may limit requests, and those of GDAL cannot be counted.
    """
    kind = access_kind(job)
    masks = kind != _DOWNLOAD and any(s.mask and not s.mask.endswith(".gml") for s in scenes)
    if kind != _DIRECT and not masks:
        return None
    for place in job.input.places:
        service = services.of(place)
        if service and service.limited:
            return (
                f"input.access: {kind}: {place} is at storage service {service.name}, which limits "
                "requests, and those of GDAL cannot be counted; set input.access: download"
            )
    return None


def access_problem(inventory: Inventory) -> tuple[str | None, str | None]:
    """Whether the archive cannot be read as the job asks, or the cache is too small; or None.

    The cache may be too small for one tile (an error) or for all tiles (a warning). The blocks of a
    tile, and partly those of several tiles, are made in any order. A file that does not stay in the
    cache until the last of them is fetched again.
    """
    job = inventory.plan.job
    access = access_of(job)
    todo = inventory.tiles_to_do(inventory.plan.lines.assembly)
    if todo and (wrong := window_problem(job, (one for tile in todo for one in tile.scenes))):
        return wrong, None
    if access.cache is None or not todo:
        return None, None
    sizes = {t.tile: sum(f.size for f in kept_files(t.scenes, access)) for t in todo}
    largest = max(sizes, key=lambda tile: sizes[tile])
    key, holds = "input.cache.gigabytes", f"the cache holds {in_words(access.cache.limit)}"
    if sizes[largest] > access.cache.limit:
        return (
            f"{key}: {holds}, but the scenes of tile {largest} have {in_words(sizes[largest])}, "
            "and each block would fetch them again; "
            f"give {gigabytes_for(sizes[largest])} or more, or set input.access: direct"
        ), None
    if sum(sizes.values()) > access.cache.limit:
        return None, (
            f"{key}: {holds}, the scenes of all {len(sizes)} tiles have "
            f"{in_words(sum(sizes.values()))}: files may be fetched more than once; "
            f"{gigabytes_for(sum(sizes.values()))} avoids it"
        )
    return None, None


def check_cache(inventory: Inventory) -> list[str]:
    """Check that the cache of a job can be used for the blocks to assemble.

    Returns:
        Warnings, one line each.

    Raises:
        RequestError: it cannot be written, is not a cache, or is too small for one tile.
    """
    refused, warned = access_problem(inventory)
    if refused:
        raise RequestError(refused)
    cache = access_of(inventory.plan.job).cache
    if cache is not None:
        _check_apart(cache.folder, inventory.plan.job.output)
    if cache is not None and inventory.tiles_to_do(inventory.plan.lines.assembly):
        check_folder(cache)
    return [warned] if warned else []


def _check_apart(cache: str, output: str) -> None:
    if storage.is_url(output):
        return
    one, other = os.path.realpath(cache), os.path.realpath(output)
    if os.path.commonpath([one, other]) in (one, other):
        raise RequestError(
            f"input.cache.folder: {cache} overlaps with output {output}; give the cache a folder "
            "of its own"
        )


def check_folder(cache: Cache) -> None:
    """Create the folder of a cache, and check it.

    Raises:
        RequestError: it cannot be written, or is not a cache.
    """
    try:
        cache.check()
    except CacheError as error:
        raise RequestError(f"input.cache.folder: {error}") from error


def gigabytes_for(size: int) -> str:
    """A number of bytes in gigabytes, rounded up to one decimal."""
    return f"{-(-size * 10 // GIGABYTE) / 10:g}"
