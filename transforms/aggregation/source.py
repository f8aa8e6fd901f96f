"""What the aggregation must know of one tile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transforms.elements import Window

SOURCE_PIXEL = 10.0
"""Size of a tile's pixel in metres of its UTM zone."""


@dataclass(frozen=True, slots=True, order=True)
class TileSource:
    """One MGRS tile on its 10 m UTM grid, and the centre of its nominal 109.8 km footprint.

    `ulx`, `uly` is the upper left corner of pixel (0, 0) in metres of `epsg`; `height` x `width`
    pixels of 10 m. `center_lon`, `center_lat` in degrees decide who owns what tiles share.
    """

    tile: str
    epsg: int
    ulx: float
    uly: float
    height: int
    width: int
    center_lon: float
    center_lat: float

    @property
    def extent(self) -> Window:
        """The whole pixel grid of the tile."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in metres of the tile's zone."""
        right = self.ulx + self.width * SOURCE_PIXEL
        return self.ulx, self.uly - self.height * SOURCE_PIXEL, right, self.uly

    @property
    def center(self) -> tuple[float, float, float]:
        """Unit vector of the footprint's centre."""
        lon, lat = math.radians(self.center_lon), math.radians(self.center_lat)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
