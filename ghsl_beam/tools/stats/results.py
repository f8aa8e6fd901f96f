"""Totals as a table, as CSV and as a GeoPackage."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from ghsl_beam.tools.stats.stats import Row, Stats
from transforms.elements import RequestError, StorageError
from transforms.storage import storage

_COLUMNS = (
    "area_ha",
    "observed_ha",
    "observed_percent",
    "built_up_ha",
    "residential_ha",
    "non_residential_ha",
    "built_up_sum_ha",
    "greenness",
)
_HEADINGS = {
    "area_ha": "area",
    "observed_percent": "seen %",
    "built_up_ha": "built-up",
    "residential_ha": "residential",
    "non_residential_ha": "non-res.",
    "built_up_sum_ha": "built-up area",
    "greenness": "NDVI",
}
"""Columns of the table on the terminal."""
NOTE = (
    "hectares; built-up, residential and non-residential count pixels of 10 m; NDVI is the mean of "
    "the built-up domain; see docs/totals.md"
)
_UNWRITABLE = (DataSourceError, DataLayerError, FeatureError, FieldError, OSError, ValueError)


def as_json(stats: Stats) -> dict[str, Any]:
    """The totals as JSON: whether they are calibrated, and a list of rows."""
    rows = [{"kind": row.kind, "name": row.name, **_values(row)} for row in stats.rows]
    return {"calibrated": stats.calibrated, "rows": rows, "warnings": list(stats.warnings)}


def table(stats: Stats) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table for a terminal; without a calibration the sum is no area."""
    shown = [c for c in _HEADINGS if c != "built_up_sum_ha" or stats.calibrated]
    rows = [
        [f"{row.kind} {row.name}".strip() if row.district is None else row.name]
        + [_text(_values(row)[column], column) for column in shown]
        for row in stats.rows
    ]
    return ["name", *(_HEADINGS[column] for column in shown)], rows


def write(stats: Stats, location: str) -> None:
    """Write the totals as CSV, or with the polygons as a GeoPackage, by the ending of the name.

    Raises:
        RequestError: the ending is another one, or a GeoPackage has no polygons.
        StorageError: it cannot be written.
    """
    check_ending(location, polygons=stats.rows[0].district is not None)
    if location.lower().endswith(".csv"):
        storage.write_whole(location, _csv(stats.rows).encode())
    else:
        _write_geopackage(stats.rows, location)


def check_ending(location: str, *, polygons: bool) -> None:
    """Check the name of a file to write.

    Raises:
        RequestError: its ending is neither .csv nor .gpkg, or a GeoPackage would have no polygons.
    """
    ending = PurePosixPath(location.lower()).suffix
    if ending not in (".csv", ".gpkg"):
        raise RequestError(f"--to {location}: expected a name with .csv or .gpkg")
    if ending == ".gpkg" and not polygons:
        raise RequestError(f"--to {location}: a GeoPackage needs polygons; give --zones, or a .csv")


def _values(row: Row) -> dict[str, float | None]:
    known: dict[str, Any] = {**row.totals, "observed_percent": row.observed_percent}
    return {column: known[column] for column in _COLUMNS}


def _text(value: float | None, column: str) -> str:
    if value is None:
        return ""
    digits = {"greenness": 3, "observed_percent": 1}.get(column, 2)
    return f"{value:.{digits}f}"


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "name", *_COLUMNS])
    for row in rows:
        values = _values(row).values()
        writer.writerow([row.kind, row.name, *("" if v is None else v for v in values)])
    return text.getvalue()


def _write_geopackage(rows: Sequence[Row], location: str) -> None:
    """Write the polygons as they are in their file, with their names and totals."""
    drawn = [row.district for row in rows if row.district is not None]
    geometry = np.array(
        [shapely.to_wkb(shapely.MultiPolygon(shapely.get_parts(one.drawn))) for one in drawn],
        object,
    )
    numbers = [
        np.array([np.nan if (v := _values(row)[column]) is None else v for row in rows], np.float64)
        for column in _COLUMNS
    ]
    names = np.array([row.name for row in rows], object)
    with storage.published(location) as beside:
        try:
            pyogrio.raw.write(
                str(beside),
                geometry,
                [names, *numbers],
                ["name", *_COLUMNS],
                layer="totals",
                driver="GPKG",
                geometry_type="MultiPolygon",
                crs=drawn[0].crs,
            )
        except _UNWRITABLE as error:
            reason = " ".join(str(error).split())[:200]
            raise StorageError(location, f"cannot be written: {reason}") from error
