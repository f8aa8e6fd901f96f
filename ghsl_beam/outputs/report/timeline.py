"""The scenes of a run in time, for a drawing: when, how clear, and whether used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 64
"""Margins of the drawing; below the axis is a row for products that were not looked at."""
MAX_MARKS = 1000
_MAX_TICKS = 6


@dataclass(frozen=True, slots=True)
class Mark:
    """A scene in the drawing; `kind` is used, unused or left (not looked at)."""

    x: float
    y: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing.

    Attributes:
        marks: The scenes, those that are used last, so that they lie above.
        ticks: Places on the axis of time, each (x, date).
        used: The number of scenes that are used.
        unused: The number of scenes that are not used.
        left: The number of products that were not looked at.
        hidden: The number of scenes that are not drawn.
    """

    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    used: int
    unused: int
    left: int
    hidden: int


def timeline(
    tiles: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]]
) -> Timeline | None:
    """The drawing of the scenes of a record; None if no scene has a time.

    Args:
        tiles: `tiles` of a record; keys may be missing.
        left_out: `scenes_left_out` of the record.
    """
    known = []
    for tile in tiles:
        for scene in tile.get("scenes") or []:
            kind = "unused" if scene.get("reason") else "used"
            known.append((_time(scene), kind, tile.get("tile"), scene))
    known += [(_time(one), "left", one.get("tile"), one) for one in left_out]
    dated = [(at, kind, tile, scene) for at, kind, tile, scene in known if at is not None]
    if not dated:
        return None
    first, last = min(at for at, *_ in dated), max(at for at, *_ in dated)
    margin = max((last - first) * 0.03, timedelta(days=1))
    first, last = first - margin, last + margin
    order = {"left": 0, "unused": 1, "used": 2}
    dated.sort(key=lambda one: (-order[one[1]], one[0], str(one[2])))
    shown = sorted(dated[:MAX_MARKS], key=lambda one: (order[one[1]], one[0], str(one[2])))
    kinds = [kind for _, kind, _, _ in dated]
    return Timeline(
        tuple(_mark(at, kind, tile, scene, first, last) for at, kind, tile, scene in shown),
        tuple(_ticks(first, last)),
        kinds.count("used"),
        kinds.count("unused"),
        kinds.count("left"),
        len(dated) - len(shown),
    )


def _mark(
    at: datetime, kind: str, tile: Any, scene: Mapping[str, Any], first: datetime, last: datetime
) -> Mark:
    clear = scene.get("clear")
    name = str(scene.get("id") or scene.get("scene") or "")
    words = [f"{tile or ''} {at:%Y-%m-%d %H:%M} {name}".strip()]
    if kind == "left" or clear is None:
        y = HEIGHT - BOTTOM + 14.0
        if scene.get("cloud_cover") is not None:
            words.append(f"{float(scene['cloud_cover']):.0f} % cloud")
    else:
        share = min(max(float(clear), 0.0), 1.0)
        y = TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)
        words.append(f"{100 * share:.0f} % clear")
    words.append("used" if kind == "used" else f"not used: {scene.get('reason') or ''}")
    return Mark(round(_x(at, first, last), 1), round(y, 1), kind, ", ".join(words)[:200])


def _x(at: datetime, first: datetime, last: datetime) -> float:
    return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)


def _ticks(first: datetime, last: datetime) -> list[tuple[float, str]]:
    """Some days on the axis: the first days of months or years, or single days."""
    days = (last - first).days
    starts = []
    day = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day < last:
        starts.append(day)
        day += timedelta(days=1)
    if days > 62:
        starts = [day for day in starts if day.day == 1]
    step = max(1, -(-len(starts) // _MAX_TICKS))
    form = "%b %Y" if days > 62 else "%d %b %Y"
    return [(round(_x(day, first, last), 1), f"{day:{form}}") for day in starts[::step]]


def _time(scene: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(scene.get("sensing") or ""))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
