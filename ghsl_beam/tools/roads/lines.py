"""Reads the lines of a file in batches, with the fields that describe each road.

`schema` finds the source of the data from the names of the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FeatureError, FieldError
from pyproj import Transformer
from pyproj.exceptions import ProjError
from shapely.errors import ShapelyError

from ghsl_beam.tools.plain_rasters import absence
from ghsl_beam.tools.roads.count import count, counted_aside
from ghsl_beam.tools.roads.geojson_lines import features, is_geojson_lines
from ghsl_beam.tools.roads.pbf import check_pbf, configuration, is_pbf
from ghsl_beam.tools.roads.schema import EXPECTED, READ, Origin, Reader, reader, schema_of
from ghsl_beam.tools.roads.tags import OSM_TAGS
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage
from transforms.storage.temporary import process_folder
from transforms.storage.vector_formats import FORMATS
from transforms.storage.vectors import local_file, on_this_machine

AT_ONCE = 20_000
"""Largest number of lines in memory."""
_UNREADABLE = (
    StorageError,
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    CRSError,
    ProjError,
    ShapelyError,
    OSError,
    ValueError,
)
_LINES = ("LineString", "MultiLineString")
_MIXED = ("Unknown", "GeometryCollection")
_FILES = f"OpenStreetMap (.osm.pbf), {FORMATS}"
_SHOWN = 12
_MOST_NAMES, _MOST_POINTS = 1000, 4_000_000
"""Largest numbers of field names that are read, and of points of GeoJSON in memory."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines (shapely, longitude and latitude; None for a damaged one), and the reader of each."""

    lines: NDArray[Any]
    readers: list[Reader]


@dataclass(frozen=True, slots=True)
class RoadLines:
    """A file of road lines.

    Attributes:
        origin: source of the data.
        batches: the lines, in the order of the file; close it if you do not read it to its end.
    """

    origin: Origin
    batches: Generator[Batch]


def road_lines(file: str) -> RoadLines:
    """Open a file of road lines, and read its fields.

    Args:
        file: location; `file.gpkg|layer` for one of several layers.

    Raises:
        RequestError: the file does not exist, has no known format, is damaged, or has none of the
            fields; this error may also come while its batches are read.
        UnavailableError: its storage does not answer now.
    """
    location, _, layer = file.partition("|")
    label = storage.masked(location)
    if not storage.is_file(location):
        raise RequestError(f"{label}: {absence(location)}; give {_FILES}")
    try:
        if is_geojson_lines(location):
            return _of_geojson(label, local_file(location))
        if is_pbf(location):
            path = local_file(location)
            check_pbf(path)
            options = {"CONFIG_FILE": configuration()}
            return _of_layer(label, path, "lines", OSM_TAGS, " WHERE highway IS NOT NULL", options)
        path = on_this_machine(location)
        name, fields = _layer(label, path, layer.removeprefix("layername="))
        return _of_layer(label, path, name, fields)
    except _UNREADABLE as error:
        raise _unreadable(label, error) from error


def _of_geojson(label: str, path: str) -> RoadLines:
    """Open a GeoJSONSeq file; the fields of the first batch show the source of the data."""
    names: dict[str, None] = {}
    batches = _batches(label, path, names)
    first = next(batches, None)
    if first is None:
        raise RequestError(f"{label}: has no feature, expected road lines")
    kind = schema_of(names)
    if kind is None:
        raise _no_schema(label, names)

    def all_batches() -> Generator[Batch]:
        yield first
        yield from batches

    return RoadLines(kind, all_batches())


def _batches(label: str, path: str, names: dict[str, None]) -> Iterator[Batch]:
    """All features of a GeoJSONSeq file; the names of their fields are added to `names`."""
    lines: list[Any] = []
    readers: list[Reader] = []
    points = 0
    try:
        for row, line in features(label, path):
            if len(names) < _MOST_NAMES:
                names.update(dict.fromkeys(row))
            lines.append(line)
            readers.append(reader(row))
            points += int(shapely.get_num_coordinates(line))
            if len(lines) == AT_ONCE or points > _MOST_POINTS:
                yield Batch(_sound(np.array(lines, object)), readers)
                lines, readers, points = [], [], 0
    except _UNREADABLE as error:
        raise _unreadable(label, error) from error
    if lines:
        yield Batch(_sound(np.array(lines, object)), readers)


