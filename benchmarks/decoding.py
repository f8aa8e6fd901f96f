"""Compares reading a band block by block with one request of GDAL for each block.

GDAL uses its own threads here. The job cannot use them, because errors in them are lost together
with the pixels; they only show how fast reading could be. The rasters are like real products, with
JPEG 2000 tiles of 1024 pixels (10 m), of 640 pixels (20 m) and of 192 pixels (60 m), and the
sample, with tiles of 64. Some blocks are aligned with the tiles, and some are not. Both ways read
each raster in turn, several times, on one core and on all. A ratio below 1 is faster than GDAL.
The sample must exist (`./run_local.sh` makes it).

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


def by_gdal(path: Path, blocks: list[Window]) -> None:
    """Read with one request of GDAL for each block."""
    for block in blocks:
        with rasterio.open(path, driver="JP2OpenJPEG") as source:
            source.read(
                [1],
                window=rasterio.windows.Window(block.col, block.row, block.width, block.height),
            )


def by_read_band(path: Path, grid: GeoBox, blocks: list[Window]) -> None:
    """Read as the job reads a block."""
    for block in blocks:
        read_band(str(path), part_of(grid, block))


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of an action."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Read every raster in both ways; print ratios of the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    print(machine())
    everything = os.sched_getaffinity(0)
    worst = {"wall": 0.0, "cpu": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        sample = next((ROOT / "data" / "sample").rglob("*_B04.jp2"))
        fine = raster(Path(folder, "fine.jp2"), 4096, 1024)
        coarse = raster(Path(folder, "coarse.jp2"), 2560, 640)
        coarsest = raster(Path(folder, "coarsest.jp2"), 1830, 192)
        cases = (
            ("1024 px tiles, blocks of 1024", fine, 4096, 4096, 1024),
            ("1024 px tiles, blocks of 1536", fine, 4096, 4096, 1536),
            ("640 px tiles, blocks of 512", coarse, 2560, 2560, 512),
            ("192 px tiles, blocks of 512", coarsest, 1830, 1830, 512),
            ("192 px tiles, whole", coarsest, 1830, 1830, 1830),
            ("sample, blocks of 1024", sample, 768, 1536, 1024),
        )
        for cores in sorted({1, len(everything)}):
            os.sched_setaffinity(0, sorted(everything)[:cores])
            for name, path, rows, cols, size in cases:
                blocks = list(Window(0, 0, rows, cols).split(size))
                with rasterio.open(path) as source:
                    grid = GeoBox.from_rio(source)
                taken: dict[str, list[tuple[float, float]]] = {"gdal": [], "ours": []}
                for _ in range(times):
                    taken["gdal"].append(timed(partial(by_gdal, path, blocks)))
                    taken["ours"].append(timed(partial(by_read_band, path, grid, blocks)))
                for index, clock in enumerate(("wall", "cpu")):
                    gdal, ours = (
                        statistics.median(seconds[index] for seconds in taken[way])
                        for way in ("gdal", "ours")
                    )
                    worst[clock] = max(worst[clock], ours / gdal)
                    print(
                        f"{cores} cores, {name}: {clock} {ours:.2f} s, "
                        f"by GDAL {gdal:.2f} s, ratio {ours / gdal:.3f}"
                    )
    print(f"result: worst_wall_ratio={worst['wall']:.3f} worst_cpu_ratio={worst['cpu']:.3f}")


if __name__ == "__main__":
    main()
