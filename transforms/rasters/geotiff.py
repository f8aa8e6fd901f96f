"""Rasters on storage: written whole or not at all, read by window."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import MemoryFile

from transforms.elements import LayerSpec, RasterRef, StorageError, Window
from transforms.storage import storage
from transforms.storage.gdal_access import (
    GDAL_RETRIES,
    connection_lost,
    gdal_environment,
    gdal_path,
    read_again,
)
from transforms.storage.storage import published

from .overviews import same_overviews, with_overviews
from .seal import BLANK_SEAL, SEAL_TAG, Content, Sum, content_of, fill, has_its_size, seal
from .tile_sums import SUMS_TAG, WrittenPixels, as_tag, blank_tag, read_checked, sums_of

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
FINGERPRINT_TAG = "GHSL_FINGERPRINT"
INCOMPLETE = "incomplete"
"""In place of the fingerprint of a raster that lacks something: it will be made anew."""
_STRIP = 512
"""Rows read at a time: those of the tiles in the files."""
_BLOCK_TILE = 256
_LOST = "written, but it does not read back"
_AT_A_TIME = 16
"""Headers on object storage that are read together: each is a few short requests."""
_BLOCK_PROFILE = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": _BLOCK_TILE,
    "blockysize": _BLOCK_TILE,
    "compress": "ZSTD",
    "zstd_level": 1,
    "predictor": 2,
    "sparse_ok": True,
}


def raster_profile(grid: GeoBox) -> dict[str, Any]:
    """Georeferencing of a raster as rasterio takes it."""
    height, width = grid.shape
    return {
        "crs": str(grid.crs),
        "transform": grid.affine,
        "height": height,
        "width": width,
    }


@contextmanager
def opened(location: str, driver: str | None = None, retries: int = GDAL_RETRIES) -> Iterator[Any]:
    """A raster opened for reading, wherever it lies; of one format alone, where one is named.

    Args:
        location: of the raster.
        driver: GDAL's name of the format.
        retries: how often GDAL itself repeats a request; 0 where whoever calls reads again.

    Raises:
        RasterioError: it cannot be opened.
        StorageError: the location cannot be used.
    """
    path = gdal_path(location)
    with gdal_environment(path, retries), rasterio.open(path, driver=driver) as source:
        yield source


def read_raster(location: str, read: Callable[[Any], T], driver: str | None = None) -> T:
    """What `read` takes from an opened raster, at a later try where object storage fails.

    Raises:
        RasterioError: it cannot be opened, or read.
        StorageError: the location cannot be used, or its storage does not answer.
    """

    def once() -> T:
        with opened(location, driver, retries=0) as source:
            return read(source)

    return read_again(gdal_path(location), once)


def write_block(
    path: str,
    array: NDArray[Any],
    georeference: Mapping[str, Any],
    nodata: float,
    tags: Mapping[str, str],
) -> None:
    """Write a block file of the work area, axes (bands, rows, columns) or (rows, columns).

    Raises:
        RasterError: the file cannot be written.
    """
    bands = array if array.ndim == 3 else array[np.newaxis]
    sums = {SUMS_TAG: as_tag(sums_of(bands, _BLOCK_TILE))}
    with published(path, bands.nbytes) as beside:
        with rasterio.open(
            beside,
            "w",
            **_BLOCK_PROFILE,
            **georeference,
            count=bands.shape[0],
            dtype=bands.dtype.name,
            nodata=nodata,
        ) as target:
            target.write(bands)
            target.update_tags(**tags, **sums)
        # What GDAL cannot write when it closes a file, on a full disk, is no error of its own.
        with rasterio.open(beside) as written:
            whole = Window(0, 0, *bands.shape[1:])
            same = np.array_equal(read_checked(written, whole), bands)
            if not same or written.tags().get(FINGERPRINT_TAG) != tags.get(FINGERPRINT_TAG):
                raise RasterioIOError(_LOST)


def stored_fingerprint(path: str) -> str | None:
    """The fingerprint of a raster that this job wrote and that has its length still, else None.

    Raises:
        RasterError: the storage cannot be asked.
    """
    there = storage.stored_or_none(path)
    return _fingerprint_in(path, there.size) if there else None


def stored_fingerprints(
    folder: str, paths: Collection[str], *, verify: bool = False
) -> dict[str, str]:
    """Fingerprints of the rasters below a folder that count as there, by their paths from there.

    On object storage a listing tells which are there, and only headers of objects that are new
    to this process are read, several at a time. What is not whole is named in the log.

    Args:
        folder: a location.
        paths: of the rasters.
        verify: whether to read each whole, once a process, and compare it with its seal.

    Raises:
        RasterError: the storage cannot be asked.
    """
    if storage.is_url(folder):
        tops = sorted({path.partition("/")[0] for path in paths})
        below = {
            f"{top}/{name}": about
            for top in tops
            for name, about in storage.objects_below(storage.join(folder, top)).items()
        }
        there = {path: below[path] for path in paths if path in below}
    else:
        found = ((path, storage.stored_or_none(storage.join(folder, path))) for path in paths)
        there = {path: about for path, about in found if about}

    def mark(path: str) -> str | None:
        location, about = storage.join(folder, path), there[path]
        if storage.is_url(folder):
            found = _fingerprint_of(location, about)
        else:
            found = _fingerprint_in(location, about.size)
        if found and verify and not _content(location, about.version).sealed:
            _say_not_whole(location, "changed since it was made")
            return None
        return found

    with ThreadPoolExecutor(_AT_A_TIME if verify or storage.is_url(folder) else 1) as pool:
        marks = dict(zip(there, pool.map(mark, there), strict=True))
    return {path: mark for path, mark in marks.items() if mark}


def content(path: str) -> Content:
    """Sum of a published raster, and whether its seal holds; read once a process and version.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    there = storage.stored_or_none(path)
    if there is None:
        raise StorageError(path, "not there", absent=True)
    return _content(path, there.version)


