"""Checks the file of a product's raster before GDAL opens it.

GDAL does not say why it cannot open a file. On a pipe it waits for ever. And the JPEG 2000 decoder
allocates as much memory as a header asks for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, TypeVar

from transforms.elements import SceneError, StorageError, Window
from transforms.storage import storage
from transforms.storage.gdal_access import location_of, source_of, split_zip_path

from .jpeg2000 import SIGNATURE, CodeStream, DamagedError, check_jpeg2000, check_zeros
from .products.zips import with_member

JPEG2000, GEOTIFF = "JP2OpenJPEG", "GTiff"
"""Formats that a raster of a product may have, whatever its name, by GDAL's names. A VRT is not
accepted, because it may name any other file."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PIECE = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RasterFile:
    """GDAL's driver for a raster, and the structure of its code stream if it is JPEG 2000."""

    driver: str
    stream: CodeStream | None = None


def look_at(path: str) -> RasterFile:
    """Find the format of a raster, and check its structure.

    On a local disk, all parts of a JPEG 2000 code stream are checked. On object storage its
    beginning and its end are checked, and in a zip its beginning, once for each process.

    Args:
        path: the raster, named as by `gdal_path`.

    Raises:
        SceneError: it has neither format, is not a regular file, is truncated or damaged, is larger
            than any band or mask, or cannot be read.
        StorageError: this machine cannot open it now.
    """
    if split_zip_path(path) or storage.is_url(location_of(path)):
        return _look_elsewhere(path)
    return _with_file(path, lambda file: _look(file, path, _size(file), tile_parts=True))


def raise_if_zeroed(path: str, found: RasterFile, window: Window) -> None:
    """Raise an error if a window of a JPEG 2000 file on a local disk touches a hole of zero bytes.

    Members of a zip have a checksum instead, and object storage returns whole objects.

    Raises:
        SceneError: there is such a hole, or the file cannot be read.
        StorageError: this machine cannot open it now.
    """
    if found.stream is None or not found.stream.parts:
        return
    stream = found.stream
    try:
        _with_file(path, lambda file: check_zeros(file, stream, window))
    except DamagedError as error:
        raise SceneError(path, f"is a damaged JPEG 2000 file: {error}") from error


def raise_if_unreadable(path: str) -> None:
    """Read a local file whole, and raise the operating system's error if that fails.

    Raises:
        SceneError: the file cannot be read.
        StorageError: this machine cannot open it now.
    """
    location = source_of(path)
    if not storage.is_url(location):
        _with_file(location, _read_all)


def _with_file(path: str, use: Callable[[BinaryIO], T]) -> T:
    """Open a file of a product and pass it to `use`; return its result.

    Raises:
        SceneError: the file cannot be read.
        StorageError: this machine cannot open it now, or the storage does not answer now.
    """
    try:
        return storage.with_file(location_of(path), use)
    except StorageError as error:
        if error.passing:
            raise
        raise SceneError(path, f"cannot be read: {error.reason}") from error


@lru_cache(maxsize=4096)
def _look_elsewhere(path: str) -> RasterFile:
    def look(file: BinaryIO, size: int) -> RasterFile:
        # The end of a packed member is known only after unpacking all of it.
        return _look(file, path, size, tile_parts=False, ending=inside is None)

    inside = split_zip_path(path)
    if inside is not None:
        return with_member(*inside, look)
    return _with_file(path, lambda file: look(file, _size(file)))


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _read_all(file: BinaryIO) -> None:
    while file.read(_PIECE):
        pass


def _look(
    file: BinaryIO, path: str, size: int, tile_parts: bool, ending: bool = True
) -> RasterFile:
    file.seek(0)
    start = file.read(len(SIGNATURE))
    if start.startswith(_TIFF):
        return RasterFile(GEOTIFF)
    if start != SIGNATURE:
        kind = "neither JPEG 2000 nor GeoTIFF" if start else "an empty file"
        raise SceneError(path, f"is {kind}, expected a JPEG 2000 image")
    try:
        return RasterFile(JPEG2000, check_jpeg2000(file, size, tile_parts, ending))
    except DamagedError as error:
        raise SceneError(path, f"is a damaged JPEG 2000 file: {error}") from error
