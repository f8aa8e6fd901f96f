"""Districts: polygons with a name each, for which totals are counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import FieldError
from shapely.errors import GEOSException, ShapelyError

from ghsl_beam.area.area_of_interest import MAX_BYTES, Area, checked_area, read_area
from ghsl_beam.area.projecting import POLYGONS, crs_of, to_lonlat
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage
from transforms.storage.vector_formats import FORMATS, check_regular
from transforms.storage.vectors import UNREADABLE, on_this_machine


@dataclass(frozen=True, eq=False)
class District:
    """A named area, as its file has it.

    Attributes:
        name: The value of the field that names it, or its number in the file, from 1.
        area: Its polygons in longitude and latitude.
        drawn: Its polygons in the CRS of the file.
        crs: That CRS.
    """

    name: str
    area: Area
    drawn: shapely.Geometry
    crs: str


def read_districts(source: str, base_dir: str | Path, field: str | None = None) -> list[District]:
    """Read the polygons of a vector file, each with its name, in the order of the file.

    Args:
        source: location of the file, in any CRS; with a layer as `file.gpkg|layer`.
        base_dir: the folder from which a relative location counts.
        field: the field with the names; without one, the districts are numbered from 1.

    Raises:
        RequestError: the file cannot be read, has no such field, or has a feature that is not a
            valid polygon; the message names the feature.
    """
    file, layer = _location(source, base_dir)
    if _is_wkt(file):
        if field is not None:
            raise RequestError(f"{file}: WKT has no fields; leave the field {field!r} out")
        area = read_area(source, base_dir)
        return [District("1", area, area.geometry, "EPSG:4326")]
    shapes, crs, values, fields = _read(file, layer, field)
    if field is not None and field not in fields:
        raise RequestError(
            f"{file}: has no field {field!r}; it has {', '.join(fields) or 'none'}: name one of "
            "these, or none to number the polygons"
        )
    if not len(shapes):
        raise RequestError(f"{file}: has no polygon; draw at least one")
    names = [_text(value) or str(number) for number, value in enumerate(values, 1)]
    for number, (name, shape) in enumerate(zip(names, shapes, strict=True), 1):
        _check(file, f"feature {number}" + (f", {field} {name!r}" if field else ""), shape)
    in_degrees = to_lonlat(file, list(shapes), crs_of(file, crs))
    return [
        District(name, checked_area(f"{file}: {name!r}", [degrees]), drawn, crs)
        for name, degrees, drawn in zip(names, in_degrees, shapes, strict=True)
    ]


def fields_of(source: str, base_dir: str | Path) -> list[str]:
    """The fields of a vector file that `read_districts` can read; WKT has none."""
    file, layer = _location(source, base_dir)
    return [] if _is_wkt(file) else _read(file, layer, None)[3]


def _location(source: str, base_dir: str | Path) -> tuple[str, str]:
    """The absolute location of a file, and the name of its layer, if any."""
    location, _, layer = source.partition("|")
    return storage.absolute(location, base_dir), layer.removeprefix("layername=")


def _is_wkt(file: str) -> bool:
    return Path(file).suffix.lower() == ".wkt"


def _read(
    file: str, layer: str, field: str | None
) -> tuple[NDArray[Any], str, Sequence[Any], list[str]]:
    """Geometries, CRS, values of the field, and names of all fields."""
    try:
        if not storage.is_url(file):
            check_regular(file)
        if (size := storage.size(file)) > MAX_BYTES:
            raise RequestError(
                f"{file}: {size / 2**20:.0f} MiB is more than {MAX_BYTES >> 20} MiB; simplify the "
                "polygons"
            )
        path = on_this_machine(file)
        layers = [str(row[0]) for row in pyogrio.list_layers(path) if row[1] is not None]
        if layer and layer not in layers:
            raise RequestError(f"{file}: has no layer {layer!r}; it has {', '.join(layers)}")
        if not layer and len(layers) != 1:
            raise RequestError(
                f"{file}: has {len(layers)} layers of geometry ({', '.join(layers)}); name one as "
                f"{storage.name(file)}|layer"
            )
        layer = layer or layers[0]
        fields = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
        columns = [field] if field in fields else []
        meta, _, geometry, read = pyogrio.raw.read(path, layer=layer, columns=columns)
        shapes = shapely.force_2d(shapely.from_wkb(geometry))
    except StorageError as error:
        reason = "no such file" if error.absent else f"cannot be read ({error.reason})"
        raise request_error(f"{file}: {reason}; give {FORMATS} or WKT", error) from error
    except (*UNREADABLE, FieldError, ShapelyError, GEOSException) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{file}: cannot be read ({reason}); give {FORMATS} or WKT") from error
    if not meta.get("crs"):
        raise RequestError(f"{file}: has no CRS; assign one and save it again")
    values = read[0] if read else [None] * len(shapes)
    return shapes, str(meta["crs"]), values, fields


def _check(file: str, feature: str, shape: shapely.Geometry | None) -> None:
    if shape is None or shape.is_empty:
        raise RequestError(f"{file}: {feature}: has no geometry; draw it, or remove the feature")
    if shapely.get_type_id(shape) not in POLYGONS:
        raise RequestError(f"{file}: {feature}: {shape.geom_type} is not a polygon; remove it")
    if not shape.is_valid:
        raise RequestError(
            f"{file}: {feature}: is not a valid polygon ({shapely.is_valid_reason(shape)}); repair "
            "it, for example with 'Fix geometries' of QGIS"
        )


def _text(value: Any) -> str:
    """The value of a field as a person would type it; empty for NULL."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
