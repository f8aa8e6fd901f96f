"""The STAC catalogue of an output: a collection for each run and grid, an item for each tile."""

from __future__ import annotations

import datetime
import json
import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any

import pystac
import shapely
from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from rasterio.errors import RasterioError

from ghsl_beam.models.credits import JRC, JRC_TERMS, SENTINEL, SENTINEL_TERMS, licence_of
from ghsl_beam.outputs.footprint import Bounds, footprint, narrowest_box, oriented
from ghsl_beam.planning.products import Product, read_product
from transforms.elements import LAYERS, Layer, RasterError, StorageError
from transforms.storage import storage

__all__ = ["narrowest_box", "write_catalog"]

_ROOT = "/output/"
"""Stands for the output while links are made; the links are relative, so its name has no effect."""
_EXTENSIONS = {
    prefix: f"https://stac-extensions.github.io/{name}/v2.0.0/schema.json"
    for prefix, name in (
        ("eo:", "eo"),
        ("proj:", "projection"),
        ("raster:", "raster"),
        ("classification:", "classification"),
    )
}
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_COLOURS = {name for layer in (Layer.S2, Layer.S2_20M) for name in layer.spec.bands}
"""Band names that are also common names of the extension eo."""
_STATED = "STATISTICS_"
_STATISTICS = {
    "MINIMUM": "minimum",
    "MAXIMUM": "maximum",
    "MEAN": "mean",
    "STDDEV": "stddev",
    "VALID_PERCENT": "valid_percent",
}
"""GDAL's names of the statistics of a band, and those of STAC."""
_MAX_BYTES = 8 << 20
_LOG = logging.getLogger(__name__)


class _Times(BaseModel):
    start_datetime: AwareDatetime
    end_datetime: AwareDatetime


class _File(BaseModel):
    href: str


class _StoredItem(BaseModel):
    """The fields that an item on storage must have to be linked again."""

    id: str
    collection: str
    bbox: tuple[float, float, float, float]
    properties: _Times
    assets: Annotated[dict[str, _File], Field(min_length=1)]


def write_catalog(
    output: str,
    products: Sequence[Product],
    run: Mapping[str, Any],
    tiles_of: Mapping[str, Collection[str]],
) -> None:
    """Write `catalog.json`, and collections and items below `stac/`, with relative links.

    Georeferencing is read from the products' files. Products of earlier runs with other names,
    epochs, areas and grids stay in the catalogue, with their own years and models. The same
    products and run give the same bytes. Each file is replaced as a whole, `catalog.json` last.

    Args:
        output: the run's folder, a location.
        products: its published products, with paths relative to `output`.
        run: the run record; its `name`, `epoch`, `configuration.period`, `tiles` and `credits` are
            used.
        tiles_of: by path, the MGRS tiles that a product is made of; their models are its models.

    Raises:
        RasterError: a product cannot be read, or the storage does not answer.
    """
    name, epoch = str(run.get("name") or "run"), int(run.get("epoch") or 1970)
    credit = _credit(run, epoch)
    times = _times(run, epoch)
    grouped: dict[str, dict[str, list[Product]]] = defaultdict(lambda: defaultdict(list))
    for product in sorted(products, key=lambda p: (p.grid, p.key, p.layer, p.path)):
        grouped[product.grid][product.key].append(product)
    own = {f"{name}-E{epoch}-{grid}" for grid in grouped}
    earlier = {entry["id"]: entry for entry in _earlier_collections(output, own)}
    credits = {credit, *(entry["ghsl:credits"] for entry in earlier.values())}
    catalog = pystac.Catalog(
        id=name,
        title=name,
        description=f"Human settlement from Sentinel-2. {' '.join(sorted(credits))}",
        catalog_type=pystac.CatalogType.SELF_CONTAINED,
        extra_fields={"ghsl:credits": " ".join(sorted(credits))},
    )
    catalog.set_self_href(f"{_ROOT}catalog.json")
    for grid, keys in sorted(grouped.items()):
        made = [
            _item(output, f"{name}-E{epoch}-{grid}-{key}", keys[key], times, run, tiles_of)
            for key in keys
        ]
        collection = _collection(output, f"{name}-E{epoch}-{grid}", grid, made, times, credit)
        collection.title = f"{name}, {epoch}, " + ("UTM tiles" if grid == "utm" else f"grid {grid}")
        catalog.add_child(collection, set_parent=True)
        collection.set_self_href(f"{_ROOT}stac/{collection.id}/collection.json")
        for item, assets in made:
            collection.add_item(item)
            item.set_self_href(f"{_ROOT}stac/{grid}/{item.id}.json")
            for layer, asset in sorted(assets.items()):  # last: new links would change them
                item.add_asset(layer, asset)
            _write(output, item)
        _write(output, collection)
    for key, entry in sorted(earlier.items()):
        link = f"{_ROOT}stac/{key}/collection.json"
        catalog.add_link(pystac.Link("child", link, "application/json", str(entry.get("title"))))
    _write(output, catalog)


Made = tuple[pystac.Item, dict[str, pystac.Asset]]


def _collection(
    output: str,
    name: str,
    grid: str,
    made: Sequence[Made],
    times: tuple[datetime.datetime, datetime.datetime],
    credit: str,
) -> pystac.Collection:
    """The collection of the new items and of earlier items in it, which it links.

    It has no parent yet.
    """
    kept = list(_earlier_items(output, grid, name, {item.id for item, _ in made}))
    boxes = [item.bbox for item, _ in made if item.bbox] + [list(item.bbox) for item in kept]
    starts = [times[0], *(item.properties.start_datetime for item in kept)]
    ends = [times[1], *(item.properties.end_datetime for item in kept)]
    roles = [pystac.ProviderRole.PRODUCER, pystac.ProviderRole.LICENSOR]
    providers = [pystac.Provider("European Union, Copernicus Sentinel", roles=roles)]
    if JRC in credit:
        providers.append(pystac.Provider("European Commission, Joint Research Centre", roles=roles))
    collection = pystac.Collection(
        id=name,
        description=f"Settlement layers on {grid}. {credit}",
        license=licence_of(credit),
        extent=pystac.Extent(
            pystac.SpatialExtent([narrowest_box(boxes)]),
            pystac.TemporalExtent([[min(starts), max(ends)]]),
        ),
        providers=providers,
        extra_fields={"ghsl:credits": credit},
    )
    collection.set_self_href(f"{_ROOT}stac/{name}/collection.json")
    collection.add_link(pystac.Link("license", SENTINEL_TERMS, "application/pdf"))
    if JRC in credit:
        collection.add_link(pystac.Link("license", JRC_TERMS, "text/html"))
    for item in kept:
        link = f"{_ROOT}stac/{grid}/{item.id}.json"
        collection.add_link(pystac.Link("item", link, "application/geo+json"))
    return collection


def _item(
    output: str,
    name: str,
    products: Sequence[Product],
    times: tuple[datetime.datetime, datetime.datetime],
    run: Mapping[str, Any],
    tiles_of: Mapping[str, Collection[str]],
) -> Made:
    assets: dict[str, pystac.Asset] = {}
    places = set()
    for product in products:
        fields, place = _georeference(storage.join(output, product.path), product.layer)
        places.add(place)
        fields |= {"ghsl:fingerprint": product.fingerprint, "ghsl:whole": product.whole}
        key = product.layer if product.layer not in assets else PurePosixPath(product.path).stem
        below = "../" * 2 + product.path
        spec = LAYERS.get(product.layer)
        calibrated = bool(run.get("calibration"))
        title = spec.described(calibrated=calibrated).values if spec else product.layer
        assets[key] = pystac.Asset(below, title, media_type=_COG, roles=["data"])
        assets[key].extra_fields = fields
    parts = [
        part for crs, bounds in sorted(places) for part in shapely.get_parts(footprint(crs, bounds))
    ]
    geometry = parts[0] if len(parts) == 1 else oriented(shapely.union_all(parts))
    sources = {tile for product in products for tile in tiles_of.get(product.path, ())}
    used = [
        {"zone": tile.get("zone"), **(tile.get("model") or {})}
        for tile in run.get("tiles") or []
        if tile.get("tile") in sources
    ]
    unlike = {json.dumps(model, sort_keys=True): model for model in used}
    models = [unlike[text] for text in sorted(unlike)]
    written = json.dumps([asset.extra_fields for asset in assets.values()])
    item = pystac.Item(
        id=name,
        geometry=json.loads(shapely.to_geojson(geometry)),
        bbox=narrowest_box([part.bounds for part in shapely.get_parts(geometry)]),
        datetime=None,
        start_datetime=times[0],
        end_datetime=times[1],
        properties={
            "ghsl:models": models,
            "ghsl:classifier": run.get("classifier"),
            "ghsl:demonstration": any(bool(model.get("demonstration")) for model in models),
            "ghsl:fallback": any(bool(model.get("fallback")) for model in models),
            "ghsl:calibration": run.get("calibration"),
            "ghsl:epoch": run.get("epoch"),
            "proj:code": next(iter(assets.values())).extra_fields["proj:code"],
        },
        stac_extensions=[url for prefix, url in _EXTENSIONS.items() if f'"{prefix}' in written],
    )
    return item, assets


def _georeference(path: str, layer: str) -> tuple[dict[str, Any], tuple[str, Bounds]]:
    """The fields of a raster and of its bands, and its place: CRS and bounds."""

    def read(source: Any) -> tuple[Any, ...]:
        absent = {} if source.nodata is None else {"nodata": source.nodata}
        kinds = [
            {"data_type": kind, **absent, **_statistics(source.tags(number))}
            for number, kind in enumerate(source.dtypes, 1)
        ]
        return source.crs, source.transform, [source.height, source.width], source.bounds, kinds

    try:
        crs, transform, shape, corners, bands = read_product(path, read)
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path}: cannot read the product: {reason}") from error
    if crs is None:
        raise RasterError(f"{path}: has no CRS, expected the CRS in which it was written")
    left, bottom, right, top = (float(number) for number in corners)
    authority = crs.to_authority()
    fields = {
        "proj:code": ":".join(authority) if authority else None,
        "proj:bbox": [left, bottom, right, top],
        "proj:shape": shape,
        "proj:transform": [float(number) for number in transform[:6]],
        "proj:geometry": json.loads(shapely.to_geojson(shapely.box(left, bottom, right, top))),
        "bands": [{**_band(layer, number), **band} for number, band in enumerate(bands)],
    }
    if crs.is_projected:
        metres = float(transform[0]) * crs.linear_units_factor[1]
        fields["raster:spatial_resolution"] = metres
    return fields, (crs.to_wkt(), (left, bottom, right, top))


def _band(layer: str, number: int) -> dict[str, Any]:
    """The facts about a band from its layer: name, unit, scale, colour."""
    spec = LAYERS.get(layer)
    if spec is None or number >= len(spec.bands):
        return {"name": f"{layer}-{number + 1}"}
    name = spec.bands[number]
    fields: dict[str, Any] = {"name": name}
    if name in _COLOURS:
        fields["eo:common_name"] = name
    if spec.unit:
        fields["unit"] = spec.unit
    if spec.scale != 1:
        fields["raster:scale"] = spec.scale
    if spec.picture.classes:
        fields["classification:classes"] = [
            {
                "value": value,
                "name": re.sub(r"[^0-9A-Za-z]+", "-", title),
                "title": title,
                "color_hint": colour.removeprefix("#").upper(),
            }
            for value, (title, colour) in enumerate(spec.picture.classes)
        ]
    return fields


