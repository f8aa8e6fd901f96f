"""Files at locations: local paths and object storage, through the same few functions.

A location is a str: a local path, or a URL (`s3://bucket/key`, `gs://...`, `https://...` to read).
Endpoint and credentials are found where the AWS tools find them, in the environment
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...) or in `~/.aws`.
"""

from __future__ import annotations

import errno
import glob as local_glob
import hashlib
import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from transforms.elements import StorageError

from .locations import absolute, is_url, join, masked, name, problem
from .object_store import call
from .room import why_not_written
from .temporary import process_folder

__all__ = [
    "Stored",
    "absolute",
    "contents",
    "files_below",
    "glob",
    "is_file",
    "is_folder",
    "is_url",
    "join",
    "listing",
    "masked",
    "name",
    "objects_below",
    "problem",
    "published",
    "read_bytes",
    "remove",
    "remove_files",
    "sha256",
    "size",
    "stored",
    "stored_or_none",
    "with_file",
    "write_whole",
]
_PIECE = 1 << 20
_PART = 16 << 20
"""Bytes of a part of an upload: a few of them are in memory at a time."""
_PARTIAL = ".partial"
"""In the name of a local file, which then begins with a dot: it is still being written."""
OF_THIS_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""Errors of a machine that has no room for one more open file; the file is not at fault."""
T = TypeVar("T")


def is_file(location: str) -> bool:
    """Whether there is such a file.

    Raises:
        StorageError: the storage cannot be asked.
    """
    return _kind(location) == "file" if is_url(location) else os.path.isfile(location)


def is_folder(location: str) -> bool:
    """Whether there is such a folder; on object storage, anything below it.

    Raises:
        StorageError: the storage cannot be asked.
    """
    return _kind(location) == "directory" if is_url(location) else os.path.isdir(location)


def size(location: str) -> int:
    """Bytes of a file.

    Raises:
        StorageError: there is none, or the storage cannot be asked.
    """
    if is_url(location):
        return int(call(location, lambda system, path: system.info(path)["size"]))
    with _local(location):
        return os.path.getsize(location)


def with_file(location: str, use: Callable[[BinaryIO], T]) -> T:
    """What `use` makes of a file, open for reading; begun again where the storage fails in passing.

    Raises:
        StorageError: there is none, or it cannot be read.
    """

    def read(system: Any, path: str) -> T:
        with system.open(path, "rb", cache_type="readahead", block_size=_PIECE) as file:
            return use(file)

    if is_url(location):
        return call(location, read)
    with _local(location), _regular_file(location) as file:
        return use(file)


def read_bytes(location: str, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        StorageError: there is none, it cannot be read, or it has more than `limit` bytes.
    """
    data = with_file(location, lambda file: file.read(limit + 1))
    if len(data) > limit:
        raise StorageError(location, f"larger than {limit} bytes")
    return data


def sha256(location: str) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        StorageError: there is none, or it cannot be read.
    """

    def digest(file: BinaryIO) -> str:
        found = hashlib.sha256()
        while piece := file.read(_PIECE):
            found.update(piece)
        return found.hexdigest()

    return with_file(location, digest)


@contextmanager
def published(location: str, needed: int = 0) -> Iterator[Path]:
    """A local file to write, published as `location` when the body ends well, else removed.

    On a local disk it lies beside `location`; file and folder reach the disk before and after the
    move, so that a power cut leaves what was there or the whole. On object storage it is uploaded
    in one go: an object is there whole or not at all. `needed` bytes at most are written.

    Raises:
        StorageError: it cannot be written or uploaded; a full disk is named.
    """
    if is_url(location):
        if location.startswith("http"):
            raise StorageError(masked(location), "read only, expected a local path, s3 or gs")
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
            _to_disk(partial)
            os.replace(partial, path)
            _to_disk(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _written(location: str, path: Path, needed: int) -> Iterator[None]:
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:  # GDAL's own, from a copy
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
    """Remove a file; one that is not there is removed already.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        if is_url(location):
            call(location, lambda system, path: system.rm_file(path))
        else:
            with _local(location):
                os.unlink(location)
    except StorageError as error:
        if not error.absent:
            raise


def remove_files(locations: Sequence[str]) -> None:
    """Remove many files of one storage; those that are not there are removed already.

    Raises:
        StorageError: one cannot be removed.
    """
    if not locations or not is_url(locations[0]):
        for location in locations:
            remove(location)
        return

    def remove_all(system: Any, path: str) -> None:
        paths = [str(system._strip_protocol(location)) for location in locations]
        # A list is taken for patterns.
        plain = [path for path in paths if local_glob.escape(path) == path]
        for path in set(paths).difference(plain):
            system.rm_file(path)
        if plain:
            system.rm(plain)

    call(locations[0], remove_all)


def listing(folder: str) -> list[str]:
    """Names directly in a folder, sorted; empty where there is no such folder.

    What `published` is writing, or what was being written when a process was killed, is not there.

    Raises:
        StorageError: it cannot be listed.
    """

    def names(system: Any, path: str) -> list[str]:
        found = {str(entry["name"]).rstrip("/") for entry in system.ls(path, detail=True)}
        # A file, and the empty object that some tools leave for a folder, list themselves.
        return sorted(name(entry) for entry in found - {path.rstrip("/")})

    try:
        if is_url(folder):
            return call(folder, names)
        with _local(folder):
            return sorted(name for name in os.listdir(folder) if not _is_partial(name))
    except StorageError as error:
        if error.absent:
            return []
        raise


