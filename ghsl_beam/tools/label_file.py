"""Reads and checks labelled polygons and points; unusual content is an error, never skipped."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj.exceptions import ProjError
from shapely.errors import GEOSException, ShapelyError

from ghsl_beam.tools.plain_rasters import absence
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage
from transforms.storage.vectors import on_this_machine

_UNREADABLE = (
    StorageError,
    DataSourceError,
    DataLayerError,
    FieldError,
    ShapelyError,
    GEOSException,
    OSError,
    ValueError,
)
_POLYGONS, _POINTS = (3, 6), (0,)
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The polygons of a vector file, longitude and latitude in degrees.

    `values` are the values of the wanted field, None for NULL. `no_geometry` is the number of
    features without geometry, which are left out.
    """

    polygons: NDArray[Any]
    values: list[str | None]
    no_geometry: int


@dataclass(frozen=True, slots=True)
class PointFile:
    """The points of a vector file: longitude and latitude in degrees, (n,), and values."""

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    values: list[str | None]
    no_geometry: int


def read_polygons(file: str, field: str | None = None, option: str = "--field") -> LabelFile:
    """Read valid polygons of a vector file, with the value of a field for each.

    Args:
        file: location of the file; with a layer as `file.gpkg|layer`.
        field: name of the field; None for no values.
        option: the option that names the field, for messages.

    Raises:
        RequestError: the file or layer cannot be read, has no CRS, has several layers and none is
            named, has no such field, or has a geometry that is not a valid polygon.
    """
    return LabelFile(*_read(file, field, option, _POLYGONS, "polygon"))


def read_points(file: str, field: str) -> PointFile:
    """Read the points of a vector file, with the value of a field for each.

    Args:
        file: location of the file; with a layer as `file.gpkg|layer`.
        field: name of the field.

    Raises:
        RequestError: as for `read_polygons`, or a geometry is not a point.
    """
    points, values, no_geometry = _read(file, field, "--field", _POINTS, "point")
    lon, lat = shapely.get_coordinates(points).T
    return PointFile(lon, lat, values, no_geometry)


def _read(
    file: str, field: str | None, option: str, kinds: tuple[int, ...], kind: str
) -> tuple[NDArray[Any], list[str | None], int]:
    """The geometries in degrees, their values, and the number of features without geometry."""
    location, _, layer = file.partition("|")
    if not storage.is_file(location):
        raise RequestError(f"{location}: {absence(location)}; give a vector file of {kind}s")
    try:
        path = on_this_machine(location)
        layer = _layer(location, layer, path, kind)
        fields = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
        if field is not None and field not in fields:
            raise RequestError(
                f"{file}: has no field {field!r}; it has {', '.join(fields) or 'none'}: "
                f"name one with {option}"
            )
        columns = [] if field is None else [field]
        meta, _, geometries, columns_read = pyogrio.raw.read(path, layer=layer, columns=columns)
        shapes = shapely.force_2d(shapely.from_wkb(geometries))
    except _UNREADABLE as error:
        raise request_error(f"{file}: cannot be read: {_line(error)}", error) from error
    if not meta.get("crs"):
        raise RequestError(f"{file}: has no CRS; assign one and save it again")
    _check(file, shapes, kinds, kind)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    in_degrees = _in_degrees(file, shapes[there], str(meta["crs"]))
    values = [
        None if field is None else _text(value)
        for value in (columns_read[0] if columns_read else ())
    ]
    kept = [value for value, good in zip(values, there, strict=False) if good]
    return in_degrees, kept, int((~there).sum())


def found_values(values: list[str | None]) -> str:
    """The values of a field for a message, the most frequent first."""
    counts = Counter("NULL" if value is None else repr(value) for value in values)
    shown = [f"{value} ({number})" for value, number in counts.most_common(_SHOWN)]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return ", ".join(shown) + more if shown else "nothing"


def _layer(location: str, layer: str, path: str, kind: str) -> str:
    layer = layer.removeprefix("layername=")
    layers = [str(row[0]) for row in pyogrio.list_layers(path) if row[1] is not None]
    if not layers:
        raise RequestError(f"{location}: has no layer of {kind}s")
    if layer and layer not in layers:
        raise RequestError(f"{location}: has no layer {layer!r}; it has {', '.join(layers)}")
    if not layer and len(layers) > 1:
        raise RequestError(
            f"{location}: has {len(layers)} layers ({', '.join(layers)}); name one as "
            f"'{storage.name(location)}|{layers[0]}'"
        )
    return layer or layers[0]


def _check(file: str, shapes: NDArray[Any], kinds: tuple[int, ...], kind: str) -> None:
    """Refuse geometries that are not valid or of another kind, with their number and an example."""
    there = np.flatnonzero(~(shapely.is_missing(shapes) | shapely.is_empty(shapes)))
    if not len(there):
        raise RequestError(f"{file}: has no {kind}; draw at least one")
    odd = there[~np.isin(shapely.get_type_id(shapes[there]), kinds)]
    if len(odd):
        found = shapes[odd[0]].geom_type
        hint = ""
        if found == "MultiPoint":
            hint = "; 'Multipart to singleparts' of QGIS splits them"
        elif kind == "point" and found.endswith("Polygon"):
            hint = ", or a file of only the polygons that are built-up, without --field and --built"
        raise RequestError(
            f"{file}: {len(odd)} of {len(shapes)} features are not {kind}s (the first: feature "
            f"{odd[0] + 1}, {found}); give {kind}s only{hint}"
        )
    odd = there[~shapely.is_valid(shapes[there])]
    if len(odd):
        raise RequestError(
            f"{file}: {len(odd)} of {len(shapes)} {kind}s are not valid (the first: feature "
            f"{odd[0] + 1}, {shapely.is_valid_reason(shapes[odd[0]])}); repair them, for example "
            "with 'Fix geometries' of QGIS"
        )


def _in_degrees(file: str, shapes: NDArray[Any], crs: str) -> NDArray[Any]:
    try:
        into = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except ProjError as error:
        raise RequestError(f"{file}: unknown CRS {crs[:80]!r}; save it in EPSG:4326") from error
    polygons = shapely.transform(shapes, into.transform, interleaved=False)
    points = shapely.get_coordinates(polygons)
    if not np.isfinite(points).all() or (np.abs(points) > (540, 90)).any():
        raise RequestError(f"{file}: is outside its CRS ({crs[:80]}); check it")
    return np.asarray(polygons)


def _text(value: Any) -> str | None:
    """The value of a field as a person would type it; None for NULL.

    A field of whole numbers with a NULL in it is read as floating point.
    """
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
