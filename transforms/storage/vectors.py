"""Vector files on storage: the files that one is made of, its copy on this machine, its format."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from pyogrio.errors import DataLayerError, DataSourceError

from transforms.elements import StorageError

from . import storage
from .temporary import process_folder
from .vector_formats import check_regular, gdal_name
from .vector_zip import unpack

UNREADABLE = (
    DataSourceError,
    DataLayerError,
    OSError,
    ValueError,
    MemoryError,
    UnboundLocalError,  # of pyogrio 0.13, for a CRS that is not UTF-8
)
"""What pyogrio ends in where GDAL cannot read a file."""

_WHOLE = (".gpkg", ".zip", ".geojson", ".json", ".geojsonl", ".fgb", ".parquet")
"""Formats that are one file; of any other, files of the same stem may be parts (a shapefile's
fields are in its `.dbf`, its CRS in its `.prj`)."""
_SHAPEFILE = ("dbf", "prj", "shx", "cpg", "qix", "sbn", "sbx")
"""What to ask for where nothing can be listed."""
_PIECE = 1 << 20
_copying = threading.Lock()


def on_this_machine(location: str) -> str:
    """The name that GDAL opens a vector file by: of the file itself, or of its copy.

    It may differ from a path, for it tells GDAL the format.

    Raises:
        StorageError: there is no such file, it cannot be copied, or it is of no format that is
            read, see `vector_formats`.
    """
    file = local_file(location)
    try:
        return _gdal_name(file, _state(file))
    except StorageError as error:
        if file == location:
            raise
        raise StorageError(
            location, f"{storage.name(file)}: {error.reason}", error.absent, error.passing
        ) from error


def local_file(location: str) -> str:
    """The path of a vector file: its own, or that of a copy where it is a URL or in a zip.

    GDAL reads features of a URL only as long as every answer comes whole, and pyogrio lets no
    other thread run meanwhile. So each process copies a vector file once, with its parts, and again
    when it is written anew; the copies go with the process.

    Raises:
        StorageError: there is no such file, or it cannot be copied.
    """
    path = _local_copy(location)
    if not path.lower().endswith(".zip"):
        return path
    check_regular(path)
    with _copying:
        return _unpacked(path, _state(path))


def _local_copy(location: str) -> str:
    if not storage.is_url(location):
        return location
    files = {location: storage.stored(location)}
    for part in parts_of(location):
        try:
            files[part] = storage.stored(part)
        except StorageError as error:
            # A web server lists nothing; what it does not give, whatever it says to that, is not
            # there.
            if error.passing or not (error.absent or location.startswith("http")):
                raise
    with _copying:
        return _copied(tuple(files.items()))


def parts_of(location: str) -> list[str]:
    """The other files that a vector file may be made of, in order; of a URL, not all may be there.

    Raises:
        StorageError: their folder cannot be listed.
    """
    folder, name = location.removesuffix(storage.name(location)), storage.name(location)
    stem, dot, extension = name.rpartition(".")
    if f".{extension}".lower() in _WHOLE or not dot:
        return []
    if location.startswith("http"):
        return [f"{folder}{stem}.{part}" for part in _SHAPEFILE]
    same = (
        other
        for other in storage.listing(folder)
        if other.rpartition(".")[0].lower() == stem.lower() and other != name
    )
    paths = [f"{folder}{other}" for other in same]
    # At a URL each would be asked for twice: whoever wants it asks for more than whether it is.
    return [path for path in paths if storage.is_url(path) or storage.is_file(path)]


@lru_cache(maxsize=64)
def _copied(files: tuple[tuple[str, storage.Stored], ...]) -> str:
    folder = Path(tempfile.mkdtemp(dir=process_folder()))
    copies = [folder / storage.name(location) for location, _ in files]
    for (location, _), copy in zip(files, copies, strict=True):
        storage.with_file(location, partial(_keep, path=copy))
    return str(copies[0])


@lru_cache(maxsize=64)
def _unpacked(path: str, state: tuple[tuple[int, ...], ...]) -> str:
    return unpack(path, Path(tempfile.mkdtemp(dir=process_folder())))


@lru_cache(maxsize=64)
def _gdal_name(path: str, state: tuple[tuple[int, ...], ...]) -> str:
    return gdal_name(path)


def _state(path: str) -> tuple[tuple[int, ...], ...]:
    """What changes when a file, or a part of a shapefile, is written anew."""
    found = []
    for part in (Path(path), *(Path(path).with_suffix(f".{other}") for other in ("shx", "dbf"))):
        try:
            about = os.stat(part)
        except OSError:  # who reads it says so
            continue
        found.append((about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns))
    return tuple(found)


def _keep(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE)
