"""The area of interest: reads what a person gives, and converts it to lon/lat."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyogrio
import pyproj
import shapely
from shapely.errors import GEOSException, ShapelyError

from ghsl_beam.area.antimeridian import all_unwrapped, polygonal, shift, within_180
from ghsl_beam.area.bounding_box import checked_box
from ghsl_beam.area.crossings import crossings
from ghsl_beam.area.geojson import polygons_of
from ghsl_beam.area.projecting import POLYGONS, crs_of, project, to_lonlat, transformer
from ghsl_beam.area.wkt import looks_like_wkt, mistake
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage
from transforms.storage.vector_formats import FORMATS, check_regular
from transforms.storage.vectors import UNREADABLE, on_this_machine

MAX_BYTES = 256 * 2**20
MAX_VERTICES = 5_000_000
MAX_CROSSINGS = 1000
"""Largest number of crossing edges in invalid polygons: to repair 1000 takes a second, 10 000 a
minute."""
MAX_OVERLAPS = 300_000
"""Largest number of crossings of all edges; to join such polygons takes about ten seconds."""
EDGE_DEGREES = 0.01
"""Edges are straight in lon/lat; before a projection they are split into pieces of this length."""
_WKT = re.compile(
    r"\s*(SRID=\d+;)?\s*(MULTI)?(POLYGON|POINT|LINESTRING|GEOMETRYCOLLECTION)\b", re.I
)
_KINDS = f"{FORMATS}, WKT or a bounding box [west, south, east, north]"
_GEOD = pyproj.Geod(ellps="WGS84")


class TileGrid(Protocol):
    """The facts about an MGRS tile's grid that the area needs."""

    @property
    def epsg(self) -> int:
        """EPSG code of the tile's UTM zone."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the tile's data in metres."""