def _layer(label: str, path: str, asked: str) -> tuple[str, Sequence[str]]:
    """Name and fields of the layer with roads: the requested one, or else the only one."""
    layers = {str(name): str(kind) for name, kind in pyogrio.list_layers(path) if kind is not None}
    if asked and asked not in layers:
        raise RequestError(f"{label}: has no layer {asked!r}; it has {_some(layers)}")
    lines = [
        name
        for name, kind in layers.items()
        if set(kind.split()).intersection((*_LINES, *_MIXED)) and asked in ("", name)
    ]
    if not lines:
        found = _some(f"{name} ({kind})" for name, kind in layers.items())
        raise RequestError(f"{label}: has no layer of lines; it has {found or 'no layer'}")
    fields = {name: _fields(path, name) for name in lines}
    roads = [name for name in lines if schema_of(fields[name])]
    if not roads:
        raise _no_schema(label, fields[lines[0]], f"layer {lines[0]!r}: ")
    if len(roads) > 1:
        raise RequestError(
            f"{label}: has {len(roads)} layers of roads ({_some(roads)}); name one as "
            f"'{storage.name(label)}|{roads[0]}'"
        )
    return roads[0], fields[roads[0]]


def _fields(path: str, layer: str) -> list[str]:
    return [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]


def _of_layer(
    label: str,
    path: str,
    layer: str,
    fields: Sequence[str],
    where: str = "",
    options: Mapping[str, str] | None = None,
) -> RoadLines:
    kind = schema_of(fields)
    if kind is None:
        raise _no_schema(label, fields, f"layer {layer!r}: ")
    chosen = ", ".join(_quoted(name) for name in fields if name in READ)
    source = f"FROM {_quoted(layer)}{where}"
    return RoadLines(kind, _of_sql(label, path, chosen, source, options or {}))


def _of_sql(
    label: str, path: str, fields: str, source: str, options: Mapping[str, str]
) -> Generator[Batch]:
    """All lines that a query in OGR's SQL finds.

    With Arrow, a file is read in pieces, but a read error of GDAL silently ends the stream. So the
    lines are also counted in another way, which fails if the file is damaged.
    """
    found, query = 0, f"SELECT {fields} {source}"
    try:
        with (
            _counted(path, f"SELECT COUNT(*) {source}", options) as expected,
            pyogrio.raw.open_arrow(
                path,
                sql=query,
                sql_dialect="OGRSQL",
                batch_size=AT_ONCE,
                use_pyarrow=True,
                **options,
            ) as (meta, batches),
        ):
            into = _into_degrees(label, meta["crs"])
            names = [str(name) for name in meta["fields"]]
            for batch in batches:
                found += batch.num_rows
                lines = shapely.from_wkb(_geometries(batch, names), on_invalid="ignore")
                rows = batch.select(names).to_pylist()
                yield Batch(_sound(into(lines)), [reader(row) for row in rows])
            number = expected()
    except _UNREADABLE as error:
        raise _unreadable(label, error) from error
    if found != number:
        raise RequestError(
            f"{label}: only {found} of {number} lines could be read: it is damaged, or the "
            "temporary folder (TMPDIR) is full"
        )


@contextmanager
def _counted(path: str, query: str, options: Mapping[str, str]) -> Generator[Callable[[], int]]:
    """Count at once if that is quick; for .osm.pbf, count in parallel to the reading."""
    if is_pbf(path):
        with counted_aside(path, query, options, str(process_folder())) as number:
            yield number
    else:
        found = count(path, query, options)
        yield lambda: found


def _geometries(batch: Any, names: Sequence[str]) -> NDArray[Any]:
    (geometry,) = (name for name in batch.schema.names if name not in names)
    return np.array(batch.column(geometry).to_pylist(), object)


def _into_degrees(label: str, crs: str | None) -> Callable[[NDArray[Any]], NDArray[Any]]:
    if not crs:
        raise RequestError(f"{label}: has no CRS; assign one and save it again")
    if crs in ("EPSG:4326", "OGC:CRS84"):
        return lambda lines: lines
    transformer = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    return partial(shapely.transform, transformation=transformer.transform, interleaved=False)


def _sound(lines: NDArray[Any]) -> NDArray[Any]:
    """Replace everything that is not a line on the Earth with None."""
    sound = np.isin(shapely.get_type_id(lines), (1, 5)) & ~shapely.is_empty(lines)
    bounds = np.abs(shapely.bounds(lines))
    sound &= (bounds <= (360, 90, 360, 90)).all(axis=1)  # NaN is not
    sound[sound] &= shapely.length(lines[sound]) > 0
    sound[sound] &= np.isfinite(shapely.length(lines[sound]))
    kept = lines.copy()
    kept[~sound] = None
    return kept


def _no_schema(label: str, fields: Iterable[str], where: str = "") -> RequestError:
    found = _some(repr(name[:40]) for name in fields) or "none"
    return RequestError(
        f"{label}: {where}no field has the class of a road; found {found}; {EXPECTED}"
    )


def _some(names: Iterable[str]) -> str:
    words = list(names)
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _quoted(name: str) -> str:
    """A quoted name for OGR's SQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unreadable(label: str, error: Exception) -> Exception:
    reason = error.reason if isinstance(error, StorageError) else f"cannot be read: {error}"
    reason = reason.replace(f"expected {FORMATS}", f"expected {_FILES}")
    return request_error(f"{label}: {' '.join(reason.split())[:300]}", error)
