"""Reads one layer of all tiles into the frame of the map, from overviews."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject
from rasterio.windows import Window
from rasterio.windows import transform as part_transform

from ghsl_beam.planning.products import read_product
from transforms.elements import LayerSpec, RasterError
from transforms.storage import storage

from .frame import MERCATOR, Frame, footprint_of, from_mercator

Floats = NDArray[np.float32]
_MAX_SOURCE = 1 << 28
"""Largest number of pixels of a layer without overviews that is read for a picture."""
_DETAIL = 2
"""Approximate number of pixels of a layer, or of its overview, along a pixel of the frame."""
_SAMPLES = 17
"""Points along a side of a part of the frame that show where a raster lies in it."""
_AT_ONCE = 4
"""Products that are read at a time, because object storage answers slowly."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What the frame needs of a product.

    Attributes:
        part: The part of the frame that it reaches.
        values: The stored values, axes (bands, rows, columns); NaN without data.
        transform: From column and row of the values to x and y.
        crs: The CRS of the product.
        resampling: How its pixels become those of the frame.
        cell: The area in m² of the largest pixel of the product.
    """

    part: Window
    values: Floats
    transform: Affine
    crs: Any
    resampling: Resampling
    cell: float


@dataclass(slots=True)
class Mosaic:
    """A layer in the frame.

    Attributes:
        values: The stored values, axes (bands, rows, columns); NaN without data.
        cell: The area in m² of the largest pixel of a product.
        products: The number of products that are in it, or that lie outside the frame.
        errors: The products that cannot be shown, each (path, reason).
    """

    values: Floats
    cell: float = 0.0
    products: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)


def mosaic(
    products: Iterable[tuple[str, Callable[[], str]]], spec: LayerSpec, frame: Frame
) -> Mosaic:
    """Put a layer of all tiles into the frame. The first product with data in a pixel shows it.

    A pixel of the frame shows the greatest of several means of the pixels below it, so that a house
    in a large forest is visible. For classes it shows the greatest class, and for a composite the
    mean.

    Args:
        products: for each the path of the record, and a function that returns its location.
        spec: the facts of the layer.
        frame: the frame.
    """
    bands = max(1, len(spec.picture.composed))
    made = Mosaic(np.full((bands, frame.rows, frame.cols), np.nan, np.float32))

    def read(product: tuple[str, Callable[[], str]]) -> tuple[str, Piece | str | None]:
        path, location = product
        try:
            return path, read_product(location(), lambda source: _piece(path, source, spec, frame))
        except (RasterError, RasterioError, OSError, MemoryError) as error:
            return path, storage.masked(str(error))

    for path, piece in _in_order(read, products):
        if isinstance(piece, str):
            made.errors.append((path, piece))
            continue
        made.products += 1
        if piece is not None:
            _put(made, piece, frame)
    return made


def _in_order(read: Callable[[Any], Any], products: Iterable[Any]) -> Iterator[Any]:
    """The results in the order of the products, of a few products at a time."""
    queue = list(products)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(queue), _AT_ONCE):
            # No thread runs while the caller works: `reproject` is not safe beside other threads.
            yield from list(pool.map(read, queue[start : start + _AT_ONCE]))


def _put(made: Mosaic, piece: Piece, frame: Frame) -> None:
    values = _in_part(piece, frame)
    rows, cols = piece.part.toslices()
    there = made.values[: len(values), rows, cols]
    np.copyto(there, values, where=np.isnan(there[0]))
    if len(values) < len(made.values):  # fewer bands than a composite has
        made.values[len(values) :, rows, cols] = np.nan
    made.cell = max(made.cell, piece.cell)


def _in_part(piece: Piece, frame: Frame) -> Floats:
    """The values of a piece in its part of the frame, axes (bands, rows, columns)."""
    size = (len(piece.values), piece.part.height, piece.part.width)
    result = np.full(size, np.nan, np.float32)
    reproject(
        piece.values,
        result,
        src_transform=piece.transform,
        src_crs=piece.crs,
        src_nodata=np.nan,
        dst_transform=part_transform(piece.part, frame.transform),
        dst_crs=MERCATOR,
        dst_nodata=np.nan,
        resampling=piece.resampling,
    )
    return result


def _piece(path: str, source: Any, spec: LayerSpec, frame: Frame) -> Piece | None:
    """The part of a raster in the frame; None if it lies outside.

    Raises:
        RasterError: the raster cannot be shown.
    """
    if source.width * source.height > _MAX_SOURCE and not source.overviews(1):
        raise RasterError(f"{path}: is too large for a picture, because it has no overviews")
    if np.dtype(source.dtypes[0]).kind not in "iuf":
        raise RasterError(f"{path}: has pixels of type {source.dtypes[0]}, expected numbers")
    if source.crs is None:
        raise RasterError(f"{path}: has no CRS, expected one, so it has no place on the map")
    crs = source.crs.to_wkt()
    part = frame.part(footprint_of(crs, tuple(source.bounds)))
    if part is None:
        return None
    window, step = _seen(source, crs, part, frame)
    if window is None:
        return None
    picture = spec.picture
    shrink = max(1, math.floor(step if picture.composed else step / _DETAIL))
    size = [max(1, math.ceil(side / shrink)) for side in (window.height, window.width)]
    bands = picture.composed or (1,)
    bands = bands if max(bands) <= source.count else (1,)
    shown = source.read(
        list(bands),
        window=window,
        out_shape=(len(bands), *size),
        masked=True,
        resampling=Resampling.nearest if picture.classes else Resampling.average,
    )
    values = np.ma.filled(shown.astype(np.float32), np.nan)
    kind = Resampling.average if picture.composed else Resampling.max
    along = source.transform.scale(window.width / size[1], window.height / size[0])
    return Piece(
        part,
        values,
        part_transform(window, source.transform) * along,
        source.crs,
        kind if step > 1.5 * shrink else Resampling.nearest,
        largest_cell(source, window),
    )


def _seen(source: Any, crs: str, part: Window, frame: Frame) -> tuple[Window | None, float]:
    """The window of a raster in a part of the frame, and its pixels along a pixel of the frame."""
    cols, rows = np.meshgrid(
        np.linspace(part.col_off, part.col_off + part.width, _SAMPLES),
        np.linspace(part.row_off, part.row_off + part.height, _SAMPLES),
    )
    here = _pixels(source, crs, frame, cols, rows)
    beside = _pixels(source, crs, frame, cols + 1, rows)
    known = np.isfinite(here).all(axis=0)
    col, row = here[:, known]
    near = (col >= 0) & (col <= source.width) & (row >= 0) & (row <= source.height)
    if not near.any():
        return Window(0, 0, source.width, source.height), max(1.0, frame.ground / 10)
    step = float(np.nanmedian(np.hypot(*(beside - here))[known][near]))
    ends = []
    for place, most, seen in (
        (here[0], source.width, col[near]),
        (here[1], source.height, row[near]),
    ):
        # The raster may end anywhere between two points.
        jumps = np.abs(np.diff(place, axis=0)).max(initial=0) + np.abs(np.diff(place)).max(
            initial=0
        )
        reach = min(jumps if np.isfinite(jumps) else np.inf, most) + 2 * step + 2
        ends.append((max(0, seen.min() - reach), min(most, seen.max() + reach)))
    (left, right), (top, bottom) = ((math.floor(a), math.ceil(b)) for a, b in ends)
    return Window(left, top, right - left, bottom - top), step


def _pixels(
    source: Any, crs: str, frame: Frame, cols: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Columns and rows in a raster of positions in the frame."""
    x, y = frame.left + cols * frame.pixel, frame.top - rows * frame.pixel
    x, y = from_mercator(crs).transform(x, y)
    with np.errstate(invalid="ignore"):  # a place outside the CRS is infinite
        return np.array(~source.transform * (np.asarray(x), np.asarray(y)))


def largest_cell(source: Any, part: Window) -> float:
    """Area in m² of a part's largest pixel; on a geographic grid, the one nearest the equator."""
    if not source.crs.is_geographic:
        return abs(source.transform.a * source.transform.e)
    _, south, _, north = source.window_bounds(part)
    height, width = abs(source.transform.e), abs(source.transform.a)
    lowest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    south, north = min(lowest, 90.0), min(lowest + height, 90.0)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(
        [0, width, width, 0], [south, south, north, north]
    )
    return abs(float(area))
