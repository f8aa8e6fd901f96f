"""The Sentinel-2 tiles: MGRS squares of 100 km on a grid of 109.8 km footprints.

A square belongs to a grid zone by the latitude of its centre. It exists if it touches that zone,
with the exceptions of Norway and Svalbard. One of ESA's tiles is outside the zone in its name.
ESA's tiles are at multiples of 60 m: the west edge of the square is rounded down, and the north
edge is rounded up, counted from the equator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from transforms.elements import Grid, RequestError, Scene, utm_grid
from transforms.inference.zones import BANDS, EXCEPTIONS

from .area_of_interest import Area, area_in_tile, around, lonlat_bounds, to_utm

SIZE = 10980
"""Pixels of 10 m along a side."""
FOOTPRINT = 109_800.0
_SQUARE = 100_000
_COLUMNS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
_ROWS = "ABCDEFGHJKLMNPQRSTUV"
_STRAY = {"31VFL": ("32V", 6, 70)}
"""ESA's tiles outside the zone in their name: the grid zone around them, and column and row of the
square. 31VFL is off Norway, where 32V reaches to 3° east. 32V's own tiles cover its ground."""
_ID = re.compile(r"(0[1-9]|[1-5]\d|60)([C-HJ-NP-X])([A-HJ-NP-Z])([A-HJ-NP-V])")


@dataclass(frozen=True, slots=True, order=True)
class MgrsTile:
    """One tile: `zone` is the grid zone (`33U`); `ulx` and `uly` are its corner in metres."""

    id: str
    zone: str
    epsg: int
    ulx: float
    uly: float
    center_lon: float
    center_lat: float
    size: int = SIZE

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        return self.ulx, self.uly - FOOTPRINT, self.ulx + FOOTPRINT, self.uly

    @property
    def grid(self) -> Grid:
        """The 10 m grid of the tile."""
        return utm_grid(self.epsg, self.ulx, self.uly, self.size, self.size)

    @property
    def footprint(self) -> shapely.Polygon:
        """The nominal footprint in the tile's CRS."""
        return shapely.box(*self.bounds)


def zone_of(tile_id: str) -> str:
    """The grid zone of a tile, `33U` of `33UUU`: the key of its model.

    Raises:
        RequestError: it is not the name of a tile.
    """
    match = _parse(tile_id)
    stray = _STRAY.get(match.group(0))
    return stray[0] if stray else match.group(1) + match.group(2)


@lru_cache(maxsize=8192)
def tile(tile_id: str) -> MgrsTile:
    """The tile with a name such as `33UUU` (`T33UUU` and `5MKV` are accepted too).

    Raises:
        RequestError: there is no such square.
    """
    match = _parse(tile_id)
    name, zone, band = match.group(0), int(match.group(1)), match.group(2)
    if name in _STRAY:
        return _make(name, zone, band, *_STRAY[name][1:])
    polygon = _zone_polygon(zone, band)
    col = _COLUMNS[zone % 3].find(match.group(3)) + 1
    first = (_ROWS.index(match.group(4)) - _row_offset(zone)) % 20
    rows = [] if polygon is None or col == 0 else range(first, 100, 20)  # letters repeat
    shared = {row: shapely.box(*_square(col, row)).intersection(polygon).area for row in rows}
    row = max(shared, key=shared.__getitem__, default=None)
    if row is None or shared[row] == 0:
        raise RequestError(f"{tile_id}: zone {zone:02d}{band} has no such MGRS square")
    return _make(name, zone, band, col, row)


def tiles_of(area: Area) -> list[MgrsTile]:
    """The tiles whose footprint shares ground with the area, sorted by name.

    Raises:
        RequestError: the whole area is beyond the tiles (84° N, 83° S).
    """
    tiles: list[MgrsTile] = []
    _, south, _, north = area.geometry.bounds
    south, north = max(south, -84.5), min(north, 85.5)
    if south < north:
        pad = min(1.3 / math.cos(math.radians(min(max(abs(south), abs(north)), 84))), 13)
        for zone in range(1, 61):
            west, east = _zone_span(zone)
            for northern in (True, False):
                low, high = (max(south, -1.3), north) if northern else (south, min(north, 1.3))
                if low < high:
                    near = around(area, (west - pad, low, east + pad, high))
                    tiles.extend(_zone_tiles(near, zone, northern=northern))
    if not tiles:
        raise RequestError(
            "no Sentinel-2 tile covers the area: tiles reach from 83° south to 84° north"
        )
    return sorted(tiles)


