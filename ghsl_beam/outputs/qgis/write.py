"""Writes the styles, the names of classes and the project of an output.

A file that a person has changed stays: it has no mark of this program any more.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pyproj
import shapely
from rasterio.errors import RasterioError

from ghsl_beam.outputs.qgis.project import Bounds, Entry, project
from ghsl_beam.outputs.qgis.style import MARK, Look, Spread, pooled, style
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import read_product
from transforms.elements import LAYERS, GridLayer, LayerSpec, Product, RasterError, Theme
from transforms.rasters.cog import VALID_TAG
from transforms.storage import storage

PROJECT = "ghsl-beam.qgs"
"""The project, in the output."""
_AT_A_TIME = 16
_MAX_BYTES = 1 << 26
_AROUND = 0.05
"""Share of the area's size that is seen around it at first."""
_LOG = logging.getLogger(__name__)


_FILE = re.compile(
    r"(?:utm/(?P<tile>[^/]+)|grid/(?P<grid>[^/]+))/(?P<layer>[A-Z0-9_]+?)_(?P<label>E\d{1,4}_[^/]+)"
    r"_(?:(?P=tile)|(?P=grid)_[^/]+)\.tif"
)
"""The path of a product of any job, relative to the output."""


class _Group(NamedTuple):
    """The files of one layer of a job on a grid: epoch and name of the job, grid, layer."""

    label: str
    grid: str
    layer: str


@dataclass(frozen=True)
class _Header:
    """What the header of a product says."""

    scale: float
    cell: float
    crs: str
    bounds: Bounds
    spreads: tuple[Spread, ...]
    calibrated: bool


def write_styles(plan: JobPlan, products: Sequence[Product]) -> None:
    """Write a style beside each product and each mosaic, and the project that opens all of them.

    Mosaics must exist. Products of other jobs in the output are in the project too. A product that
    cannot be read has no style.

    Raises:
        StorageError: the storage does not answer.
    """
    output, own = plan.job.output, f"E{plan.job.epoch}_{plan.job.name}"
    existing = {*_below(output)}
    known = {
        p.path: _Group(own, p.grid, p.layer)
        for p in products
        if p.layer in LAYERS and p.path in existing
    }
    known |= {path: group for path in sorted(existing) if (group := _group(path))}
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        read = pool.map(lambda path: _header(storage.join(output, path)), known)
        headers = {path: header for path, header in zip(known, read, strict=True) if header}
    groups: dict[_Group, list[str]] = defaultdict(list)
    for path in headers:
        groups[known[path]].append(path)
    in_mosaics = {product.path for product in products}
    several = len({group.label for group in groups}) > 1
    files: dict[str, bytes] = {}
    entries: list[Entry] = []
    for group, paths in groups.items():
        spec = _spec(group).described(calibrated=any(headers[path].calibrated for path in paths))
        look = _look(spec, [headers[path] for path in paths])
        mosaics = _mosaics(group, existing)
        drawn, names = style(look), _names(spec)
        for path in [*paths, *mosaics]:
            files[str(PurePosixPath(path).with_suffix(".qml"))] = drawn
            if names and path.endswith(".tif"):
                files[f"{path}.aux.xml"] = names
        covered = in_mosaics if group.label == own else {*paths}
        alone = [path for path in paths if not (mosaics and path in covered)]
        places = [(path, *_place(storage.join(output, path))) for path in mosaics]
        places += [(path, headers[path].crs, headers[path].bounds) for path in alone]
        above = (group.label.replace("_", " "),) if several else ()
        entries += _entries(above, group, look, places, shown=group.label == own)
    crs, extent = view(plan)
    title = f"{plan.job.name} {plan.job.epoch}"
    files[PROJECT] = project(title, _ordered(entries, own), crs, extent)
    if storage.is_file(storage.join(output, PROJECT)):
        existing.add(PROJECT)
    _write(output, files, existing)


def _group(path: str) -> _Group | None:
    """The layer of a file, by its path; None for other files."""
    found = _FILE.fullmatch(path)
    if found is None or found["layer"] not in LAYERS:
        return None
    return _Group(found["label"], found["grid"] or "utm", found["layer"])


