"""What the plan fixes for one MGRS tile."""

from __future__ import annotations

from dataclasses import dataclass, field

import shapely

from .grid import Grid, extent_of, part_of
from .layers import Layer
from .scene import Scene
from .window import Window


@dataclass(frozen=True, slots=True)
class TilePlan:
    """One tile of a job: its grid, its part of the area, its scenes and what its layers depend on.

    `grid` is the 10 m UTM grid of the tile's data. `window` is the part of it that the products
    cover. `area_wkb` is the area of interest in the tile's CRS (hexadecimal WKB). `tags` is what a
    layer's file says of its making, by layer.
    """

    tile: str
    zone: str
    grid: Grid
    center_lon: float
    center_lat: float
    window: Window
    area_wkb: str
    scenes: tuple[Scene, ...] = ()
    fingerprints: dict[Layer, str] = field(default_factory=dict)
    tags: dict[Layer, dict[str, str]] = field(default_factory=dict)

    @property
    def extent(self) -> Window:
        """The whole grid of the tile's data."""
        return extent_of(self.grid)

    def place(self, window: Window) -> Grid:
        """Where a window of the tile lies; it may reach past the tile's data."""
        return part_of(self.grid, window)

    @property
    def area(self) -> shapely.Geometry:
        """The area of interest in the tile's CRS."""
        return shapely.from_wkb(bytes.fromhex(self.area_wkb))


@dataclass(frozen=True, slots=True)
class Product:
    """A published raster: `key` is an MGRS tile on `utm`, a cell or R/C tile on an output grid."""

    layer: str
    key: str
    grid: str
    path: str
    fingerprint: str
    whole: bool = True
