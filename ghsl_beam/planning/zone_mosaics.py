"""Virtual rasters that show a layer of all tiles of a UTM zone as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rasterio.crs import CRS

from ghsl_beam.planning.mosaic import Part, bands_of, document, mosaic_tags
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import read_product, zone_path
from transforms.elements import (
    PIXEL,
    Layer,
    Product,
    TilePlan,
    Window,
    origin_of,
)
from transforms.rasters.area_mask import pixel_bounds
from transforms.rasters.geotiff import FINGERPRINT_TAG
from transforms.storage import storage


def zone_mosaics(plan: JobPlan) -> Iterator[str]:
    """Paths of the mosaics of a plan, relative to the output."""
    for layer, epsg, _ in _groups(plan):
        yield zone_path(layer, plan.job.epoch, plan.job.name, epsg)


def write_zone_mosaics(plan: JobPlan, products: Iterable[Product]) -> None:
    """Write a VRT for each layer and UTM zone of a job, over those products that exist.

    A tile that is cut to what it owns shows only that, though some products reach further. Whole
    tiles lie over each other: where several have data, the last by name is shown.
    """
    marks = {(p.key, p.layer): p for p in products if p.grid == "utm"}
    for layer, epsg, tiles in _groups(plan):
        there = [tile for tile in tiles if (tile.tile, layer) in marks]
        if there:
            path = zone_path(layer, plan.job.epoch, plan.job.name, epsg)
            made = [marks[tile.tile, layer] for tile in there]
            text = _mosaic(plan.job.output, layer, there, made)
            storage.write_whole(storage.join(plan.job.output, path), text)


def _groups(plan: JobPlan) -> Iterator[tuple[Layer, int, list[TilePlan]]]:
    """Each layer and UTM zone, with its tiles."""
    zones: dict[int, list[TilePlan]] = {}
    for tile in plan.tiles:
        zones.setdefault(tile.grid.crs.epsg, []).append(tile)
    for epsg, tiles in sorted(zones.items()):
        for layer in tiles[0].fingerprints:
            yield layer, epsg, tiles


def _mosaic(
    output: str, layer: Layer, tiles: Sequence[TilePlan], products: Sequence[Product]
) -> bytes:
    location = storage.join(output, products[0].path)
    bands = read_product(location, bands_of)
    cuts = [_cut(tile) for tile in tiles]
    corners = [origin_of(tile.place(cut)) for tile, cut in zip(tiles, cuts, strict=True)]
    top, left = (min(edges) for edges in zip(*corners, strict=True))
    parts = []
    for tile, cut, product, (row, col) in zip(tiles, cuts, products, corners, strict=True):
        whole = tile.window
        inside = Window(cut.row - whole.row, cut.col - whole.col, cut.height, cut.width)
        place = Window(row - top, col - left, cut.height, cut.width)
        parts.append(Part(product.path.removeprefix("utm/"), inside, place))
    tags = [
        {**layer.spec.tags, **tile.tags.get(layer, {}), FINGERPRINT_TAG: product.fingerprint}
        for tile, product in zip(tiles, products, strict=True)
    ]
    crs = CRS.from_epsg(tiles[0].grid.crs.epsg).to_wkt()
    corner = (left * PIXEL, -top * PIXEL, PIXEL)
    return document(crs, corner, bands, parts, mosaic_tags(tags), over=True)


def _cut(tile: TilePlan) -> Window:
    """The pixels of a tile that a mosaic shows."""
    if tile.owned is None:
        return tile.window
    bounds = pixel_bounds(tile.area.intersection(tile.owned), tile.grid)
    return (bounds and bounds.intersect(tile.window)) or tile.window