def needed_tiles(tiles: Iterable[MgrsTile], area: Area) -> list[MgrsTile]:
    """The tiles that own ground of the area; a point belongs to the tile with the nearest centre.

    Within a UTM zone the lines between tiles are straight. A tile of another zone takes over a
    tile's part of the area if it covers the part and is nearer to all of it, by a clear margin.
    Every point of the area that the tiles cover stays covered. A tile outside the zone in its name
    is needed only for ground that no other tile covers.
    """
    everything = sorted(tiles)
    given = [item for item in everything if item.id not in _STRAY]
    for item in everything:
        if item.id in _STRAY and not_covered(item, given, area).area > 100:
            given = sorted([*given, item])
    index = {(item.epsg, *_index(item)): item for item in given}
    centers = np.array([_ecef(item.center_lon, item.center_lat) for item in given])
    kept = []
    for item, center in zip(given, centers, strict=True):
        close = np.flatnonzero(np.linalg.norm(centers - center, axis=1) < 1.5 * FOOTPRINT)
        abroad = [(given[i], centers[i]) for i in close if given[i].epsg != item.epsg]
        if area.geometry.contains(shapely.box(*lonlat_bounds(item.footprint, item.epsg))):
            kept.append(item)
            continue
        part = _own_part(item, index, area)
        if part.area > 0 and not any(
            _takes(other, theirs - center, (theirs + center) / 2, part, item.epsg)
            for other, theirs in abroad
        ):
            kept.append(item)
    return kept


def not_covered(tile: MgrsTile, others: Iterable[MgrsTile], area: Area) -> shapely.Geometry:
    """The part of the area in a tile that no other tile covers, in the tile's CRS."""
    left = area_in_tile(area, tile).intersection(tile.footprint)
    for other in others:
        between = Transformer.from_crs(other.epsg, tile.epsg, always_xy=True)
        outline = shapely.segmentize(other.footprint, 5000)
        left = left.difference(shapely.transform(outline, between.transform, interleaved=False))
    return left


def grid_problem(scene: Scene, tile: MgrsTile) -> str | None:
    """Why a scene's grid cannot be that of its tile; None if it can.

    A product has the tile's grid, or that of a part of it: whole 10 m pixels of the tile's grid.
    """
    if scene.epsg != tile.epsg:
        return f"its grid is in EPSG:{scene.epsg}, expected EPSG:{tile.epsg}"
    west, south, east, north = tile.bounds
    grid = utm_grid(scene.epsg, scene.ulx, scene.uly, scene.rows, scene.cols)
    _, bottom, right, _ = grid.boundingbox.bbox
    inside = west <= scene.ulx and right <= east and south <= bottom and scene.uly <= north
    if inside and (scene.ulx - west) % 10 == 0 and (north - scene.uly) % 10 == 0:
        return None
    return (
        f"its grid has the corner {scene.ulx:.15g} {scene.uly:.15g} and {scene.cols} x {scene.rows}"
        f" pixels of 10 m, expected {tile.id}'s ({west:.0f} {north:.0f}, {SIZE} x {SIZE}) or whole "
        "pixels of it"
    )


def _own_part(
    item: MgrsTile, index: dict[tuple[int, int, int], MgrsTile], area: Area
) -> shapely.Geometry:
    """The part of the area that is nearer to the tile than to others of its UTM zone, in metres."""
    col, row = _index(item)
    owned = item.footprint
    for right in (-1, 0, 1):
        for up in (-1, 0, 1):
            other = index.get((item.epsg, col + right, row + up))
            if other is not None and other != item:
                owned = owned.intersection(_nearer(item, other))
    return area_in_tile(area, item).intersection(owned)


def _takes(
    other: MgrsTile,
    towards: NDArray[np.float64],
    middle: NDArray[np.float64],
    part: shapely.Geometry,
    epsg: int,
) -> bool:
    """Whether a tile of another zone covers the part and is nearer to all of it by > 200 m."""
    edge = shapely.get_coordinates(shapely.segmentize(part, 1000))
    lon, lat = _to_lonlat(epsg).transform(edge[:, 0], edge[:, 1])
    lead = (_ecef(lon, lat) - middle) @ (towards / np.linalg.norm(towards))
    if lead.min() < 200:
        return False
    x, y = _to_lonlat(other.epsg).transform(lon, lat, direction="INVERSE")
    west, south, east, north = other.bounds
    inside = (x > west + 50) & (x < east - 50) & (y > south + 50) & (y < north - 50)
    return bool(inside.all())


def _ecef(lon: Any, lat: Any) -> NDArray[np.float64]:
    """Position on a sphere with the earth's mean radius, metres, axes (..., xyz)."""
    lon, lat = np.radians(lon), np.radians(lat)
    flat = np.cos(lat)
    return 6_371_000.0 * np.stack([flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)], axis=-1)


def _nearer(item: MgrsTile, other: MgrsTile) -> shapely.Polygon:
    """The half-plane (large enough) that is nearer to one tile's centre than to the other's."""
    dx, dy = item.ulx - other.ulx, item.uly - other.uly
    length = math.hypot(dx, dy)
    dx, dy, far = dx / length, dy / length, 4 * FOOTPRINT
    x = (item.ulx + other.ulx + FOOTPRINT) / 2
    y = (item.uly + other.uly - FOOTPRINT) / 2
    return shapely.Polygon(
        [
            (x - dy * far, y + dx * far),
            (x + dy * far, y - dx * far),
            (x + (dx + dy) * far, y + (dy - dx) * far),
            (x + (dx - dy) * far, y + (dy + dx) * far),
        ]
    )


