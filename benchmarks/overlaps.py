"""The pixels that a job computes over the pixels of its area, where MGRS tiles overlap.

The plan of whole tiles says which blocks each line makes; no scene is read. By default the area
is the ground of 3 x 3 tiles around Rome, one column of UTM zone 32 and two of zone 33.
    python benchmarks/overlaps.py [--bbox WEST SOUTH EAST NORTH] [--block-size N] [--halo N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

import shapely
from pyproj import Geod, Transformer
from synthetic import ROOT

from ghsl_beam.area.area_of_interest import Area, area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import MgrsTile, needed_tiles, tiles_of
from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from ghsl_beam.planning.lines import Line
from ghsl_beam.planning.owned import DEFAULT_HALO, with_halo, with_owned_parts
from transforms.elements import Level, Scene, TilePlan, extent_of
from transforms.inference.predict import CONTEXT
from transforms.rasters.area_mask import pixel_bounds

TILES = ("32TPL", "33TTF", "33TUF", "32TPM", "33TTG", "33TUG", "32TPN", "33TTH", "33TUH")
LINES = (
    Line("assembly", (), margin=CONTEXT),
    Line("inference", ()),
    Line("layers", (), owned=True),
)


def degrees_of(tile: MgrsTile) -> shapely.Geometry:
    """The footprint of a tile in longitude and latitude."""
    to_degrees = Transformer.from_crs(tile.epsg, 4326, always_xy=True)
    outline = shapely.segmentize(tile.footprint, 1000)
    return shapely.transform(outline, to_degrees.transform, interleaved=False)


def plan_of(tile: MgrsTile, area: Area) -> TilePlan:
    """A tile with one scene that covers it."""
    scene = Scene(
        id=tile.id, path="", tile=tile.id, level=Level.L1C, baseline="05.10",
        sensing=datetime(2025, 7, 1, tzinfo=UTC), cloud_cover=0, quantification=10_000,
        offsets=(0, 0, 0, 0), bands=("", "", "", ""), mask=None, mask_kind=None, epsg=tile.epsg,
        ulx=tile.ulx, uly=tile.uly, rows=tile.size, cols=tile.size, size=0,
        footprint=str(shapely.to_wkb(degrees_of(tile), hex=True)),
    )  # fmt: skip
    wkb = str(shapely.to_wkb(area_in_tile(area, tile), hex=True))
    bounds = pixel_bounds(area_in_tile(area, tile), tile.grid)
    window = bounds.expand(CONTEXT).intersect(extent_of(tile.grid)) if bounds else None
    if window is None:
        raise SystemExit(f"{tile.id}: does not reach the area")
    return TilePlan(
        tile.id, tile.zone, tile.grid, tile.center_lon, tile.center_lat, window, wkb, (scene,)
    )


def computed(tiles: Sequence[TilePlan], line: Line, size: int) -> int:
    """Pixels of the blocks of a line."""
    windows = [block.window for tile in tiles for block in line.blocks(tile, size)]
    return sum(window.height * window.width for window in windows)


def main() -> None:
    """Count, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bbox", nargs=4, type=float, help="another area, degrees")
    parser.add_argument("--block-size", type=int, default=1024)
    parser.add_argument(
        "--halo", type=int, default=DEFAULT_HALO, help="halo of the last line, pixels"
    )
    a = parser.parse_args()
    if a.bbox:
        area = read_area(a.bbox, ROOT)
        tiles = needed_tiles(tiles_of(area), area)
    else:
        tiles = [mgrs_tile(name) for name in TILES]
        area = read_area(shapely.union_all([degrees_of(tile) for tile in tiles]).wkt, ROOT)
    whole = [plan_of(tile, area) for tile in tiles]
    owned = [with_halo(tile, a.halo) for tile in with_owned_parts(whole)]
    covered = abs(Geod(ellps="WGS84").geometry_area_perimeter(area.geometry)[0]) / 100
    print(f"{len(owned)} of {len(whole)} tiles own a part of {covered / 1e4:,.0f} km²")
    shares = {}
    for line in LINES:
        before, now = (computed(plans, line, a.block_size) for plans in (whole, owned))
        shares[line.name] = now / covered
        print(f"{line.name}: {now:,} pixels, whole tiles {before:,}")
        whole_share = before / covered
    print(
        f"result: tiles={len(owned)} "
        + " ".join(f"{name}={share:.4f}" for name, share in shares.items())
        + f" whole_tiles={whole_share:.4f}"
    )


if __name__ == "__main__":
    main()
