"""Totals of a run in the words and units of a reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 300
"""Largest number of rows of a table of totals; run.json has all."""
_DASH = "\N{EN DASH}"
_PARTS = (("tiles", "Tile"), ("zones", "UTM zone"), ("districts", "District"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a table: `text` for people, `value` for programs; None if it is not known."""

    text: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Totals of the parts of an area.

    Attributes:
        kind: What a part is: tile, UTM zone or district.
        columns: The heads of the columns after the name.
        rows: For each part its name and a cell for each column.
        more: The number of parts that are not in the table.
    """

    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    more: int


def headline(totals: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """The numbers of the whole area, each with its name."""
    area = totals.get("area") or {}
    found = [
        ("Built-up, ha", hectares(area.get("built_up_ha"))),
        ("Residential share of built-up", percent(_residential(area))),
        ("Mean greenness of the built-up domain, NDVI", decimals(area.get("greenness"), 2)),
        ("Observed share of the area", percent(_observed(area))),
        ("Area, ha", hectares(area.get("area_ha"))),
    ]
    if totals.get("calibrated"):
        fraction = hectares(area.get("built_up_sum_ha"))
        found.insert(1, ("Built-up by calibrated fraction, ha", fraction))
    return [(name, cell) for name, cell in found if cell.value is not None]


def tables(totals: Mapping[str, Any]) -> list[Table]:
    """Totals of the area and its tiles, of its UTM zones, and of districts if the job has some."""
    calibrated = bool(totals.get("calibrated"))
    columns = (
        *("Area, ha", "Observed", "Built-up, ha", "Residential, ha", "Non-residential, ha"),
        *("Residential share", "Greenness, NDVI"),
        "Built-up by fraction, ha" if calibrated else "Sum of the probability (no area)",
    )
    whole = totals.get("area")
    made = []
    for key, kind in _PARTS:
        parts: Sequence[Mapping[str, Any]] = totals.get(key) or []
        if not parts:
            continue
        rows = [(str(part.get("name") or ""), _cells(part)) for part in parts[:MAX_ROWS]]
        if whole and key == "tiles":
            rows.append(("Whole area", _cells(whole)))
        made.append(Table(kind, columns, tuple(rows), max(0, len(parts) - MAX_ROWS)))
    return made


def _cells(total: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        hectares(total.get("area_ha")),
        percent(_observed(total)),
        hectares(total.get("built_up_ha")),
        hectares(total.get("residential_ha")),
        hectares(total.get("non_residential_ha")),
        percent(_residential(total)),
        decimals(total.get("greenness"), 3),
        hectares(total.get("built_up_sum_ha")),
    )


def _observed(total: Mapping[str, Any]) -> float | None:
    return _ratio(total.get("observed_ha"), total.get("area_ha"))


def _residential(total: Mapping[str, Any]) -> float | None:
    return _ratio(total.get("residential_ha"), total.get("built_up_ha"))


def _ratio(part: Any, whole: Any) -> float | None:
    if not _is_number(part) or not _is_number(whole) or not whole:
        return None
    return float(part) / float(whole)


def hectares(value: Any) -> Cell:
    """An area in hectares; below 100 ha with as many decimals as pixels of 10 m need.

    Example:
        >>> hectares(1234.56).text, hectares(0.01).text, hectares(None).text
        ('1,235', '0.01', '–')
    """
    if not _is_number(value):
        return Cell(_DASH, None)
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return Cell(f"{value:,.{digits}f}", float(value))


def percent(value: Any) -> Cell:
    """A share, 0 to 1, in percent."""
    if not _is_number(value):
        return Cell(_DASH, None)
    return Cell(f"{100 * value:.1f}\N{NO-BREAK SPACE}%", float(value))


def decimals(value: Any, digits: int) -> Cell:
    """A number with so many decimals."""
    return Cell(f"{value:.{digits}f}", float(value)) if _is_number(value) else Cell(_DASH, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
