"""Sums of a tile's layers over polygons, with the exact part of each pixel at an edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window as Place

from ghsl_beam.outputs.totals.ground import Ground, TileFiles
from ghsl_beam.outputs.totals.polygons import Polygons, Terms, polygon_sums
from ghsl_beam.outputs.totals.sums import LAYERS, OBSERVED, SCALES, Sums, terms
from ghsl_beam.planning.products import read_product
from transforms.elements import PIXEL, Grid, Layer, RasterError, Window, part_of
from transforms.rasters.area_mask import pixel_bounds
from transforms.rasters.geotiff import STRIP
from transforms.rasters.tile_sums import SUMS_TAG, read_checked


@dataclass(slots=True)
class TileSums:
    """The sums of a tile for each polygon.

    `moved` has the m² that it counts instead of other tiles, by polygon and the other's name.
    """

    of: dict[int, Sums]
    moved: dict[tuple[int, str], float] = field(default_factory=dict)


def count_tile(ground: Ground, polygons: Mapping[int, shapely.Geometry]) -> TileSums:
    """Count a tile's layers inside polygons; every layer is read once, in strips.

    Args:
        ground: the tile with its own ground.
        polygons: in the tile's UTM zone, metres, by number; they may overlap.

    Raises:
        RasterError: a product cannot be read, or is damaged.
        UnavailableError: the storage does not answer.
    """
    tile, shared = ground.tile, ground.shared
    inside = Polygons({n: polygon.intersection(ground.own) for n, polygon in polygons.items()})
    beyond = Polygons({n: polygon.intersection(shared) for n, polygon in polygons.items()})
    of = {n: Sums(part.area, layers=set(tile.paths)) for n, part in inside.of.items()}
    result = TileSums(of)
    for place, layers in _blocks(tile, [*inside.of.values(), *beyond.of.values()]):
        values = terms(layers)
        if not values[OBSERVED].any():
            continue
        for number, sums in polygon_sums(values, place, inside):
            of[number].pixels += sums * SCALES
        if beyond.touch(place):
            _add_filled(result, ground, values, place, beyond)
    return result


def _add_filled(
    result: TileSums, ground: Ground, values: Terms, place: Grid, polygons: Polygons
) -> None:
    """Add the pixels that the tile counts because the nearest tile has no data there."""
    filled, owner = ground.filled(place, values[OBSERVED] > 0)
    if not filled.any():
        return
    owners = [int(number) for number in np.unique(owner[filled]) if number >= 0]
    kept = [np.where(filled, value, 0).astype(value.dtype) for value in values]
    kept += [(filled & (owner == number)).view(np.uint8) for number in owners]
    for number, sums in polygon_sums(kept, place, polygons):
        of = result.of[number]
        of.pixels += sums[: len(SCALES)] * SCALES
        for rival, pixels in zip(owners, sums[len(SCALES) :], strict=True):
            key = number, ground.rivals[rival].tile.name
            result.moved[key] = result.moved.get(key, 0.0) + pixels * PIXEL**2
            of.area_m2 += pixels * PIXEL**2


def _blocks(
    tile: TileFiles, polygons: Sequence[shapely.Geometry]
) -> Iterator[tuple[Grid, dict[Layer, NDArray[Any]]]]:
    """The parts of the layers that polygons may touch, and their places."""
    there = [polygon for polygon in polygons if not polygon.is_empty]
    reached = shapely.box(*shapely.total_bounds(there)) if there else shapely.Polygon()
    window = pixel_bounds(reached, tile.grid)
    if window is None:
        return
    bottom, right = tile.grid.shape
    row, col = window.row // STRIP * STRIP, window.col // STRIP * STRIP
    # Whole tiles of the files, because a part of one is not decoded faster.
    down = min(bottom, -(-window.bottom // STRIP) * STRIP) - row
    across = min(right, -(-window.right // STRIP) * STRIP) - col
    for strip in Window(row, col, down, across).strips(STRIP):
        layers = {layer: _read(tile.paths[layer], strip) for layer in tile.paths}
        for part in strip.split(STRIP):
            place = part.slices_in(strip)
            yield (
                part_of(tile.grid, part),
                {layer: values[place] for layer, values in layers.items()},
            )


def _read(path: str, window: Window) -> NDArray[Any]:
    """A window of the first band of a product; checked if the product has checksums."""

    def values(source: Any) -> NDArray[Any]:
        if SUMS_TAG in source.tags():
            return read_checked(source, window)[0]
        place = Place(window.col, window.row, window.width, window.height)
        return np.asarray(source.read(1, window=place))

    try:
        return read_product(path, values)
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path}: cannot read the product: {reason}") from error


def tile_files(name: str, paths: Mapping[Layer, str]) -> TileFiles:
    """The products of a tile and their grid, which is read from the headers.

    Args:
        name: the MGRS tile.
        paths: locations of those products that exist.

    Raises:
        RasterError: one cannot be read.
    """
    ordered = {layer: paths[layer] for layer in LAYERS if layer in paths}
    first = next(iter(ordered.values()))

    def grid(source: Any) -> GeoBox:
        return GeoBox(source.shape, source.transform, f"EPSG:{source.crs.to_epsg()}")

    try:
        return TileFiles(
            name, read_product(first, grid), ordered, {la: la.spec.nodata for la in ordered}
        )
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{first}: cannot read the product: {reason}") from error