@lru_cache(maxsize=1 << 16)
def _content(path: str, version: str) -> Content:
    return storage.with_file(path, content_of)


@lru_cache(maxsize=1 << 16)
def _fingerprint_of(path: str, there: storage.Stored) -> str | None:
    return _fingerprint_in(path, there.size)


def _fingerprint_in(path: str, size: int) -> str | None:
    try:
        tags = read_raster(path, lambda source: source.tags(), "GTiff")
    except RasterioError as error:
        if storage.is_url(path):  # the object may be whole, and the way to it fail
            raise _unreadable(path, f"cannot be opened: {error}", error) from error
        tags = {}  # not a raster: as good as absent, it will be written anew
    mark: str | None = tags.get(FINGERPRINT_TAG)
    # A block file has no seal: its pixels are checked when they are read.
    whole = SUMS_TAG in tags and (SEAL_TAG not in tags or has_its_size(tags[SEAL_TAG], size))
    if not whole:
        _say_not_whole(path, "not a raster of this version, or cut")
    return mark if whole else None


@lru_cache(maxsize=1 << 12)
def _say_not_whole(path: str, reason: str) -> None:
    """Once a process: the same file is looked at more than once."""
    _LOG.warning("%s: %s: it is made again", path, reason)


def read_window(
    references: Iterable[RasterRef],
    window: Window,
    bands: int,
    dtype: str,
    nodata: int,
) -> NDArray[Any]:
    """A window of a layer, gathered from the rasters that hold parts of it.

    Returns:
        Axes (bands, rows, columns), or (rows, columns) for one band; nodata where no raster
        reaches.

    Raises:
        RasterError: a raster cannot be read.
    """
    result = np.full((bands, *window.shape), nodata, dtype)
    for reference in references:
        part = reference.window.intersect(window)
        if part is None:
            continue
        inside = Window(
            part.row - reference.window.row,
            part.col - reference.window.col,
            part.height,
            part.width,
        )
        try:
            values = read_raster(reference.path, partial(read_checked, window=inside), "GTiff")
        except (OSError, RasterioError) as error:
            raise _unreadable(reference.path, f"cannot be read: {error}", error) from error
        result[(slice(None), *part.slices_in(window))] = values
    return result if bands > 1 else result[0]


def _unreadable(path: str, reason: str, error: Exception) -> StorageError:
    return StorageError(path, storage.masked(reason), passing=connection_lost(error))


def is_damaged(path: str) -> bool:
    """Whether a raster's own bytes are at fault where it cannot be read, not the way to them.

    GDAL does not tell the two apart: it is given the bytes, and no way is left that could fail.

    Raises:
        StorageError: there is none, or its bytes cannot be read.
    """
    data = storage.with_file(path, lambda file: file.read())
    try:
        with MemoryFile(data) as memory, rasterio.open(memory.name, driver="GTiff") as source:
            for strip in _strips(source):
                read_checked(source, strip)
    except RasterioError:
        return True
    return False


