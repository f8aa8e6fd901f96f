"""CPU time of the raster checksums.

A block is read with the checksum and without. A product is written as now and by GDAL alone.
`python benchmarks/checksums.py [--side 4096]` prints medians of CPU seconds and their ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows

from transforms.elements import Window, utm_grid
from transforms.rasters.cog import cog_writer
from transforms.rasters.geotiff import raster_profile, write_block
from transforms.rasters.tile_sums import read_checked

BLOCK = 1024
PLAIN = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512}
PLAIN |= {"compress": "ZSTD", "zstd_level": 1, "predictor": 2}


def scene(side: int) -> Any:
    """Pixels like those of a composite, (4, rows, columns): fields of 8 pixels, with noise."""
    rng = np.random.default_rng(1)
    fields = rng.integers(300, 4000, (4, side // 8 + 1, side // 8 + 1)).astype("uint16")
    values = np.kron(fields, np.ones((8, 8), "uint16"))[:, :side, :side]
    return values + rng.integers(0, 60, (4, side, side)).astype("uint16")


def seconds(*actions: Callable[[], object], times: int) -> list[float]:
    """Median CPU seconds of each action; the actions run in turn."""
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(times):
        for action, times_of in zip(actions, taken, strict=True):
            start = time.process_time()
            action()
            times_of.append(time.process_time() - start)
    return [statistics.median(times_of) for times_of in taken]


def by_gdal(folder: Path, pixels: Any, place: dict[str, Any]) -> None:
    """Write a product in the former way: GDAL makes overviews, full resolution is read back."""
    plain, made = folder / "plain.tif", folder / "gdal.tif"
    with rasterio.open(plain, "w", **PLAIN, **place, count=4, dtype="uint16", nodata=0) as target:
        for part in Window(0, 0, *pixels.shape[1:]).split(BLOCK):
            window = rasterio.windows.Window(part.col, part.row, part.width, part.height)
            target.write(pixels[:, part.row : part.bottom, part.col : part.right], window=window)
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
        rasterio.shutil.copy(
            plain,
            made,
            driver="COG",
            compress="DEFLATE",
            predictor="YES",
            overview_resampling="average",
        )
    with rasterio.open(plain) as one, rasterio.open(made) as other:
        for row in range(0, one.height, 512):
            strip = rasterio.windows.Window(0, row, one.width, min(512, one.height - row))
            assert np.array_equal(one.read(window=strip), other.read(window=strip))  # noqa: S101


def sealed(folder: Path, pixels: Any, place: dict[str, Any]) -> None:
    """Write a product in the present way."""
    with cog_writer(
        str(folder / "sealed.tif"),
        place,
        bands=4,
        dtype="uint16",
        nodata=0,
        tags={},
        resampling="average",
    ) as write:
        for part in Window(0, 0, *pixels.shape[1:]).split(BLOCK):
            write(part, pixels[:, part.row : part.bottom, part.col : part.right])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="pixels along the product's side")
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, pixels = Path(name), scene(asked.side)
        block = str(folder / "block.tif")
        place = raster_profile(utm_grid(32633, 300000, 5900040, BLOCK, BLOCK))
        write_block(block, pixels[:, :BLOCK, :BLOCK], place, 0, {})
        window = Window(0, 0, BLOCK, BLOCK)

        def read(check: bool) -> None:
            with rasterio.open(block) as source:
                if check:
                    read_checked(source, window)
                else:
                    source.read()

        plain, checked = seconds(lambda: read(False), lambda: read(True), times=15)
        whole = raster_profile(utm_grid(32633, 300000, 5900040, *pixels.shape[1:]))
        before, now = seconds(
            lambda: by_gdal(folder, pixels, whole),
            lambda: sealed(folder, pixels, whole),
            times=asked.times,
        )
    print(f"block of 4 x {BLOCK} x {BLOCK}: read {plain:.4f} s, checked {checked:.4f} s")
    print(f"product of 4 x {asked.side} x {asked.side}: {before:.2f} s, sealed {now:.2f} s")
    print(f"result: read_ratio={checked / plain:.3f} publish_ratio={now / before:.3f}")


if __name__ == "__main__":
    main()
