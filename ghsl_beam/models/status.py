"""Which models an area needs, which are here, which are published, and what could stand in."""

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
    """How it stands with the model of a grid zone."""

    HERE = "here"
    PUBLISHED = "published"
    NONE = "needs fallback"


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """A grid zone, the MGRS tiles of the area in it, and its model.

    Attributes:
        zone: grid zone, two digits.
        tiles: MGRS tiles that need it; empty where no area was given.
        state: how it stands.
        path: the file, where it is here.
        nearest_here: for a zone whose model is not here, what `fallback: nearest` takes.
        nearest_published: for a zone that has none, the nearest that is published.
    """

    zone: str
    tiles: tuple[str, ...]
    state: State
    path: str | None
    nearest_here: str | None
    nearest_published: str | None


def zones_of_area(area: str) -> dict[str, tuple[str, ...]]:
    """Tiles that may cover a part of an area, by grid zone, the start of their names.

    Which of the tiles that overlap there a run takes depends on the scenes it finds.

    Args:
        area: a vector file, WKT, or west,south,east,north in degrees.

    Raises:
        RequestError: it is none of these, or no tile covers it.
    """
    found = read_area(area, Path.cwd())
    zones: dict[str, tuple[str, ...]] = {}
    for tile in tiles_of(found):
        zones[tile.zone] = (*zones.get(tile.zone, ()), tile.id)
    return dict(sorted(zones.items()))


def status(
    zones: Mapping[str, tuple[str, ...]], here: Mapping[str, str], manifest: Manifest
) -> list[ZoneStatus]:
    """How it stands with each zone, in the order given.

    Args:
        zones: tiles by grid zone.
        here: files by grid zone, as `available` finds them.
        manifest: the published ones. A zone that it does not have needs a fallback.
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
