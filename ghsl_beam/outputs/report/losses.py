"""Losses by their cause, each with what a person can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transforms.elements import Cause

MAX_ROWS = 40
"""Largest number of rows of a cause; run.json has all losses."""
_ONLY_THE_REST = "What exists stays, and only the rest is made."
_REMEDIES = {
    Cause.DAMAGED: (
        "A product of Sentinel-2 is damaged or cannot be used",
        "To run again does not repair it: the file stays as it is. Get the product anew from its "
        "service in place of this one, or name the scene in scenes.without. Then run again. "
        + _ONLY_THE_REST,
    ),
    Cause.STORAGE: (
        "A storage or a service did not answer",
        f"Run the same command again. {_ONLY_THE_REST}",
    ),
    Cause.MISSING: (
        "A file does not exist",
        f"Put the file in its place, then run again. {_ONLY_THE_REST}",
    ),
    Cause.MODEL: (
        "A model cannot be used",
        "To run again does not help. `ghsl-beam models verify` names what is wrong with it; fetch "
        f"or train it again, then run again. {_ONLY_THE_REST}",
    ),
    Cause.MEMORY: (
        "A worker had too little memory",
        "Give the workers more memory, or start fewer on a machine, then run again. "
        + _ONLY_THE_REST,
    ),
    Cause.OFFLINE: (
        "A service has a product in its archive only",
        "Order the product in the workspace of the service. Run again when it is there.",
    ),
    Cause.NO_SCENE: (
        "No scene covers a part of the area",
        "To run again finds the same, unless the archive gets scenes. Choose a longer period, a "
        "higher input.max_cloud_cover, or another catalogue.",
    ),
    Cause.FILE: (
        "A file of the work area or of the output cannot be read or written",
        "See that the disk has room and that the file may be written, then run again. A damaged "
        "file of the work area is made again.",
    ),
    Cause.UNKNOWN: (
        "Other losses",
        "The reason says what happened, and the log says more. Run again: only what is missing is "
        "made. What is lost again does not depend on chance.",
    ),
}


@dataclass(frozen=True, slots=True)
class LossGroup:
    """Losses with one cause.

    Attributes:
        title: The cause in words.
        remedy: What a person can do.
        count: The number of losses.
        rows: Each different loss as (stage, tile, scene, file, reason), and how often it occurs.
        more: The number of rows that are left out.
    """

    title: str
    remedy: str
    count: int
    rows: tuple[tuple[tuple[str, str, str, str, str], int], ...]
    more: int


def grouped(losses: Sequence[Mapping[str, Any]]) -> list[LossGroup]:
    """The losses of a record by their cause; those of blocks of one tile and file are one row."""
    found: dict[Cause, Counter[tuple[str, str, str, str, str]]] = {}
    for loss in losses:
        keys = ("stage", "tile", "scene", "file", "reason")
        stage, tile, scene, file, reason = (str(loss.get(key) or "") for key in keys)
        known = found.setdefault(_cause(loss), Counter())
        known[stage, tile, scene, file, reason] += 1
    made = []
    for cause, (title, remedy) in _REMEDIES.items():
        if cause not in found:
            continue
        rows = sorted(found[cause].items())
        count = sum(found[cause].values())
        more = max(0, len(rows) - MAX_ROWS)
        made.append(LossGroup(title, remedy, count, tuple(rows[:MAX_ROWS]), more))
    return made


def _cause(loss: Mapping[str, Any]) -> Cause:
    """The cause in a record; one of an earlier version has none."""
    try:
        return Cause(str(loss.get("cause") or ""))
    except ValueError:
        return Cause.UNKNOWN
