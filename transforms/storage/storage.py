"""Files on local paths and object storage, through the same few functions.

A location is a str: a local path, or a URL (`s3://bucket/key`, `gs://...`, `https://...` to read).
Address and credentials of the service are set as for the AWS tools: in the environment
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...) or in `~/.aws`. Some buckets have a service of their
own, see `services`.
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
"""Bytes of one part of an upload; a few parts are in memory at a time."""
_PARTIAL = ".partial"
"""Part of the name of a local file that is still being written; its name begins with a dot."""
OF_THIS_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""Errors of a machine that cannot open one more file; the file itself is good."""
T = TypeVar("T")


def is_file(location: str) -> bool:
    """Whether a file exists.

    Raises:
        StorageError: the storage does not say.
    """
    return _kind(location) == "file" if is_url(location) else os.path.isfile(location)


def is_folder(location: str) -> bool:
    """Whether a folder exists; on object storage, whether there is an object below it.

    Raises:
        StorageError: the storage does not say.
    """
    return _kind(location) == "directory" if is_url(location) else os.path.isdir(location)


def size(location: str) -> int:
    """Size of a file in bytes.

    Raises:
        StorageError: there is no such file, or the storage does not say.
    """
    if is_url(location):
        return int(call(location, lambda system, path: system.info(path)["size"]))
    with _local(location):
        return os.path.getsize(location)


def with_file(location: str, use: Callable[[BinaryIO], T]) -> T:
    """Open a file and pass it to `use`; start again after errors of the storage that may pass.

    Returns:
        The result of `use`.

    Raises:
        StorageError: there is no such file, or it cannot be read.
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
        StorageError: there is no such file, it cannot be read, or it has more than `limit` bytes.
    """
    data = with_file(location, lambda file: file.read(limit + 1))
    if len(data) > limit:
        raise StorageError(location, f"is larger than {limit} bytes")
    return data


def sha256(location: str) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        StorageError: there is no such file, or it cannot be read.
    """

    def digest_of(file: BinaryIO) -> str:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
        return digest.hexdigest()

    return with_file(location, digest_of)


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
            _to_disk(partial)
            os.replace(partial, path)
            _to_disk(path.parent)
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
            with _local(location):
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
        plain = [path for path in paths if local_glob.escape(path) == path]
        for path in set(paths).difference(plain):
            system.rm_file(path)
        if plain:
            system.rm(plain)

    call(locations[0], remove_all)


def listing(folder: str) -> list[str]:
    """Names directly in a folder, sorted; empty if there is no such folder.

    Files that `published` has not finished are left out.

    Raises:
        StorageError: it cannot be listed.
    """

    def names(system: Any, path: str) -> list[str]:
        entries = {str(entry["name"]).rstrip("/") for entry in system.ls(path, detail=True)}
        # A file, and the empty object that some tools create for a folder, list themselves.
        return sorted(name(entry) for entry in entries - {path.rstrip("/")})

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

    Unlike in `listing`, hidden and partial files are included. A link counts as its target. On
    object storage, the name "" means that there are keys with an empty part (`folder//`), which no
    location has. The result is empty if there is no such folder.

    Raises:
        StorageError: it cannot be listed.
    """

    def entries(system: Any, path: str) -> dict[str, bool]:
        kinds: dict[str, bool] = {}
        for entry in system.ls(path, detail=True):
            below = str(entry["name"]).rstrip("/")
            is_folder = entry["type"] == "directory"
            if below != path.rstrip("/"):
                # A key may be an object and also the beginning of other keys.
                kinds[name(below)] = kinds.get(name(below), False) or is_folder
            elif is_folder:  # the empty object that stands for the folder counts as a file
                kinds[""] = True
        return kinds

    try:
        if is_url(folder):
            kinds = call(folder, entries)
        else:
            with _local(folder), os.scandir(folder) as opened:
                # `is_dir` raises an error for a link to itself.
                kinds = {
                    entry.name: os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                    for entry in opened
                }
    except StorageError as error:
        if error.absent:
            return {}
        raise
    return dict(sorted(kinds.items()))


def _is_partial(name: str) -> bool:
    return name.startswith(".") and _PARTIAL in name


class Stored(NamedTuple):
    """The size of a file or object in bytes, and a text that changes when it is rewritten."""

    size: int
    version: str


def stored(location: str) -> Stored:
    """Size and version of a file, as the storage reports them.

    Raises:
        StorageError: there is no such file (but maybe a folder), or the storage does not say.
    """
    if not is_url(location):
        with _local(location):
            about = os.stat(location)
        if not stat.S_ISREG(about.st_mode):
            raise StorageError(location, "is not a file", absent=True)
        return Stored(about.st_size, f"{about.st_dev}-{about.st_ino}-{about.st_mtime_ns}")
    about_object = call(location, lambda system, path: system.info(path))
    if about_object["type"] != "file":
        raise StorageError(location, "is a folder, expected a file", absent=True)
    return _stored(about_object)


def stored_or_none(location: str) -> Stored | None:
    """Size and version of a file, as the storage reports them; None if there is no such file.

    Raises:
        StorageError: the storage does not say.
    """
    try:
        return stored(location)
    except StorageError as error:
        if error.absent:
            return None
        raise


def files_below(folder: str) -> dict[str, Stored]:
    """All files below a folder, by relative path, sorted; links are not followed.

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
    """All objects below a URL, by relative name, sorted; empty if there are none.

    Raises:
        StorageError: it cannot be listed.
    """

    def find(system: Any, path: str) -> dict[str, Stored]:
        objects = system.find(path, detail=True)
        below = {key.removeprefix(path).lstrip("/"): objects[key] for key in sorted(objects)}
        return {key: _stored(about) for key, about in below.items() if key}

    return call(url, find)


def glob(base: str, pattern: str) -> list[str]:
    """Relative paths of the files below a folder that match a pattern, sorted.

    Raises:
        StorageError: it cannot be listed.
    """
    if not is_url(base):
        with _local(base):
            return sorted(local_glob.glob(pattern, root_dir=base))

    def find(system: Any, path: str) -> list[str]:
        matches = system.glob(f"{local_glob.escape(path)}/{pattern}")
        return sorted(entry.removeprefix(path).lstrip("/") for entry in matches)

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
    """Open a regular file for reading, without waiting for the other end of a pipe.

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
    raise StorageError(location, "is a pipe or a device, expected a file")


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
