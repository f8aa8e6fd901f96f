"""Which part of the area each tile of a job computes, where tiles overlap.

A pixel belongs to the tile whose centre is nearest: the rule of the aggregation. The aggregation
looks only at tiles with data in the pixel. Before a run, the data are not known. So a tile leaves
ground to a nearer tile only where the footprints of that tile's scenes show that it has data. Where
they do not, both tiles compute the ground, and the aggregation decides as always.

All polygons are in the UTM zone of a tile, in metres.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from transforms.aggregation.capacity import MOST_REACH
from transforms.assembly.masks.bright import CELL_M, REACH
from transforms.elements import PIXEL, Scene, TilePlan
from transforms.inference.predict import CONTEXT
from transforms.rasters.area_mask import pixel_bounds

RIM = math.ceil(MOST_REACH + 1)
"""Pixels beyond its own ground that a tile's layers have, because a pixel of an output grid is made
of all pixels that it touches."""
GROUND_TAG = "GROUND"
"""The tag that says which ground a layer has, if the tile does not have all of its own."""
DEFAULT_HALO = 164
"""The least halo of composite and prediction in pixels: what the default parameters need. So a job
with a smaller reach keeps them."""
_INNER = 1000.0
"""Metres from missing ground at which data are certain: footprints have few corners."""
_ROUNDED = 2.0
"""Missing ground of twice this width in metres comes from rounded degrees."""
_ANTIMERIDIAN = 165.0
"""Longitude from which a tile may reach the antimeridian."""
_MASKS = round((2 * REACH + 1) * CELL_M / PIXEL)
"""Pixels around a pixel that the bright targets in its masks depend on."""
_EDGE = 20.0
"""Metres around the edge of the area in which a tile may have data and one of another zone none:
a pixel is inside if its centre is, and the pixels of two zones have other centres."""
_MOST_CORNERS = 500
_STEP, _HALF = 2000.0, 200_000.0
"""Step between points of the line between two tiles, and half its length, metres."""
RADIUS = 6_371_000.0
"""Of the sphere on which distances to the centres of tiles are measured, metres."""
NEAR = 230_000.0
"""Tiles with centres farther apart than this in metres do not overlap."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Sure:
    """A tile with its centre (unit vector) and the ground on which it surely has data."""

    plan: TilePlan
    center: Floats
    ground: shapely.Geometry


def with_owned_parts(tiles: Sequence[TilePlan], some: bool = False) -> tuple[TilePlan, ...]:
    """The tiles with what they own; a tile that owns nothing of the area is left out.

    A tile that nobody shares ground with stays as it is.

    Args:
        tiles: the tiles of a job, each with its scenes.
        some: whether the job uses only some of the scenes, and the plan does not know which.
    """
    known = [_Sure(tile, _center(tile), _ground(tile, some)) for tile in tiles]
    centers = np.array([item.center for item in known]).reshape(-1, 3)
    result = []
    for item in known:
        close = np.flatnonzero(np.linalg.norm(centers - item.center, axis=1) * RADIUS < NEAR)
        part = _owned(item, [known[i] for i in close if known[i] is not item])
        if part is not None:
            result.append(part)
    return tuple(result)


def with_whole_parts(tiles: Sequence[TilePlan], some: bool = False) -> tuple[TilePlan, ...]:
    """The tiles as they are, but with scenes that are compared where the tile owns the ground."""
    of = {tile.tile: tile.measured_wkb for tile in with_owned_parts(tiles, some)}
    return tuple(replace(tile, measured_wkb=of.get(tile.tile, "")) for tile in tiles)


def halo_of(needed: int) -> int:
    """The halo of composite and prediction in pixels, if the layers need so many around them.

    It grows in steps, so that a small change of a parameter does not change the composite.
    """
    return math.ceil(needed / DEFAULT_HALO) * DEFAULT_HALO


def with_halo(tile: TilePlan, needed: int) -> TilePlan:
    """The tile with an area that is cut to what it owns and the halo around it.

    Args:
        tile: a tile as `with_owned_parts` gives it.
        needed: pixels around a block that the layers depend on.
    """
    if tile.owned is None:
        return tile
    region = square_buffer(tile.owned, halo_of(needed) * PIXEL)
    area = shapely.intersection(tile.area, region)
    bounds = pixel_bounds(area, tile.grid)
    # The masks of the window's pixels look around; the window only ends where that of the whole
    # tile ends, or where nothing is computed.
    window = bounds.expand(CONTEXT + _MASKS).intersect(tile.window) if bounds else None
    if window is None:
        raise ValueError(f"{tile.tile}: owns no pixel of the area")
    return replace(tile, window=window, area_wkb=str(shapely.to_wkb(area, hex=True)))


