"""The STAC catalogue of a run: one collection a grid, one item a tile or cell."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pystac
import shapely
from pyproj import Transformer
from rasterio.errors import RasterioError

from ghsl_beam.credits import JRC, with_year
from transforms.elements import Product, RasterError
from transforms.raster import storage
from transforms.raster.files import read_raster

_ROOT = "/output/"
"""Stands for the output while links are made: they are relative, whatever it is."""
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_TITLES = {
    "S2": "Cloud-free composite, R G B NIR, reflectance x 10000",
    "S2_COUNT": "Number of observations",
    "BUFRAC_RAW": "Built-up fraction as predicted, x 10000",
    "BUFRAC": "Built-up fraction, percent",
    "RES_NRES": "0 not built-up, 1 residential, 2 non-residential",
    "GREENNESS": "NDVI of the built-up domain, x 10000",
    "BUILT_S": "Built-up area, m²",
    "BUILT_S_NRES": "Built-up area that is non-residential, m²",
    "BUILT_C_FUN": "0 not built-up, 1 residential, 2 non-residential",
}


def write_catalog(
    output: str,
    products: Sequence[Product],
    run: Mapping[str, Any],
    tiles_of: Mapping[str, Collection[str]],
) -> None:
    """Write `catalog.json`, and collections and items below `stac/`, with relative links.

    Georeferencing is read from the products' files. The same products and run give the same
    bytes; each file is replaced whole, `catalog.json` last.

    Args:
        output: the run's folder, a location.
        products: what it published, paths relative to `output`.
        run: the run record; of it `name`, `epoch`, `configuration.period` and `tiles` are used.
        tiles_of: by path, the MGRS tiles that a product is made of: their models are its own.

    Raises:
        RasterError: a product cannot be read.
    """
    name, epoch = str(run.get("name") or "run"), int(run.get("epoch") or 1970)
    credit = with_year(run.get("credits") or (), epoch)
    makers = ["European Union, Copernicus Sentinel"]
    makers += ["European Commission, Joint Research Centre"] if JRC in credit else []
    catalog = pystac.Catalog(
        id=f"{name}-E{epoch}",
        title=f"{name}, {epoch}",
        description=f"Human settlement from Sentinel-2. {credit}",
        catalog_type=pystac.CatalogType.SELF_CONTAINED,
        extra_fields={"ghsl:credits": credit},
    )
    catalog.set_self_href(f"{_ROOT}catalog.json")
    times = _times(run, epoch)
    grouped: dict[str, dict[str, list[Product]]] = defaultdict(lambda: defaultdict(list))
    for product in sorted(products, key=lambda p: (p.grid, p.key, p.layer, p.path)):
        grouped[product.grid][product.key].append(product)
    for grid, keys in sorted(grouped.items()):
        made = [
            _item(output, f"{name}-E{epoch}", key, keys[key], times, run, tiles_of) for key in keys
        ]
        extent = narrowest_box([item.bbox for item, _ in made if item.bbox])
        collection = pystac.Collection(
            id=f"{name}-E{epoch}-{grid}",
            title=f"{name}, {epoch}, " + ("UTM tiles" if grid == "utm" else f"grid {grid}"),
            description=f"Settlement layers on {grid}. {credit}",
            license="CC-BY-4.0",
            extent=pystac.Extent(
                pystac.SpatialExtent([extent]), pystac.TemporalExtent([list(times)])
            ),
            providers=[pystac.Provider(maker, roles=None) for maker in makers],
            extra_fields={"ghsl:credits": credit},
        )
        collection.set_self_href(f"{_ROOT}stac/{grid}/collection.json")
        catalog.add_child(collection, set_parent=True)
        collection.set_self_href(f"{_ROOT}stac/{grid}/collection.json")
        for item, assets in made:
            collection.add_item(item)
            item.set_self_href(f"{_ROOT}stac/{grid}/{item.id}.json")
            for layer, asset in sorted(assets.items()):  # last: a new place would move them
                item.add_asset(layer, asset)
    for collection in catalog.get_children():
        for item in collection.get_items():
            _write(output, item)
        _write(output, collection)
    _write(output, catalog)


def _item(
    output: str,
    prefix: str,
    key: str,
    products: Sequence[Product],
    times: tuple[datetime.datetime, datetime.datetime],
    run: Mapping[str, Any],
    tiles_of: Mapping[str, Collection[str]],
) -> tuple[pystac.Item, dict[str, pystac.Asset]]:
    assets, places = {}, []
    for product in products:
        fields, place = _georeference(storage.join(output, product.path))
        places.append(place)
        fields |= {"ghsl:fingerprint": product.fingerprint, "ghsl:whole": product.whole}
        name = product.layer if product.layer not in assets else PurePosixPath(product.path).stem
        below = "../" * 2 + product.path
        title = _TITLES.get(product.layer, product.layer)
        assets[name] = pystac.Asset(below, title, media_type=_COG, roles=["data"])
        assets[name].extra_fields = fields
    geometry = shapely.union_all(places)
    grid = products[0].grid
    sources = {tile for product in products for tile in tiles_of.get(product.path, ())}
    used = [
        {"zone": tile.get("zone"), **(tile.get("model") or {})}
        for tile in run.get("tiles") or []
        if tile.get("tile") in sources
    ]
    unlike = {json.dumps(model, sort_keys=True): model for model in used}
    models = [unlike[text] for text in sorted(unlike)]
    item = pystac.Item(
        id=f"{prefix}-{grid}-{key}",
        geometry=json.loads(shapely.to_geojson(geometry)),
        bbox=narrowest_box([part.bounds for part in shapely.get_parts(geometry)]),
        datetime=None,
        start_datetime=times[0],
        end_datetime=times[1],
        properties={
            "ghsl:models": models,
            "ghsl:demonstration": any(bool(model.get("demonstration")) for model in models),
            "ghsl:fallback": any(bool(model.get("fallback")) for model in models),
            "ghsl:epoch": run.get("epoch"),
            "proj:code": next(iter(assets.values())).extra_fields["proj:code"],
        },
        stac_extensions=[_PROJECTION],
    )
    return item, assets


def _georeference(path: str) -> tuple[dict[str, Any], shapely.Geometry]:
    """The projection fields of a raster, and its footprint in lon/lat."""

    def read(source: Any) -> tuple[Any, ...]:
        kinds = [{"data_type": kind, "nodata": source.nodata} for kind in source.dtypes]
        return source.crs, source.transform, [source.height, source.width], source.bounds, kinds

    try:
        crs, transform, shape, corners, bands = read_raster(path, read)
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path}: cannot read the product: {reason}") from error
    bounds = [float(number) for number in corners]
    authority = crs.to_authority()
    box = shapely.box(*bounds)
    edge = shapely.segmentize(box, max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / 16)
    points = shapely.get_coordinates(edge)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*points.T)
    fields = {
        "proj:code": ":".join(authority) if authority else None,
        "proj:bbox": bounds,
        "proj:shape": shape,
        "proj:transform": [float(number) for number in transform[:6]],
        "proj:geometry": json.loads(shapely.to_geojson(box)),
        "bands": bands,
    }
    return fields, _footprint(np.asarray(lon), np.asarray(lat))


def _footprint(lon: Any, lat: Any) -> shapely.Geometry:
    """Polygon of a ring in degrees, cut at the antimeridian, to 6 decimals (0.1 m)."""
    finite = np.isfinite(lon) & np.isfinite(lat)
    if finite.sum() < 4:
        return shapely.box(-180, -90, 180, 90)  # a raster at the rim of a world map
    lon = np.unwrap(lon[finite], period=360)
    ring = shapely.make_valid(
        shapely.Polygon(np.column_stack([lon.round(6), lat[finite].round(6)]))
    )
    parts = [
        shapely.transform(
            ring.intersection(shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)),
            lambda points, turn=turn: points - np.array([360.0 * turn, 0.0]),
        )
        for turn in (-1, 0, 1)
    ]
    return shapely.union_all([part for part in parts if part.area > 0])


def narrowest_box(boxes: Iterable[Sequence[float]]) -> list[float]:
    """The box around boxes, each (west, south, east, north) in degrees, as GeoJSON has it.

    It lies on the other side of the widest stretch of longitudes without any: where it reaches
    across the antimeridian, its west is greater than its east (RFC 7946, 5.2).
    """
    spans, latitudes = [], []
    for west, south, east, north in boxes:
        spans += [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
        latitudes += [south, north]
    spans.sort()
    easts = list(accumulate((east for _, east in spans), max))
    first, last = spans[0][0], easts[-1]
    # The stretch across the antimeridian comes first: of two as wide, it is the one left out.
    gaps = [(first + 360 - last, first, last)]
    gaps += [(west - east, west, east) for (west, _), east in zip(spans[1:], easts, strict=False)]
    _, west, east = max(gaps, key=itemgetter(0))
    return [west, min(latitudes), east, max(latitudes)]


def _times(run: Mapping[str, Any], epoch: int) -> tuple[datetime.datetime, datetime.datetime]:
    """From the first to the last moment of the period that was asked for, else of the year."""
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