def contents(folder: str) -> dict[str, bool]:
    """Names directly in a folder, sorted, each with whether it is a folder.

    Unlike in `listing`, hidden and partial files are there. A link counts as what it leads to. On
    object storage the name "" says that keys go on with an empty part (`folder//`), which no
    location has. The result is empty where there is no such folder.

    Raises:
        StorageError: it cannot be listed.
    """

    def entries(system: Any, path: str) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for entry in system.ls(path, detail=True):
            below = str(entry["name"]).rstrip("/")
            is_folder = entry["type"] == "directory"
            if below != path.rstrip("/"):
                # A key may be an object and the start of others.
                found[name(below)] = found.get(name(below), False) or is_folder
            elif is_folder:  # an empty object that stands for the folder is a file here
                found[""] = True
        return found

    try:
        if is_url(folder):
            found = call(folder, entries)
        else:
            with _local(folder), os.scandir(folder) as opened:
                # A link that leads to itself is an error for `is_dir`.
                found = {
                    entry.name: os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                    for entry in opened
                }
    except StorageError as error:
        if error.absent:
            return {}
        raise
    return dict(sorted(found.items()))


def _is_partial(name: str) -> bool:
    return name.startswith(".") and _PARTIAL in name


class Stored(NamedTuple):
    """The bytes of a file or an object, and a text that changes when it is written anew."""

    size: int
    version: str


def stored(location: str) -> Stored:
    """What the storage says of a file.

    Raises:
        StorageError: there is none, but maybe a folder, or the storage cannot be asked.
    """
    if not is_url(location):
        with _local(location):
            about = os.stat(location)
        if not stat.S_ISREG(about.st_mode):
            raise StorageError(location, "no file", absent=True)
        return Stored(about.st_size, f"{about.st_dev}-{about.st_ino}-{about.st_mtime_ns}")
    about_object = call(location, lambda system, path: system.info(path))
    if about_object["type"] != "file":
        raise StorageError(location, "a folder, expected a file", absent=True)
    return _stored(about_object)


def stored_or_none(location: str) -> Stored | None:
    """What the storage says of a file; None where there is none.

    Raises:
        StorageError: the storage cannot be asked.
    """
    try:
        return stored(location)
    except StorageError as error:
        if error.absent:
            return None
        raise


def files_below(folder: str) -> dict[str, Stored]:
    """All files below a folder by their paths from there, sorted; links are not followed.

    Raises:
        StorageError: it cannot be listed.
    """
    if is_url(folder):
        return objects_below(folder)
    with _local(folder):
        paths = [
            Path(place, file)
            for place, _, files in os.walk(folder)
            for file in files
            if not _is_partial(file)
        ]
    there = {path.relative_to(folder).as_posix(): stored_or_none(str(path)) for path in paths}
    return {name: about for name, about in sorted(there.items()) if about is not None}


def objects_below(url: str) -> dict[str, Stored]:
    """All objects below a URL by their names from there, sorted; empty where there are none.

    Raises:
        StorageError: it cannot be listed.
    """

    def find(system: Any, path: str) -> dict[str, Stored]:
        found = system.find(path, detail=True)
        below = {key.removeprefix(path).lstrip("/"): found[key] for key in sorted(found)}
        return {key: _stored(about) for key, about in below.items() if key}

    return call(url, find)


def glob(base: str, pattern: str) -> list[str]:
    """Files below a folder whose path from there fits a pattern, as such paths, sorted.

    Raises:
        StorageError: it cannot be listed.
    """
    if not is_url(base):
        with _local(base):
            return sorted(local_glob.glob(pattern, root_dir=base))

    def find(system: Any, path: str) -> list[str]:
        found = system.glob(f"{local_glob.escape(path)}/{pattern}")
        return sorted(entry.removeprefix(path).lstrip("/") for entry in found)

    return call(base, find)


def _stored(about: Mapping[str, Any]) -> Stored:
    version = about.get("ETag") or about.get("etag") or about.get("LastModified")
    return Stored(int(about.get("size") or 0), str(version or ""))


def _kind(location: str) -> str:
    try:
        return str(call(location, lambda system, path: system.info(path)["type"]))
    except StorageError as error:
        if error.absent:
            return "absent"
        raise


def _regular_file(location: str) -> BinaryIO:
    """A regular file, open for reading; nothing waits for the other end of a pipe.

    Raises:
        StorageError: it is a pipe, a device or the like.
        OSError: it cannot be opened.
    """
    handle = os.open(location, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return open(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise StorageError(location, "a pipe or a device, expected a file")


@contextmanager
def _local(location: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
        passing = error.errno in OF_THIS_MACHINE
        reason = error.strerror or masked(str(error))
        if passing:
            reason = f"cannot be opened now: {reason}"
        raise StorageError(location, reason, absent, passing) from error


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