def are_there(plan: JobPlan, products: Iterable[Product]) -> bool:
    """Whether the project and the style of each of these products exist.

    Raises:
        StorageError: the storage does not say.
    """
    output = plan.job.output
    if not storage.is_file(storage.join(output, PROJECT)):
        return False
    wanted = {str(PurePosixPath(p.path).with_suffix(".qml")) for p in products if p.layer in LAYERS}
    return wanted <= set(_below(output))


def _below(output: str) -> Iterator[str]:
    for top in ("utm", "grid"):
        for path in storage.files_below(storage.join(output, top)):
            yield f"{top}/{path}"


def _header(path: str) -> _Header | None:
    def read(source: Any) -> _Header:
        count = int(source.tags().get(VALID_TAG, 0))
        spreads = tuple(_spread(source.tags(band), count) for band in source.indexes)
        width, height = source.res
        crs, calibrated = source.crs.to_wkt(), "CALIBRATION" in source.tags()
        cell = width * height
        return _Header(source.scales[0], cell, crs, source.bounds, spreads, calibrated)

    try:
        return read_product(path, read)
    except (RasterioError, RasterError, ValueError) as error:
        _LOG.warning("%s: gets no style, because it cannot be read: %s", path, error)
        return None


def _spread(tags: Mapping[str, str], count: int) -> Spread:
    names = ("MEAN", "STDDEV", "MAXIMUM")
    numbers = [float(tags.get(f"STATISTICS_{name}", "nan")) for name in names]
    return Spread(count if numbers[0] == numbers[0] else 0, *numbers)


def _spec(group: _Group) -> LayerSpec:
    of_grids = {str(member): member.spec for member in GridLayer}
    on_grid = group.grid != "utm" and group.layer in of_grids
    return of_grids[group.layer] if on_grid else LAYERS[group.layer]


def _look(spec: LayerSpec, headers: Sequence[_Header]) -> Look:
    bands = zip(*(header.spreads for header in headers), strict=False)
    # The largest pixel: in degrees, m² differ from place to place.
    cell = max(header.cell for header in headers)
    if not pyproj.CRS.from_wkt(headers[0].crs).is_projected:
        cell *= 111_320.0**2
    return Look(spec, headers[0].scale, cell, tuple(map(pooled, bands)))


def _names(spec: LayerSpec) -> bytes:
    """The file in which GDAL looks for the names of the classes of a GeoTIFF; empty for others."""
    if not spec.picture.classes:
        return b""
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    names = ET.SubElement(band, "CategoryNames")
    for name, _ in spec.picture.classes:
        ET.SubElement(names, "Category").text = name
    ET.indent(root)
    return f"<!-- {MARK} -->\n{ET.tostring(root, encoding='unicode')}\n".encode()


def _mosaics(group: _Group, existing: Iterable[str]) -> list[str]:
    """The mosaics of a layer, by their names."""
    folder = "utm" if group.grid == "utm" else f"grid/{group.grid}"
    name = re.compile(rf"{re.escape(f'{folder}/{group.layer}_{group.label}_')}[^/_]*\.vrt")
    on_grid = re.compile(
        rf"{re.escape(f'{folder}/{group.layer}_{group.label}_{group.grid}')}(_[^/]*)?\.vrt"
    )
    chosen = name if group.grid == "utm" else on_grid
    return sorted(path for path in existing if chosen.fullmatch(path))


def _entries(
    above: tuple[str, ...],
    group: _Group,
    look: Look,
    places: Sequence[tuple[str, str, Bounds]],
    *,
    shown: bool,
) -> Iterator[Entry]:
    """The files of a layer in the project, each with its CRS and its bounds."""
    spec = look.spec
    where = "UTM, 10 m" if group.grid == "utm" else _grid_title(group.grid)
    drawn = shown and group.grid == "utm" and spec.name in ("BUFRAC", "S2")
    for path, crs, bounds in places:
        more = "" if len(places) == 1 else f", {_last(path)}"
        scaled = f"; QGIS shows stored values x {look.scale:g}" if look.scale != 1 else ""
        about = f"{spec.name}: {spec.values}{scaled}"
        groups = (*above, where, spec.theme.value)
        yield Entry(path, f"{spec.title}{more}", groups, look, crs, bounds, about, drawn)


