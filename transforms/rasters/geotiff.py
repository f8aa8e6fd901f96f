"""Rasters on storage: opens them, reads them by window, and writes block files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import MemoryFile

from transforms.elements import RasterRef, StorageError, Window
from transforms.storage import storage
from transforms.storage.gdal_access import (
    GDAL_RETRIES,
    connection_lost,
    gdal_environment,
    gdal_path,
    read_again,
)
from transforms.storage.storage import published

from .tile_sums import SUMS_TAG, as_tag, read_checked, sums_of

T = TypeVar("T")
FINGERPRINT_TAG = "GHSL_FINGERPRINT"
STRIP = 512
"""Rows read at a time, the height of the tiles in the files."""
_BLOCK_TILE = 256
LOST = "it does not read back as it was written; the disk may be full or damaged"
"""Reason if a new file does not contain what was written."""
PROFILE = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": _BLOCK_TILE,
    "blockysize": _BLOCK_TILE,
    "compress": "ZSTD",
    "zstd_level": 1,
    "predictor": 2,
    "sparse_ok": True,
}
"""Options of GDAL's GTiff driver for block files."""


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
            **PROFILE,
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
                raise RasterioIOError(LOST)


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
            raise unreadable(reference.path, f"cannot be read: {error}", error) from error
        result[(slice(None), *part.slices_in(window))] = values
    return result if bands > 1 else result[0]


def unreadable(path: str, reason: str, error: Exception) -> StorageError:
    """The error of a raster that cannot be opened or read; `error` is GDAL's."""
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
            for strip in strips(source):
                read_checked(source, strip)
    except RasterioError:
        return True
    return False


def strips(source: Any) -> Iterator[Window]:
    """Windows that cover a raster, so that it is never in memory as a whole."""
    return Window(0, 0, source.height, source.width).strips(STRIP)
