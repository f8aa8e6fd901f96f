"""Output grids: nested levels, cells (units of work) and R/C tiles, all counted from one origin."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyproj
from affine import Affine
from odc.geo.geobox import GeoBox

from transforms.elements import RequestError, Window

LATTICE = 50
"""Fine pixels between two nodes at which coordinates are computed exactly."""
CHUNK = 1000
"""Approximate side of a chunk in fine pixels."""
MAX_STEP = 2000
"""Largest step of a grid's chunks, and so of its coarsest level, in fine pixels.

A chunk takes about 110 bytes for each fine pixel while it is made: 0.4 GiB at this step.
"""
METRES = (1.0, 100_000.0)
"""Smallest and largest resolution of a grid in metres; the largest is the side of a cell."""
ARC_SECONDS = (0.03, 3600.0)
"""The same for a geographic grid: about 1 m, and one degree."""
MOLLWEIDE_ORIGIN = (-18_041_000.0, 9_000_000.0)
"""Upper left corner of R1_C1 of GHSL's grids in ESRI:54009."""
GEOGRAPHIC_ORIGIN = (-180 - 28.5 / 3600, 90 - 3241.5 / 3600)
"""The same for its grids in EPSG:4326, at 3 and at 30 arc seconds."""
_TILE_KEY = re.compile(r"R(\d+)_C(\d+)")
_CORNER_KEY = re.compile(r"x(-?\d+)_y(-?\d+)")
_CELL_KEY = re.compile(r"(.+)_r(\d+)_c(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """An output cell, counted from the grid's origin (0, 0) down and to the right."""

    row: int
    col: int


@dataclass(frozen=True, slots=True, order=True)
class GridTile:
    """A tile of the output grid, counted from 1, 1 at the upper left.

    `corner` names a tile that is not one of GHSL's by its upper left corner, `x-221000_y7020000`.
    """

    row: int
    col: int
    corner: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Its name: GHSL's, `R3_C19`, if GHSL has a tile of exactly this ground."""
        return self.corner or f"R{self.row}_C{self.col}"


@dataclass(frozen=True, slots=True)
class GridLevel:
    """One resolution of an output grid.

    `factor` fine pixels make the side of a pixel. `capacity` is the largest area in m² that a
    pixel can hold. Areas are stored as `dtype` with `nodata`.
    """

    resolution: float
    factor: int
    name: str
    capacity: int
    dtype: str
    nodata: int


@dataclass(frozen=True)
class OutputGrid:
    """A grid of nested resolutions; everything is computed at `fine` and summed from there.

    `resolutions` and `fine` are in metres, or in arc seconds for a geographic CRS. `origin` is the
    upper left corner in units of the CRS. `cell_pixels` fine pixels make the side of a cell, and
    `tile_cells` cells the side of a tile. `fine_capacity` is the largest area in m² that a fine
    pixel can hold.
    """

    crs: str
    label: str
    origin: tuple[float, float]
    resolutions: tuple[float, ...]
    fine: float
    cell_pixels: int
    tile_cells: int
    fine_capacity: int
    geographic: bool = False

    @cached_property
    def pixel(self) -> float:
        """Side of a fine pixel in units of the CRS."""
        return self.fine / 3600 if self.geographic else self.fine

    @cached_property
    def levels(self) -> tuple[GridLevel, ...]:
        """The published levels, finest first."""
        return tuple(self._level(resolution) for resolution in self.resolutions)

    @cached_property
    def step(self) -> int:
        """The edges of every chunk are multiples of this number of fine pixels."""
        return _step(self.resolutions, self.fine)

    @cached_property
    def chunk(self) -> int:
        """Usual side of a chunk in fine pixels."""
        return self.step * max(1, round(CHUNK / self.step))

    def _level(self, resolution: float) -> GridLevel:
        factor = round(resolution / self.fine)
        unit = "ss" if self.geographic else ""
        capacity = self.fine_capacity * factor**2
        dtype = next(d for d in ("uint8", "uint16", "uint32") if capacity < np.iinfo(d).max)
        name = f"{self.label}_{resolution:g}{unit}"
        return GridLevel(resolution, factor, name, capacity, dtype, int(np.iinfo(dtype).max))

    # ---- names ----

    @cached_property
    def has_ghsl_tiles(self) -> bool:
        """Whether its tiles are GHSL's: 1000 km in ESRI:54009, or 10 degrees in EPSG:4326."""
        side = self.tile_cells * self.cell_pixels * self.pixel
        own = {"ESRI:54009": (MOLLWEIDE_ORIGIN, 1e6), "EPSG:4326": (GEOGRAPHIC_ORIGIN, 10.0)}
        origin, size = own.get(self.crs, (None, 0.0))
        return self.origin == origin and abs(side - size) < 1e-9 * size

    def tile_at(self, row: int, col: int) -> GridTile:
        """The tile of a row and column, counted from 1, with its name."""
        if self.has_ghsl_tiles:
            return GridTile(row, col)
        side = self.tile_cells * self.cell_pixels * self.pixel
        x, y = self.origin[0] + (col - 1) * side, self.origin[1] - (row - 1) * side
        return GridTile(row, col, f"x{round(x)}_y{round(y)}")

    def tile_of(self, cell: Cell) -> GridTile:
        """The tile that contains a cell."""
        return self.tile_at(cell.row // self.tile_cells + 1, cell.col // self.tile_cells + 1)

    def cell_key(self, cell: Cell) -> str:
        """Name of a cell: its tile, then row and column within it, counted from 1."""
        row, col = cell.row % self.tile_cells + 1, cell.col % self.tile_cells + 1
        return f"{self.tile_of(cell).key}_r{row:02d}_c{col:02d}"

    def parse_cell(self, key: str) -> Cell:
        """The cell with a name; `RequestError` if there is none."""
        match = _CELL_KEY.fullmatch(key)
        if not match:
            raise RequestError(f"{key!r} is not the name of an output cell")
        tile, row, col = self.parse_tile(match[1]), int(match[2]) - 1, int(match[3]) - 1
        first_row, first_col = (tile.row - 1) * self.tile_cells, (tile.col - 1) * self.tile_cells
        cell = Cell(first_row + row, first_col + col)
        if self.cell_key(cell) != key:
            raise RequestError(f"{key!r} is not the name of an output cell")
        return cell

    def parse_tile(self, key: str) -> GridTile:
        """The tile with a name; `RequestError` if there is none."""
        match = (_TILE_KEY if self.has_ghsl_tiles else _CORNER_KEY).fullmatch(key)
        if not match:
            raise RequestError(f"{key!r} is not the name of a grid tile")
        one, other = int(match[1]), int(match[2])
        if self.has_ghsl_tiles:
            tile = self.tile_at(one, other)
        else:
            side = self.tile_cells * self.cell_pixels * self.pixel
            row, col = (self.origin[1] - other) / side, (one - self.origin[0]) / side
            tile = self.tile_at(round(row) + 1, round(col) + 1)
        if tile.key != key or min(tile.row, tile.col) < 1:
            raise RequestError(f"{key!r} is not the name of a grid tile")
        return tile

    def cells_of(self, tile: GridTile) -> tuple[Cell, ...]:
        """All cells of an R/C tile, row by row."""
        row, col = (tile.row - 1) * self.tile_cells, (tile.col - 1) * self.tile_cells
        side = range(self.tile_cells)
        return tuple(Cell(row + i, col + j) for i in side for j in side)

    def window_in_tile(self, cell: Cell, level: GridLevel) -> Window:
        """The window of a cell in its R/C tile, in pixels of a level."""
        size = self.cell_pixels // level.factor
        row, col = cell.row % self.tile_cells, cell.col % self.tile_cells
        return Window(row * size, col * size, size, size)

    # ---- places ----

    def fine_window(self, cell: Cell) -> Window:
        """A cell in fine pixels of the whole grid."""
        size = self.cell_pixels
        return Window(cell.row * size, cell.col * size, size, size)

    def tile_window(self, tile: GridTile) -> Window:
        """A tile in fine pixels of the whole grid."""
        size = self.cell_pixels * self.tile_cells
        return Window((tile.row - 1) * size, (tile.col - 1) * size, size, size)

    def cell_geobox(self, cell: Cell, level: GridLevel) -> GeoBox:
        """The pixels of a cell at a level."""
        return self._geobox(cell.row, cell.col, 1, level)

    def tile_geobox(self, tile: GridTile, level: GridLevel) -> GeoBox:
        """The pixels of a tile at a level; `RequestError` if its name belongs to other ground."""
        if tile.key != self.tile_at(tile.row, tile.col).key:
            raise RequestError(f"{tile.key!r} is not the name of a tile of this grid")
        row, col = (tile.row - 1) * self.tile_cells, (tile.col - 1) * self.tile_cells
        return self._geobox(row, col, self.tile_cells, level)

    def _geobox(self, row: int, col: int, cells: int, level: GridLevel) -> GeoBox:
        size = self.pixel * level.factor
        x = self.origin[0] + col * self.cell_pixels * self.pixel
        y = self.origin[1] - row * self.cell_pixels * self.pixel
        side = cells * self.cell_pixels // level.factor
        return GeoBox((side, side), Affine(size, 0.0, x, 0.0, -size, y), self.crs)


def ghsl_mollweide(resolutions: Sequence[float] = (10, 100, 1000)) -> OutputGrid:
    """GHSL's grid: ESRI:54009 from (-18 041 000, 9 000 000), R/C tiles of 1000 km.

    A 10 m cell holds 0..100 m², as GHS-BUILT-S does.

    Examples:
        >>> grid = ghsl_mollweide()
        >>> [level.name for level in grid.levels]
        ['54009_10', '54009_100', '54009_1000']
        >>> grid.cell_key(grid.parse_cell("R3_C19_r01_c02"))
        'R3_C19_r01_c02'
    """
    return from_config("ESRI:54009", resolutions)


def geographic(resolutions_arcsec: Sequence[float] = (3, 30)) -> OutputGrid:
    """GHSL's grid: EPSG:4326 from (-180.0079167, 89.0995833), R/C tiles of 10 degrees.

    A cell is one degree. The pixels of 3 and of 30 arc seconds are those of GHSL's own files.
    """
    return from_config("EPSG:4326", resolutions_arcsec)


def from_config(
    crs: str, resolutions: Sequence[float], origin: tuple[float, float] | None = None
) -> OutputGrid:
    """A grid in any projected CRS in metres (resolutions in m), or in EPSG:4326 (arc seconds).

    Without an origin, ESRI:54009 and EPSG:4326 have GHSL's. Another CRS has the upper left corner
    of its area of use, moved outwards to a multiple of the tile (about 1000 km). The fine level is
    the smallest resolution divided by a whole number, so that it is nearest to 10 m (0.3 arc
    seconds) and chunks are not too large.

    Args:
        crs: name of the CRS, such as `ESRI:54009`.
        resolutions: the published resolutions.
        origin: upper left corner in units of the CRS.

    Raises:
        RequestError: the CRS is unknown, not in metres or without an area of use, or the
            resolutions are not nested, out of bounds (`METRES`, `ARC_SECONDS`), or such that a
            chunk would be too large (`MAX_STEP`).
    """
    try:
        system = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise RequestError(
            f"{crs} is not a coordinate reference system, expected for example ESRI:54009"
        ) from error
    if system.is_geographic:
        sizes = _nested(resolutions, ARC_SECONDS, "arc seconds")
        if system.to_authority() != ("EPSG", "4326"):
            raise RequestError(f"{crs} is geographic, expected EPSG:4326 or a projected CRS")
        fine, pixels = _geographic_fine(sizes)
        _check_step(sizes, fine, pixels)
        # At the equator a square of 0.3" has 85.5 m²; one tenth more for the scale of UTM.
        capacity = math.ceil((fine / 3600 * 111_320) ** 2 * 1.1)
        return OutputGrid(
            "EPSG:4326",
            "4326",
            origin or GEOGRAPHIC_ORIGIN,
            sizes,
            fine,
            pixels,
            10,
            capacity,
            True,
        )
    if not system.is_projected or {axis.unit_name for axis in system.axis_info} != {"metre"}:
        raise RequestError(f"{crs} is neither a projected CRS in metres nor EPSG:4326")
    sizes = _nested(resolutions, METRES, "metres")
    fine = _projected_fine(sizes)
    _check_step(sizes, fine)
    step = _step(sizes, fine)
    pixels = step * max(1, round(100_000 / fine / step))
    authority = system.to_authority()
    label = authority[1] if authority else re.sub(r"\W+", "-", system.name).strip("-")
    name = ":".join(authority) if authority else system.to_wkt()
    mollweide = name == "ESRI:54009"
    capacity = math.floor(fine**2) if mollweide else math.ceil(fine**2 * 1.1)
    if origin is None:
        origin = MOLLWEIDE_ORIGIN if mollweide else _corner(system, fine * pixels * 10)
    return OutputGrid(name, label, origin, sizes, fine, pixels, 10, capacity)


def _nested(
    resolutions: Sequence[float], bounds: tuple[float, float], unit: str
) -> tuple[float, ...]:
    lowest, highest = bounds
    for size in resolutions:
        if not lowest <= size <= highest:  # also false for nan
            raise RequestError(
                f"resolutions: {size:g} is out of bounds, expected {lowest:g} to {highest:g} {unit}"
            )
    sizes = tuple(sorted(float(size) for size in resolutions))
    if not sizes or len(set(sizes)) != len(sizes):
        raise RequestError(
            f"resolutions: {list(resolutions)} are not distinct, expected each size once"
        )
    for finer, coarser in itertools.pairwise(sizes):
        if abs(coarser / finer - round(coarser / finer)) > 1e-9:
            raise RequestError(f"resolutions: {coarser:g} is not a multiple of {finer:g}")
    return sizes


def _step(sizes: tuple[float, ...], fine: float) -> int:
    return math.lcm(LATTICE, round(sizes[-1] / fine))


def _check_step(sizes: tuple[float, ...], fine: float, degree: int = 0) -> None:
    """Raise an error for the first level with too large chunks, and name the nearest possible one.

    `degree`: number of fine pixels in a degree, if whole steps must make it; otherwise 0.
    """
    factors = [1, *(round(size / fine) for size in sizes)]
    for finer, factor in itertools.pairwise(factors):
        step = math.lcm(LATTICE, factor)
        if step <= MAX_STEP:
            continue
        possible = [
            other
            for other in range(2 * finer, MAX_STEP + 1, finer)
            if (least := math.lcm(LATTICE, other)) <= MAX_STEP and degree % least == 0
        ]
        nearest = min(possible, key=lambda other: abs(other - factor), default=None)
        hint = f"{nearest * fine:.10g} is possible" if nearest else "leave it out"
        raise RequestError(
            f"resolutions: {factor * fine:.10g} needs chunks of {step} x {step} fine pixels "
            f"({fine:g}), expected at most {MAX_STEP} x {MAX_STEP}; {hint}"
        )


def _projected_fine(sizes: tuple[float, ...]) -> float:
    """Fine resolution near 10 m; up to a tenth off the usual one if its chunks are smaller."""
    usual = max(1, round(sizes[0] / 10))
    near = range(math.ceil(0.9 * usual), math.floor(1.1 * usual) + 1)
    return sizes[0] / min(
        near, key=lambda parts: (_step(sizes, sizes[0] / parts) > MAX_STEP, abs(parts - usual))
    )


def _geographic_fine(sizes: tuple[float, ...]) -> tuple[float, int]:
    """Fine resolution near 0.3 arc seconds with whole steps in a degree, and pixels in a degree."""
    wanted = sizes[0] / 0.3
    for parts in sorted(range(1, math.ceil(2 * wanted) + 2), key=lambda n: abs(n - wanted)):
        fine = sizes[0] / parts
        pixels = 3600 / fine
        if abs(pixels - round(pixels)) < 1e-6 and round(pixels) % _step(sizes, fine) == 0:
            return fine, round(pixels)
    raise RequestError(f"resolutions: {list(sizes)} arc seconds do not divide a degree")


def _corner(system: pyproj.CRS, tile: float) -> tuple[float, float]:
    remedy = "name a CRS with an area of use (an EPSG code)"
    area = system.area_of_use
    if area is None:
        raise RequestError(f"{system.name}: has no area of use; {remedy}")
    try:
        to_grid = pyproj.Transformer.from_crs("EPSG:4326", system, always_xy=True)
        left, _, _, top = to_grid.transform_bounds(*area.bounds, densify_pts=101)
    except pyproj.exceptions.ProjError as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"{system.name}: cannot be computed ({reason}); {remedy}") from error
    if not (math.isfinite(left) and math.isfinite(top)):
        raise RequestError(f"{system.name}: its area of use has no bounds; {remedy}")
    return math.floor(left / tile) * tile, math.ceil(top / tile) * tile