def _last(path: str) -> str:
    """What tells the files of a layer apart: the tile, cell or zone at the end of their names."""
    return PurePosixPath(path).stem.rpartition("_")[2]


def _grid_title(grid: str) -> str:
    label, _, size = grid.rpartition("_")
    return f"Grid {label}, {size} m" if size.isdecimal() else f"Grid {grid}"


def _place(mosaic: str) -> tuple[str, Bounds]:
    """CRS and bounds of a mosaic of this program."""
    root = ET.fromstring(storage.read_bytes(mosaic, _MAX_BYTES))  # noqa: S314 - just written
    left, across, _, top, _, down = map(float, (root.findtext("GeoTransform") or "").split(","))
    width, height = int(root.get("rasterXSize", 0)), int(root.get("rasterYSize", 0))
    bounds = (left, top + down * height, left + across * width, top)
    return root.findtext("SRS") or "", bounds


def _ordered(entries: Iterable[Entry], own: str) -> list[Entry]:
    """The own job first, and UTM before grids; the composite below all others.

    What the network predicts comes after what is made from it.
    """
    themes, names = [theme.value for theme in Theme], list(LAYERS)

    def key(entry: Entry) -> tuple[Any, ...]:
        *above, grid, theme = entry.groups
        job = (above != [own.replace("_", " ")], above)
        place = (not grid.startswith("UTM"), list(map(int, re.findall(r"\d+", grid))), grid)
        spec = entry.look.spec
        order = names.index(spec.name) + len(names) * (spec.line == "inference")
        return (*job, *place, themes.index(theme), order, entry.path)

    return sorted(entries, key=key)


def view(plan: JobPlan) -> tuple[str, Bounds]:
    """CRS and extent of the map: the UTM zone of the tiles, or one around the area."""
    codes = {tile.grid.crs.epsg for tile in plan.tiles}
    if len(codes) == 1:
        crs = pyproj.CRS.from_epsg(codes.pop())
    else:
        middle = [shapely.Point(tile.center_lon, tile.center_lat) for tile in plan.tiles]
        crs = _around(middle)
    boxes = []
    for tile in plan.tiles:
        to_map = pyproj.Transformer.from_crs(str(tile.grid.crs), crs, always_xy=True)
        boxes.append(to_map.transform_bounds(*tile.area.bounds))
    lefts, bottoms, rights, tops = zip(*boxes, strict=True) if boxes else ((0,), (0,), (1,), (1,))
    left, bottom, right, top = min(lefts), min(bottoms), max(rights), max(tops)
    more = _AROUND * max(right - left, top - bottom)
    return crs.to_wkt(), (left - more, bottom - more, right + more, top + more)


def _around(centres: Sequence[shapely.Point]) -> pyproj.CRS:
    """An equal-area CRS in the middle of points in degrees, also across 180 degrees."""
    to_globe = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:4978", always_xy=True)
    lon, lat = [point.x for point in centres] or [0.0], [point.y for point in centres] or [0.0]
    x, y, z = (sum(axis) / len(lon) for axis in to_globe.transform(lon, lat, [0.0] * len(lon)))
    west, south, _ = to_globe.transform(x, y, z, direction="INVERSE")
    return pyproj.CRS.from_proj4(
        f"+proj=laea +lon_0={west:.2f} +lat_0={south:.2f} +datum=WGS84 +units=m +type=crs"
    )


def _write(output: str, files: Mapping[str, bytes], existing: Collection[str]) -> None:
    """Write files, but leave those that a person has changed, and those that are up to date."""

    def write(item: tuple[str, bytes]) -> str | None:
        path, content = item
        location = storage.join(output, path)
        if path in existing:
            before = storage.read_bytes(location, _MAX_BYTES)
            if before == content:
                return None
            if MARK.encode() not in before:
                return path
        storage.write_whole(location, content)
        return None

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        kept = [path for path in pool.map(write, files.items()) if path]
    if kept:
        more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
        _LOG.info("kept because they were changed by hand: %s%s", kept[0], more)
