"""Reads the tags of an OpenStreetMap way: which road it is and how wide, or why it is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ghsl_beam.tools.roads.classes import RoadClass, class_of
from ghsl_beam.tools.roads.widths import Width, width_of

OSM_TAGS = (
    "highway",
    "service",
    "area",
    "tunnel",
    "covered",
    "indoor",
    "width:carriageway",
    "width",
    "est_width",
    "lanes",
)
"""The tags that are read, in the order of the arguments of `osm_road`."""
_PLANNED = ("proposed", "planned", "construction")
_GONE = ("abandoned", "disused", "razed", "demolished", "removed", "dismantled")
_NO = (None, "", "no", "false", "0", "F")
"""Values that mean no; Geofabrik writes F."""
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(rf"\s*{_QUOTED}\s*=>\s*(?:{_QUOTED}|NULL)\s*(,|$)", re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)


class LeftOut(StrEnum):
    """The reason why a line is left out."""

    NO_ROAD = "not a road (rail, water)"
    NO_CLASS = "without a class"
    UNKNOWN = "unknown class"
    NOT_ASKED = "class not requested"
    PLANNED = "planned or under construction"
    GONE = "no longer there"
    AREA = "an area"
    TUNNEL = "in a tunnel"
    COVERED = "covered or indoors"
    NO_LINE = "no line, or a damaged one"
    OUTSIDE = "outside the area"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a line that is a road of one width; `start` and `end` are shares of the length."""

    road: RoadClass
    width: Width
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """The roads on a line, and the reasons why it or parts of it are left out.

    `unclear` is True if a field could not be read at all. `named` is an unknown class.
    """

    roads: tuple[Stretch, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unclear: bool = False
    named: str | None = None


@lru_cache(maxsize=1 << 12)
def osm_road(values: tuple[str | None, ...], classes: frozenset[str]) -> Reading:
    """Read the tags of a way.

    Args:
        values: the values of `OSM_TAGS`, None for an absent tag.
        classes: names of the requested classes.
    """
    tags = dict(zip(OSM_TAGS, values, strict=True))
    name = tags["highway"]
    if not name:
        return Reading(left_out=(LeftOut.NO_CLASS,))
    if name in _PLANNED:
        return Reading(left_out=(LeftOut.PLANNED,))
    if name in _GONE:
        return Reading(left_out=(LeftOut.GONE,))
    road = class_of(name, tags["service"])
    if road is None:
        return Reading(left_out=(LeftOut.UNKNOWN,), named=name[:40])
    why = _why_not_seen(tags) if road.name in classes else LeftOut.NOT_ASKED
    if why is not None:
        return Reading(left_out=(why,))
    stated = [tags[key] for key in ("width:carriageway", "width", "est_width")]
    width = width_of(road, [text for text in stated if text], tags["lanes"] or None)
    return Reading((Stretch(road, width),))


def _why_not_seen(tags: Mapping[str, str | None]) -> LeftOut | None:
    if tags["area"] not in _NO:
        return LeftOut.AREA
    if tags["tunnel"] not in _NO:
        return LeftOut.TUNNEL
    if tags["covered"] not in _NO or tags["indoor"] not in _NO:
        return LeftOut.COVERED
    return None


def other_tags(text: str) -> dict[str, str]:
    r"""Parse the field in which GDAL keeps all other tags, in hstore format (PostgreSQL) or JSON.

    Raises:
        ValueError: it has another format.

    Examples:
        >>> other_tags('"lanes"=>"2","name"=>"The \\"Strip\\"","x"=>NULL')
        {'lanes': '2', 'name': 'The "Strip"'}

    Source: PostgreSQL, hstore, External Representation; GDAL, driver OSM, `TAGS_FORMAT`.
    """
    if text.lstrip().startswith("{"):
        found = json.loads(text)
        return {key: value for key, value in found.items() if isinstance(value, str)}
    tags, place = {}, 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            raise ValueError(f"no tags from character {place} on")
        if pair[2] is not None:
            tags[_plain(pair[1])] = _plain(pair[2])
        place = pair.end()
    return tags


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
