"""Compares the composite of four bands with that of ten: time, temporary files and bytes to read.

Two synthetic scenes with the JPEG 2000 tiles of real products (1024 pixels at 10 m, 640 at 20 m)
are read and composed by turns. It prints the processor time of both, the ratio of each turn's times
as a median, the bytes of the band files, and those of the observations that wait on the disk.

    python benchmarks/ten_bands.py [--side PIXELS] [--times N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from synthetic import ROOT, machine

sys.path.insert(0, str(ROOT))

from tests.support.archive import Product, write_product
from transforms.assembly import assemble_block, read_scene
from transforms.elements import BANDS, TEN_BANDS, Scene

ULX, ULY, EPSG = 300_000, 5_800_020, 32633


def land(side: int, seed: int) -> np.ndarray:
    """A band of texture and noise that compresses like a real one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side]
    values = 2000 + 800 * np.sin(x / 37) + 600 * np.cos(y / 23) + rng.normal(0, 60, (side, side))
    return values.astype(np.uint16)


def tiled_as_delivered(safe: Path) -> None:
    """Write the images of a product again, with the tiles of real products."""
    for path in safe.glob("GRANULE/*/IMG_DATA/*.jp2"):
        with rasterio.open(path) as source:
            values, metres = source.read(1), source.transform.a
        tile = 1024 if metres == 10 else 640
        profile = {
            "driver": "JP2OpenJPEG",
            "count": 1,
            "dtype": "uint16",
            "crs": f"EPSG:{EPSG}",
            "height": values.shape[0],
            "width": values.shape[1],
            "transform": from_origin(ULX, ULY, metres, metres),
            "blockxsize": tile,
            "blockysize": tile,
            "quality": 100,
            "reversible": "YES",
        }
        with rasterio.open(path, "w", **profile) as target:
            target.write(values, 1)


def scenes(folder: Path, side: int, bands: tuple[str, ...]) -> list[Scene]:
    """Both scenes with some bands."""
    return [read_scene(str(safe), bands=bands) for safe in sorted(folder.glob("*.SAFE"))]


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--side", type=int, default=2560, help="pixels at 10 m of a side")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for day in (1, 6):
            fine = np.stack([land(given.side, seed) for seed in range(4)])
            coarse = np.stack([land(given.side // 2, seed) for seed in range(4, 10)])
            place = ("33UUU", EPSG, ULX, ULY)
            product = Product(*place, fine, date(2020, 6, day), coarse=coarse)
            tiled_as_delivered(write_product(folder, product))
        kinds = {bands: scenes(folder, given.side, bands) for bands in (BANDS, TEN_BANDS)}
        spent: dict[tuple[str, ...], list[float]] = {bands: [] for bands in kinds}
        for _ in range(given.times):
            for bands, read in kinds.items():
                began = time.process_time()
                assemble_block(read, read[0].grid, bands=bands)
                spent[bands].append(time.process_time() - began)
    sizes = {bands: sum(scene.size for scene in read) for bands, read in kinds.items()}
    held = {bands: 2 * len(bands) for bands in kinds}
    for bands, times in spent.items():
        print(
            f"{len(bands):2d} bands: {statistics.median(times):6.2f} s of processor, "
            f"{sizes[bands] / 1e6:6.1f} MB to read, {held[bands]} bytes a pixel and scene on disk"
        )
    ratio = statistics.median(
        ten / four for four, ten in zip(spent[BANDS], spent[TEN_BANDS], strict=True)
    )
    more = sizes[TEN_BANDS] / sizes[BANDS]
    print(f"result: ten to four bands: {ratio:.2f} of the time, {more:.2f} of the bytes")


if __name__ == "__main__":
    main()
