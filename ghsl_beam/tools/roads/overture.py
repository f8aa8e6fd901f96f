"""Reads the fields of an Overture segment: the roads on parts of its line, and their widths.

Source: Overture Maps schema, theme transportation, type segment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from ghsl_beam.tools.roads.classes import class_of
from ghsl_beam.tools.roads.tags import LeftOut, Reading, Stretch
from ghsl_beam.tools.roads.widths import width_of

OVERTURE_FIELDS = ("subtype", "class", "subclass", "width_rules", "road_flags")
"""The fields that are read, in the order of the arguments of `overture_road`."""
_WHY = {
    "is_under_construction": LeftOut.PLANNED,
    "is_abandoned": LeftOut.GONE,
    "is_tunnel": LeftOut.TUNNEL,
    "is_covered": LeftOut.COVERED,
    "is_indoor": LeftOut.COVERED,
}
"""Flags of a road that is not visible from above; the first one is counted."""
_LINKED = ("motorway", "trunk", "primary", "secondary", "tertiary")
_MOST_RULES = 1000
LONGEST_RULES = 1 << 13
"""Largest number of characters of a text of rules; a longer text is not read."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A value that is valid between two shares of the length of a line."""

    value: Any
    start: float
    end: float

    def holds(self, start: float, end: float) -> bool:
        return self.start <= start and end <= self.end


@lru_cache(maxsize=1 << 12)
def overture_road(values: tuple[str | None, ...], classes: frozenset[str]) -> Reading:
    """Read the fields of a segment.

    Args:
        values: the values of `OVERTURE_FIELDS`, rules as JSON, None for an absent field.
        classes: names of the requested classes.
    """
    subtype, name, kind, widths, flags = values
    if subtype not in (None, "road"):
        return Reading(left_out=(LeftOut.NO_ROAD,))
    if not name:
        return Reading(left_out=(LeftOut.NO_CLASS,))
    stated, unclear_widths = _rules(widths, "value")
    flagged, unclear_flags = _rules(flags, "values")
    unclear = unclear_widths or unclear_flags
    edges = sorted({0.0, 1.0, *(edge for rule in (*stated, *flagged) for edge in _edges(rule))})
    roads: list[Stretch] = []
    why: dict[LeftOut, None] = {}
    named = None
    for start, end in pairwise(edges):
        found = _of_part(name, kind, stated, flagged, (start, end), classes)
        if isinstance(found, LeftOut):
            why[found] = None
            named = name[:40] if found is LeftOut.UNKNOWN else named
        elif roads and roads[-1].end == start and _same(roads[-1], found):
            roads[-1] = Stretch(found.road, found.width, roads[-1].start, end)
        else:
            roads.append(found)
    return Reading(tuple(roads), tuple(why), unclear, named)


def _of_part(
    name: str,
    kind: str | None,
    widths: list[_Rule],
    flags: list[_Rule],
    part: tuple[float, float],
    classes: frozenset[str],
) -> Stretch | LeftOut:
    here = {str(flag) for rule in flags if rule.holds(*part) for flag in rule.value}
    linked = name in _LINKED and ("is_link" in here or kind == "link")
    road = class_of(f"{name}_link" if linked else name, kind)
    if road is None:
        return LeftOut.UNKNOWN
    if road.name not in classes:
        return LeftOut.NOT_ASKED
    for flag, why in _WHY.items():
        if flag in here:
            return why
    stated = [str(rule.value) for rule in widths if rule.holds(*part)]
    return Stretch(road, width_of(road, stated), *part)


def _rules(text: str | None, key: str) -> tuple[list[_Rule], bool]:
    """The rules in a text, and whether a part of it could not be understood."""
    if not text:
        return [], False
    try:
        found = json.loads(text) if len(text) <= LONGEST_RULES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) > _MOST_RULES:
        return [], found is not None or text.strip() != "null"
    rules = [_rule(item, key) for item in found]
    known = [rule for rule in rules if rule is not None]
    return known, len(known) < len(rules)


def _rule(item: Any, key: str) -> _Rule | None:
    if key == "values" and isinstance(item, str):  # before 2024-06 flags were plain words
        return _Rule([item], 0.0, 1.0)
    if not isinstance(item, dict):
        return None
    value, between = item.get(key), item.get("between")
    if isinstance(value, list) is not (key == "values") or value is None:
        return None
    if between is None:
        return _Rule(value, 0.0, 1.0)
    if not (isinstance(between, list) and len(between) == 2 and all(map(_is_share, between))):
        return None
    start, end = map(float, between)
    return _Rule(value, start, end) if start < end else None


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1


def _edges(rule: _Rule) -> Iterator[float]:
    yield rule.start
    yield rule.end


def _same(one: Stretch, other: Stretch) -> bool:
    return one.road is other.road and one.width == other.width
