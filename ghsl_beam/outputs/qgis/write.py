"""Writes the styles, the names of classes and the project of an output.

A file that a person has changed stays: it has no mark of this program any more.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
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


@dataclass(frozen=True)
class _Header:
    """What the header of a product says."""

    scale: float
    cell: float
    crs: str
    bounds: Bounds
    spreads: tuple[Spread, ...]


def write_styles(plan: JobPlan, products: Sequence[Product]) -> None:
    """Write a style beside each product and each mosaic, and the project that opens all of them.

    Mosaics must exist. A product that cannot be read has no style.

    Raises:
        StorageError: the storage does not answer.
    """
    output = plan.job.output
    known = [product for product in products if product.layer in LAYERS]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        read = pool.map(lambda product: _header(storage.join(output, product.path)), known)
        headers = {p.path: header for p, header in zip(known, read, strict=True) if header}
    of_layer: dict[tuple[str, str], list[Product]] = defaultdict(list)
    for product in known:
        if product.path in headers:
            of_layer[product.grid, product.layer].append(product)
    mosaics = _mosaics(plan, of_layer)
    files: dict[str, bytes] = {}
    entries: list[Entry] = []
    for (grid, layer), made in of_layer.items():
        spec = _spec(grid, layer).described(calibrated=plan.calibration is not None)
        look = _look(spec, [headers[product.path] for product in made])
        drawn, names = style(look), _names(spec)
        for path in [*(product.path for product in made), *mosaics[grid, layer]]:
            files[str(PurePosixPath(path).with_suffix(".qml"))] = drawn
            if names and path.endswith(".tif"):
                files[f"{path}.aux.xml"] = names
        places = {product.path: (headers[product.path], product.key) for product in made}
        entries += _entries(output, grid, look, mosaics[grid, layer], places)
    crs, extent = view(plan)
    files[PROJECT] = project(f"{plan.job.name} {plan.job.epoch}", _ordered(entries), crs, extent)
    _write(output, files)


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
        return _Header(
            source.scales[0], width * height, source.crs.to_wkt(), source.bounds, spreads
        )

    try:
        return read_product(path, read)
    except (RasterioError, RasterError, ValueError) as error:
        _LOG.warning("%s: gets no style, because it cannot be read: %s", path, error)
        return None


def _spread(tags: Mapping[str, str], count: int) -> Spread:
    names = ("MEAN", "STDDEV", "MAXIMUM")
    numbers = [float(tags.get(f"STATISTICS_{name}", "nan")) for name in names]
    return Spread(count if numbers[0] == numbers[0] else 0, *numbers)


def _spec(grid: str, layer: str) -> LayerSpec:
    of_grids = {str(member): member.spec for member in GridLayer}
    return of_grids[layer] if grid != "utm" and layer in of_grids else LAYERS[layer]


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


def _mosaics(
    plan: JobPlan, of_layer: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[str]]:
    """The mosaics of each grid and layer, by their names."""
    output, job = plan.job.output, plan.job
    found: dict[tuple[str, str], list[str]] = {}
    listed: dict[str, list[str]] = {}
    for grid, layer in of_layer:
        folder = "utm" if grid == "utm" else f"grid/{grid}"
        if folder not in listed:
            listed[folder] = storage.listing(storage.join(output, folder))
        name = re.compile(rf"{re.escape(f'{layer}_E{job.epoch}_{job.name}_')}[^/]*\.vrt")
        found[grid, layer] = [f"{folder}/{n}" for n in listed[folder] if name.fullmatch(n)]
    return found


def _entries(
    output: str,
    grid: str,
    look: Look,
    mosaics: Sequence[str],
    files: Mapping[str, tuple[_Header, str]],
) -> Iterator[Entry]:
    """The mosaics of a layer in the project; the files themselves if there is no mosaic."""
    spec = look.spec
    where = "UTM, 10 m" if grid == "utm" else _grid_title(grid)
    shown = grid == "utm" and spec.name in ("BUFRAC", "S2")
    places = [(path, *_place(storage.join(output, path))) for path in mosaics]
    if not places:
        places = [(path, header.crs, header.bounds) for path, (header, _) in files.items()]
    for path, crs, bounds in places:
        more = "" if len(places) == 1 else f", {_last(path)}"
        scaled = f"; QGIS shows stored values x {look.scale:g}" if look.scale != 1 else ""
        about = f"{spec.name}: {spec.values}{scaled}"
        title = f"{spec.title}{more}"
        yield Entry(path, title, (where, spec.theme.value), look, crs, bounds, about, shown)


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


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    """UTM first; within a grid by theme, with the composite below all others.

    What the network predicts comes after what is made from it.
    """
    themes, names = [theme.value for theme in Theme], list(LAYERS)

    def key(entry: Entry) -> tuple[Any, ...]:
        grid, theme = entry.groups
        first = list(map(int, re.findall(r"\d+", grid)))
        place = (not grid.startswith("UTM"), first, grid)
        spec = entry.look.spec
        own = names.index(spec.name) + len(names) * (spec.line == "inference")
        return (*place, themes.index(theme), own, entry.path)

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


def _write(output: str, files: Mapping[str, bytes]) -> None:
    """Write files, but leave those that a person has changed, and those that are up to date."""
    existing = {*_below(output)}
    if storage.is_file(storage.join(output, PROJECT)):
        existing.add(PROJECT)

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