def _statistics(tags: Mapping[str, str]) -> dict[str, Any]:
    """The statistics of the stored values of a band, in the form of STAC; empty if not stated."""
    stated = {key.removeprefix(_STATED): tags[key] for key in tags if key.startswith(_STATED)}
    found = {_STATISTICS[key]: float(stated[key]) for key in _STATISTICS if key in stated}
    return {"statistics": found} if found else {}


def _earlier_collections(output: str, own: Collection[str]) -> Iterator[dict[str, Any]]:
    """Collections of other runs in the output's present catalogue."""
    folder = storage.join(output, "stac")
    for name in storage.listing(folder) if storage.is_folder(folder) else ():
        path = storage.join(folder, name, "collection.json")
        if name in own or not storage.is_file(path):
            continue
        content = _json(path)
        if content.get("type") == "Collection" and content.get("id") == name:
            yield content | {"ghsl:credits": str(content.get("ghsl:credits") or "")}


def _earlier_items(
    output: str, grid: str, collection: str, own: Collection[str]
) -> Iterator[_StoredItem]:
    """Items of a collection that this run did not make, if all their files exist."""
    folder = storage.join(output, "stac", grid)
    names = storage.listing(folder) if storage.is_folder(folder) else []
    names = [n for n in names if n.startswith(f"{collection}-") and n.endswith(".json")]
    others = sorted({name.removesuffix(".json") for name in names}.difference(own))
    pattern = "utm/*/*.tif" if grid == "utm" else f"grid/{grid}/*.tif"
    existing = {f"../../{path}" for path in storage.glob(output, pattern)} if others else set()
    for name in others:
        path = storage.join(folder, f"{name}.json")
        try:
            item = _StoredItem.model_validate(_json(path))
        except ValidationError as error:
            _LOG.warning("%s: is not an item of the catalogue: %s", path, error.errors()[0]["msg"])
            continue
        files = {asset.href for asset in item.assets.values()}
        if (item.id, item.collection) == (name, collection) and files <= existing:
            yield item


def _json(path: str) -> dict[str, Any]:
    """A JSON object on storage; empty, with a warning, if it cannot be read."""
    try:
        content = json.loads(storage.read_bytes(path, _MAX_BYTES))
    except (StorageError, ValueError, RecursionError) as error:
        if isinstance(error, StorageError) and error.passing:
            raise
        _LOG.warning("%s: cannot be read and is left out of the catalogue: %s", path, error)
        return {}
    return content if isinstance(content, dict) else {}


def _credit(run: Mapping[str, Any], epoch: int) -> str:
    """The credits of a run, with the years of its Sentinel data."""
    sensing_years = {
        str(scene.get("sensing"))[:4]
        for tile in run.get("tiles") or []
        for scene in tile.get("scenes") or []
    }
    years = sorted(year for year in sensing_years if year.isdecimal())
    if not years:
        start, end = _times(run, epoch)
        years = [str(year) for year in range(start.year, end.year + 1)]
    text = "; ".join(map(str, run.get("credits") or [SENTINEL]))
    return text.replace(SENTINEL, f"{SENTINEL} {', '.join(years)}", 1)


def _times(run: Mapping[str, Any], epoch: int) -> tuple[datetime.datetime, datetime.datetime]:
    """The first and the last moment of the job's period, or of the year if there is none."""
    period = (run.get("configuration") or {}).get("period") or {}
    try:
        first = datetime.date.fromisoformat(str(period["start"])[:10])
        last = datetime.date.fromisoformat(str(period["end"])[:10])
    except (KeyError, TypeError, ValueError):
        first, last = datetime.date(epoch, 1, 1), datetime.date(epoch, 12, 31)
    start = datetime.datetime.combine(first, datetime.time(), datetime.UTC)
    end = datetime.datetime.combine(last, datetime.time(23, 59, 59), datetime.UTC)
    return start, end


def _write(output: str, thing: pystac.STACObject) -> None:
    path = storage.join(output, str(thing.get_self_href()).removeprefix(_ROOT))
    text = json.dumps(thing.to_dict(include_self_link=False), indent=2, sort_keys=True)
    storage.write_whole(path, (text + "\n").encode())
