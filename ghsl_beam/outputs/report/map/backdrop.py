"""What lies behind and above the pictures: outline, land, coast, graticule and scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from ghsl_beam.outputs.footprint import Bounds

from .frame import Frame
from .land import coast, land

STEPS = (45, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Distances between the lines of a graticule, in degrees."""
_AROUND = 1.5
"""Sides of the frame that the map shows around it."""
_LINES = 5
"""Largest number of lines of the graticule in a direction."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Lines of the page's map, in degrees of the frame: longitudes may exceed 180.

    Attributes:
        outline: The area; empty if it is not known.
        land: The land around the frame; empty if there is only land.
        coast: The coastlines around the frame.
        surroundings: West, south, east, north of what the map shows at most.
    """

    outline: shapely.Geometry
    land: shapely.Geometry
    coast: shapely.Geometry
    surroundings: Bounds

    @classmethod
    def empty(cls, frame: Frame) -> Backdrop:
        """No lines, for a page without a map."""
        none = shapely.MultiPolygon()
        return cls(none, none, shapely.MultiLineString(), frame.degrees)


def backdrop_of(frame: Frame, outline: shapely.Geometry | None) -> Backdrop:
    """The lines for a frame."""
    west, south, east, north = frame.degrees
    wide, high = _AROUND * (east - west), _AROUND * (north - south)
    wide = min(wide, max(0.0, 360 - (east - west)) / 2)
    box = (west - wide, max(-85.0, south - high), east + wide, min(85.0, north + high))
    ground = land(box)
    shore = coast(ground, box)
    if shore.is_empty and not ground.is_empty:
        ground = shapely.MultiPolygon()  # land alone needs no polygon
    return Backdrop(_within(outline, frame), ground, shore, box)


def _within(outline: shapely.Geometry | None, frame: Frame) -> shapely.Geometry:
    """The outline with its parts moved by 360 degrees, if so they lie in the frame."""
    if outline is None:
        return shapely.MultiPolygon()
    west, _, east, _ = frame.degrees
    parts = []
    for part in shapely.get_parts(outline):
        middle = (part.bounds[0] + part.bounds[2]) / 2
        turn = next((t for t in (0, 360, -360) if west <= middle + t <= east), 0)
        parts.append(shapely.transform(part, lambda points, t=turn: points + np.array([t, 0.0])))
    joined = shapely.union_all(parts)
    return joined if joined.is_valid else shapely.MultiPolygon(parts)


def as_latlng(geometry: shapely.Geometry) -> list[Any]:
    """Lines of latitude and longitude, as Leaflet takes them; a polygon is a list of rings."""
    result: list[Any] = []
    for part in shapely.get_parts(geometry):
        if part.geom_type == "Polygon":
            result.append([_latlng(ring) for ring in (part.exterior, *part.interiors)])
        elif part.geom_type in ("LineString", "LinearRing"):
            result.append(_latlng(part))
    return result


def _latlng(line: shapely.LineString) -> list[list[float]]:
    return [[round(lat, 5), round(lon, 5)] for lon, lat in line.coords]


def graticule(frame: Frame) -> Iterator[tuple[str, float, float]]:
    """Lines of the graticule in the frame: axis (`lon` or `lat`), degrees, place in pixels."""
    west, south, east, north = frame.degrees
    span = max(east - west, north - south)
    step = next((s for s in reversed(STEPS) if span / s <= _LINES), STEPS[0])
    for at in np.arange(math.ceil(west / step), math.floor(east / step) + 1) * step:
        yield "lon", float(at), frame.place(float(at), 0)[0]
    for at in np.arange(math.ceil(south / step), math.floor(north / step) + 1) * step:
        yield "lat", float(at), frame.place(0, float(at))[1]


def in_words(axis: str, degrees: float) -> str:
    """A degree of a graticule: `12.5° E`.

    Example:
        >>> in_words("lon", 181.5), in_words("lat", 0.0)
        ('178.5° W', '0°')
    """
    turned = (degrees + 180) % 360 - 180 if axis == "lon" else degrees
    turned = 180.0 if turned == -180 else turned
    side = {("lon", True): " E", ("lon", False): " W", ("lat", True): " N", ("lat", False): " S"}
    name = "" if turned == 0 or abs(turned) == 180 else side[axis, turned > 0]
    return f"{abs(round(turned, 4)):g}°{name}"


def path(geometry: shapely.Geometry, frame: Frame) -> str:
    """The path of an SVG for polygons or lines in degrees, in pixels of the frame."""
    texts = []
    for part in shapely.get_parts(geometry):
        rings = (part.exterior, *part.interiors) if part.geom_type == "Polygon" else (part,)
        for ring in rings:
            points = (frame.place(lon, lat) for lon, lat in ring.coords)
            texts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points))
    return "".join(texts)


def scale_bar(frame: Frame) -> tuple[float, str]:
    """A length in pixels of the frame, about a quarter of its width, and the length in words."""
    most = frame.cols * frame.ground / 4
    power = 10.0 ** math.floor(math.log10(max(most, 1)))
    metres = max((step * power for step in (1, 2, 5) if step * power <= most), default=most)
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:.0f} m"
    return metres / frame.ground, text
