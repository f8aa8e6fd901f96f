"""Converts polygons to fractions of a raster's pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyproj
import rasterio.features
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.area_of_interest import Area, to_crs, within
from ghsl_beam.tools.area_mean import Grid, mean_pixel_area

_FINE_METRES = 2.0
"""Size of the samples into which polygons are burnt, in metres."""
FINE = (5, 50)
"""Smallest and largest number of samples along a side of a pixel."""
_MARGIN = 1.0
"""Degrees around a raster within which polygons count: its bounds in degrees are approximate."""

Floats = NDArray[np.float64]


def parts_near(area: Area, ours: Grid) -> tuple[NDArray[Any], shapely.STRtree]:
    """The polygons near a raster in its CRS, and their search tree."""
    shapes = shapely.get_parts(to_crs(within(area, _lonlat_bounds(ours)), ours.crs))
    return shapes, shapely.STRtree(shapes)


def samples_of(ours: Grid) -> int:
    """Number of samples along a side of a pixel for burning polygons."""
    side = math.sqrt(mean_pixel_area(ours))
    return int(min(max(math.ceil(side / _FINE_METRES), FINE[0]), FINE[1]))


def burnt(part: Grid, shapes: tuple[NDArray[Any], shapely.STRtree], times: int) -> Floats:
    """Share of each pixel inside polygons, from samples."""
    near = shapes[0][shapes[1].query(shapely.box(*_bounds(part)))]
    if not len(near):
        return np.zeros(part.shape)
    fine = part.finer(times)
    samples = rasterio.features.rasterize(
        near, out_shape=fine.shape, transform=fine.transform, dtype="uint8"
    )
    shape = (part.shape[0], times, part.shape[1], times)
    return np.asarray(samples.reshape(shape).mean(axis=(1, 3)), np.float64)


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    x, y = grid.nodes()
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _lonlat_bounds(ours: Grid) -> tuple[float, float, float, float]:
    """Bounds around a raster in degrees, beyond 180 across the antimeridian; or all the world."""
    to_degrees = pyproj.Transformer.from_crs(ours.crs, "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(*_bounds(ours), 101)
    if not all(math.isfinite(degrees) for degrees in (west, south, east, north)):
        return -180.0, -90.0, 180.0, 90.0
    east += 360 if west > east else 0
    return west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN
