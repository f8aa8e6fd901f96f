"""Rasters on storage: they are written whole or not at all, and read by window."""

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
"""The mark of a raster that lacks something, in place of its fingerprint; it is made again."""
_STRIP = 512
"""Rows read at a time, the height of the tiles in the files."""
_BLOCK_TILE = 256
_LOST = "it does not read back as it was written; the disk may be full or damaged"
_AT_A_TIME = 16
"""Headers on object storage that are read in parallel; each takes a few short requests."""
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
    """Georeferencing of a raster, as rasterio expects it."""
    height, width = grid.shape
    return {
        "crs": str(grid.crs),
        "transform": grid.affine,
        "height": height,
        "width": width,
    }


@contextmanager
def opened(location: str, driver: str | None = None, retries: int = GDAL_RETRIES) -> Iterator[Any]:
    """Open a raster at any location for reading; if a driver is given, only as that format.

    Args:
        location: location of the raster.
        driver: GDAL's name of the format.
        retries: how often GDAL itself repeats a request; 0 if the caller repeats the read.

    Raises:
        RasterioError: it cannot be opened.
        StorageError: the location cannot be used.
    """
    path = gdal_path(location)
    with gdal_environment(path, retries), rasterio.open(path, driver=driver) as source:
        yield source


def read_raster(location: str, read: Callable[[Any], T], driver: str | None = None) -> T:
    """Open a raster and return what `read` returns; repeat it if object storage fails.

    Raises:
        RasterioError: it cannot be opened or read.
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
        # GDAL raises no error for data that it cannot write when it closes a file on a full disk.
        with rasterio.open(beside) as written:
            whole = Window(0, 0, *bands.shape[1:])
            same = np.array_equal(read_checked(written, whole), bands)
            if not same or written.tags().get(FINGERPRINT_TAG) != tags.get(FINGERPRINT_TAG):
                raise RasterioIOError(_LOST)


def stored_fingerprint(path: str) -> str | None:
    """The fingerprint of a raster that this job wrote and that has its full length; else None.

    Raises:
        RasterError: the storage does not say.
    """
    stored = storage.stored_or_none(path)
    return _fingerprint_in(path, stored.size) if stored else None


def stored_fingerprints(
    folder: str, paths: Collection[str], *, verify: bool = False
) -> dict[str, str]:
    """Fingerprints of those rasters below a folder that exist and are complete, by relative path.

    On object storage one listing shows which rasters exist. Only the headers of objects that are
    new to this process are read, several in parallel. The log names incomplete rasters.

    Args:
        folder: a location.
        paths: relative paths of the rasters.
        verify: whether to read each file completely, once for each process, and check its seal.

    Raises:
        RasterError: the storage does not say.
    """
    if storage.is_url(folder):
        tops = sorted({path.partition("/")[0] for path in paths})
        below = {
            f"{top}/{name}": state
            for top in tops
            for name, state in storage.objects_below(storage.join(folder, top)).items()
        }
        stored = {path: below[path] for path in paths if path in below}
    else:
        states = ((path, storage.stored_or_none(storage.join(folder, path))) for path in paths)
        stored = {path: state for path, state in states if state}

    def mark(path: str) -> str | None:
        location, state = storage.join(folder, path), stored[path]
        if storage.is_url(folder):
            fingerprint = _fingerprint_of(location, state)
        else:
            fingerprint = _fingerprint_in(location, state.size)
        if fingerprint and verify and not _content(location, state.version).sealed:
            _say_not_whole(location, "has changed since it was made")
            return None
        return fingerprint

    with ThreadPoolExecutor(_AT_A_TIME if verify or storage.is_url(folder) else 1) as pool:
        marks = dict(zip(stored, pool.map(mark, stored), strict=True))
    return {path: mark for path, mark in marks.items() if mark}


def content(path: str) -> Content:
    """Sum and seal of a published raster; read once for each process and version of the file.

    Raises:
        StorageError: there is no such file, or it cannot be read.
    """
    stored = storage.stored_or_none(path)
    if stored is None:
        raise StorageError(path, "does not exist", absent=True)
    return _content(path, stored.version)


@lru_cache(maxsize=1 << 16)
def _content(path: str, version: str) -> Content:
    return storage.with_file(path, content_of)


@lru_cache(maxsize=1 << 16)
def _fingerprint_of(path: str, stored: storage.Stored) -> str | None:
    return _fingerprint_in(path, stored.size)


def _fingerprint_in(path: str, size: int) -> str | None:
    try:
        tags = read_raster(path, lambda source: source.tags(), "GTiff")
    except RasterioError as error:
        if storage.is_url(path):  # the object may be complete, and the access to it may fail
            raise _unreadable(path, f"cannot be opened: {error}", error) from error
        tags = {}  # not a raster: it counts as absent and is written again
    mark: str | None = tags.get(FINGERPRINT_TAG)
    # A block file has no seal: its pixels are checked when they are read.
    whole = SUMS_TAG in tags and (SEAL_TAG not in tags or has_its_size(tags[SEAL_TAG], size))
    if not whole:
        _say_not_whole(path, "is truncated, or is not a raster of this version")
    return mark if whole else None


@lru_cache(maxsize=1 << 12)
def _say_not_whole(path: str, reason: str) -> None:
    """Warn once for each process and file: the same file is checked more than once."""
    _LOG.warning("%s: %s; it is made again", path, reason)


def read_window(
    references: Iterable[RasterRef],
    window: Window,
    bands: int,
    dtype: str,
    nodata: int,
) -> NDArray[Any]:
    """Read a window of a layer from the rasters that hold parts of it.

    Args:
        references: the rasters, each with its path and window.
        window: the rows and columns to read, in the tile's grid.
        bands: number of bands of the layer.
        dtype: type of its pixels.
        nodata: value of pixels that no raster covers.

    Returns:
        Axes (bands, rows, columns), or (rows, columns) for one band; nodata in pixels that no
        raster covers.

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
    """Whether the bytes of an unreadable raster are damaged, or only the access to them failed.

    GDAL does not distinguish the two. So the bytes are read first and given to GDAL in memory,
    where no access can fail.

    Raises:
        StorageError: there is no such file, or its bytes cannot be read.
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
    """Write a cloud-optimised GeoTIFF part by part; publish it if the body ends without error.

    Yields a function that takes a window, counted from the corner of the raster, and its pixels.
    Windows must not overlap. Pixels that no window covers are nodata.

    Args:
        path: location of the raster.
        georeference: CRS, transform, height and width, as of `raster_profile`.
        bands: number of bands.
        dtype: type of the pixels.
        nodata: value of pixels without data.
        tags: tags of the file.
        spec: gives the names of the bands and the kind of overviews.
        tell: called with size and SHA-256 of the file before it gets its final name.

    Raises:
        RasterError: the file cannot be written, or does not read back the same.
    """
    shape = georeference["height"], georeference["width"]
    pixels = bands * shape[0] * shape[1] * np.dtype(dtype).itemsize
    blank = blank_tag(shape, _STRIP)
    given = WrittenPixels(dtype, _STRIP)
    # Three files: the plain one, the final one, and a third of one for its overviews.
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
    """Sums of the tiles of a local raster, after a check that it holds the given pixels.

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
    """Whether a file is a sealed COG with this mark and these sums, and otherwise like `like`."""
    with rasterio.open(path) as made, rasterio.open(like) as given:
        tags, others = made.tags(), given.tags()
        return (
            tags.get(FINGERPRINT_TAG) == mark
            and tags.get(SUMS_TAG) == sums
            and has_its_size(tags.get(SEAL_TAG, ""), size)
            and tags == {**others, SUMS_TAG: sums, SEAL_TAG: tags[SEAL_TAG]}
            and made.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
            and made.crs is not None
            and (made.crs, made.transform) == (given.crs, given.transform)
            and (made.nodatavals, made.descriptions) == (given.nodatavals, given.descriptions)
        )


def _name_bands(target: Any, names: Sequence[str]) -> None:
    """Give each band its name, and its colour interpretation if GDAL knows one of that name."""
    for band, name in enumerate(names, 1):
        target.set_band_description(band, name)
    if len(names) > 1:
        target.colorinterp = [getattr(ColorInterp, n, ColorInterp.undefined) for n in names]


def _strips(source: Any) -> Iterator[Window]:
    """Windows that cover a raster, so that it is never in memory as a whole."""
    for row in range(0, source.height, _STRIP):
        yield Window(row, 0, min(_STRIP, source.height - row), source.width)