def square_buffer(region: shapely.Geometry, distance: float) -> shapely.Geometry:
    """Every point with a point of the region at most so far away along both axes.

    A region of very many corners is made simpler and a little larger before.

    Examples:
        >>> square_buffer(shapely.box(0, 0, 10, 10), 5).bounds
        (-5.0, -5.0, 15.0, 15.0)
    """
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * distance
    tolerance, parts = distance / 10, [region]
    while shapely.get_num_coordinates(parts[0]) > _MOST_CORNERS and tolerance < distance:
        parts = [region.buffer(tolerance, quad_segs=1).simplify(tolerance / 2)]
        tolerance *= 3
    for ring in _rings(parts[0]):
        for start, end in pairwise(ring):
            points = np.vstack([start + corners, end + corners])
            parts.append(shapely.convex_hull(shapely.multipoints(points)))
    return shapely.union_all(parts)


def _rings(region: shapely.Geometry) -> Iterator[Floats]:
    for part in shapely.get_parts(region):
        for ring in (part.exterior, *part.interiors):
            yield shapely.get_coordinates(ring)


def _owned(item: _Sure, others: Sequence[_Sure]) -> TilePlan | None:
    """The tile with what it owns of its data; None if that is nothing of the area."""
    tile = item.plan
    data = shapely.box(*tile.grid.boundingbox.bbox)
    part, abroad = data, []
    for other in others:
        epsg = tile.grid.crs.epsg
        ground = moved(other.ground, other.plan.grid.crs.epsg, epsg)
        if not ground.is_empty and shapely.intersects(ground, data):
            centres = [(p.center_lon, p.center_lat) for p in (tile, other.plan)]
            theirs = ground.intersection(nearer_ground(epsg, *centres))
            part = part.difference(theirs)
            if other.plan.grid.crs != tile.grid.crs:
                abroad.append(theirs)
    if abroad:
        shared = shapely.union_all(abroad).intersection(data)
        edge = shapely.clip_by_rect(tile.area.boundary, *shared.buffer(_EDGE).bounds)
        edge = edge.simplify(_EDGE / 4).buffer(_EDGE, quad_segs=1)
        part = part.union(edge.intersection(shared))
    if part.equals(data):
        return tile
    # Corners at whole metres, so that the fingerprints do not depend on the version of PROJ.
    part = _polygons(shapely.set_precision(_polygons(part).simplify(1.0), 1.0))
    rimmed = _polygons(square_buffer(part, RIM * PIXEL).intersection(data))
    inside = pixel_bounds(shapely.intersection(tile.area, rimmed), tile.grid)
    if inside is None:
        return None
    if rimmed.contains(tile.area.intersection(data)):
        return tile
    mine = tile.area.intersection(rimmed)
    return replace(
        tile,
        owned_wkb=str(shapely.to_wkb(rimmed, hex=True)),
        owned_share=round(mine.area / tile.area.intersection(data).area, 4),
        measured_wkb=str(shapely.to_wkb(mine, hex=True)),
    )


