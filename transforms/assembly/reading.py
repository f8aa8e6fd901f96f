"""Reads pixels of a product's raster on a window of the tile's grid, by nearest neighbour.

If one request covers several JPEG 2000 tiles, GDAL can decode them in its own threads. Errors in
these threads are lost: GDAL drops their result, and the pixels are arbitrary memory. Therefore GDAL
uses one thread here. The threads of this module decode in parallel; each has its own file handle
and its own errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, TypeVar

import joblib  # type: ignore[import-untyped]
import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from transforms.elements import SceneError, Window
from transforms.storage.gdal_access import gdal_environment, is_remote, read_again, signed_path
from transforms.storage.locations import masked

from .decoders import DRIVERS, Decoder, driver_for
from .products.zips import check_member
from .raster_file import JPEG2000, RasterFile, look_at, raise_if_unreadable, raise_if_zeroed

MAX_PIXELS = 2**28
"""Largest number of pixels to decode for one window: far more than a whole tile at 10 m."""
_NEAR = 0.01
"""Two positions that differ by less, in metres, are equal; in products they are whole numbers."""
MAX_BLOCK_PIXELS = 2**28
"""Largest number of pixels in a block of a raster, because GDAL decodes whole blocks."""
T = TypeVar("T")


def source_indices(
    start: int, count: int, resolution: float, shift: float, source_resolution: float, size: int
) -> NDArray[np.int64]:
    """Rows (or columns) of a source raster under the pixel centres of a target grid.

    The target pixels are `start` to `start + count - 1` along one axis, with pixels of
    `resolution`. `shift` is the distance from the source's origin to the target's along the axis,
    negative if the target begins before the source. The source has `size` pixels of
    `source_resolution`. All lengths are in metres. Returns int64 (count,), -1 for a centre outside
    the source. The index of a pixel depends only on its position, not on `start` and `count`.
    """
    centres = shift + (np.arange(start, start + count, dtype=np.int64) + 0.5) * resolution
    indices = np.floor(centres / source_resolution).astype(np.int64)
    return np.where((indices >= 0) & (indices < size), indices, -1)


def read_band(
    path: str,
    grid: GeoBox,
    extent: GeoBox | None = None,
    outside: int = 0,
    decoder: Decoder = Decoder.OPENJPEG,
) -> NDArray[np.uint16]:
    """One band of a product's raster; see `read_bands`. Returns uint16 (h, w)."""
    return read_bands(path, grid, extent, outside=outside, decoder=decoder)[0]


def read_bands(
    path: str,
    grid: GeoBox,
    extent: GeoBox | None = None,
    bands: Sequence[int] = (1,),
    outside: int = 0,
    decoder: Decoder = Decoder.OPENJPEG,
) -> NDArray[np.uint16]:
    """Bands of a product's raster over a grid, nearest neighbour.

    The grid is north up and in the raster's CRS. The raster may have any resolution and position.
    If `extent` is given, the raster must cover it, to less than one of its pixels. `bands` count
    from 1. Only the part around the grid is decoded.

    Returns:
        uint16 (bands, h, w), the value `outside` outside the raster.

    Raises:
        SceneError: the raster cannot be read, is truncated or damaged, lacks a band, is not
            north-up, not of unsigned integers up to 16 bits, or has another CRS or extent.
        StorageError: this machine cannot open it now, or its storage does not answer.
    """
    return with_raster(
        path,
        grid.crs.epsg,
        lambda source, found: _read(source, path, found, grid, bands, outside),
        extent,
        bands,
        decoder,
    )


def with_raster(
    path: str,
    epsg: int,
    use: Callable[[Any, RasterFile], T],
    extent: GeoBox | None = None,
    bands: Sequence[int] = (1,),
    decoder: Decoder = Decoder.OPENJPEG,
) -> T:
    """Open a product's raster, check it, pass it to `use`, and return the result of `use`.

    If its storage does not answer at once, `use` is called again.

    Args:
        path: the raster, named as by `gdal_path`.
        epsg: code of the CRS that it must have.
        use: takes the open raster, and its format.
        extent: as in `read_bands`.
        bands: the bands that it must have, from 1.
        decoder: decodes JPEG 2000; it has no effect on the pixels.

    Raises:
        SceneError: as in `read_bands`.
        StorageError: as in `read_bands`.
    """
    check_member(path)
    found = look_at(path)
    driver = driver_for(decoder) if found.driver == JPEG2000 else found.driver

    def read() -> T:
        with gdal_environment(path), open_raster(path, driver) as source:
            _check(source, path, epsg, bands)
            if extent is not None:
                _check_extent(source, path, extent.boundingbox.bbox)
            return use(source, found)

    try:
        return read_again(path, read)
    except RasterioError as error:
        raise_if_unreadable(path)
        raise SceneError(path, f"cannot be read: {_cause(error)}") from error


def _read(
    source: Any, path: str, found: RasterFile, grid: GeoBox, bands: Sequence[int], outside: int
) -> NDArray[np.uint16]:
    def read(needed: Window) -> NDArray[np.uint16]:
        if needed.height * needed.width * len(bands) > MAX_PIXELS:
            pixel = source.transform.a
            raise SceneError(path, f"pixels of {pixel:g} m are too fine for such a window")
        raise_if_zeroed(path, found, needed)
        return decode(source, path, needed, bands)

    out = np.full((len(bands), *grid.shape), outside, np.uint16)
    fill_nearest(out, source, grid, read)
    return out


