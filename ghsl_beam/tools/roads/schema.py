"""Finds the source of a file by its fields: OpenStreetMap, Geofabrik or Overture."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from ghsl_beam.tools.roads.overture import LONGEST_RULES, OVERTURE_FIELDS, overture_road
from ghsl_beam.tools.roads.tags import OSM_TAGS, Reading, osm_road, other_tags
from ghsl_beam.tools.roads.widths import LONGEST_TAG

_NAMES = ("other_tags", "fclass", *OSM_TAGS, *OVERTURE_FIELDS)
READ = frozenset((*_NAMES, *(name.replace(":", "_") for name in _NAMES)))
"""The fields that are read."""
EXPECTED = (
    "expected 'highway' (OpenStreetMap), 'fclass' and 'oneway' (Geofabrik), or 'subtype' and "
    "'class' (Overture)"
)
_LONGEST = max(LONGEST_TAG, LONGEST_RULES)

Row = Mapping[str, Any]
Reader = Callable[[frozenset[str]], Reading]
"""Reads a line, for the names of the requested classes."""


class Origin(StrEnum):
    """Source of the data."""

    OSM = "OpenStreetMap"
    OVERTURE = "Overture"


def schema_of(fields: Collection[str]) -> Origin | None:
    """The source of a table with these fields; None if no field has the class of a road.

    The tables of Geofabrik for rivers and railways have `fclass` too; only that for roads has
    `oneway`.
    """
    if "highway" in fields or ("fclass" in fields and "oneway" in fields):
        return Origin.OSM
    if "class" in fields and ("subtype" in fields or "road_flags" in fields):
        return Origin.OVERTURE
    return None


def reader(row: Row) -> Reader:
    """The reader of a line with these fields."""
    if "highway" in row or "fclass" in row:
        return _osm(row)
    return _overture(row)


def _osm(row: Row) -> Reader:
    kept, unclear = _text(row.get("other_tags")), False
    tags: dict[str, str] = {}
    if kept:
        try:
            tags = other_tags(kept)
        except (ValueError, RecursionError):
            unclear = True
    values = tuple(_text(_value(row, tag)) or tags.get(tag) for tag in OSM_TAGS)
    return partial(_read, osm_road, values, unclear)


def _overture(row: Row) -> Reader:
    return partial(_read, overture_road, tuple(_text(row.get(f)) for f in OVERTURE_FIELDS), False)


def _read(
    road: Callable[[tuple[str | None, ...], frozenset[str]], Reading],
    values: tuple[str | None, ...],
    unclear: bool,
    classes: frozenset[str],
) -> Reading:
    found = road(values, classes)
    if not unclear:
        return found
    return Reading(found.roads, found.left_out, True, found.named)


def _value(row: Row, tag: str) -> Any:
    """The value of a tag; in field names GDAL writes `_` for `:`, and Geofabrik has other names."""
    if tag == "highway" and "highway" not in row:
        return row.get("fclass")
    return row.get(tag, row.get(tag.replace(":", "_")))


def _text(value: Any) -> str | None:
    """The value of a field as a text of limited length; None if there is none."""
    if value is None or isinstance(value, str):
        return value[: _LONGEST + 1] if value else None
    if isinstance(value, float):
        return None if math.isnan(value) else f"{value:.9f}".rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, default=str)[: _LONGEST + 1]