@contextmanager
def cog_writer(
    path: str,
    georeference: Mapping[str, Any],
    *,
    bands: int,
    dtype: str,
    nodata: int,
    tags: Mapping[str, str],
    spec: LayerSpec,
    tell: Callable[[Sum], None] = lambda made: None,
) -> Iterator[Callable[[Window, NDArray[Any]], None]]:
    """Write a cloud-optimised GeoTIFF part by part; published when the body ends well.

    Yields a function that takes a window, counted from the raster's own corner, and its pixels;
    windows do not overlap. What no part covers is nodata. `spec` names the bands and says what the
    overviews are. `tell` is called with size and SHA-256 of the file before it gets its name.

    Raises:
        RasterError: the file cannot be written, or what was written does not read back.
    """
    shape = georeference["height"], georeference["width"]
    pixels = bands * shape[0] * shape[1] * np.dtype(dtype).itemsize
    blank = blank_tag(shape, _STRIP)
    given = WrittenPixels(dtype, _STRIP)
    # The plain file, the final one, and a third for its overviews.
    with published(path, 7 * pixels // 3) as beside:
        plain = beside.with_name(f"{beside.stem}.plain.tif")
        try:
            with rasterio.open(
                plain,
                "w",
                **{**_BLOCK_PROFILE, "blockxsize": _STRIP, "blockysize": _STRIP},
                **georeference,
                count=bands,
                dtype=dtype,
                nodata=nodata,
                bigtiff="IF_SAFER",
            ) as target:
                _name_bands(target, spec.bands)

                def write(window: Window, array: NDArray[Any]) -> None:
                    place = rasterio.windows.Window(
                        window.col, window.row, window.width, window.height
                    )
                    part = array if array.ndim == 3 else array[np.newaxis]
                    target.write(part, window=place)
                    given.add(window, part)

                yield write
                target.update_tags(**tags, **{SEAL_TAG: BLANK_SEAL, SUMS_TAG: blank})
            with with_overviews(plain, spec.overviews) as both:
                with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
                    rasterio.shutil.copy(
                        both,
                        beside,
                        driver="COG",
                        compress="DEFLATE",
                        predictor="YES",
                        overviews="FORCE_USE_EXISTING",
                        sparse_ok="TRUE",
                        bigtiff="IF_SAFER",
                    )
                sums = _sums_of(beside, given)
                if not same_overviews(both, str(beside)):
                    raise RasterioIOError(_LOST)
                with beside.open("r+b") as file:
                    fill(file, SUMS_TAG, blank, as_tag(sums))
                made = seal(beside)
                mark = tags.get(FINGERPRINT_TAG)
                if not _is_labelled(beside, both, mark, as_tag(sums), made.size):
                    raise RasterioIOError(_LOST)
            tell(made)
        finally:
            plain.unlink(missing_ok=True)


def _sums_of(path: Path, given: WrittenPixels) -> bytes:
    """Sums of the tiles of a local raster, which holds the pixels that were given.

    Raises:
        RasterioError: it does not hold them, or cannot be read.
    """
    sums = []
    with rasterio.open(path) as source:
        for strip in _strips(source):
            bands = source.read(
                window=rasterio.windows.Window(strip.col, strip.row, strip.width, strip.height)
            )
            if not given.are_in(strip, bands):
                raise RasterioIOError(_LOST)
            sums.append(sums_of(bands, _STRIP))
    return b"".join(sums)


def _is_labelled(path: Path, like: str, mark: str | None, sums: str, size: int) -> bool:
    """Whether a local file is a sealed COG with this fingerprint and these sums, else as `like`."""
    with rasterio.open(path) as made, rasterio.open(like) as given:
        found, others = made.tags(), given.tags()
        return (
            found.get(FINGERPRINT_TAG) == mark
            and found.get(SUMS_TAG) == sums
            and has_its_size(found.get(SEAL_TAG, ""), size)
            and found == {**others, SUMS_TAG: sums, SEAL_TAG: found[SEAL_TAG]}
            and made.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
            and made.crs is not None
            and (made.crs, made.transform) == (given.crs, given.transform)
            and (made.nodatavals, made.descriptions) == (given.nodatavals, given.descriptions)
        )


def _name_bands(target: Any, names: Sequence[str]) -> None:
    """Give bands their names, and those of the colours that GDAL knows their colour."""
    for band, name in enumerate(names, 1):
        target.set_band_description(band, name)
    if len(names) > 1:
        target.colorinterp = [getattr(ColorInterp, n, ColorInterp.undefined) for n in names]


def _strips(source: Any) -> Iterator[Window]:
    """Windows that cover a raster, so that it need not lie in memory as a whole."""
    for row in range(0, source.height, _STRIP):
        yield Window(row, 0, min(_STRIP, source.height - row), source.width)
