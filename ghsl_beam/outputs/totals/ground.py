"""Which ground of the products each tile counts, so that all ground counts once.

Ground belongs to the tile with the nearest centre, of the tiles whose products reach it: its *own*
ground, a polygon. Where that tile has no data, the nearest tile with data counts the pixel. This is
the rule of the output grids; see docs/aggregation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from ghsl_beam.area import mgrs_tiles
from ghsl_beam.planning.owned import NEAR, RADIUS, moved, nearer_ground, unit_vector, unit_vectors
from ghsl_beam.planning.products import read_product
from transforms.elements import PIXEL, Grid, Layer, pixel_centres

_TOUCHED = PIXEL * 0.7072
"""Metres between a line and the centre of a pixel, up to which it may cross the pixel."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TileFiles:
    """The products of an MGRS tile that are counted, and their common grid."""

    name: str
    grid: Grid
    paths: Mapping[Layer, str]
    """Locations, in the order in which they are counted."""
    nodata: Mapping[Layer, int]

    @property
    def epsg(self) -> int:
        """The EPSG code of its UTM zone."""
        return int(self.grid.crs.epsg)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        return self.grid.boundingbox.bbox

    @property
    def box(self) -> shapely.Polygon:
        """The ground of its products in its UTM zone."""
        return shapely.box(*self.bounds)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the tile's centre in degrees."""
        tile = mgrs_tiles.tile(self.name)
        return tile.center_lon, tile.center_lat


class Rival(NamedTuple):
    """A tile that shares ground with another one: its ground, in the UTM zone of the other."""

    tile: TileFiles
    box: shapely.Geometry


@dataclass(frozen=True, eq=False)
class Ground:
    """A tile with its own ground, in its UTM zone, and the tiles that share ground with it."""

    tile: TileFiles
    own: shapely.Geometry
    rivals: tuple[Rival, ...]

    @property
    def shared(self) -> shapely.Geometry:
        """The ground of its products that is not its own."""
        return self.tile.box.difference(self.own)

    def filled(self, place: Grid, data: Bools) -> tuple[Bools, NDArray[np.int64]]:
        """Pixels outside the own ground that this tile counts because no nearer tile has data.

        Where the line to a nearer tile crosses a pixel, each of the two counts its part of it.

        Args:
            place: the grid of a part of the tile's products.
            data: where this tile has data in it, bool (rows, columns).

        Returns:
            The pixels, bool, and the number of the nearest rival, to which the ground belongs,
            int64; -1 where there is none. Both have the shape of `data`.
        """
        lon, lat = _degrees(place)
        vectors = unit_vectors(lon, lat)
        y, x = np.meshgrid(*pixel_centres(place), indexing="ij")
        mine = unit_vector(*self.tile.centre)
        leads, inside = [], []
        for rival in self.rivals:
            apart = mine - unit_vector(*rival.tile.centre)
            leads.append(vectors @ (apart / np.linalg.norm(apart)) * RADIUS)
            inside.append(shapely.contains_xy(rival.box, x, y))
        owner, least = np.full(data.shape, -1), np.full(data.shape, np.inf)
        at_line = np.ones(data.shape, bool)
        for number, (lead, there) in enumerate(zip(leads, inside, strict=True)):
            apart = np.where(there, self._nearness(vectors, number), np.inf)
            owner = np.where(apart < least, number, owner)
            least = np.minimum(least, apart)
            at_line &= ~there | (lead > -_TOUCHED)
        result = data.copy()
        for rival, lead, there in zip(self.rivals, leads, inside, strict=True):
            first = rival.tile.name < self.tile.name
            nearer = (lead < 0) | ((lead == 0) & first) | (at_line & (lead < _TOUCHED))
            doubtful = result & there & nearer
            if doubtful.any():
                result &= ~(doubtful & _has_data(rival.tile, place))
        return result, owner

    def _nearness(self, vectors: NDArray[np.float64], number: int) -> NDArray[np.float64]:
        """How much nearer a rival is than this tile; negative where it is nearer."""
        mine, theirs = (unit_vector(*tile.centre) for tile in (self.tile, self.rivals[number].tile))
        return np.asarray(2 * (vectors @ (mine - theirs)))


def grounds(tiles: Sequence[TileFiles]) -> list[Ground]:
    """The own ground of each tile, and the tiles that share ground with it."""
    centres = np.array([unit_vector(*tile.centre) for tile in tiles]).reshape(-1, 3)
    result = []
    for tile, centre in zip(tiles, centres, strict=True):
        close = np.flatnonzero(np.linalg.norm(centres - centre, axis=1) * RADIUS < NEAR)
        own, rivals = tile.box, []
        for other in (tiles[int(i)] for i in close if tiles[int(i)] is not tile):
            box = moved(other.box, other.epsg, tile.epsg)
            if shapely.intersects(box, tile.box) and box.intersection(tile.box).area > 0:
                rivals.append(Rival(other, box))
                line = nearer_ground(tile.epsg, tile.centre, other.centre)
                own = own.difference(box.intersection(line))
        result.append(Ground(tile, own, tuple(rivals)))
    return result


def in_degrees(tile: TileFiles) -> shapely.Geometry:
    """The ground of a tile's products in longitude and latitude, around its central meridian."""
    dense = shapely.segmentize(tile.box, 5000)
    to_degrees = pyproj.Transformer.from_crs(tile.epsg, 4326, always_xy=True)
    middle = 6 * (tile.epsg % 100) - 183

    def continued(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = to_degrees.transform(points[:, 0], points[:, 1])
        return np.column_stack([middle + (np.asarray(lon) - middle + 180) % 360 - 180, lat])

    return shapely.transform(dense, continued)


def _degrees(place: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of the centres of the pixels, (rows, columns) each."""
    y, x = np.meshgrid(*pixel_centres(place), indexing="ij")
    to_degrees = pyproj.Transformer.from_crs(place.crs.epsg, 4326, always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    return np.asarray(lon), np.asarray(lat)


def _has_data(tile: TileFiles, place: Grid) -> Bools:
    """The pixels of a grid at whose centre a tile has data."""
    layer = next(iter(tile.paths))

    def data(source: Any) -> Bools:
        rows, cols = place.shape
        with WarpedVRT(
            source,
            crs=rasterio.crs.CRS.from_epsg(place.crs.epsg),
            transform=place.affine,
            width=cols,
            height=rows,
            resampling=Resampling.nearest,
        ) as there:
            return np.asarray(there.read(1) != tile.nodata[layer])

    return read_product(tile.paths[layer], data)
