"""The plan of one MGRS tile, and the tasks that come from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import shapely

from .grid import Grid, centre_of, extent_of, part_of
from .layers import Layer
from .references import Block, RasterRef
from .scene import Scene
from .window import Window

PERIOD_TAG = "PERIOD"
"""The tag with the first and the last day of the scenes that a layer is made from."""


def period_tag(days: Iterable[str]) -> dict[str, str]:
    """The tag of a layer that is made from scenes of these days; none if there are no days.

    Examples:
        >>> period_tag(["2020-06-15", "2020-06-10", "2020-06-12"])
        {'PERIOD': '2020-06-10/2020-06-15'}
    """
    ordered = sorted(days)
    return {PERIOD_TAG: f"{ordered[0]}/{ordered[-1]}"} if ordered else {}


@dataclass(frozen=True, slots=True)
class TilePlan:
    """One tile of a job: its grid, its part of the area, its scenes, its layers' fingerprints.

    `grid` is the 10 m UTM grid of the tile's data. `window` is the part of it that the products
    cover. `area_wkb` is the area of interest in the tile's CRS (hexadecimal WKB). `tags` are the
    tags that describe the making of a layer in its file, by layer. `owned_wkb` is the ground to
    which the last line's layers are cut, because other tiles own the rest; `area_wkb` is then cut
    to it and its halo. It is empty if the tile shares nothing.
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
    owned_wkb: str = ""
    owned_share: float = 1.0
    """The share of its part of the area that it owns."""
    measured_wkb: str = ""
    """The part of the area in which scenes are compared, in its CRS; empty for its whole area. It
    is the same whether or not the tile is cut to what it owns, so that the same scenes are used."""

    @property
    def owned(self) -> shapely.Geometry | None:
        """The ground that it owns, in its CRS; None if it shares nothing."""
        return shapely.from_wkb(bytes.fromhex(self.owned_wkb)) if self.owned_wkb else None

    @property
    def measured(self) -> shapely.Geometry:
        """The part of the area in which scenes are compared, in its CRS."""
        return shapely.from_wkb(bytes.fromhex(self.measured_wkb or self.area_wkb))

    @property
    def extent(self) -> Window:
        """The whole grid of the tile's data."""
        return extent_of(self.grid)

    @property
    def days(self) -> tuple[str, ...]:
        """The days of its scenes, UTC, `2020-06-10`, in order."""
        return tuple(sorted({scene.sensing.date().isoformat() for scene in self.scenes}))

    def place(self, window: Window) -> Grid:
        """The grid of a window of the tile; the window may reach past the tile's data."""
        return part_of(self.grid, window)

    @property
    def area(self) -> shapely.Geometry:
        """The area of interest in the tile's CRS."""
        return shapely.from_wkb(bytes.fromhex(self.area_wkb))


@dataclass(frozen=True, slots=True)
class BlockTask:
    """A block to make, and the stored rasters within its reach.

    `make` are the layers to store. `whole` is False if a raster within reach is not whole, or is
    missing, or if a scene was lost. `scenes` are the numbers of the scenes to use, in this order;
    None uses all. `plan` is the plan of the tile; it is added on the worker that makes the block,
    so that it passes no shuffle.
    """

    block: Block
    references: tuple[RasterRef, ...] = ()
    whole: bool = True
    make: tuple[Layer, ...] = ()
    plan: TilePlan | None = None
    scenes: tuple[int, ...] | None = None

    @classmethod
    def of(cls, scenes: Sequence[Scene], grid: Grid, area: shapely.Geometry | None = None) -> Self:
        """A task in memory that assembles scenes of one tile over a grid.

        Args:
            scenes: at least one, all of the same tile.
            grid: the wanted pixels, a part of the tile's 10 m grid.
            area: area of interest in the grid's CRS, None for the whole grid.
        """
        tile, window = scenes[0].tile, extent_of(grid)
        wkb = shapely.to_wkb(area or shapely.box(*grid.boundingbox.bbox), hex=True)
        block = Block(tile, window)
        plan = TilePlan(tile, block.zone, grid, *centre_of(grid), window, wkb, tuple(scenes))
        return cls(block, make=tuple(Layer), plan=plan)


@dataclass(frozen=True, slots=True)
class Product:
    """A published raster: `key` is an MGRS tile on `utm`, a cell or R/C tile on an output grid."""

    layer: str
    key: str
    grid: str
    path: str
    fingerprint: str
    whole: bool = True
