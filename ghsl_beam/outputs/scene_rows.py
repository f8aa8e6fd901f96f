"""The scenes of a run as rows of the report: used ones singly, others grouped by their reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

SINGLE = 4
"""Up to so many unused scenes of a tile with the same reason each have a row of their own."""
MAX_ROWS = 300
"""Largest number of rows; run.json has all scenes."""


class SceneRow(NamedTuple):
    """One scene, or several that are not used for the same reason.

    `time` is empty if it is not known. Shares are texts in percent, a range for several scenes.
    """

    tile: str
    time: str
    scene: str
    cloud: str
    clear: str
    used: str
    reason: str


def scene_rows(
    tiles: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]]
) -> list[SceneRow]:
    """Rows of the scenes of a run by tile and time.

    Args:
        tiles: `tiles` of a record; keys may be missing.
        left_out: `scenes_left_out` of the record.

    Examples:
        >>> tile = {"tile": "33UUU", "scenes": [{"id": "S2A_X", "clear": 0.5, "used": 0.25}]}
        >>> scene_rows([tile], [])[0][3:6]
        ('', '50', '25')
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for tile in tiles:
        for scene in tile.get("scenes") or []:
            key = (str(tile.get("tile") or ""), str(scene.get("reason") or ""))
            groups.setdefault(key, []).append(scene)
    for product in left_out:
        # Reasons with numbers, such as a cloud cover, are one reason.
        reason = re.sub(r"\d+(\.\d+)?", "…", str(product.get("reason") or ""))
        one = {**product, "id": product.get("scene"), "used": 0.0}
        groups.setdefault((str(product.get("tile") or ""), reason), []).append(one)
    rows = [row for key, scenes in groups.items() for row in _rows(*key, scenes)]
    return sorted(rows, key=lambda row: (row.tile, row.time, row.scene))


def _rows(tile: str, reason: str, scenes: Sequence[Mapping[str, Any]]) -> Iterator[SceneRow]:
    if reason and len(scenes) > SINGLE:
        times = sorted(filter(None, map(_time, scenes)))
        days = " to ".join(dict.fromkeys((times[0][:10], times[-1][:10]))) if times else ""
        yield _row(tile, days, f"{len(scenes)} scenes", scenes, reason)
        return
    for scene in scenes:
        name, why = str(scene.get("id") or ""), str(scene.get("reason") or "")
        yield _row(tile, _time(scene), name, [scene], why)


def _row(
    tile: str, time: str, name: str, scenes: Sequence[Mapping[str, Any]], reason: str
) -> SceneRow:
    cloud, clear = _range(scenes, "cloud_cover", 1), _range(scenes, "clear", 100)
    return SceneRow(tile, time, name, cloud, clear, _range(scenes, "used", 100), reason)


def _range(scenes: Sequence[Mapping[str, Any]], key: str, factor: int) -> str:
    values = [factor * float(scene[key]) for scene in scenes if scene.get(key) is not None]
    if not values:
        return ""
    return " to ".join(dict.fromkeys((_percent(min(values)), _percent(max(values)))))


def _percent(value: float) -> str:
    """Whole percent; only what is exactly 0 is `0`, and only what is exactly 100 is `100`."""
    if 0 < value < 0.5:
        return "<1"
    return ">99" if 99.5 <= value < 100 else f"{value:.0f}"


def _time(scene: Mapping[str, Any]) -> str:
    return str(scene.get("sensing") or "")[:16].replace("T", " ")
