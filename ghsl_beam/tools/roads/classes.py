"""The classes of roads, and the usual width of each. Documented in docs/roads.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transforms.elements import RequestError

ROADS, ACCESS, PATHS = "roads", "access", "paths"
"""Groups of classes: the streets that are used by default; ways to a single place; ways that are
too narrow to be seen at 10 m."""
SMALLEST_WIDTH = 0.5
"""Least width in metres; a smaller stated width is a mistake."""
MOST_TIMES = 5.0
"""A stated width of more than this number times the width of the table is a mistake."""


@dataclass(frozen=True, slots=True)
class RoadClass:
    """A class of roads and its usual cross-section: one carriageway, without pavements.

    Attributes:
        name: name in OpenStreetMap (`highway`, or `service` for a service road of a kind).
        group: `ROADS`, `ACCESS` or `PATHS`.
        width: usual width, metres.
        lane: width of a lane, metres; None for a class whose width does not follow from lanes.
        shoulders: width of both shoulders together, metres.
    """

    name: str
    group: str
    width: float
    lane: float | None = None
    shoulders: float = 0.0

    @property
    def widest(self) -> float:
        """The largest stated width that is accepted, metres."""
        return MOST_TIMES * self.width

    def is_sane(self, width: float) -> bool:
        """Whether a stated width in metres is possible for this class."""
        return SMALLEST_WIDTH <= width <= self.widest


CLASSES = {
    known.name: known
    for known in (
        RoadClass("motorway", ROADS, 12.0, 3.75, 4.5),
        RoadClass("motorway_link", ROADS, 6.0, 3.75, 2.25),
        RoadClass("trunk", ROADS, 8.5, 3.5, 1.5),
        RoadClass("trunk_link", ROADS, 5.0, 3.5, 1.5),
        RoadClass("primary", ROADS, 8.0, 3.5, 1.0),
        RoadClass("primary_link", ROADS, 4.5, 3.5, 1.0),
        RoadClass("secondary", ROADS, 7.5, 3.25, 1.0),
        RoadClass("secondary_link", ROADS, 4.25, 3.25, 1.0),
        RoadClass("tertiary", ROADS, 6.5, 3.0, 0.5),
        RoadClass("tertiary_link", ROADS, 3.5, 3.0, 0.5),
        RoadClass("unclassified", ROADS, 5.5, 2.75),
        RoadClass("residential", ROADS, 5.5, 2.75),
        RoadClass("living_street", ROADS, 4.5, 2.25),
        RoadClass("pedestrian", ROADS, 6.0),
        RoadClass("busway", ROADS, 3.5, 3.5),
        RoadClass("raceway", ROADS, 10.0),
        RoadClass("road", ROADS, 5.5, 2.75),
        RoadClass("service", ROADS, 4.0, 3.0, 1.0),
        RoadClass("alley", ACCESS, 3.0),
        RoadClass("driveway", ACCESS, 3.0),
        RoadClass("drive-through", ACCESS, 3.0),
        RoadClass("parking_aisle", ACCESS, 6.0),
        RoadClass("track", ACCESS, 3.0),
        RoadClass("footway", PATHS, 2.0),
        RoadClass("cycleway", PATHS, 2.0),
        RoadClass("path", PATHS, 1.5),
        RoadClass("bridleway", PATHS, 2.0),
        RoadClass("steps", PATHS, 2.0),
    )
}
"""The table, by name.

Source: carriageways of the German guidelines RAA 2008 (RQ 31), RAL 2012 (RQ 11) and RASt 06, taken
as examples; the others are rounded from these. docs/roads.md explains the limits of this table.
"""
GROUPS = (ROADS, ACCESS, PATHS)
ALL = "all"
_OTHER_NAMES = {
    "unknown": "road",
    "bus_guideway": "busway",
    "residential_link": "residential",
    "sidewalk": "footway",
    "crosswalk": "footway",
    "drive_through": "drive-through",
    **{f"track_grade{grade}": "track" for grade in range(1, 6)},
}
"""Names of Overture and Geofabrik, and former names."""


def class_of(name: str, kind: str | None = None) -> RoadClass | None:
    """The class of a road; None if it is not in the table.

    Args:
        name: `highway` of OpenStreetMap, `fclass` of Geofabrik or `class` of Overture.
        kind: kind of a service road: `service` of OpenStreetMap or `subclass` of Overture.

    Examples:
        >>> class_of("service", "parking_aisle").width
        6.0
        >>> class_of("service", "slipway").name
        'service'
    """
    if name == "service" and kind is not None:
        special = CLASSES.get(_OTHER_NAMES.get(kind, kind))
        if special is not None and special.group == ACCESS and special.name != "track":
            return special
    return CLASSES.get(_OTHER_NAMES.get(name, name))


def chosen_classes(asked: str) -> frozenset[str]:
    """The names of the requested classes.

    Args:
        asked: names of classes and groups, with commas between them.

    Raises:
        RequestError: one of them is unknown, or there is none.
    """
    found: set[str] = set()
    words = [word.strip() for word in asked.split(",") if word.strip()]
    for word in words:
        if word == ALL:
            found.update(CLASSES)
        elif word in GROUPS:
            found.update(_names(known for known in CLASSES.values() if known.group == word))
        elif word in CLASSES:
            found.add(word)
        else:
            raise RequestError(
                f"--classes: unknown class {word[:40]!r}, expected {', '.join((*GROUPS, ALL))}, or "
                f"names of classes: {', '.join(CLASSES)}"
            )
    if not found:
        raise RequestError(f"--classes: names no class, expected for example {ROADS}")
    return frozenset(found)


def _names(classes: Iterable[RoadClass]) -> list[str]:
    return [known.name for known in classes]
