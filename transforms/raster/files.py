"""Rasters on storage: written whole or not at all, read by window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from transforms.elements import LayerSpec, Overviews, RasterRef, StorageError, Window

from . import storage
from .gdal_access import connection_lost, gdal_environment, gdal_path, read_again
from .overviews import overview_files, write_means
from .storage import published

T = TypeVar("T")
FINGERPRINT_TAG = "GHSL_FINGERPRINT"
INCOMPLETE = "incomplete"
"""In place of the fingerprint of a raster that lacks something: it will be made anew."""
_STRIP = 512
"""Rows read at a time: those of the tiles in the files."""
_AT_A_TIME = 16
"""Headers on object storage that are read together: each is a few short requests."""
_BLOCK_PROFILE = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "compress": "ZSTD",
    "zstd_level": 1,
    "predictor": 2,
    "sparse_ok": True,
}


def raster_profile(
    crs: str, ulx: float, uly: float, resolution: float, shape: tuple[int, int]
) -> dict[str, Any]:
    """Georeferencing of a north-up raster as rasterio takes it; shape is (rows, columns)."""
    return {
        "crs": crs,
        "transform": from_origin(ulx, uly, resolution, resolution),
        "height": shape[0],
        "width": shape[1],
    }


@contextmanager
def opened(location: str, driver: str | None = None) -> Iterator[Any]:
    """A raster opened for reading, wherever it lies; of one format alone, where one is named.

    Raises:
        RasterioError: it cannot be opened.
        StorageError: the location cannot be used.
    """
    path = gdal_path(location)
    with gdal_environment(path), rasterio.open(path, driver=driver) as source:
        yield source


def read_raster(location: str, read: Callable[[Any], T], driver: str | None = None) -> T:
    """What `read` takes from an opened raster, at a later try where the connection was lost.

    Raises:
        RasterioError: it cannot be opened, or read.
        StorageError: the location cannot be used.
    """

    def once() -> T:
        with opened(location, driver) as source:
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
    try:
        with published(path) as beside:
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
                target.update_tags(**tags)
            # What GDAL cannot write when it closes a file, on a full disk, is no error of its own.
            with rasterio.open(beside) as written:
                if not np.array_equal(written.read(), bands):
                    raise StorageError(path, "written, but it does not read back")
    except (OSError, RasterioError) as error:
        raise StorageError(path, f"cannot be written: {error}") from error


def stored_fingerprint(path: str) -> str | None:
    """The fingerprint a raster carries, None where there is no such raster or no fingerprint.

    Raises:
        RasterError: the storage cannot be asked.
    """
    return _fingerprint_in(path) if storage.is_file(path) else None


def stored_fingerprints(folder: str, paths: Collection[str]) -> dict[str, str]:
    """Fingerprints of the rasters below a folder that carry one, by their paths from there.

    On object storage a listing tells which are there, and only headers of objects that are new
    to this process are read, several at a time.

    Raises:
        RasterError: the storage cannot be asked.
    """
    if not storage.is_url(folder):
        marks = {path: stored_fingerprint(storage.join(folder, path)) for path in paths}
    else:
        tops = sorted({path.partition("/")[0] for path in paths})
        there = {
            f"{top}/{name}": about.version
            for top in tops
            for name, about in storage.objects_below(storage.join(folder, top)).items()
        }

        def mark(path: str) -> str | None:
            return _fingerprint_of(storage.join(folder, path), there[path])

        found = [path for path in paths if path in there]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            marks = dict(zip(found, pool.map(mark, found), strict=True))
    return {path: mark for path, mark in marks.items() if mark}


@lru_cache(maxsize=1 << 16)
def _fingerprint_of(path: str, version: str) -> str | None:
    return _fingerprint_in(path)


def _fingerprint_in(path: str) -> str | None:
    try:
        return read_raster(path, lambda source: source.tags().get(FINGERPRINT_TAG), "GTiff")
    except RasterioError as error:
        if storage.is_url(path):  # the object may be whole, and the way to it fail
            raise _unreadable(path, f"cannot be opened: {error}", error) from error
        return None  # not a raster: as good as absent, it will be written anew


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
        inside = rasterio.windows.Window(
            part.col - reference.window.col,
            part.row - reference.window.row,
            part.width,
            part.height,
        )
        try:
            values = read_raster(reference.path, partial(_read, window=inside))
        except (OSError, RasterioError) as error:
            raise _unreadable(reference.path, f"cannot be read: {error}", error) from error
        result[(slice(None), *part.slices_in(window))] = values
    return result if bands > 1 else result[0]


def _read(source: Any, window: rasterio.windows.Window) -> NDArray[Any]:
    return np.asarray(source.read(window=window))


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
        with MemoryFile(data) as memory, rasterio.open(memory.name) as source:
            for strip in _strips(source):
                source.read(window=strip)
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
    spec: LayerSpec | None = None,
) -> Iterator[Callable[[Window, NDArray[Any]], None]]:
    """Write a cloud-optimised GeoTIFF part by part; published when the body ends well.

    Yields a function that takes a window, counted from the raster's own corner, and its pixels.
    What no part covers is nodata. `spec` names the bands and says what the overviews are.

    Raises:
        RasterError: the file cannot be written, or what was written does not read back.
    """
    try:
        with published(path) as beside:
            plain = beside.with_name(f"{beside.stem}.plain.tif")
            try:
                with rasterio.open(
                    plain,
                    "w",
                    **{**_BLOCK_PROFILE, "blockxsize": 512, "blockysize": 512},
                    **georeference,
                    count=bands,
                    dtype=dtype,
                    nodata=nodata,
                    bigtiff="IF_SAFER",
                ) as target:
                    if spec is not None:
                        _name_bands(target, spec.bands)

                    def write(window: Window, array: NDArray[Any]) -> None:
                        place = rasterio.windows.Window(
                            window.col, window.row, window.width, window.height
                        )
                        target.write(array if array.ndim == 3 else array[np.newaxis], window=place)

                    yield write
                    target.update_tags(**tags)
                overviews = spec.overviews.value if spec is not None else "nearest"
                if overviews == Overviews.MEAN:
                    write_means(plain)  # the driver takes those that it finds
                    overviews = "nearest"
                with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
                    rasterio.shutil.copy(
                        plain,
                        beside,
                        driver="COG",
                        compress="DEFLATE",
                        predictor="YES",
                        overview_resampling=overviews,
                        sparse_ok="TRUE",
                        bigtiff="IF_SAFER",
                    )
                if not _same(str(plain), str(beside)):
                    raise StorageError(path, "written, but it does not read back")
            finally:
                for file in (plain, *overview_files(plain)):
                    file.unlink(missing_ok=True)
    except (OSError, RasterioError) as error:
        raise StorageError(path, f"cannot be published: {error}") from error


def _name_bands(target: Any, names: Sequence[str]) -> None:
    """Give bands their names, and those of the colours that GDAL knows their colour."""
    for band, name in enumerate(names, 1):
        target.set_band_description(band, name)
    if len(names) > 1:
        target.colorinterp = [getattr(ColorInterp, n, ColorInterp.undefined) for n in names]


def _same(one: str, other: str) -> bool:
    """Whether two local rasters hold the same pixels and tags."""
    with rasterio.open(one) as first, rasterio.open(other) as second:
        return first.tags().get(FINGERPRINT_TAG) == second.tags().get(FINGERPRINT_TAG) and all(
            np.array_equal(first.read(window=strip), second.read(window=strip))
            for strip in _strips(first)
        )


def _strips(source: Any) -> Iterator[rasterio.windows.Window]:
    """Windows that cover a raster, so that it need not lie in memory as a whole."""
    for row in range(0, source.height, _STRIP):
        yield rasterio.windows.Window(0, row, source.width, min(_STRIP, source.height - row))