@dataclass(frozen=True, eq=False)
class Area:
    """An area of interest: polygons in lon/lat (WGS 84), within [-180, 180], valid, not empty.

    `warnings` says which polygons were not valid, and what they were changed to.
    """

    geometry: shapely.MultiPolygon
    warnings: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees; across the antimeridian, from -180 to 180."""
        return tuple(self.geometry.bounds)

    @property
    def area_km2(self) -> float:
        """Area on the ellipsoid in km²; edges are straight in lon/lat, as in GeoJSON."""
        dense = shapely.orient_polygons(shapely.segmentize(self.geometry, 0.1))
        return abs(float(_GEOD.geometry_area_perimeter(dense)[0])) / 1e6


def read_area(source: str | Mapping[str, Any] | Sequence[float], base_dir: str | Path) -> Area:
    """Read the area that a person gives.

    Args:
        source: one of these. A file or URL in any CRS, relative to `base_dir` (one of `FORMATS`, or
            WKT; a layer of a GeoPackage as `file.gpkg|layer`). WKT. GeoJSON. Or a bounding box
            west, south, east, north, where west > east crosses the antimeridian.
        base_dir: the folder from which relative file names count.

    Raises:
        RequestError: there is no such file, it cannot be read, or it has no valid polygons.
    """
    if isinstance(source, Mapping):
        if "type" not in source and "bbox" in source:
            return _box_area(source["bbox"])
        return checked_area("the area", _geojson_shapes("the area", source))
    if not isinstance(source, str):
        return _box_area(source)
    if _WKT.match(source):
        return checked_area("the area", [_from_wkt("the area", source)])
    numbers = source.replace(",", " ").split()
    if len(numbers) == 4 and all(_is_number(number) for number in numbers):
        return _box_area([float(number) for number in numbers])
    return _read_file(source, Path(base_dir))


def _read_file(source: str, base_dir: Path) -> Area:
    name, _, layer = source.partition("|")
    label = storage.absolute(name, base_dir)
    try:
        if not storage.is_url(label):
            check_regular(label)
        if (size := storage.size(label)) > MAX_BYTES:
            raise RequestError(
                f"{label}: {size / 2**20:.0f} MiB is more than {MAX_BYTES >> 20} MiB; "
                "simplify the polygons"
            )
        suffix = Path(name).suffix.lower()
        if suffix == ".wkt":
            return checked_area(label, [_from_wkt(label, _text(label))])
        if suffix in {".geojson", ".json"}:
            text = _text(label)
            if text.count(",") > 4 * MAX_VERTICES or text.count("[") > 2 * MAX_VERTICES:
                raise RequestError(
                    f"{label}: has more than {MAX_VERTICES} vertices; simplify the polygons"
                )
            try:
                document = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise RequestError(
                    f"{label}: is not valid JSON ({error}); export the area as GeoJSON again"
                ) from error
            return checked_area(label, _geojson_shapes(label, document))
        return checked_area(label, _from_vector(label, layer.removeprefix("layername=")))
    except (StorageError, UnicodeDecodeError) as error:
        absent = isinstance(error, StorageError) and error.absent
        if absent and looks_like_wkt(source):
            raise RequestError(
                f"{source[:80]!r} looks like WKT with a mistake: {mistake(source)}"
            ) from error
        reason = "no such file" if absent else f"cannot be read ({error.reason})"
        raise request_error(f"{label}: {reason}; give {_KINDS}", error) from error


def _text(label: str) -> str:
    return storage.read_bytes(label, MAX_BYTES).decode("utf-8-sig")


def _geojson_shapes(label: str, document: Any) -> list[shapely.Geometry]:
    geometries, crs = polygons_of(label, document)
    if not crs:
        return geometries
    return to_lonlat(label, geometries, crs_of(label, crs))


def _from_wkt(label: str, text: str) -> shapely.Geometry:
    try:
        return shapely.from_wkt(re.sub(r"^\s*SRID=4326;", "", text.strip(), flags=re.I))
    except (ShapelyError, GEOSException) as error:
        raise RequestError(
            f"{label}: is not valid WKT ({mistake(text)}); give POLYGON or MULTIPOLYGON in lon/lat"
        ) from error


def _from_vector(path: str, layer: str) -> list[shapely.Geometry]:
    file = on_this_machine(path)
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(file) if row[1] is not None]
        if layer and layer not in layers:
            raise RequestError(f"{path}: has no layer {layer!r}; it has {', '.join(layers)}")
        if not layer and len(layers) != 1:
            raise RequestError(
                f"{path}: has {len(layers)} layers of geometry ({', '.join(layers)}); "
                f"name one as {storage.name(path)}|layer"
            )
        meta, _, geometry, _ = pyogrio.raw.read(file, layer=layer or layers[0], columns=[])
        if missing := sum(wkb is None for wkb in geometry):
            raise RequestError(
                f"{path}: {missing} of {len(geometry)} features have no geometry, or one that is "
                "damaged; remove or repair them"
            )
        shapes = list(shapely.force_2d(shapely.from_wkb(geometry)))
    except (*UNREADABLE, ShapelyError, GEOSException) as error:
        raise RequestError(f"{path}: cannot be read ({_line(error)}); give {_KINDS}") from error
    if not meta.get("crs"):
        raise RequestError(f"{path}: has no CRS; assign one and save it again")
    crs = crs_of(path, str(meta["crs"]))
    return to_lonlat(path, shapes, crs)


def _box_area(numbers: Any) -> Area:
    label = f"bounding box {numbers}"
    try:
        west, south, east, north = checked_box(numbers)
    except ValueError as error:
        raise RequestError(f"{label}: {error}") from error
    if west > east:
        east += 360
    return checked_area(
        label, [shapely.box(west, south, min(east, west + 360), north)], unwrap=False
    )


def checked_area(label: str, shapes: Sequence[shapely.Geometry], *, unwrap: bool = True) -> Area:
    """Check polygons in lon/lat, unwrap them, cut them at the antimeridian, and make them valid.

    Args:
        label: what names them in errors.
        shapes: polygons in longitude and latitude, degrees.
        unwrap: whether an edge of more than 180 degrees crosses the antimeridian.

    Raises:
        RequestError: they are not polygons, have no area, or are not in degrees.
    """
    polygons: list[shapely.Polygon] = []
    for shape in shapes:
        if shapely.get_type_id(shape) not in POLYGONS:
            raise RequestError(f"{label}: {shape.geom_type} is not a polygon; give polygons only")
        polygons.extend(part for part in shapely.get_parts(shape) if not part.is_empty)
    if not polygons:
        raise RequestError(f"{label}: has no polygon; draw at least one")
    points = shapely.get_coordinates(polygons)
    if len(points) > MAX_VERTICES:
        raise RequestError(
            f"{label}: has {len(points)} vertices, expected at most {MAX_VERTICES}; simplify the "
            "polygons"
        )
    if not np.isfinite(points).all():
        raise RequestError(f"{label}: has coordinates that are not numbers; draw it again")
    if np.abs(points[:, 1]).max() > 90 or np.abs(points[:, 0]).max() > 540:
        raise RequestError(
            f"{label}: coordinates are not lon/lat in degrees "
            f"({points[:, 0].min():g}..{points[:, 0].max():g}, "
            f"{points[:, 1].min():g}..{points[:, 1].max():g}); save it in EPSG:4326"
        )
    whole = all_unwrapped(label, polygons) if unwrap else polygons
    broken = [polygon for polygon in whole if not polygon.is_valid]
    valid = _made_valid(label, whole, broken)
    parts = shapely.get_parts(valid)
    if len(parts) > 1 and crossings(parts, MAX_OVERLAPS) >= MAX_OVERLAPS:
        raise RequestError(
            f"{label}: its polygons overlap each other in more than {MAX_OVERLAPS} points; "
            "dissolve them into one"
        )
    merged = within_180(shapely.union_all(valid))
    if merged.is_empty:
        raise RequestError(f"{label}: its polygons have no area; draw it again")
    shapely.prepare(merged)
    area = Area(merged)
    if not broken:
        return area
    reason = shapely.is_valid_reason(broken[0])
    return Area(
        merged,
        (
            f"{label[:80]}: {len(broken)} of {len(whole)} polygons are not valid, the first by "
            f"{reason}; they are used as {len(merged.geoms)} polygons of {area.area_km2:.6g} km2: "
            "look at them on a map",
        ),
    )


def _made_valid(
    label: str, polygons: Sequence[shapely.Polygon], broken: Sequence[shapely.Polygon]
) -> list[shapely.Polygon | shapely.MultiPolygon]:
    if broken and crossings(broken, MAX_CROSSINGS) >= MAX_CROSSINGS:
        raise RequestError(
            f"{label}: its edges cross each other in more than {MAX_CROSSINGS} points; draw it "
            "again, or repair it (in QGIS: fix geometries)"
        )
    return [p if p.is_valid else polygonal(shapely.make_valid(p)) for p in polygons]


def around(area: Area, bounds: tuple[float, float, float, float]) -> shapely.MultiPolygon:
    """The part of the area in lon/lat bounds, which may reach beyond ±180; edges are densified."""
    west, south, east, north = bounds
    parts = []
    for turn in (-1, 0, 1):
        box = shapely.box(west - 360 * turn, south, east - 360 * turn, north)
        if shapely.contains_properly(area.geometry, box):
            parts.append(shift(box, 360.0 * turn))
        elif shapely.intersects(area.geometry, box):
            parts.append(shift(area.geometry.intersection(box), 360.0 * turn))
    if not parts:
        return shapely.MultiPolygon()
    joined = parts[0] if len(parts) == 1 else shapely.union_all(parts)
    return shapely.segmentize(polygonal(joined), EDGE_DEGREES)


def within(area: Area, bounds: tuple[float, float, float, float]) -> shapely.MultiPolygon:
    """As `around`, but cut at ±180."""
    return shapely.segmentize(within_180(around(area, bounds)), EDGE_DEGREES)


def to_utm(geometry: shapely.Geometry, epsg: int) -> shapely.Geometry:
    """Convert a lon/lat geometry near a UTM zone to metres of that zone."""
    return to_crs(geometry, f"EPSG:{epsg}")


def to_crs(geometry: shapely.Geometry, crs: str) -> shapely.Geometry:
    """Convert a lon/lat geometry to another CRS; its edges should be short.

    Raises:
        RequestError: the geometry is outside the CRS.
    """
    (projected,) = project("the area", [geometry], transformer("EPSG:4326", crs))
    return projected


def lonlat_bounds(box: shapely.Polygon, epsg: int) -> tuple[float, float, float, float]:
    """Lon/lat bounds of a box in UTM, around its central meridian (may reach beyond ±180)."""
    edge = shapely.get_coordinates(shapely.segmentize(box, 5000))
    lon, lat = transformer(f"EPSG:{epsg}", "EPSG:4326").transform(edge[:, 0], edge[:, 1])
    middle = 6 * (epsg % 100) - 183
    lon = middle + (np.asarray(lon) - middle + 180) % 360 - 180
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def area_in_tile(area: Area, tile: TileGrid, margin: float = 1000.0) -> shapely.Geometry:
    """The area of interest in the tile's UTM zone, clipped to its box and a margin in metres.

    Straight lon/lat edges are accurate to a few centimetres, because they are split into short
    pieces before the projection. The result is empty if the area does not reach the tile.
    """
    west, south, east, north = tile.bounds
    box = shapely.box(west - margin, south - margin, east + margin, north + margin)
    lon0, lat0, lon1, lat1 = lonlat_bounds(box, tile.epsg)
    near = around(area, (lon0 - 0.02, lat0 - 0.02, lon1 + 0.02, lat1 + 0.02))
    if near.is_empty:
        return near
    projected = to_utm(near, tile.epsg)
    if not projected.is_valid:
        projected = shapely.make_valid(projected)
    return polygonal(projected.intersection(box))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