def fill_nearest(
    out: NDArray[Any], source: Any, grid: GeoBox, read: Callable[[Window], NDArray[Any]]
) -> None:
    """Fill an array with the pixels of an open raster under the centres of a grid.

    Args:
        out: (bands, h, w), the pixels of the grid; it stays as it is outside the raster.
        source: the raster, north up, in the CRS of the grid.
        grid: the wanted pixels, of any size.
        read: reads a window of the raster, (bands, rows, columns); it is not called if no centre is
            inside.
    """
    height, width = grid.shape
    place, target = source.transform, grid.affine
    rows = source_indices(0, height, -target.e, place.f - target.f, -place.e, source.height)
    cols = source_indices(0, width, target.a, target.c - place.c, place.a, source.width)
    inner_rows, inner_cols = np.flatnonzero(rows >= 0), np.flatnonzero(cols >= 0)
    if inner_rows.size == 0 or inner_cols.size == 0:
        return
    rows, cols = rows[inner_rows], cols[inner_cols]
    first_row, first_col = int(rows[0]), int(cols[0])
    needed = Window(
        first_row, first_col, int(rows[-1]) - first_row + 1, int(cols[-1]) - first_col + 1
    )
    values = read(needed)
    part = out[:, inner_rows[0] : inner_rows[-1] + 1, inner_cols[0] : inner_cols[-1] + 1]
    if values.shape == part.shape:
        part[...] = values
    else:
        part[...] = values.take(rows - first_row, axis=1).take(cols - first_col, axis=2)


def decode(
    source: Any, path: str, window: Window, bands: Sequence[int] = (1,), overview: int | None = None
) -> NDArray[np.uint16]:
    """A window of the raster itself, on as many threads as there are cores.

    On object storage only one thread reads, because its handle keeps the fetched bytes.

    Args:
        source: the open raster, or the overview of it that is named.
        path: its path.
        window: rows and columns of `source`.
        bands: from 1.
        overview: number of the overview that `source` is, from 0; None for the raster itself.

    Returns:
        uint16 (bands, h, w).
    """
    out = np.empty((len(bands), *window.shape), np.uint16)

    def read(opened: Any, pieces: Iterable[Window]) -> None:
        for piece in pieces:
            place = rasterio.windows.Window(piece.col, piece.row, piece.width, piece.height)
            out[(slice(None), *piece.slices_in(window))] = opened.read(list(bands), window=place)

    height, width = source.block_shapes[bands[0] - 1]
    tiles = len(list(_pieces(window, height, width)))
    if source.driver not in DRIVERS or tiles == 1:
        read(source, [window])
        return out
    cores = 1 if is_remote(path) else joblib.cpu_count()
    threads = min(cores, tiles)
    # A piece is a few small tiles, or one tile if the decoder shares its code-blocks among threads.
    # Each thread takes the next piece when it has finished one, so none waits for a slower core.
    across = width * max(1, tiles // (8 * threads))
    pieces = iter([window] if threads == 1 else list(_pieces(window, height, across)))
    one_thread = partial(rasterio.Env, GDAL_NUM_THREADS=str(cores // threads))

    def help_reading() -> None:
        with one_thread(), open_raster(path, source.driver, overview) as own:
            read(own, pieces)

    others = [_pool(cores).submit(help_reading) for _ in range(1, threads)]
    try:
        with one_thread():
            read(source, pieces)
    finally:
        wait(others)
    for other in others:
        other.result()
    return out


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Permanent threads, because PROJ opens its database again for each new thread."""
    return ThreadPoolExecutor(threads, "reading")


def _pieces(window: Window, height: int, width: int) -> Iterator[Window]:
    """Split a window at the multiples of a height and a width."""
    for row in range(window.row // height * height, window.bottom, height):
        for col in range(window.col // width * width, window.right, width):
            part = window.intersect(Window(row, col, height, width))
            if part is not None:
                yield part


def open_raster(path: str, driver: str, overview: int | None = None) -> Any:
    """Open a raster, or an overview of it, without the files beside it (position, statistics)."""
    options: dict[str, Any] = {} if driver in DRIVERS else {"num_threads": "1"}
    if overview is not None:
        options["overview_level"] = overview
    alone = (
        nullcontext()  # see `gdal_environment`
        if is_remote(path)
        else rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR")
    )
    try:
        with alone:
            return rasterio.open(signed_path(path), driver=driver, **options)
    except RasterioError:
        raise_if_unreadable(path)
        raise


def _cause(error: BaseException) -> str:
    """The first cause on one line; GDAL's last error only says that a read failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(masked(str(error)).split())[:200]


def _check_extent(source: Any, path: str, expected: tuple[float, ...]) -> None:
    """Raise SceneError if a raster is not on the grid that its product states.

    The upper left corners must be the same. The raster must end with the grid. If its pixels are
    whole metres that do not divide the grid, it may end less than one pixel after the grid.
    """
    left, bottom, right, top = expected
    place = source.transform
    lengths = (right - left, source.width, place.a), (top - bottom, source.height, -place.e)
    on_grid = max(abs(place.c - left), abs(place.f - top)) < _NEAR and all(
        abs(count * pixel - length) < _NEAR
        or (pixel == round(pixel) and count == math.ceil(length / pixel))
        for length, count, pixel in lengths
    )
    if not on_grid:
        found, wanted = (
            " ".join(f"{value:.10g}" for value in bounds) for bounds in (source.bounds, expected)
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
    sizes = {source.block_shapes[band - 1] for band in bands}
    if len(sizes) > 1 or max(map(math.prod, sizes)) > MAX_BLOCK_PIXELS:
        raise SceneError(path, f"blocks of {sorted(sizes)} pixels")
    odd = {source.dtypes[band - 1] for band in bands} - {"uint8", "uint16"}
    if odd:
        raise SceneError(path, f"pixels of {odd.pop()}, expected uint8 or uint16")
