"""Counts the totals of a run's output, in polygons that a person gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ghsl_beam.area.area_of_interest import Area, read_area
from ghsl_beam.area.districts import District, fields_of, read_districts
from ghsl_beam.outputs.record_schema import TotalRecord, TotalsRecord
from ghsl_beam.outputs.stored_record import stored_record
from ghsl_beam.outputs.totals.totals import clipped, count, tiles_of, totals_of
from ghsl_beam.planning.products import recorded_location
from transforms.elements import Product, RequestError, UnavailableError

_NAMED = 5
"""Polygons that a warning names."""


@dataclass(frozen=True, slots=True)
class Row:
    """Totals with a name; `kind` is area, tile, zone or district."""

    kind: str
    name: str
    totals: TotalRecord
    district: District | None = None

    @property
    def observed_percent(self) -> float | None:
        """Percent of the ground with data; None without ground."""
        area, observed = self.totals["area_ha"], self.totals["observed_ha"]
        return round(100 * observed / area, 2) if area > 0 else None


@dataclass(frozen=True, slots=True)
class Stats:
    """The totals of an output; `calibrated` says whether the sum of BUFRAC is an area."""

    rows: tuple[Row, ...]
    calibrated: bool
    warnings: tuple[str, ...]


def stats(output: str, zones: str | None = None, name: str | None = None) -> Stats:
    """The totals of a run, or those of polygons on its layers.

    Args:
        output: folder or URL of a run.
        zones: vector file of polygons in any CRS, `file.gpkg|layer` for one of several layers; None
            for the area, its tiles, its UTM zones and the districts of the job.
        name: field with the names of the polygons; None to number them.

    Raises:
        RequestError: there is no run, it has no layers, the file has a mistake, or no polygon
            reaches the area.
        RasterError: a product is damaged.
        UnavailableError: a storage does not answer.
    """
    record = stored_record(output)
    if zones is None and name is not None:
        raise RequestError(f"--name {name}: names a field of --zones; give --zones too")
    districts = None if zones is None else read_districts(zones, Path.cwd(), name)
    calibrated = record.get("calibration") is not None
    products = _products(output, record)
    if districts is None:
        totals = record.get("totals")
        if totals is None:
            area = _area(record)
            totals = totals_of(output, products, area, calibrated=calibrated)
        return Stats(tuple(_rows(cast(TotalsRecord, totals))), calibrated, ())
    tiles = tiles_of(output, products)
    if not tiles:
        raise RequestError(f"{output}: has no BUFRAC, RES_NRES or GREENNESS; run its job first")
    warnings = [] if name is not None else list(_without_names(str(zones)))
    areas = [district.area for district in districts]
    try:
        area = _area(record)
        areas = [clipped(district.area, area) for district in districts]
    except RequestError as error:
        warnings.append(f"{error}; so area_ha is that of the whole polygons")
    counted = count(tiles, areas)
    rows = [
        Row("district", district.name, sums.totals, district)
        for district, sums in zip(districts, counted.of, strict=True)
    ]
    return Stats(tuple(rows), calibrated, (*warnings, *_without_data(output, str(zones), rows)))


def _products(output: str, record: Mapping[str, Any]) -> list[Product]:
    """The products in a record; each path is that of the layout."""
    products = []
    for one in record.get("products", ()):
        if one["grid"] == "utm":
            names = (one["grid"], one["layer"], one["tile"])
            recorded_location(output, *names, one["path"])
            products.append(
                Product(
                    one["layer"], one["tile"], "utm", one["path"], one["fingerprint"], one["whole"]
                )
            )
    return products


def _area(record: Mapping[str, Any]) -> Area:
    """The area of a run.

    Raises:
        RequestError: the record has none, or its file cannot be read.
    """
    given = record.get("configuration", {}).get("area", {})
    source = given.get("bbox") or given.get("wkt") or given.get("file")
    if not source:
        raise RequestError("run.json: has no area; is it a run's output?")
    try:
        return read_area(source, Path.cwd())
    except UnavailableError:
        raise
    except RequestError as error:
        raise RequestError(f"the area of the run: {error}") from error


def _rows(totals: TotalsRecord) -> Iterator[Row]:
    yield Row("area", "", totals["area"])
    parts: Sequence[tuple[str, Sequence[Any]]] = (
        ("tile", totals["tiles"]),
        ("zone", totals["zones"]),
        ("district", totals["districts"]),
    )
    for kind, named in parts:
        for one in named:
            yield Row(kind, one["name"], one)


def _without_names(zones: str) -> Iterator[str]:
    """A warning that polygons are numbered, if their file has fields that may name them."""
    if fields := fields_of(zones, Path.cwd()):
        shown = ", ".join(fields[:_NAMED])
        more = f" and {len(fields) - _NAMED} more" if len(fields) > _NAMED else ""
        yield f"{zones}: the polygons are numbered; give --name one of its fields: {shown}{more}"


def _without_data(output: str, zones: str, rows: Sequence[Row]) -> Iterator[str]:
    """A warning about polygons without data.

    Raises:
        RequestError: none of them has data.
    """
    outside = [row.name for row in rows if row.totals["area_ha"] == 0]
    empty = [r.name for r in rows if r.totals["area_ha"] > 0 and r.totals["observed_ha"] == 0]
    if len(outside) == len(rows):
        raise RequestError(
            f"{zones}: none of its {len(rows)} polygons shares ground with the area of {output}; "
            "look at both on a map, and check the CRS of the polygons"
        )
    if outside:
        yield f"{zones}: {_some(outside)} outside the area of the run: all values are 0 or empty"
    if empty:
        yield f"{zones}: {_some(empty)} inside the area of the run, but without any data"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{shown}{more} {'is' if len(names) == 1 else 'are'}"
