"""The cost of mapping Africa, computed from the record and the products of a run on this machine.

The job's own planning counts the tiles and the output cells over Natural Earth's outline (1:110
million, from the package pyogrio). The seconds of each stage and the bytes of the products are
those of the run, divided by the pixels that it assembled. The rest are assumptions, which the
options set.
    python benchmarks/continent.py OUTPUT [--scenes N] [--cores N] ...
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pyogrio
import shapely
from synthetic import ROOT

from ghsl_beam.area.area_of_interest import Area, area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import SIZE, MgrsTile, needed_tiles, tiles_of
from transforms.aggregation.footprint import cells_of_source
from transforms.aggregation.grid import from_config
from transforms.aggregation.source import TileSource
from transforms.elements import Layer

OUTLINE = "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
BLOCKS = 121
"""Blocks of a whole tile at the default block size."""
LAYERS = len({*Layer} - {Layer.S2_20M, Layer.BUFRAC_SD})
RESOLUTIONS = [10, 100, 1000]
ALL_CORES = ("inference", "publish")
"""Stages that may use all cores: their core hours are at most seconds x cores of the machine."""


def africa() -> Area:
    """The continent's outline."""
    path = Path(pyogrio.__file__).parent / OUTLINE
    meta, _, geometry, columns = pyogrio.raw.read(path)
    continent = dict(zip(meta["fields"], columns, strict=True))["continent"]
    return read_area(shapely.union_all(shapely.from_wkb(geometry)[continent == "Africa"]).wkt, ROOT)


def cells_of(tiles: list[MgrsTile]) -> int:
    """Output cells of 100 km that whole tiles touch."""
    grid = from_config("ESRI:54009", RESOLUTIONS)
    cells = set()
    for tile in tiles:
        center = tile.center_lon, tile.center_lat
        source = TileSource(tile.id, tile.grid, *center)
        cells.update(cells_of_source(grid, source))
    return len(cells)


def main() -> None:
    """Compute and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="output folder of a run that was whole")
    parser.add_argument("--scenes", type=int, default=20, help="scenes of a tile that are used")
    parser.add_argument("--band-mb", type=float, default=115, help="MB of a 10 m band of a scene")
    parser.add_argument("--cores", type=int, default=256)
    parser.add_argument("--gets", type=float, default=0, help="GET of a block and scene")
    parser.add_argument("--work-gets", type=float, default=0, help="GET and HEAD of a block beside")
    parser.add_argument("--puts", type=float, default=LAYERS, help="PUT of a block")
    a = parser.parse_args()
    record = json.loads((a.output / "run.json").read_text())
    if record["exit_code"] or not record["computed"]:
        raise SystemExit(f"{a.output}: expected a whole run that computed its products")
    area = africa()
    tiles = needed_tiles(tiles_of(area), area)
    ground = sum(area_in_tile(area, tile).intersection(tile.footprint).area for tile in tiles)
    pixels, cells = ground / 100, cells_of(tiles)
    stages = record["stages"]
    assembled = stages["assembly"]["pixels"]
    scenes = stages["assembly"]["scenes"] / stages["assembly"]["blocks"]
    print("| | |")
    print("|---|---|")
    print(f"| MGRS tiles | {len(tiles)} |")
    print(f"| grid zones, models | {len({tile.zone for tile in tiles})} |")
    print(f"| pixels of the continent within its tiles | {pixels:.3g} |")
    print(f"| output cells of 100 km | {cells} |")
    hours = {}
    for name, stage in stages.items():
        cores = record["machine"]["cores"] if name in ALL_CORES else 1
        times = a.scenes / scenes if name == "assembly" else 1
        hours[name] = times * cores * stage.get("seconds", 0) / assembled * pixels / 3600
    for name, value in sorted(hours.items(), key=lambda item: -item[1]):
        print(f"| core hours of {name} | {value:,.0f} |")
    total = sum(hours.values())
    print(f"| core hours in all | {total:,.0f} |")
    print(f"| days on {a.cores} cores | {total / a.cores / 24:.1f} |")
    read = a.scenes * 4 * a.band_mb * 1e6 * pixels / SIZE**2
    utm = bytes_of(a.output, "utm") / assembled * pixels
    grid = bytes_of(a.output, "grid") / assembled * pixels
    print(f"| bytes of scenes to read | {read / 1e12:,.0f} TB |")
    print(f"| tile products | {utm / 1e12:.2f} TB |")
    print(f"| grid products | {grid / 1e12:.2f} TB |")
    blocks = pixels / SIZE**2 * BLOCKS
    print(f"| blocks | {blocks:,.0f} |")
    print(f"| block files | {LAYERS * blocks:,.0f} |")
    gets = (a.gets * a.scenes + a.work_gets) * blocks
    print(f"| GET and HEAD | {gets / 1e6:,.0f} million |")
    print(f"| PUT | {a.puts * blocks / 1e6:,.1f} million |")
    scene = len(json.dumps(record["tiles"][0]["scenes"][0], indent=2))
    product = len(json.dumps(record["products"][0], indent=2))
    size = len(tiles) * (a.scenes * scene + LAYERS * product)
    print(f"| run.json, scenes and tile products | {size / 1e6:.0f} MB |")
    print(
        f"result: tiles={len(tiles)} core_hours={total:.0f} read_tb={read / 1e12:.0f} "
        f"stored_tb={(utm + grid) / 1e12:.2f}"
    )


def bytes_of(output: Path, folder: str) -> int:
    """Bytes of the GeoTIFFs in a folder of the output."""
    return sum(path.stat().st_size for path in output.glob(f"{folder}/**/*.tif"))


if __name__ == "__main__":
    main()