def _polygons(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a geometry."""
    parts = [p for p in shapely.get_parts(geometry) if p.geom_type == "Polygon" and p.area > 0]
    return shapely.MultiPolygon(parts)


def overlap_warnings(tiles: Sequence[TilePlan]) -> Iterator[str]:
    """Why ground is computed by several tiles, although each tile should compute its own."""
    if len(tiles) > 1:
        for tile in tiles:
            if not any(scene.footprint for scene in tile.scenes):
                yield (
                    f"tile {tile.tile}: no scene states its footprint, so the tiles around it "
                    "compute the ground that they share with it too"
                )


def _ground(tile: TilePlan, some: bool) -> shapely.Geometry:
    """The ground in the tile's zone on which it surely has data.

    That is the ground of any of its scenes; if only some scenes are used, the ground of all.
    """
    whole = shapely.box(*tile.grid.boundingbox.bbox)
    if some:
        grounds = [sure_ground(s) if s.footprint else shapely.Polygon() for s in tile.scenes]
        return shapely.intersection_all(grounds)
    ground: shapely.Geometry = shapely.MultiPolygon()
    for scene in tile.scenes:
        if scene.footprint and not ground.contains(whole):
            ground = ground.union(sure_ground(scene))
    return ground


def stated_ground(scene: Scene) -> shapely.Geometry:
    """The ground on which a scene has data by its footprint, in its UTM zone."""
    return sure_ground(scene, _ROUNDED)


def sure_ground(scene: Scene, inner: float = _INNER) -> shapely.Geometry:
    """The ground on which a scene surely has data, in its UTM zone; empty if that is not known.

    A product with data everywhere has the four corners of its grid as its footprint. Its edges are
    straight in degrees, and those of the grid are not. So the footprint is compared with the
    corners in degrees. Ground that is missing there, and what is within `inner` metres of it, may
    have no data.
    """
    box = shapely.box(*scene.grid.boundingbox.bbox)
    stated = shapely.from_wkb(bytes.fromhex(scene.footprint))
    degrees = _between(scene.epsg, 4326)
    corners = shapely.transform(box, degrees.transform, interleaved=False)
    # Longitudes continue beyond 180, whatever the product does at the antimeridian.
    stated, corners = (shapely.transform(g, _continued) for g in (stated, corners))
    missing = shapely.segmentize(corners.difference(shapely.make_valid(stated)), 0.02)
    back = _between(4326, scene.epsg)
    left = shapely.make_valid(shapely.transform(missing, back.transform, interleaved=False))
    return box.difference(left.buffer(-_ROUNDED).buffer(inner, join_style="mitre"))


def _continued(points: Floats) -> Floats:
    """Longitudes from 0 to 360 if some are near the antimeridian."""
    lon = points[:, 0]
    turned = np.where(lon < 0, lon + 360, lon) if np.abs(lon).max() > _ANTIMERIDIAN else lon
    return np.column_stack([turned, points[:, 1]])


def moved(ground: shapely.Geometry, source: int, target: int) -> shapely.Geometry:
    """Ground of one UTM zone in the metres of another; the zones are EPSG codes."""
    if source == target or ground.is_empty:
        return ground
    there = shapely.transform(
        shapely.segmentize(ground, 5000), _between(source, target).transform, interleaved=False
    )
    return shapely.make_valid(there)


def nearer_ground(
    epsg: int, mine: tuple[float, float], theirs: tuple[float, float]
) -> shapely.Geometry:
    """The ground around a tile that is nearer to the centre of another tile.

    The line between two tiles is a great circle, as distances are chords on a sphere. Its points
    are found from a straight line by Newton's method.

    Args:
        epsg: the tile's UTM zone.
        mine: longitude and latitude of its centre, degrees.
        theirs: longitude and latitude of the other's centre, degrees.

    Returns:
        A polygon in metres of the zone, up to 400 km from the line.
    """
    to_here, to_degrees = _between(4326, epsg), _between(epsg, 4326)
    here, there = (np.array(to_here.transform(*centre)) for centre in (mine, theirs))
    towards = (there - here) / np.linalg.norm(there - here)
    along = np.arange(-_HALF, _HALF + 1, _STEP)[:, np.newaxis] * np.array([-towards[1], towards[0]])
    points = (here + there) / 2 + along
    normal = unit_vector(*mine) - unit_vector(*theirs)
    normal /= np.linalg.norm(normal)
    for _ in range(6):
        lead = unit_vectors(*to_degrees.transform(*points.T)) @ normal * RADIUS
        points = points + lead[:, np.newaxis] * towards
    beyond = points[[-1, 0]] + 2 * _HALF * towards
    return shapely.make_valid(shapely.Polygon(np.vstack([points, beyond])))


def _center(tile: TilePlan) -> Floats:
    return unit_vector(tile.center_lon, tile.center_lat)


def unit_vector(lon: float, lat: float) -> Floats:
    """The unit vector (3,) of a longitude and latitude in degrees."""
    return unit_vectors(np.array([lon]), np.array([lat]))[0]


def unit_vectors(lon: Floats, lat: Floats) -> Floats:
    """Unit vectors of longitude and latitude in degrees, axes (points, 3)."""
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


@lru_cache(maxsize=256)
def _between(source: int, target: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
