"""Which part of an output cell or R/C tile the area of a job needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.antimeridian import shift, within_180
from transforms.aggregation.capacity import MOST_REACH
from transforms.aggregation.footprint import cells_of_source
from transforms.aggregation.grid import OutputGrid
from transforms.aggregation.source import TileSource
from transforms.elements import TilePlan, Window

_PAD = math.ceil(MOST_REACH + 1)
"""Fine pixels beyond the area that may have data, because a pixel reads all that it touches."""
_EDGE = 1000.0
"""Metres of an edge in UTM that is straight on the grid to less than a fine pixel."""


def needed_windows(
    grid: OutputGrid, tiles: Sequence[TilePlan], places: Mapping[str, Window]
) -> dict[str, Window]:
    """The part of each cell or R/C tile in which the area of a job may have data.

    It is the box around the area, and ends at pixels of the coarsest level. So every level has the
    same ground, and its pixels are those of the whole cell or tile.

    Args:
        grid: the output grid.
        tiles: the tiles of the job.
        places: cells or R/C tiles by key, in fine pixels of the whole grid.

    Returns:
        By key, a window in fine pixels, counted from the corner of the cell or tile; keys that the
        area does not reach are left out.
    """
    parts = [part for tile in tiles for part in _on_grid(grid, tile)]
    tree = shapely.STRtree(parts)
    step = grid.levels[-1].factor
    result = {}
    for key, place in places.items():
        padded = _box(place.expand(_PAD))
        inside = [shapely.clip_by_rect(parts[n], *padded.bounds) for n in tree.query(padded)]
        there = [part for part in inside if not part.is_empty]
        if not there:
            continue
        left, top, right, bottom = shapely.total_bounds(there)
        rows = _snapped(top - place.row, bottom - place.row, step)
        cols = _snapped(left - place.col, right - place.col, step)
        window = Window(rows.start, cols.start, len(rows), len(cols))
        kept = window.intersect(Window(0, 0, *place.shape))
        if kept is not None:
            result[key] = kept
    return result


def _snapped(first: float, last: float, step: int) -> range:
    """The pixels between two places and a few beyond, in whole pixels of the coarsest level."""
    start, end = math.floor((first - _PAD) / step), math.ceil((last + _PAD) / step)
    return range(start * step, end * step)


def _on_grid(grid: OutputGrid, tile: TilePlan) -> list[shapely.Geometry]:
    """A tile's part of the area in fine pixels of the grid, x to the right and y down."""
    pixels = tile.place(tile.window)
    area = tile.area.intersection(shapely.box(*pixels.boundingbox.bbox))
    if area.is_empty:
        return []
    degrees = _continued(shapely.segmentize(area, _EDGE), tile)
    if grid.geographic:
        # Longitude continues around the globe: the first pixels are west of 180 degrees.
        around = [degrees, *(shift(degrees, turn) for turn in (-360.0, 360.0))]
    else:
        to_grid = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True)
        cut = within_180(shapely.make_valid(degrees))
        around = [shapely.transform(cut, to_grid.transform, interleaved=False)]
    if not all(np.isfinite(shapely.get_coordinates(part)).all() for part in around):
        source = TileSource(tile.tile, pixels, tile.center_lon, tile.center_lat)
        return [_box(grid.fine_window(cell)) for cell in cells_of_source(grid, source)]
    west, north = grid.origin

    def in_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points.T
        return np.column_stack([(x - west) / grid.pixel, (north - y) / grid.pixel])

    # Each polygon alone, because those at the two ends of the grid are far apart.
    placed = [shapely.transform(part, in_pixels) for part in around]
    return [shapely.make_valid(polygon) for part in placed for polygon in shapely.get_parts(part)]


def _continued(area: shapely.Geometry, tile: TilePlan) -> shapely.Geometry:
    """A geometry of a tile's zone in longitude and latitude, which may reach beyond 180 degrees."""
    to_degrees = pyproj.Transformer.from_crs(tile.grid.crs.epsg, 4326, always_xy=True)
    middle = 6 * (tile.grid.crs.epsg % 100) - 183

    def degrees(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = to_degrees.transform(points[:, 0], points[:, 1])
        return np.column_stack([middle + (np.asarray(lon) - middle + 180) % 360 - 180, lat])

    return shapely.transform(area, degrees)


def _box(window: Window) -> shapely.Polygon:
    return shapely.box(window.col, window.row, window.right, window.bottom)
