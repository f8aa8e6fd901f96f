"""The frame of all pictures of the map: a raster in Web Mercator (EPSG:3857) around the area."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.windows import Window

from ghsl_beam.outputs.footprint import Bounds, footprint, narrowest_box

MERCATOR = "EPSG:3857"
LONGEST = 1100
"""Greatest number of pixels along a side of a picture."""
_RADIUS = 6_378_137.0
_NORTHMOST = 85.05
"""Web Mercator ends here."""
_FINEST = 10.0
"""A pixel of a picture is not smaller than this on the ground, in metres."""
_WORLD = (-180.0, -60.0, 180.0, 75.0)
_MARGIN = 0.03
"""Part of the longer side that is added around the area."""
_LEAST = 200.0
"""Metres on the ground that a picture covers at least, on each side of the middle."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A raster in Web Mercator: square pixels, north up.

    Attributes:
        left: The western edge in metres of EPSG:3857.
        top: The northern edge in metres of EPSG:3857.
        pixel: The side of a pixel in metres of EPSG:3857.
        rows: The number of rows.
        cols: The number of columns. East of 180 degrees, x continues to grow.
    """

    left: float
    top: float
    pixel: float
    rows: int
    cols: int

    @property
    def transform(self) -> Affine:
        """From column and row to x and y."""
        return Affine(self.pixel, 0, self.left, 0, -self.pixel, self.top)

    @property
    def degrees(self) -> Bounds:
        """West, south, east, north in degrees; east may be greater than 180."""
        right, bottom = self.left + self.cols * self.pixel, self.top - self.rows * self.pixel
        return _lon(self.left), _lat(bottom), _lon(right), _lat(self.top)

    @property
    def ground(self) -> float:
        """The side of a pixel in the middle, in metres on the ground."""
        _, south, _, north = self.degrees
        return self.pixel * math.cos(math.radians((south + north) / 2))

    def place(self, lon: float, lat: float) -> tuple[float, float]:
        """Column and row of a position in degrees; a longitude is not turned by 360 degrees."""
        return (_x(lon) - self.left) / self.pixel, (self.top - _y(lat)) / self.pixel

    def part(self, geometry: shapely.Geometry) -> Window | None:
        """The whole pixels that a geometry in degrees, within ±180, reaches; None if none."""
        found = [
            window
            for piece in shapely.get_parts(geometry)
            for turn in (-360, 0, 360)
            if (window := self._box(piece.bounds, turn)) is not None
        ]
        if not found:
            return None
        top, left = min(w.row_off for w in found), min(w.col_off for w in found)
        bottom = max(w.row_off + w.height for w in found)
        right = max(w.col_off + w.width for w in found)
        return Window(left, top, right - left, bottom - top)

    def _box(self, bounds: Sequence[float], turn: float) -> Window | None:
        west, south, east, north = bounds
        left, top = self.place(west + turn, north)
        right, bottom = self.place(east + turn, south)
        first, last = max(0, math.floor(left)), min(self.cols, math.ceil(right))
        upper, lower = max(0, math.floor(top)), min(self.rows, math.ceil(bottom))
        if first >= last or upper >= lower:
            return None
        return Window(first, upper, last - first, lower - upper)


def frame_around(boxes: Iterable[Sequence[float]]) -> Frame:
    """The frame around boxes, each (west, south, east, north) in degrees; without one the world.

    A box whose west is greater than its east crosses the antimeridian.

    Example:
        >>> frame_around([(178.0, -18.5, -179.0, -17.0)]).degrees[2] > 180
        True
    """
    west, south, east, north = narrowest_box(list(boxes) or [_WORLD])
    east = east + 360 if east < west else east
    left, right, bottom, top = _x(west), _x(east), _y(south), _y(north)
    stretch = 1 / math.cos(math.radians(_inside((south + north) / 2)))
    around = max(_MARGIN * max(right - left, top - bottom), 0.0)
    least = _LEAST * stretch
    width = max(right - left + 2 * around, 2 * least)
    height = max(top - bottom + 2 * around, 2 * least)
    width = min(width, 2 * math.pi * _RADIUS)
    pixel = max(_FINEST * stretch, max(width, height) / LONGEST)
    cols, rows = max(1, math.ceil(width / pixel - 1e-6)), max(1, math.ceil(height / pixel - 1e-6))
    middle_x, middle_y = (left + right) / 2, (bottom + top) / 2
    return Frame(middle_x - cols * pixel / 2, middle_y + rows * pixel / 2, pixel, rows, cols)


@lru_cache(maxsize=4096)
def footprint_of(crs: str, bounds: Bounds) -> shapely.Geometry:
    """The ground of a raster in degrees; layers of one tile have the same."""
    return footprint(crs, bounds)


@lru_cache(maxsize=256)
def from_mercator(crs: str) -> Transformer:
    """From EPSG:3857 to a CRS; x may lie beyond the antimeridian."""
    return Transformer.from_crs(MERCATOR, crs, always_xy=True)


def _inside(lat: float) -> float:
    return float(np.clip(lat, -_NORTHMOST, _NORTHMOST))


def _x(lon: float) -> float:
    return math.radians(lon) * _RADIUS


def _y(lat: float) -> float:
    return _RADIUS * math.asinh(math.tan(math.radians(_inside(lat))))


def _lon(x: float) -> float:
    return math.degrees(x / _RADIUS)


def _lat(y: float) -> float:
    return math.degrees(math.atan(math.sinh(y / _RADIUS)))
