"""Reads road lines from a vector file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import shapely
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from transforms.elements import RasterError
from transforms.storage.vectors import UNREADABLE, on_this_machine

from .streets import Road

_LINES = ("LineString", "MultiLineString")
_MIXED = ("Unknown", "GeometryCollection")
"""Geometry types of layers that may contain lines and other geometries."""
_UNREADABLE = (*UNREADABLE, ProjError)


@dataclass(frozen=True, slots=True)
class RoadSource:
    """A file of road lines with widths; it is read by block, so memory does not grow with its size.

    Every road has a width in metres, from 0 to twice `longest_reach`. This bounds the distance from
    which a road can touch a block. A road of width 0 removes nothing. A road without a width is an
    error, because nobody knows what it removes.
    """

    path: str
    width_field: str
    longest_reach: float = 100.0

    @property
    def widest(self) -> float:
        """The largest width of a road, in metres."""
        return 2 * self.longest_reach

    def check(self) -> None:
        """Check that the whole file is as `near` expects.

        No geometry is read, and only the first wrong width is read; widths in a text field are all
        read.

        Raises:
            RasterError: the file cannot be read as a vector file, contains other geometries than
                lines, has no such field, or a width is missing, not a number or out of range. The
                text names what was found and what is expected.
        """
        file = on_this_machine(self.path)
        try:
            info = pyogrio.read_info(file)
            self._check_layer(info)
            CRS.from_user_input(info["crs"])
            layer, field = _quoted(info["layer_name"]), _quoted(self.width_field)
            if set(info["geometry_type"].split()).intersection(_MIXED):
                kinds = ", ".join(f"'{kind.upper()}'" for kind in _LINES)
                other = _first(file, layer, "*", f"OGR_GEOMETRY NOT IN ({kinds})")
                if other is not None:
                    raise RasterError(
                        f"{self.path}: feature {other[0]} is not a line, expected lines only"
                    )
            if self._dtype(info) == "object" or '"' in field.strip('"'):  # OGR's SQL fails
                columns = pyogrio.raw.read(file, columns=[self.width_field], read_geometry=False)
                self._widths(columns[3][0])
                return
            inside = f"{field} >= 0 AND {field} <= {self.widest!r}"
            first = _first(file, layer, field, f"{field} IS NULL OR NOT ({inside})")
            if first is not None:
                self._widths([first[1]], f"feature {first[0]}: ")
        except _UNREADABLE as error:
            raise RasterError(f"{self.path}: cannot read the roads: {_line(error)}") from error

    def near(self, grid: GeoBox) -> tuple[Road, ...]:
        """Roads that may touch a grid, in its CRS, in the order of the file.

        Raises:
            RasterError: the file cannot be read, has no such field, or a width is missing, not a
                number or out of range.
        """
        box = shapely.box(*grid.boundingbox.bbox)
        file = on_this_machine(self.path)
        try:
            crs = CRS.from_user_input(pyogrio.read_info(file)["crs"])
            into = Transformer.from_crs(crs, str(grid.crs), always_xy=True)
            west, south, east, north = shapely.bounds(box.buffer(self.longest_reach))
            bounds = into.transform_bounds(west, south, east, north, direction="INVERSE")
            meta, _, geometries, fields = pyogrio.raw.read(
                file, columns=[self.width_field], bbox=bounds
            )
        except _UNREADABLE as error:
            raise RasterError(f"{self.path}: cannot read the roads: {_line(error)}") from error
        if self.width_field not in list(meta["fields"]):
            raise self._no_field(meta["fields"])
        widths = self._widths(fields[0])
        if any(wkb is None for wkb in geometries):
            place = " ".join(f"{edge:.10g}" for edge in box.bounds)
            raise RasterError(
                f"{self.path}: a road near {place} (west south east north, {grid.crs}) has a line "
                "that is missing or damaged; save the file again"
            )
        try:
            pairs = zip(shapely.from_wkb(geometries), widths, strict=True)
            return tuple(
                Road(shapely.transform(line, into.transform, interleaved=False), width)
                for line, width in pairs
                if not line.is_empty and width > 0
            )
        except (TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise RasterError(
                f"{self.path}: has features that are not road lines: {_line(error)}"
            ) from error

    def _check_layer(self, info: dict[str, Any]) -> None:
        kind = info["geometry_type"]
        if kind is None or not set(kind.split()).intersection((*_LINES, *_MIXED)):  # "LineString Z"
            raise RasterError(
                f"{self.path}: layer {info['layer_name']!r} has "
                f"{f'geometries of type {kind}' if kind else 'no geometries'}, expected lines"
            )
        if info["features"] == 0:
            raise RasterError(
                f"{self.path}: layer {info['layer_name']!r} is empty, expected road lines; "
                "if there are no roads, leave out cleaning.roads"
            )
        if self.width_field not in list(info["fields"]):
            raise self._no_field(info["fields"])
        if not info["crs"]:
            raise RasterError(f"{self.path}: has no CRS; assign one and save it again")
        dtype = self._dtype(info)
        if dtype != "object" and not dtype.startswith(("int", "uint", "float")):
            raise RasterError(
                f"{self.path}: field {self.width_field!r} has {dtype}, expected metres as numbers"
            )

    def _dtype(self, info: dict[str, Any]) -> str:
        return str(info["dtypes"][list(info["fields"]).index(self.width_field)])

    def _no_field(self, fields: Iterable[str]) -> RasterError:
        listed = ", ".join(repr(str(name)) for name in fields)[:200] or "none"
        return RasterError(
            f"{self.path}: has no field {self.width_field!r} with the roads' widths in metres; "
            f"its fields: {listed}"
        )

    def _widths(self, values: Iterable[Any], where: str = "") -> list[float]:
        """The widths as numbers; each is checked separately, so their order does not matter."""
        widths = []
        expected = f"expected metres from 0 to {self.widest:g}"
        for value in values:
            try:
                width = float(value)
            except (TypeError, ValueError):
                width = math.nan
            if math.isnan(width):
                missing = value is None or isinstance(value, float | np.floating)
                what = "no width" if missing else f"the width {str(value)[:40]!r}, not a number"
                raise RasterError(
                    f"{self.path}: {where}a road has {what}, {expected} in {self.width_field!r}"
                )
            if not 0 <= width <= self.widest:
                raise RasterError(
                    f"{self.path}: {where}a road has a width of {width:g} m, {expected}"
                )
            widths.append(width)
        return widths


def _first(file: str, layer: str, field: str, where: str) -> tuple[int, Any] | None:
    """Number and first field of the first feature that meets a condition of OGR's SQL."""
    _, numbers, _, fields = pyogrio.raw.read(
        file,
        sql=" ".join(("SELECT", field, "FROM", layer, "WHERE", where)),
        sql_dialect="OGRSQL",
        read_geometry=False,
        return_fids=True,
        max_features=1,
    )
    return (int(numbers[0]), fields[0][0]) if len(numbers) else None


def _quoted(name: str) -> str:
    """A name in the notation of OGR's SQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
