"""Writes files whole or not at all, and removes them, on local paths and on object storage."""

from __future__ import annotations

import glob
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from transforms.elements import StorageError

from ..locations import is_url, masked, name
from ..object_store import call
from ..room import why_not_written
from ..temporary import process_folder
from .reading import local

_PART = 16 << 20
"""Bytes of one part of an upload; a few parts are in memory at a time."""
_PARTIAL = ".partial"
"""Part of the name of a local file that is still being written; its name begins with a dot."""


@contextmanager
def published(location: str, needed: int = 0) -> Iterator[Path]:
    """Yield a path for a new local file; publish it as `location` if the body ends without error.

    On a local disk the new file lies beside `location`. The file is flushed to the disk before it
    is renamed, and the folder after that. So a power cut leaves either the old file or the whole
    new one. On object storage the file is uploaded in one operation: the object is there whole or
    not at all. After an error, the new file is removed.

    Args:
        location: the name of the file when it is complete.
        needed: an upper bound of its size in bytes, for the error message.

    Raises:
        StorageError: it cannot be written or uploaded; the text names a full disk.
    """
    if is_url(location):
        if location.startswith("http"):
            raise StorageError(masked(location), "is read-only, expected a local path, s3 or gs")
        with (
            _written(location, Path(tempfile.gettempdir(), name(location)), needed),
            tempfile.TemporaryDirectory(dir=process_folder()) as folder,
        ):
            copy = Path(folder, name(location))
            yield copy
            call(location, lambda system, path: system.put_file(str(copy), path, chunksize=_PART))
        return
    path = Path(location)
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{_PARTIAL}{path.suffix}")
    with _written(location, path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            to_disk(partial)
            os.replace(partial, path)
            to_disk(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _written(location: str, path: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:  # rasterio's copy raises the last one
        reason = f"cannot be written: {why_not_written(error, path, needed)}"
        raise StorageError(location, reason) from error


def write_whole(location: str, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    with published(location, len(data)) as partial:
        partial.write_bytes(data)


def remove(location: str) -> None:
    """Remove a file; if there is none, do nothing.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        if is_url(location):
            call(location, lambda system, path: system.rm_file(path))
        else:
            with local(location):
                os.unlink(location)
    except StorageError as error:
        if not error.absent:
            raise


def remove_files(locations: Sequence[str]) -> None:
    """Remove many files of one storage; files that do not exist are ignored.

    Raises:
        StorageError: one cannot be removed.
    """
    if not locations or not is_url(locations[0]):
        for location in locations:
            remove(location)
        return

    def remove_all(system: Any, path: str) -> None:
        paths = [str(system._strip_protocol(location)) for location in locations]
        # fsspec takes the names of a list as patterns.
        plain = [path for path in paths if glob.escape(path) == path]
        for path in set(paths).difference(plain):
            system.rm_file(path)
        if plain:
            system.rm(plain)

    call(locations[0], remove_all)


def to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_partial(name: str) -> bool:
    """Whether `published` has not finished a file of this name."""
    return name.startswith(".") and _PARTIAL in name
