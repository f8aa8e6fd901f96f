"""The fingerprints of stored rasters: which of them exist and are complete."""

from __future__ import annotations

import logging
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from rasterio.errors import RasterioError

from transforms.elements import StorageError
from transforms.storage import storage

from .geotiff import FINGERPRINT_TAG, read_raster, unreadable
from .seal import SEAL_TAG, Content, content_of, has_its_size
from .tile_sums import SUMS_TAG

_LOG = logging.getLogger(__name__)
INCOMPLETE = "incomplete"
"""The mark of a raster that lacks something, in place of its fingerprint; it is made again."""
_AT_A_TIME = 16
"""Headers on object storage that are read in parallel; each takes a few short requests."""


def stored_fingerprint(path: str) -> str | None:
    """The fingerprint of a raster that this job wrote and that has its full length; else None.

    Raises:
        RasterError: the storage does not say.
    """
    return stored_tags(path).get(FINGERPRINT_TAG)


def stored_tags(path: str) -> dict[str, str]:
    """The tags of a raster that this job wrote and that has its full length; else empty.

    Raises:
        RasterError: the storage does not say.
    """
    stored = storage.stored_or_none(path)
    return _tags_in(path, stored.size) if stored else {}


def stored_fingerprints(
    folder: str, paths: Collection[str], *, verify: bool = False
) -> dict[str, str]:
    """Fingerprints of those rasters below a folder that exist and are complete, by relative path.

    On object storage one listing shows which rasters exist. Only the headers of objects that are
    new to this process are read, several in parallel. The log names incomplete rasters.

    Args:
        folder: a location.
        paths: relative paths of the rasters.
        verify: whether to read each file completely, once for each process, and check its seal.

    Raises:
        RasterError: the storage does not say.
    """
    if storage.is_url(folder):
        tops = sorted({path.partition("/")[0] for path in paths})
        below = {
            f"{top}/{name}": state
            for top in tops
            for name, state in storage.objects_below(storage.join(folder, top)).items()
        }
        stored = {path: below[path] for path in paths if path in below}
    else:
        states = ((path, storage.stored_or_none(storage.join(folder, path))) for path in paths)
        stored = {path: state for path, state in states if state}

    def mark(path: str) -> str | None:
        location, state = storage.join(folder, path), stored[path]
        if storage.is_url(folder):
            fingerprint = _fingerprint_of(location, state)
        else:
            fingerprint = _fingerprint_in(location, state.size)
        if fingerprint and verify and not _content(location, state.version).sealed:
            _say_not_whole(location, "has changed since it was made")
            return None
        return fingerprint

    with ThreadPoolExecutor(_AT_A_TIME if verify or storage.is_url(folder) else 1) as pool:
        marks = dict(zip(stored, pool.map(mark, stored), strict=True))
    return {path: mark for path, mark in marks.items() if mark}


def content(path: str) -> Content:
    """Sum and seal of a published raster; read once for each process and version of the file.

    Raises:
        StorageError: there is no such file, or it cannot be read.
    """
    stored = storage.stored_or_none(path)
    if stored is None:
        raise StorageError(path, "does not exist", absent=True)
    return _content(path, stored.version)


@lru_cache(maxsize=1 << 16)
def _content(path: str, version: str) -> Content:
    return storage.with_file(path, content_of)


@lru_cache(maxsize=1 << 16)
def _fingerprint_of(path: str, stored: storage.Stored) -> str | None:
    return _fingerprint_in(path, stored.size)


def _fingerprint_in(path: str, size: int) -> str | None:
    return _tags_in(path, size).get(FINGERPRINT_TAG)


def _tags_in(path: str, size: int) -> dict[str, str]:
    tags: dict[str, str] = {}  # if it is no raster, it counts as absent and is written again
    try:
        tags = read_raster(path, lambda source: source.tags(), "GTiff")
    except RasterioError as error:
        if storage.is_url(path):  # the object may be complete, and the access to it may fail
            raise unreadable(path, f"cannot be opened: {error}", error) from error
    # A block file has no seal: its pixels are checked when they are read.
    whole = SUMS_TAG in tags and (SEAL_TAG not in tags or has_its_size(tags[SEAL_TAG], size))
    if not whole:
        _say_not_whole(path, "is truncated, or is not a raster of this version")
    return tags if whole else {}


@lru_cache(maxsize=1 << 12)
def _say_not_whole(path: str, reason: str) -> None:
    """Warn once for each process and file: the same file is checked more than once."""
    _LOG.warning("%s: %s; it is made again", path, reason)
