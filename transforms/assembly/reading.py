"""Pixels of a product's raster on a window of the tile's grid, by nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from rasterio.errors import RasterioError, RasterioIOError

from transforms.elements import SceneError, Window
from transforms.raster.gdal_access import connection_lost, gdal_environment, read_again
from transforms.raster.locations import masked

DRIVERS = ("JP2OpenJPEG", "GTiff")
"""Formats that a raster of a product may have, whatever its name; a VRT, which may name any other
file, is none of them."""
MAX_PIXELS = 2**28
"""The most that is decoded of one band for one window: far more than a whole tile at 10 m."""


def source_indices(
    start: int, count: int, resolution: float, shift: float, source_resolution: float, size: int
) -> NDArray[np.int64]:
    """Rows (or columns) of a source raster under the pixel centres of a target grid.

    For the target's pixels `start` to `start + count - 1` along one axis, with pixels of
    `resolution`; `shift` is how far the target grid's origin lies inside the source, along the
    axis, negative where it lies before it; the source has `size` pixels of `source_resolution`.
    All lengths in metres. Returns int64 (count,), -1 where a centre falls outside the source.
    A pixel's index depends on its own position alone, not on `start` and `count`.
    """
    centres = shift + (np.arange(start, start + count, dtype=np.int64) + 0.5) * resolution
    indices = np.floor(centres / source_resolution).astype(np.int64)
    return np.where((indices >= 0) & (indices < size), indices, -1)


def read_band(
    path: str,
    epsg: int,
    ulx: float,
    uly: float,
    window: Window,
    resolution: float = 10.0,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint16]:
    """One band of a product's raster; see `read_bands`. Returns uint16 (h, w), 0 outside it."""
    return read_bands(path, epsg, ulx, uly, window, resolution, shape=shape)[0]


def read_bands(
    path: str,
    epsg: int,
    ulx: float,
    uly: float,
    window: Window,
    resolution: float = 10.0,
    bands: Sequence[int] = (1,),
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint16]:
    """Bands of a product's raster over a window of a grid, nearest neighbour.

    The grid has its upper left corner at `ulx`, `uly` (metres of `epsg`) and pixels of
    `resolution` metres; the raster may have any resolution, and any extent unless `shape` gives
    the grid's rows and columns: then it must cover them, to less than a pixel of its own.
    `bands` count from 1. Returns uint16 (bands, h, w), 0 outside the raster. Only what encloses
    the window is decoded. Raises SceneError where the raster cannot be read, lacks a band, is not
    north-up, not of unsigned integers up to 16 bits, in another CRS, or of another extent.
    """

    def read() -> NDArray[np.uint16]:
        with gdal_environment(path), _open(path) as source:
            _check(source, path, epsg, bands)
            if shape is not None:
                right, bottom = ulx + resolution * shape[1], uly - resolution * shape[0]
                _check_extent(source, path, (ulx, bottom, right, uly))
            return _read(source, path, ulx, uly, window, resolution, bands)

    try:
        return read_again(path, read)
    except RasterioError as error:
        reason = masked(str(error))[:200]
        raise SceneError(path, f"not readable: {reason}") from error


def _read(
    source: Any,
    path: str,
    ulx: float,
    uly: float,
    window: Window,
    resolution: float,
    bands: Sequence[int],
) -> NDArray[np.uint16]:
    height, width = window.shape
    out = np.zeros((len(bands), height, width), np.uint16)
    place = source.transform
    rows = source_indices(window.row, height, resolution, place.f - uly, -place.e, source.height)
    cols = source_indices(window.col, width, resolution, ulx - place.c, place.a, source.width)
    inner_rows, inner_cols = np.flatnonzero(rows >= 0), np.flatnonzero(cols >= 0)
    if inner_rows.size == 0 or inner_cols.size == 0:
        return out
    rows, cols = rows[inner_rows], cols[inner_cols]
    first_row, first_col = int(rows[0]), int(cols[0])
    last_row, last_col = int(rows[-1]), int(cols[-1])
    if (last_row - first_row + 1) * (last_col - first_col + 1) > MAX_PIXELS:
        raise SceneError(path, f"pixels of {place.a:g} m are too fine for such a window")
    values = source.read(
        list(bands),
        window=rasterio.windows.Window(
            first_col, first_row, last_col - first_col + 1, last_row - first_row + 1
        ),
    )
    part = out[:, inner_rows[0] : inner_rows[-1] + 1, inner_cols[0] : inner_cols[-1] + 1]
    if values.shape == part.shape:
        part[...] = values
    else:
        part[...] = values.take(rows - first_row, axis=1).take(cols - first_col, axis=2)
    return out


def _open(path: str) -> Any:
    for driver in DRIVERS[:-1]:
        try:
            return rasterio.open(path, driver=driver)
        except RasterioIOError as error:
            if connection_lost(error):
                raise
    return rasterio.open(path, driver=DRIVERS[-1])


def _check_extent(source: Any, path: str, expected: tuple[float, ...]) -> None:
    pixel = source.transform.a
    if any(abs(a - b) >= pixel for a, b in zip(source.bounds, expected, strict=True)):
        found, wanted = (
            " ".join(f"{value:.0f}" for value in bounds) for bounds in (source.bounds, expected)
        )
        raise SceneError(path, f"covers {found}, expected {wanted} (west south east north)")


def _check(source: Any, path: str, epsg: int, bands: Sequence[int]) -> None:
    if source.crs is None:
        raise SceneError(path, f"no CRS, expected EPSG:{epsg}")
    if source.crs.to_epsg() != epsg:
        raise SceneError(path, f"CRS {source.crs.to_string()[:60]}, expected EPSG:{epsg}")
    place = source.transform
    if place.b != 0 or place.d != 0 or place.a <= 0 or place.e >= 0:
        raise SceneError(path, "rotated or not north-up")
    if source.count < max(bands):
        raise SceneError(path, f"{source.count} bands, expected at least {max(bands)}")
    odd = {source.dtypes[band - 1] for band in bands} - {"uint8", "uint16"}
    if odd:
        raise SceneError(path, f"pixels of {odd.pop()}, expected uint8 or uint16")
