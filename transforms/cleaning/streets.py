"""Finds the pixels that streets cover, by distance, so that every window gives the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import PIXEL, pixel_centres

_AT_ONCE = 1_000_000
"""Pairs of a segment and a pixel that are in memory at a time."""
_LINES = ("LineString", "LinearRing", "MultiLineString")

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Road:
    """A road's centre line (shapely line or lines) in the tile's CRS, and its full width."""

    line: Any
    width: float
    """Metres."""

    def __post_init__(self) -> None:
        """Check the line and the width.

        Raises:
            ValueError: it is not a line, has coordinates that are not finite, or its width is not
                above 0.
        """
        if getattr(self.line, "geom_type", None) not in _LINES:
            kind = getattr(self.line, "geom_type", type(self.line).__name__)
            raise ValueError(f"a road is a {kind}, expected a line")
        if not np.isfinite(shapely.get_coordinates(self.line)).all():
            raise ValueError("a road has coordinates that are not finite numbers")
        if not (math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"a road has a width of {self.width!r} m, expected above 0")


def street_masks(roads: Iterable[Road], grid: GeoBox) -> tuple[Mask, Mask]:
    """Pixels that streets cover, and pixels that they only touch.

    A street is the area within half the road's width of its line, with round ends. A pixel is
    covered if its centre is inside the street or on its border. It is touched if street and pixel
    share an area and the centre is not covered. A shared border alone does not count.

    Args:
        roads: in the CRS of the grid, in any order; roads outside the window have no effect.
        grid: the wanted pixels: a part of the tile's 10 m grid.

    Returns:
        (covered, touched), each (rows, columns) of the grid, bool; no pixel is in both.

    Source:
        The cleaning of the GHS-BUILT-S2 workflow, which rasterises street buffers by pixel centre
        and by any touch; here distances are used instead, which do not depend on block edges.
    """
    covered, touched = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    starts, ends, radii = _segments(roads)
    ys, xs = pixel_centres(grid)
    for which, rows, cols in _candidates(starts, ends, radii, grid):
        x, y = xs[cols], ys[rows]
        radius = radii[which]
        squared = _squared_distance(x, y, starts[which], ends[which])
        inside = squared <= radius**2
        covered[rows[inside], cols[inside]] = True
        near = ~inside & (squared < (radius + PIXEL) ** 2)
        near &= ~touched[rows, cols]
        which, rows, cols, x, y = which[near], rows[near], cols[near], x[near], y[near]
        half = PIXEL / 2
        boxes = shapely.box(x - half, y - half, x + half, y + half)
        lines = shapely.linestrings(np.stack([starts[which], ends[which]], axis=1))
        touch = shapely.distance(boxes, lines) < radii[which]
        touched[rows[touch], cols[touch]] = True
    return covered, touched & ~covered


def _segments(roads: Iterable[Road]) -> tuple[Floats, Floats, Floats]:
    """Straight parts of all roads: starts (n, 2), ends (n, 2), radii (n), in metres."""
    starts, ends, radii = [np.empty((0, 2))], [np.empty((0, 2))], [np.empty(0)]
    for road in roads:
        for line in shapely.get_parts(road.line):
            points = shapely.get_coordinates(line)
            if len(points) > 1:
                starts.append(points[:-1])
                ends.append(points[1:])
                radii.append(np.full(len(points) - 1, road.width / 2))
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(radii)


def _candidates(
    starts: Floats, ends: Floats, radii: Floats, grid: GeoBox
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Pairs of segment and pixel (row, column of the grid) that are close, in limited portions."""
    reach = (radii + PIXEL)[:, None]
    low, high = np.minimum(starts, ends) - reach, np.maximum(starts, ends) + reach
    west, north, (rows_in, cols_in) = grid.affine.c, grid.affine.f, grid.shape
    left = np.maximum(np.floor((low[:, 0] - west) / PIXEL), 0).astype(np.int64)
    right = np.minimum(np.ceil((high[:, 0] - west) / PIXEL), cols_in).astype(np.int64)
    top = np.maximum(np.floor((north - high[:, 1]) / PIXEL), 0).astype(np.int64)
    bottom = np.minimum(np.ceil((north - low[:, 1]) / PIXEL), rows_in).astype(np.int64)
    width, height = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    hit = np.flatnonzero(width * height)
    before = np.concatenate([[0], np.cumsum((width * height)[hit])])
    for first in range(0, int(before[-1]), _AT_ONCE):
        pair = np.arange(first, min(first + _AT_ONCE, int(before[-1])))
        place = np.searchsorted(before, pair, side="right") - 1
        which, inside = hit[place], pair - before[place]
        rows = top[which] + inside // width[which]
        cols = left[which] + inside % width[which]
        yield which, rows, cols


def _squared_distance(x: Floats, y: Floats, start: Floats, end: Floats) -> Floats:
    """Squared distance of points from segments, pair by pair, in square metres."""
    along_x, along_y = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    from_x, from_y = x - start[:, 0], y - start[:, 1]
    length = along_x * along_x + along_y * along_y
    part = (from_x * along_x + from_y * along_y) / np.where(length > 0, length, 1.0)
    part = np.clip(part, 0.0, 1.0)
    off_x, off_y = from_x - part * along_x, from_y - part * along_y
    squared: Floats = off_x * off_x + off_y * off_y
    return squared
