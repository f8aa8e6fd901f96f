"""Compares reading a band block by block with one request of GDAL for each block.

GDAL uses its own threads here. The job cannot use them, because errors in them are lost together
with the pixels; they only show how fast reading could be. The rasters are like real products, with
JPEG 2000 tiles of 1024 pixels (10 m), of 640 pixels (20 m) and of 192 pixels (60 m), and the
sample, with tiles of 64. Some blocks are aligned with the tiles, and some are not. A scene is what
the job reads of each scene: four bands of 10 m, and a mask of 60 m. Both ways read each raster in
turn, several times, on one core and on all. The ratio is the median of the ratios of the turns;
below 1 is faster than GDAL. The sample must exist (`./run_local.sh` makes it).

    python benchmarks/decoding.py [--times N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin
from synthetic import ROOT, machine

from transforms.assembly import read_band
from transforms.elements import Window, part_of

ULX, ULY, EPSG = 300_000, 5_800_020, 32633


def raster(path: Path, side: int, tile: int) -> Path:
    """A band of texture and noise that compresses like a real one."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side]
    land = 2000 + 800 * np.sin(x / 37) + 600 * np.cos(y / 23) + rng.normal(0, 60, (side, side))
    profile = {
        "driver": "JP2OpenJPEG",
        "height": side,
        "width": side,
        "count": 1,
        "dtype": "uint16",
        "crs": f"EPSG:{EPSG}",
        "transform": from_origin(ULX, ULY, 10, 10),
        "blockxsize": tile,
        "blockysize": tile,
        "quality": 100,
        "reversible": "YES",
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(land.astype(np.uint16), 1)
    return path


Reads = list[tuple[Path, GeoBox, list[Window]]]
"""Rasters, the grid of each, and the blocks to read of it."""


def by_gdal(reads: Reads) -> None:
    """Read with one request of GDAL for each block."""
    for path, block in ((path, block) for path, _, blocks in reads for block in blocks):
        with rasterio.open(path, driver="JP2OpenJPEG") as source:
            source.read(
                [1],
                window=rasterio.windows.Window(block.col, block.row, block.width, block.height),
            )


def by_read_band(reads: Reads) -> None:
    """Read as the job reads a block."""
    for path, grid, blocks in reads:
        for block in blocks:
            read_band(str(path), part_of(grid, block))


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of an action."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def blocks_of(path: Path, size: int) -> Reads:
    """A whole raster in blocks."""
    with rasterio.open(path) as source:
        grid = GeoBox.from_rio(source)
    return [(path, grid, list(Window(0, 0, *grid.shape).split(size)))]


def scene_of(band: Path, mask: Path) -> Reads:
    """Four bands in blocks of 1024, and the part of a mask of 60 m below each block."""
    ((_, grid, blocks),) = blocks_of(band, 1024)
    below = [Window(b.row // 6, b.col // 6, -(-b.height // 6), -(-b.width // 6)) for b in blocks]
    with rasterio.open(mask) as source:
        coarse = GeoBox.from_rio(source)
    return [*4 * [(band, grid, blocks)], (mask, coarse, below)]


def ratios(reads: Reads, times: int) -> tuple[float, float]:
    """Median ratio of wall seconds and of CPU seconds, ours by GDAL's."""
    found = []
    for _ in range(times):
        gdal, ours = timed(partial(by_gdal, reads)), timed(partial(by_read_band, reads))
        found.append((ours[0] / gdal[0], ours[1] / gdal[1]))
    walls, cpus = zip(*found, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    """Read every raster in both ways; print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    print(machine())
    everything = os.sched_getaffinity(0)
    result = []
    with tempfile.TemporaryDirectory() as folder:
        sample = next((ROOT / "data" / "sample").rglob("*_B04.jp2"))
        fine = raster(Path(folder, "fine.jp2"), 4096, 1024)
        coarse = raster(Path(folder, "coarse.jp2"), 2560, 640)
        coarsest = raster(Path(folder, "coarsest.jp2"), 1830, 192)
        cases = {
            "a scene": scene_of(fine, coarsest),
            "1024 px tiles, blocks of 1024": blocks_of(fine, 1024),
            "1024 px tiles, blocks of 1536": blocks_of(fine, 1536),
            "640 px tiles, blocks of 512": blocks_of(coarse, 512),
            "192 px tiles, blocks of 512": blocks_of(coarsest, 512),
            "192 px tiles, whole": blocks_of(coarsest, 1830),
            "sample, 64 px tiles, blocks of 1024": blocks_of(sample, 1024),
        }
        for cores in sorted({1, len(everything)}):
            os.sched_setaffinity(0, sorted(everything)[:cores])
            for name, reads in cases.items():
                wall, cpu = ratios(reads, times)
                print(f"{cores} cores, {name}: wall ratio {wall:.3f}, cpu ratio {cpu:.3f}")
                if name == "a scene":
                    result.append(f"wall_{cores}={wall:.3f} cpu_{cores}={cpu:.3f}")
    print(f"result: {' '.join(result)}")


if __name__ == "__main__":
    main()
