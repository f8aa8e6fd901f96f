"""Zip archives: lists and reads their members, and checks them against their checksums."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import BinaryIO, TypeVar

from transforms.elements import SceneError, StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import split_zip_path

_PIECE = 1 << 20
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError),
)
"""Errors, besides OSError, for a damaged or encrypted zip or an unknown compression."""
_one_at_a_time = threading.Lock()
T = TypeVar("T")


def list_members(path: str) -> list[zipfile.ZipInfo]:
    """The members of a zip, with its folders.

    Raises:
        SceneError: it cannot be read, has a link, or has two members with one name. Of two such
            members GDAL reads the first, and other programs read the last.
    """
    members = _in_zip(path, zipfile.ZipFile.infolist)
    seen = set()
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SceneError(path, f"has a link in the zip: {member.filename[:120]!r}")
        if member.filename in seen:
            raise SceneError(path, f"has two entries with one name: {member.filename[:120]!r}")
        seen.add(member.filename)
    return members


def read_member(path: str, member: str, limit: int) -> bytes:
    """The bytes of a member of a zip; SceneError if it is damaged or larger than the limit."""

    def read(source: zipfile.ZipFile) -> bytes:
        with source.open(member) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise SceneError(f"{path}/{member}", f"is larger than {limit} bytes")
        return data

    return _in_zip(path, read, member)


def with_member(path: str, member: str, use: Callable[[BinaryIO, int], T]) -> T:
    """Pass a member, open for reading, and its size to `use`; SceneError as in `read_member`."""

    def within(source: zipfile.ZipFile) -> T:
        with source.open(member) as file:
            return use(file, source.getinfo(member).file_size)  # type: ignore[arg-type]

    return _in_zip(path, within, member)


def check_member(path: str) -> None:
    """Raise SceneError if a path for GDAL is a damaged member of a zip on a local disk.

    GDAL does not check the checksum of a zip's member. So each process reads a member through once,
    at the speed of the disk, before its pixels are decoded. On object storage this is not done:
    each process would fetch the whole member, and the storage has its own checksums.
    """
    inside = split_zip_path(path)
    if inside is None or storage.is_url(inside[0]):
        return
    try:
        about = os.stat(inside[0])
    except OSError as error:
        raise SceneError(inside[0], f"cannot be read: {error.strerror}") from error
    with _one_at_a_time:  # other threads usually need the same member
        reason = _fault(*inside, about.st_mtime_ns, about.st_size)
    if reason is not None:
        raise SceneError(f"{inside[0]}/{inside[1]}", reason)


@lru_cache(maxsize=4096)
def _fault(path: str, member: str, changed: int, size: int) -> str | None:
    """The fault of a member, None if it has none; the last two arguments mark the zip's version."""

    def read(source: zipfile.ZipFile) -> None:
        with source.open(member) as file:
            while file.read(_PIECE):
                pass

    try:
        _in_zip(path, read, member)
    except SceneError as error:
        return error.reason
    return None


def one_line(error: BaseException) -> str:
    """The text of an error, short and on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def _in_zip(path: str, use: Callable[[zipfile.ZipFile], T], member: str = "") -> T:
    def within(file: BinaryIO) -> T:
        with zipfile.ZipFile(file) as source:
            return use(source)

    file = f"{path}/{member}" if member else path
    try:
        return storage.with_file(path, within)
    except StorageError as error:
        if error.passing:
            raise
        raise SceneError(file, f"cannot be read: {error.reason}") from error
    except KeyError as error:
        raise SceneError(file, "does not exist in the zip") from error
    except OSError as error:
        raise SceneError(file, f"cannot be read: {one_line(error)}") from error
    except _DAMAGED as error:
        what = "is damaged or cannot be read" if member else "cannot be read as a zip"
        raise SceneError(file, f"{what}: {one_line(error)}") from error
