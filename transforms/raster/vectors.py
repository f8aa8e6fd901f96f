"""Vector files on storage: the files that one is made of, and its copy on this machine."""

from __future__ import annotations

import shutil
import tempfile
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from transforms.elements import StorageError

from . import storage
from .temporary import process_folder

_WHOLE = (".gpkg", ".zip", ".geojson", ".json", ".geojsonl", ".fgb", ".parquet")
"""Formats that are one file; of any other, files of the same stem may be parts (a shapefile's
fields are in its `.dbf`, its CRS in its `.prj`)."""
_SHAPEFILE = ("dbf", "prj", "shx", "cpg", "qix", "sbn", "sbx")
"""What to ask for where nothing can be listed."""
_PIECE = 1 << 20
_copying = threading.Lock()


def on_this_machine(location: str) -> str:
    """The path to open a vector file at: its own, or that of a copy where the location is a URL.

    GDAL reads features of a URL only as long as every answer comes whole, and pyogrio lets no
    other thread run meanwhile. So each process copies a vector file once, with its parts, and again
    when it is written anew; the copies go with the process.

    Raises:
        StorageError: there is no such file, or it cannot be copied.
    """
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


def _keep(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy, _PIECE)
