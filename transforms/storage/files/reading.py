"""Looks files up and reads them, on local paths and on object storage."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, TypeVar

from transforms.elements import StorageError

from ..locations import is_url, masked
from ..object_store import call

_PIECE = 1 << 20
_OF_THIS_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
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
    with local(location):
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
    with local(location), _regular_file(location) as file:
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
        with local(location):
            about = os.stat(location)
        if not stat.S_ISREG(about.st_mode):
            raise StorageError(location, "is not a file", absent=True)
        return Stored(about.st_size, f"{about.st_dev}-{about.st_ino}-{about.st_mtime_ns}")
    about_object = call(location, lambda system, path: system.info(path))
    if about_object["type"] != "file":
        raise StorageError(location, "is a folder, expected a file", absent=True)
    return of_object(about_object)


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


def of_object(about: Mapping[str, Any]) -> Stored:
    """Size and version of an object, from its entry in a listing of fsspec."""
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
def local(location: str) -> Iterator[None]:
    """Inside the context, an error of the operating system is a `StorageError`."""
    try:
        yield
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
        passing = error.errno in _OF_THIS_MACHINE
        reason = error.strerror or masked(str(error))
        if passing:
            reason = f"cannot be opened now: {reason}"
        raise StorageError(location, reason, absent, passing) from error
