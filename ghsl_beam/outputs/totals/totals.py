"""Totals of areas over all tiles of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import shapely

from ghsl_beam.area.antimeridian import polygonal, shift, within_180
from ghsl_beam.area.area_of_interest import Area, area_in_tile, lonlat_bounds
from ghsl_beam.area.districts import District
from ghsl_beam.outputs.record_schema import NamedTotalRecord, TotalsRecord
from ghsl_beam.outputs.totals.counting import TileSums, count_tile, tile_files
from ghsl_beam.outputs.totals.ground import Ground, TileFiles, grounds, in_degrees
from ghsl_beam.outputs.totals.sums import LAYERS, Sums, total
from transforms.elements import Layer, Product, fingerprint
from transforms.rasters.fingerprints import INCOMPLETE
from transforms.storage import storage

_AT_A_TIME = min(4, os.cpu_count() or 1)
"""Tiles that are counted at the same time."""
_VERSION = "1"
"""Of the way of counting; if it changes, totals are counted again."""
_LEAST_REST = 1.0
"""m² without any tile that are an effect of rounding."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Sums of each area, in their order, and of the first area by tile."""

    of: list[Sums]
    by_tile: dict[str, Sums]


def totals_of(
    output: str,
    products: Iterable[Product],
    area: Area,
    districts: Sequence[District] = (),
    *,
    calibrated: bool,
    earlier: TotalsRecord | None = None,
) -> TotalsRecord:
    """The totals of a run's area, and of districts inside it.

    Args:
        output: the folder of the run, a location.
        products: its published products, with paths relative to `output`.
        area: the job's area.
        districts: named polygons.
        calibrated: whether a calibration was applied to BUFRAC.
        earlier: totals of an earlier run; they are returned if nothing has changed since.

    Raises:
        RasterError: a product cannot be read, or is damaged.
        UnavailableError: the storage does not answer.
    """
    used = [product for product in products if _is_counted(product)]
    mark = totals_mark(used, area, districts, calibrated=calibrated)
    if earlier is not None and mark and earlier["mark"] == mark:
        return earlier
    tiles = tiles_of(output, used)
    counted = count(tiles, [area, *(clipped(district.area, area) for district in districts)])
    of_zone: dict[str, list[Sums]] = {}
    for tile in tiles:
        of_zone.setdefault(f"EPSG:{tile.epsg}", []).append(counted.by_tile[tile.name])
    names = [district.name for district in districts]
    return {
        "calibrated": calibrated,
        "area": counted.of[0].totals,
        "tiles": [_named(name, sums) for name, sums in sorted(counted.by_tile.items())],
        "zones": [_named(name, total(sums)) for name, sums in sorted(of_zone.items())],
        "districts": [_named(n, sums) for n, sums in zip(names, counted.of[1:], strict=True)],
        "mark": mark,
    }


def totals_mark(
    products: Iterable[Product], area: Area, districts: Sequence[District], *, calibrated: bool
) -> str:
    """The mark of the totals of these; empty if a product may change and keep its fingerprint."""
    used = sorted((p.path, p.fingerprint) for p in products if _is_counted(p))
    if any(mark == INCOMPLETE for _, mark in used):
        return ""
    parts = [[one.name, shapely.to_wkb(one.area.geometry, hex=True)] for one in districts]
    whole = shapely.to_wkb(area.geometry, hex=True)
    return fingerprint("totals", _VERSION, used, whole, parts, calibrated)


def tiles_of(output: str, products: Iterable[Product]) -> list[TileFiles]:
    """The tiles of a run with layers to count; products of an earlier job do not count."""
    paths: dict[str, dict[Layer, str]] = {}
    for product in filter(_is_counted, products):
        place = storage.join(output, product.path)
        paths.setdefault(product.key, {})[Layer(product.layer)] = place
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(tile_files, sorted(paths), [paths[name] for name in sorted(paths)]))


def count(tiles: Sequence[TileFiles], areas: Sequence[Area]) -> Counted:
    """Count the layers of tiles in areas, each ground once.

    Args:
        tiles: the tiles of a run.
        areas: areas in longitude and latitude; they may overlap.

    Raises:
        RasterError: a product cannot be read, or is damaged.
        UnavailableError: the storage does not answer.
    """
    tree = shapely.STRtree([area.geometry for area in areas])
    result = [Sums() for _ in areas]
    by_tile = {tile.name: Sums() for tile in tiles}
    counting = partial(_counted, areas=areas, tree=tree)
    shares = grounds(tiles)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for ground, counted in zip(shares, pool.map(counting, shares), strict=True):
            for number, sums in counted.of.items():
                result[number].add(sums)
            # What a tile counts instead of another is in the sums of both.
            for (number, other), square_metres in counted.moved.items():
                result[number].area_m2 -= square_metres
                if number == 0:
                    by_tile[other].area_m2 -= square_metres
            if 0 in counted.of:
                by_tile[ground.tile.name].add(counted.of[0])
    for sums, square_metres in zip(result, _rests(tiles, areas), strict=True):
        sums.area_m2 += square_metres
    return Counted(result, by_tile)


def clipped(district: Area, area: Area) -> Area:
    """The part of a district that is inside the job's area; it may be empty."""
    return Area(polygonal(district.geometry.intersection(area.geometry)))


def _is_counted(product: Product) -> bool:
    of_this_job = product.whole or product.fingerprint == INCOMPLETE
    return product.grid == "utm" and product.layer in LAYERS and of_this_job


def _counted(ground: Ground, areas: Sequence[Area], tree: shapely.STRtree) -> TileSums:
    """The sums of a tile for the areas that reach it, by their number."""
    tile = ground.tile
    west, south, east, north = lonlat_bounds(tile.box, tile.epsg)
    box = shapely.box(west - 0.02, south - 0.02, east + 0.02, north + 0.02)
    near = {int(n) for turn in (-360.0, 0.0, 360.0) for n in tree.query(shift(box, turn))}
    polygons = {number: area_in_tile(areas[number], tile, margin=0) for number in sorted(near)}
    return count_tile(ground, {n: polygon for n, polygon in polygons.items() if polygon.area > 0})


def _rests(tiles: Sequence[TileFiles], areas: Sequence[Area]) -> list[float]:
    """The m² of each area that no tile has products for."""
    parts = [within_180(in_degrees(tile)) for tile in tiles]
    mapped = shapely.union_all(parts)
    shapely.prepare(mapped)
    rests = []
    for area in areas:
        rest = 0.0
        if not shapely.contains(mapped, area.geometry):
            left = Area(polygonal(area.geometry.difference(mapped)))
            rest = left.area_km2 * 1e6 if not left.geometry.is_empty else 0.0
        rests.append(rest if rest >= _LEAST_REST else 0.0)
    return rests


def _named(name: str, sums: Sums) -> NamedTotalRecord:
    return {"name": name, **sums.totals}
