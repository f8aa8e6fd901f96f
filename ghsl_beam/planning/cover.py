"""How much of the area the scenes of a plan reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.antimeridian import polygonal, within_180
from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.planning.owned import stated_ground
from transforms.elements import Scene, TilePlan

_STEP = 5000.0
"""Edges are split into pieces of this length in metres before a projection."""
_WHOLE = 99.95
"""Percent from which on the area counts as whole: footprints have rounded corners."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The area in km², and the percent of it that is on the ground of a scene of the plan."""

    area_km2: float = 0.0
    scenes_percent: float = 0.0


def cover_of(area: Area, tiles: Iterable[TilePlan]) -> Cover:
    """The cover of an area by the scenes of tiles.

    A scene covers the ground that its metadata states, or its grid if they state none.

    Args:
        area: the area of a job.
        tiles: its tiles, each with its scenes.
    """
    grounds = [in_degrees(tile, ground_of(tile.scenes)) for tile in tiles]
    ground = shapely.union_all([within_180(one) for one in grounds if not one.is_empty])
    km2 = area.area_km2
    reached = polygonal(ground.intersection(area.geometry))
    percent = 100.0 * Area(reached).area_km2 / km2 if km2 and not reached.is_empty else 0.0
    return Cover(km2, 100.0 if percent > _WHOLE else round(percent, 1))


def ground_of(scenes: Iterable[Scene]) -> shapely.Geometry:
    """The ground of scenes of one tile, in metres of its UTM zone."""
    ground: shapely.Geometry = shapely.MultiPolygon()
    for scene in {(one.footprint, one.grid.boundingbox.bbox): one for one in scenes}.values():
        whole = shapely.box(*scene.grid.boundingbox.bbox)
        if not ground.contains(whole):
            ground = ground.union(stated_ground(scene) if scene.footprint else whole)
    return ground


def in_degrees(tile: TilePlan, ground: shapely.Geometry) -> shapely.Geometry:
    """Ground in longitude and latitude; longitudes continue around the zone's central meridian."""
    epsg = tile.grid.crs.epsg
    to_degrees = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    middle = 6 * (epsg % 100) - 183

    def continued(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon, lat = to_degrees.transform(points[:, 0], points[:, 1])
        return np.column_stack([middle + (np.asarray(lon) - middle + 180) % 360 - 180, lat])

    edges = shapely.segmentize(polygonal(ground), _STEP)
    return polygonal(shapely.make_valid(shapely.transform(edges, continued)))
