"""Vector files on storage: their parts, their copies on this machine, their formats."""

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
"""Errors that pyogrio raises if GDAL cannot read a file."""

_WHOLE = (".gpkg", ".zip", ".geojson", ".json", ".geojsonl", ".fgb", ".parquet")
"""Formats that consist of one file. In other formats, files with the same stem may be parts: a
shapefile has its fields in the `.dbf` and its CRS in the `.prj`."""
_SHAPEFILE = ("dbf", "prj", "shx", "cpg", "qix", "sbn", "sbx")
"""Parts to ask for if the folder cannot be listed."""
_PIECE = 1 << 20
_copying = threading.Lock()


def on_this_machine(location: str) -> str:
    """The name by which GDAL opens a vector file, or its copy on this machine.

    The name may differ from a path because it also tells GDAL the format.

    Raises:
        StorageError: there is no such file, it cannot be copied, or its format is not supported;
            see `vector_formats`.
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
    """The path of a vector file; of a copy if it is at a URL or in a zip.

    GDAL reads features from a URL only while every answer is complete, and pyogrio blocks all other
    threads meanwhile. So each process copies a vector file once, with its parts, and again when the
    file is rewritten. The copies are removed when the process ends.

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
            # A web server cannot list a folder. A part that it does not give, for any reason, is
            # taken as absent.
            if error.passing or not (error.absent or location.startswith("http")):
                raise
    with _copying:
        return _copied(tuple(files.items()))


def parts_of(location: str) -> list[str]:
    """The other files that may belong to a vector file, in order; at a URL, some may not exist.

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
    # A part at a URL is not checked here: the caller asks for more about it anyway.
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
    """A value that changes when a file, or a part of a shapefile, is rewritten."""
    states = []
    for part in (Path(path), *(Path(path).with_suffix(f".{other}") for other in ("shx", "dbf"))):
        try:
            about = os.stat(part)
        except OSError:  # the reader reports it
            continue
        states.append((about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns))
    return tuple(states)


def _keep(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE)