def _parse(tile_id: str) -> re.Match[str]:
    text = tile_id.strip().upper()
    text = text[1:] if text.startswith("T") else text
    match = _ID.fullmatch(text.zfill(5))
    if match is None:
        raise RequestError(f"{tile_id!r} is not an MGRS tile; give one such as 33UUU")
    return match


def _index(item: MgrsTile) -> tuple[int, int]:
    """Column and row of the tile's square in its zone, counted in 100 km."""
    return math.ceil(item.ulx / _SQUARE), math.floor(item.uly / _SQUARE) - 1


def _row_offset(zone: int) -> int:
    """Row letters start at F in even zones."""
    return 5 if zone % 2 == 0 else 0


def _square(col: int, row: int) -> tuple[float, float, float, float]:
    return (
        float(col * _SQUARE),
        float(row * _SQUARE),
        float((col + 1) * _SQUARE),
        float((row + 1) * _SQUARE),
    )


def _make(name: str, zone: int, band: str, col: int, row: int) -> MgrsTile:
    epsg = (32600 if band >= "N" else 32700) + zone
    equator = 0 if band >= "N" else 10_000_000
    ulx = col * _SQUARE // 60 * 60
    uly = -((equator - (row + 1) * _SQUARE) // 60 * 60) + equator
    lon, lat = _to_lonlat(epsg).transform(ulx + FOOTPRINT / 2, uly - FOOTPRINT / 2)
    return MgrsTile(name, zone_of(name), epsg, float(ulx), float(uly), round(lon, 9), round(lat, 9))


def _zone_tiles(near: shapely.Geometry, zone: int, *, northern: bool) -> list[MgrsTile]:
    """Tiles of one UTM zone and hemisphere that share ground with a lon/lat geometry near it."""
    if near.is_empty:
        return []
    epsg = (32600 if northern else 32700) + zone
    geometry = to_utm(near, epsg)
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    shapely.prepare(geometry)
    west, south, east, north = geometry.bounds
    lowest, highest = (0, 93) if northern else (7, 99)
    cols = np.arange(max(int(west // _SQUARE) - 1, 1), min(int(east // _SQUARE) + 1, 8) + 1)
    rows = np.arange(
        max(int(south // _SQUARE) - 1, lowest), min(int(north // _SQUARE) + 1, highest) + 1
    )
    tiles = []
    for col, row in zip(*(grid.ravel().tolist() for grid in np.meshgrid(cols, rows)), strict=True):
        name = _name(zone, northern, col, row)
        if name is None:
            continue
        item = _make(name, zone, name[2], col, row)
        if shapely.intersects(geometry, item.footprint) and not shapely.touches(
            geometry, item.footprint
        ):
            tiles.append(item)
    return tiles


@lru_cache(maxsize=131072)
def _name(zone: int, northern: bool, col: int, row: int) -> str | None:
    """Name of a square; None if it does not reach the zone of its centre's latitude.

    The letters are computed here, not by the mgrs package. That package moves a square whose centre
    is outside its zone into the next one, and knows none south of 80° south, where ESA has some.
    """
    epsg = (32600 if northern else 32700) + zone
    west, south, east, north = _square(col, row)
    for stray, (_, stray_col, stray_row) in _STRAY.items():
        if (zone, northern, col, row) == (int(stray[:2]), stray[2] >= "N", stray_col, stray_row):
            return stray
    _, lat = _to_lonlat(epsg).transform((west + east) / 2, (south + north) / 2)
    band = BANDS[min(max(int((lat + 80) // 8), 0), 19)]
    polygon = _zone_polygon(zone, band)
    square = shapely.box(west, south, east, north)
    if polygon is None or (band >= "N") != northern or not shapely.intersects(polygon, square):
        return None
    letter = _ROWS[(row + _row_offset(zone)) % 20]
    return f"{zone:02d}{band}{_COLUMNS[zone % 3][col - 1]}{letter}"


def _zone_span(zone: int) -> tuple[float, float]:
    """West and east of all grid zones of a UTM zone."""
    spans = [(6.0 * zone - 186, 6.0 * zone - 180)]
    spans += [span for band in "VX" if (span := EXCEPTIONS.get(f"{zone:02d}{band}"))]
    return min(span[0] for span in spans), max(span[1] for span in spans)


@lru_cache(maxsize=1200)
def _zone_polygon(zone: int, band: str) -> shapely.Polygon | None:
    """A grid zone in metres of its UTM zone; None if there is no such zone."""
    span = EXCEPTIONS.get(f"{zone:02d}{band}", (6 * zone - 186, 6 * zone - 180))
    if span is None:
        return None
    south = -80 + 8 * BANDS.index(band) if band > "C" else -83
    north = 84 if band == "X" else -72 + 8 * BANDS.index(band)
    box = shapely.segmentize(shapely.box(span[0], south, span[1], north), 0.1)
    polygon = to_utm(box, (32600 if band >= "N" else 32700) + zone)
    shapely.prepare(polygon)
    return polygon


@lru_cache(maxsize=128)
def _to_lonlat(epsg: int) -> Transformer:
    return Transformer.from_crs(f"EPSG:{epsg}", "EPSG:4326", always_xy=True)
