"""Overviews of a raster in memory: what a cloud-optimised GeoTIFF is made of and compared with.

GDAL alone would keep them in a file until they are copied, and a write of it that fails is no error
there. From memory, what reaches the disk can be compared with what was made.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling

_SMALLEST = 512
"""The last overview fits into a tile of the file."""
_STRIP = 512
_IN_MEMORY = {
    "COMPRESS_OVERVIEW": "ZSTD",
    "ZSTD_LEVEL_OVERVIEW": "1",
    "PREDICTOR_OVERVIEW": "2",
    "GDAL_TIFF_OVR_BLOCKSIZE": "512",
    "BIGTIFF_OVERVIEW": "IF_SAFER",
}


def factors(height: int, width: int) -> list[int]:
    """By how much the overviews are smaller: each has half the rows and columns of the last."""
    found, factor = [], 2
    while max(height, width) > _SMALLEST * factor // 2:
        found.append(factor)
        factor *= 2
    return found


@contextmanager
def with_overviews(plain: Path, resampling: str) -> Iterator[str]:
    """The name, for GDAL, of a local raster together with overviews of it; gone afterwards.

    Args:
        plain: the raster, at its full resolution.
        resampling: by which its overviews are made, by rasterio's name.

    Raises:
        RasterioError: the raster cannot be read.
    """
    both = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(plain, both, driver="VRT")
    try:
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", **_IN_MEMORY):
            with rasterio.open(both, "r+") as source:
                smaller = factors(source.height, source.width)
                if smaller:
                    source.build_overviews(smaller, Resampling[resampling])
            yield both
    finally:
        with suppress(CPLE_BaseError):  # it has none
            rasterio.shutil.delete(f"{both}.ovr", driver="GTiff")
        rasterio.shutil.delete(both, driver="VRT")


def same_overviews(one: str, other: str) -> bool:
    """Whether two rasters have the same overviews, pixel by pixel.

    Raises:
        RasterioError: one cannot be read.
    """
    with rasterio.open(one) as first, rasterio.open(other) as second:
        levels = first.overviews(1)
        if levels != second.overviews(1):
            return False
    return all(_same_level(one, other, level) for level in range(len(levels)))


def _same_level(one: str, other: str, level: int) -> bool:
    with (
        rasterio.open(one, overview_level=level) as first,
        rasterio.open(other, overview_level=level) as second,
    ):
        if first.shape != second.shape:
            return False
        for row in range(0, first.height, _STRIP):
            rows = min(_STRIP, first.height - row)
            strip = rasterio.windows.Window(0, row, first.width, rows)
            if not np.array_equal(first.read(window=strip), second.read(window=strip)):
                return False
    return True
