"""The models that an area needs: which are here, which are published, which need a fallback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.area.mgrs_tiles import tiles_of
from ghsl_beam.models.manifest import Manifest
from transforms.inference.zones import nearest, normal


class State(StrEnum):
    """The state of a grid zone's model."""

    HERE = "here"
    PUBLISHED = "published"
    NONE = "needs fallback"


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """A grid zone, the MGRS tiles of the area in it, and its model.

    Attributes:
        zone: Grid zone, two digits.
        tiles: MGRS tiles that need it; empty if no area was given.
        state: The state of its model.
        path: The file, if it is here.
        nearest_here: If the model is not here, the zone that `fallback: nearest` uses.
        nearest_published: If no model is published for the zone, the nearest published one.
    """

    zone: str
    tiles: tuple[str, ...]
    state: State
    path: str | None
    nearest_here: str | None
    nearest_published: str | None


def zones_of_area(area: str) -> dict[str, tuple[str, ...]]:
    """Tiles that may cover a part of an area, by grid zone, with which their names begin.

    Where tiles overlap, the scenes decide which of them a run uses.

    Args:
        area: a vector file, WKT, or west,south,east,north in degrees.

    Raises:
        RequestError: it is none of these, or no tile covers it.
    """
    polygons = read_area(area, Path.cwd())
    zones: dict[str, tuple[str, ...]] = {}
    for tile in tiles_of(polygons):
        zones[tile.zone] = (*zones.get(tile.zone, ()), tile.id)
    return dict(sorted(zones.items()))


def status(
    zones: Mapping[str, tuple[str, ...]], here: Mapping[str, str], manifest: Manifest
) -> list[ZoneStatus]:
    """The status of each zone, in the given order.

    Args:
        zones: tiles by grid zone.
        here: files by grid zone, from `available`.
        manifest: the published models. A zone that is not in it needs a fallback.
    """
    paths = {normal(zone): path for zone, path in here.items()}
    published = [model.zone for model in manifest.models]
    return [_status(normal(z), tiles, paths, published, manifest) for z, tiles in zones.items()]


def _status(
    zone: str,
    tiles: tuple[str, ...],
    paths: Mapping[str, str],
    published: Iterable[str],
    manifest: Manifest,
) -> ZoneStatus:
    if zone in paths:
        return ZoneStatus(zone, tiles, State.HERE, paths[zone], None, None)
    stand_in = nearest(zone, paths)
    if manifest.of(zone):
        return ZoneStatus(zone, tiles, State.PUBLISHED, None, stand_in, None)
    return ZoneStatus(zone, tiles, State.NONE, None, stand_in, nearest(zone, published))
