"""Grids of pixels: a grid is a `GeoBox` of odc-geo, which also crops and pads it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pydantic import PlainSerializer, PlainValidator
from pyproj import Transformer

from .window import Window

PIXEL = 10.0
"""Side of a pixel in a tile's layers, in metres."""


def utm_grid(epsg: int, ulx: float, uly: float, rows: int, cols: int) -> GeoBox:
    """A grid of 10 m pixels, north up.

    Args:
        epsg: code of its CRS, in metres.
        ulx: west edge, metres.
        uly: north edge, metres.
        rows: number of rows.
        cols: number of columns.

    Examples:
        >>> utm_grid(32633, 300000, 5900040, 10980, 10980).boundingbox.bbox
        (300000.0, 5790240.0, 409800.0, 5900040.0)
    """
    return GeoBox((rows, cols), Affine(PIXEL, 0, ulx, 0, -PIXEL, uly), f"EPSG:{epsg}")


def part_of(grid: GeoBox, window: Window) -> GeoBox:
    """The grid of a window of another grid; the window may reach past the edge of that grid.

    Examples:
        >>> grid = utm_grid(32633, 300000, 5900040, 100, 100)
        >>> part_of(grid, Window(10, 20, 5, 5)).boundingbox.bbox
        (300200.0, 5899890.0, 300250.0, 5899940.0)
    """
    return grid.translate_pix(window.col, window.row).crop(window.shape)


def extent_of(grid: GeoBox) -> Window:
    """All rows and columns of a grid."""
    return Window(0, 0, *grid.shape)


def window_in(part: GeoBox, grid: GeoBox) -> Window:
    """Rows and columns of a grid that another grid covers, rounded to the nearest pixel.

    Args:
        part: a grid of the same CRS and pixel size.
        grid: the grid in which rows and columns are counted.

    Examples:
        >>> grid = utm_grid(32633, 300000, 5900040, 100, 100)
        >>> window_in(part_of(grid, Window(10, -20, 5, 5)), grid)
        Window(row=10, col=-20, height=5, width=5)
    """
    col, row = ~grid.affine * (part.affine.c, part.affine.f)
    return Window(round(row), round(col), *part.shape)


def pixel_centres(grid: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of the rows and columns of a grid whose axes are parallel to those of its CRS.

    Returns:
        (y, x): float64 (rows,) and (columns,), in units of the CRS.
    """
    rows, cols = grid.shape
    place = grid.affine
    y = place.f + (np.arange(rows) + 0.5) * place.e
    return y, place.c + (np.arange(cols) + 0.5) * place.a


def centre_of(grid: GeoBox) -> tuple[float, float]:
    """Longitude and latitude of the centre of a grid, in degrees."""
    rows, cols = grid.shape
    to_degrees = Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*grid.pix2wld(cols / 2, rows / 2))
    return lon, lat


def origin_of(grid: GeoBox) -> tuple[int, int]:
    """Row and column of a grid's upper left corner, in 10 m pixels from 0, 0 m of its CRS."""
    return -round(grid.affine.f / PIXEL), round(grid.affine.c / PIXEL)


def grid_as_json(grid: GeoBox) -> dict[str, Any]:
    """A grid as JSON: CRS, transform (six numbers, row by row), shape (rows, columns)."""
    return {
        "crs": str(grid.crs),
        "transform": [float(value) for value in grid.affine[:6]],
        "shape": list(grid.shape),
    }


def grid_from_json(value: Any) -> GeoBox:
    """The grid that `grid_as_json` wrote; a value that is a grid already is returned as it is.

    Raises:
        ValueError: the value is not a grid.
    """
    if isinstance(value, GeoBox):
        return value
    try:
        rows, cols = value["shape"]
        transform = Affine(*map(float, value["transform"]))
        return GeoBox((int(rows), int(cols)), transform, value["crs"])
    except (KeyError, TypeError) as error:
        raise ValueError("expected a grid: crs, transform and shape") from error


Grid = Annotated[GeoBox, PlainValidator(grid_from_json), PlainSerializer(grid_as_json)]
"""A grid that pydantic writes and reads."""
