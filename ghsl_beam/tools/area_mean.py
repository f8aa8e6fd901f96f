"""Computes means of one raster over the pixels of another, weighted by area."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import rasterio.warp
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod, Proj, Transformer
from rasterio.enums import Resampling
from rasterio.windows import Window

Floats = NDArray[np.float64]

SIDE = 4096
"""Samples along a side of the part that is in memory at a time."""
_SAMPLES = 4
"""Samples along a side of a fine pixel, if the axes of the two rasters are not parallel."""
_NODES = 33
"""Points along a side of a window that are transformed to the other raster."""
_EQUAL_AREA = 0.005
"""A projection that changes areas by less than this counts as equal-area, as UTM does in GHSL."""
_GEOD = Geod(ellps="WGS84")


def place(transform: Affine, cols: NDArray[Any], rows: NDArray[Any]) -> tuple[Floats, Floats]:
    """Coordinates of positions in columns and rows; the reverse with the inverse transform."""
    x = transform.a * cols + transform.b * rows + transform.c
    y = transform.d * cols + transform.e * rows + transform.f
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of a raster: its CRS as WKT, its transform, its rows and columns."""

    crs: str
    transform: Affine
    shape: tuple[int, int]

    @classmethod
    def of(cls, source: Any) -> Grid:
        """The grid of an opened raster with a CRS."""
        return cls(source.crs.to_wkt(), source.transform, source.shape)

    def part(self, window: Window) -> Grid:
        """The grid of a window."""
        transform = rasterio.windows.transform(window, self.transform)
        return Grid(self.crs, transform, (int(window.height), int(window.width)))

    def finer(self, times: int) -> Grid:
        """The same ground with each pixel cut into `times` x `times`."""
        rows, cols = self.shape
        return Grid(
            self.crs, self.transform * Affine.scale(1 / times), (rows * times, cols * times)
        )

    @property
    def aligned(self) -> bool:
        """Whether rows and columns run along the axes of the CRS."""
        return bool(self.transform.b == 0 and self.transform.d == 0)

    def windows(self, side: int) -> Iterator[Window]:
        """Windows of at most `side` x `side` pixels that cover the grid."""
        rows, cols = self.shape
        for row in range(0, rows, side):
            for col in range(0, cols, side):
                yield Window(col, row, min(side, cols - col), min(side, rows - row))

    def nodes(self) -> tuple[Floats, Floats]:
        """Coordinates of points all over the grid, with its corners."""
        rows, cols = np.meshgrid(
            np.linspace(0, self.shape[0], _NODES), np.linspace(0, self.shape[1], _NODES)
        )
        return place(self.transform, cols.ravel(), rows.ravel())

    def centres(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the pixels' centres, shape of the grid; may be not finite."""
        rows, cols = np.indices(self.shape)
        x, y = place(self.transform, cols + 0.5, rows + 0.5)
        lon, lat = _transformer(self.crs, "EPSG:4326").transform(x, y)
        return np.asarray(lon, np.float64), np.asarray(lat, np.float64)

    def pixel_areas(self) -> Floats:
        """Area of a pixel in m², by row: (rows, 1).

        In a projection that keeps areas to half a percent, such as UTM, it is the square of the
        pixel size.
        """
        rows, cols = self.shape
        size = abs(self.transform.determinant)
        crs = _crs(self.crs)
        middle = place(self.transform, np.full(rows, cols / 2), np.arange(rows) + 0.5)
        if crs.is_geographic:
            return np.asarray(size * _square_degree(middle[1]))[:, np.newaxis]
        metres = crs.axis_info[0].unit_conversion_factor or 1.0
        areas = np.full(rows, size * metres**2)
        lon, lat = _transformer(self.crs, "EPSG:4326").transform(*middle)
        if np.isfinite(lon).all() and np.isfinite(lat).all():
            ends = [0, rows // 2, rows - 1]
            scale = np.asarray(
                Proj(crs).get_factors(np.asarray(lon)[ends], np.asarray(lat)[ends]).areal_scale
            )
            if np.isfinite(scale).all() and (np.abs(scale - 1) > _EQUAL_AREA).any():
                areas = areas / np.interp(np.arange(rows), ends, scale)
        return areas[:, np.newaxis]


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


@lru_cache(maxsize=64)
def _crs(wkt: str) -> Any:
    from pyproj import CRS

    return CRS.from_user_input(wkt)


def _square_degree(latitude: Floats) -> Floats:
    """Area of a square degree on the ellipsoid in m², from its two radii of curvature."""
    sine = np.sin(np.radians(latitude))
    flat = 1 - _GEOD.es * sine**2
    radii = _GEOD.a**2 * (1 - _GEOD.es) / flat**2
    return np.asarray(radii * np.cos(np.radians(latitude)) * math.radians(1) ** 2)


def mean_pixel_area(grid: Grid) -> float:
    """Area of a pixel in the middle of a grid, in m²."""
    row = Window(0, grid.shape[0] // 2, grid.shape[1], 1)
    return float(grid.part(row).pixel_areas()[0, 0])


def source_windows(source: Grid, target: Grid) -> list[Window]:
    """Windows of a source that contain all ground of a target; empty if they share none.

    There are two if the target crosses the meridian at which a source in degrees ends.
    """
    x, y = _transformer(target.crs, source.crs).transform(*target.nodes())
    x, y = np.asarray(x), np.asarray(y)
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(x):
        return []
    parts = [np.ones(len(x), bool)]
    if _crs(source.crs).is_geographic and np.ptp(x) > 180:
        parts = [x < 0, x >= 0]
    windows = []
    for part in parts:
        cols, rows = place(~source.transform, x[part], y[part])
        # Between the points, the edge bends by less than one step.
        pad = 2 + (max(np.ptp(cols), np.ptp(rows)) / _NODES if not finite.all() else 0)
        pad += 0.01 * max(np.ptp(cols), np.ptp(rows))
        left, top = max(0, math.floor(min(cols) - pad)), max(0, math.floor(min(rows) - pad))
        right = min(source.shape[1], math.ceil(max(cols) + pad))
        bottom = min(source.shape[0], math.ceil(max(rows) + pad))
        if left < right and top < bottom:
            windows.append(Window(left, top, right - left, bottom - top))
    return windows


def nearest(values: NDArray[Any], source: Grid, target: Grid) -> NDArray[Any]:
    """The source pixel under the centre of each target pixel.

    Args:
        values: (rows, columns) of the source, a type of floats, NaN without data.
        source: the grid of the values.
        target: any grid.

    Returns:
        The target's shape, the type of `values`; NaN outside the source.
    """
    found = np.full(target.shape, np.nan, values.dtype)
    rasterio.warp.reproject(
        values,
        found,
        src_transform=source.transform,
        src_crs=source.crs,
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=Resampling.nearest,
    )
    return found


def area_sums(values: Floats, source: Grid, target: Grid) -> tuple[Floats, Floats]:
    """Sum of value x share of area for each target pixel, and the sum of the shares.

    The result is exact if both have axes parallel to those of one CRS. Otherwise each source pixel
    gets about four samples along a side.

    Args:
        values: (rows, columns) of the source, float64, NaN without data.
        source: the grid of the values.
        target: a grid with pixels of about the source's size or larger.

    Returns:
        Two arrays of the target's shape, float64; the mean is the first divided by the second.
    """
    if source.aligned and target.aligned and _same_crs(source, target):
        known = np.isfinite(values)
        filled = np.where(known, values, 0)
        return _overlaps(filled, source, target), _overlaps(known.astype(float), source, target)
    times = samples(source, target)
    fine = target.finer(times)
    sampled = nearest(values.astype(np.float32), source, fine)
    shape = (target.shape[0], times, target.shape[1], times)
    known = np.isfinite(sampled).reshape(shape)
    filled = np.nan_to_num(sampled, nan=0).reshape(shape)
    return (
        filled.sum(axis=(1, 3), dtype=np.float64) / times**2,
        known.sum(axis=(1, 3), dtype=np.float64) / times**2,
    )


def samples(source: Grid, target: Grid) -> int:
    """Samples along a side of a target pixel."""
    ratio = math.sqrt(mean_pixel_area(target) / mean_pixel_area(source))
    return min(SIDE, max(_SAMPLES, math.ceil(_SAMPLES * min(ratio, 8) + 2 * max(0, ratio - 8))))


def side(source: Grid, target: Grid) -> int:
    """Pixels along a side of the target's windows, so that the memory is limited."""
    return max(1, SIDE // samples(source, target))


def _same_crs(source: Grid, target: Grid) -> bool:
    """Whether coordinates mean the same in both, to a thousandth of a source pixel."""
    if source.crs == target.crs:
        return True
    here = target.nodes()
    there = _transformer(target.crs, source.crs).transform(*here)
    most = 1e-3 * min(abs(source.transform.a), abs(source.transform.e))
    return bool(all(np.allclose(a, b, rtol=0, atol=most) for a, b in zip(here, there, strict=True)))


def _overlaps(values: Floats, source: Grid, target: Grid) -> Floats:
    """Integral of a source over each target pixel, divided by the target pixel's area."""
    to_source = ~source.transform * target.transform
    rows = to_source.f + to_source.e * np.arange(target.shape[0] + 1)
    cols = to_source.c + to_source.a * np.arange(target.shape[1] + 1)
    down = _integrals(values, rows)
    return _integrals(down.T, cols).T / abs(to_source.a * to_source.e)


def _integrals(values: Floats, edges: Floats) -> Floats:
    """Integrals along the first axis between edges, in pixels; values beyond the ends are 0."""
    number = len(values)
    edges = np.clip(edges, 0, number)
    first = np.minimum(edges.astype(np.int64), number - 1)
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    until = total[first] + (edges - first)[:, np.newaxis] * values[first]
    return np.abs(np.diff(until, axis=0))
