"""The facts about one tile that the aggregation needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transforms.elements import PIXEL, Grid, Window, extent_of

SOURCE_PIXEL = PIXEL
"""Size of a tile's pixel in metres of its UTM zone."""


@dataclass(frozen=True, slots=True)
class TileSource:
    """One MGRS tile on its 10 m UTM grid, and the centre of its nominal 109.8 km footprint.

    `grid` is its pixel grid, in metres of its zone. `center_lon` and `center_lat`, in degrees,
    decide which tile owns a shared pixel.
    """

    tile: str
    grid: Grid
    center_lon: float
    center_lat: float

    @property
    def extent(self) -> Window:
        """The whole pixel grid of the tile."""
        return extent_of(self.grid)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in metres of the tile's zone."""
        left, bottom, right, top = self.grid.boundingbox.bbox
        return left, bottom, right, top

    @property
    def crs(self) -> str:
        """The CRS of its zone, `EPSG:32633`."""
        return str(self.grid.crs)

    @property
    def center(self) -> tuple[float, float, float]:
        """Unit vector of the footprint's centre."""
        lon, lat = math.radians(self.center_lon), math.radians(self.center_lat)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
