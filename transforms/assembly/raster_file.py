"""What the file of a product's raster is, found out before GDAL opens it.

GDAL says neither why it cannot open a file nor that one is a pipe, on which it waits for ever, and
the JPEG 2000 decoder reserves whatever memory a header asks for.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from transforms.elements import SceneError, StorageError, Window
from transforms.raster import storage
from transforms.raster.gdal_access import location_of

from .jpeg2000 import SIGNATURE, CodeStream, DamagedError, check_jpeg2000, check_zeros
from .zips import split_zip_path, with_member

JPEG2000, GEOTIFF = "JP2OpenJPEG", "GTiff"
"""Formats that a raster of a product may have, whatever its name, as GDAL calls them; a VRT, which
may name any other file, is none of them."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class RasterFile:
    """GDAL's driver for a raster, and what was found in it where it is JPEG 2000."""

    driver: str
    stream: CodeStream | None = None


def look_at(path: str) -> RasterFile:
    """What a raster is, named as `gdal_path` names it, whose structure is whole.

    Of a file on a local disk all parts of the code stream are looked at; on object storage its
    beginning and its end, and in a zip its beginning, once in a process.

    Raises:
        SceneError: it is of neither format, no regular file, cut or damaged, larger than any band
            or mask, or cannot be read.
        StorageError: this machine cannot open it now.
    """
    if split_zip_path(path) or storage.is_url(location_of(path)):
        return _look_elsewhere(path)
    with _local_file(path) as file:
        return _look(file, path, os.fstat(file.fileno()).st_size, tile_parts=True)


def raise_if_zeroed(path: str, found: RasterFile, window: Window) -> None:
    """Refuse a hole of zero bytes where a window of a JPEG 2000 file on a local disk lies.

    What lies in a zip is compared with its checksum; object storage gives objects whole.

    Raises:
        SceneError: there is one, or the file cannot be read.
        StorageError: this machine cannot open it now.
    """
    if found.stream is None or not found.stream.parts:
        return
    with _local_file(path) as file:
        try:
            check_zeros(file, found.stream, window)
        except DamagedError as error:
            raise SceneError(path, f"damaged JPEG 2000: {error}") from error


def raise_if_unreadable(path: str) -> None:
    """Raise what the operating system says where it does not give a local file's bytes.

    Raises:
        SceneError: the file cannot be read.
        StorageError: this machine cannot open it now.
    """
    inside = split_zip_path(path)
    location = inside[0] if inside else location_of(path)
    if storage.is_url(location):
        return
    with _local_file(location) as file:
        while file.read(_PIECE):
            pass


@contextmanager
def _local_file(path: str) -> Iterator[BinaryIO]:
    """A regular file, open for reading; nothing waits for the other end of a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with io.FileIO(handle) as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SceneError(path, "not a regular file")
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in storage.OF_THIS_MACHINE:
            raise StorageError(path, f"cannot be opened now: {reason}", passing=True) from error
        raise SceneError(path, f"not readable: {reason}") from error


@lru_cache(maxsize=4096)
def _look_elsewhere(path: str) -> RasterFile:
    def look(file: BinaryIO, size: int) -> RasterFile:
        # The end of what is packed in a zip is known when all of it is unpacked.
        return _look(file, path, size, tile_parts=False, ending=inside is None)

    inside = split_zip_path(path)
    if inside is not None:
        return with_member(*inside, look)
    try:
        return storage.with_file(
            location_of(path), lambda file: look(file, file.seek(0, os.SEEK_END))
        )
    except StorageError as error:
        if error.passing:
            raise
        raise SceneError(path, f"not readable: {error.reason}") from error


def _look(
    file: BinaryIO, path: str, size: int, tile_parts: bool, ending: bool = True
) -> RasterFile:
    file.seek(0)
    start = file.read(len(SIGNATURE))
    if start.startswith(_TIFF):
        return RasterFile(GEOTIFF)
    if start != SIGNATURE:
        what = "neither JPEG 2000 nor GeoTIFF" if start else "an empty file"
        raise SceneError(path, f"{what}, expected a JPEG 2000 image")
    try:
        return RasterFile(JPEG2000, check_jpeg2000(file, size, tile_parts, ending))
    except DamagedError as error:
        raise SceneError(path, f"damaged JPEG 2000: {error}") from error
