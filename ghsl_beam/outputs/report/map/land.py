"""Land around an area: Natural Earth's 1:50 million, as the npm package world-atlas has it."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

_FILE = "land-50m.json.gz"
_DETAIL = 1500
"""Parts of the longer side of the surroundings below which no detail of a coast is kept."""


def land(box: tuple[float, float, float, float]) -> shapely.MultiPolygon:
    """The land in a box of degrees (west, south, east, north); east may be greater than 180."""
    west, south, east, north = box
    shapes = []
    for polygon in _world():
        for turn in (-360.0, 0.0, 360.0):
            a, b, c, d = polygon.bounds
            if a + turn < east and c + turn > west and b < north and d > south:
                near = shapely.clip_by_rect(polygon, west - turn, south, east - turn, north)
                moved = shapely.transform(near, lambda points, t=turn: points + np.array([t, 0.0]))
                shapes.append(shapely.make_valid(moved))
    simple = shapely.simplify(shapely.union_all(shapes), max(east - west, north - south) / _DETAIL)
    parts = [p for p in shapely.get_parts(simple) if p.geom_type == "Polygon" and p.area > 0]
    return shapely.MultiPolygon(parts)


def coast(ground: shapely.Geometry, box: tuple[float, float, float, float]) -> shapely.Geometry:
    """The lines between land and sea, without the edges of the box."""
    rim = shapely.box(*box).boundary.buffer(1e-6)
    lines = ground.boundary.difference(rim)
    return lines if not lines.is_empty else shapely.MultiLineString()


@lru_cache(maxsize=1)
def _world() -> tuple[shapely.Polygon, ...]:
    packed = files("ghsl_beam.outputs.report").joinpath("assets", _FILE).read_bytes()
    topology = json.loads(gzip.decompress(packed))
    scale, shift = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(np.array(arc), axis=0) * scale + shift for arc in topology["arcs"]]
    return tuple(
        shapely.Polygon(_ring(rings[0], arcs), [_ring(hole, arcs) for hole in rings[1:]])
        for geometry in topology["objects"]["land"]["geometries"]
        for rings in geometry["arcs"]
    )


def _ring(numbers: list[int], arcs: list[Any]) -> NDArray[np.float64]:
    """A closed ring of arcs; a negative number ~i is arc i backwards (TopoJSON 1.0).

    Longitudes continue beyond 180 where the ring does; a ring around the South Pole goes there.
    """
    points = np.concatenate([arcs[i] if i >= 0 else arcs[~i][::-1] for i in numbers])
    points[:, 0] = np.unwrap(points[:, 0], period=360)
    if abs(points[-1, 0] - points[0, 0]) < 180:
        return points
    return np.concatenate([points, [[points[-1, 0], -90], [points[0, 0], -90]]])
