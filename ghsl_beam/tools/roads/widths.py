"""The width of a road in metres: from its tags, or else from the table of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ghsl_beam.tools.roads.classes import RoadClass

MOST_LANES = 16
LONGEST_TAG = 255
"""Largest number of characters of an OpenStreetMap tag."""
_FOOT, _INCH = 0.3048, 0.0254
_NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?)"
_METRIC = re.compile(rf"{_NUMBER}\s*(m|metres?|meters?|cm|km)?", re.I)
_UNITS = {"m": 1.0, "cm": 0.01, "km": 1000.0}
_FEET = re.compile(
    rf"{_NUMBER}\s*(?:'(?!')|′|ft\.?|feet|foot)(?:\s*{_NUMBER}\s*(?:\"|″|''|in\.?|inch(?:es)?))?",
    re.I,
)
_INCHES = re.compile(rf"{_NUMBER}\s*(?:\"|″|''|in\.?|inch(?:es)?)", re.I)
_LANES = re.compile(r"\d{1,2}(?:\.[05])?")


class Source(StrEnum):
    """The source of a width."""

    TAG = "tag"
    LANES = "lanes"
    TABLE = "table"


class Ignored(StrEnum):
    """The reason why a stated width or number of lanes is not used."""

    UNCLEAR = "not understood"
    ODD = "out of range"


@dataclass(frozen=True, slots=True)
class Width:
    """A width in metres, its source, and the reason why a better source was not used."""

    metres: float
    source: Source
    ignored: Ignored | None = None


def metres(text: str) -> float | None:
    """The width in a text, in metres; None if it cannot be understood.

    A number without a unit is metres. A comma is a decimal comma. If there are several values with
    semicolons between them, the smallest counts, because a street reduces the built-up area.

    Examples:
        >>> metres("7,5 m"), metres("24'"), metres("24 ft 6 in"), metres("3.5;4"), metres("wide")
        (7.5, 7.3152, 7.4676, 3.5, None)
    """
    if len(text) > LONGEST_TAG:
        return None
    values = [_metres(part.strip()) for part in text.split(";")]
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _metres(text: str) -> float | None:
    if found := _METRIC.fullmatch(text):
        unit = (found[2] or "m").lower()
        return _decimal(found[1]) * _UNITS["m" if unit.startswith("met") else unit]
    if found := _FEET.fullmatch(text):
        value = _decimal(found[1]) * _FOOT + (_decimal(found[2]) * _INCH if found[2] else 0.0)
        return round(value, 9)
    if found := _INCHES.fullmatch(text):
        return round(_decimal(found[1]) * _INCH, 9)
    return None


def _decimal(text: str) -> float:
    return float(text.replace(",", "."))


def lanes(text: str) -> float | None:
    """The number of lanes in a text, 1 to `MOST_LANES`; None if there is none.

    Half lanes exist: `1.5` is a lane on which two cars can just pass. If there are several values,
    the smallest counts.
    """
    parts = [part.strip() for part in text[:LONGEST_TAG].split(";")]
    if not all(_LANES.fullmatch(part) for part in parts):
        return None
    number = min(map(float, parts))
    return number if 1 <= number <= MOST_LANES else None


def width_of(road: RoadClass, stated: Sequence[str], stated_lanes: str | None = None) -> Width:
    """The width of a road: the stated width, or the width of its lanes, or that of its class.

    Args:
        road: its class.
        stated: widths in its tags, the best first. The first that is understood and possible wins.
        stated_lanes: its tag `lanes`; None if there is none.

    Returns:
        Metres, rounded to centimetres; always possible for the class.
    """
    ignored: Ignored | None = None
    for text in stated:
        value = metres(text)
        if value is not None and road.is_sane(value):
            return Width(round(value, 2), Source.TAG, ignored)
        ignored = ignored or (Ignored.UNCLEAR if value is None else Ignored.ODD)
    if road.lane is not None and stated_lanes is not None:
        number = lanes(stated_lanes)
        value = None if number is None else number * road.lane + road.shoulders
        if value is not None and road.is_sane(value):
            return Width(round(value, 2), Source.LANES, ignored)
        ignored = ignored or (Ignored.UNCLEAR if value is None else Ignored.ODD)
    return Width(road.width, Source.TABLE, ignored)
