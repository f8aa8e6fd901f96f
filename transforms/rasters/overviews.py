"""Overviews of a raster in memory; a cloud-optimised GeoTIFF is made from them and checked.

GDAL alone would keep overviews in a file until they are copied, and it reports no error if it
cannot write that file. Overviews in memory can be compared with the file on the disk.

GDAL computes each level from the level before and rounds every time, halves upwards. In a layer of
bytes with scattered built-up, the mean then drifts by several percent in a few levels, and finally
nothing is left. So means are computed from the full resolution here, and rounded so that they are
kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling

from transforms.elements import Overviews, Window, thresholds

SMALLEST = 512
"""A raster of at most this many pixels a side needs no further overview: a tile of the file."""
_IN_MEMORY = {
    "COMPRESS_OVERVIEW": "ZSTD",
    "ZSTD_LEVEL_OVERVIEW": "1",
    "PREDICTOR_OVERVIEW": "2",
    "GDAL_TIFF_OVR_BLOCKSIZE": "512",
    "BIGTIFF_OVERVIEW": "IF_SAFER",
}


@contextmanager
def with_overviews(plain: Path, kind: Overviews) -> Iterator[str]:
    """Yield GDAL's name of a local raster together with its overviews; removed afterwards.

    Args:
        plain: the raster, at its full resolution.
        kind: how the overviews are computed.

    Raises:
        RasterioError: the raster cannot be read.
    """
    both = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(plain, both, driver="VRT")
    levels = 0
    try:
        with rasterio.open(both) as source:
            levels = len(_sizes(source.height, source.width))
        if kind is Overviews.MEAN:
            write_means(plain, both)
        elif levels:
            with (
                rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", **_IN_MEMORY),
                rasterio.open(both, "r+") as target,
            ):
                target.build_overviews(
                    [2 ** (level + 1) for level in range(levels)], Resampling[kind.value]
                )
        yield both
    finally:
        for level in range(levels, 0, -1):
            with suppress(CPLE_BaseError):  # GDAL writes all its overviews into one file
                rasterio.shutil.delete(both + ".ovr" * level, driver="GTiff")
        rasterio.shutil.delete(both, driver="VRT")


def write_means(path: Path, beside: str) -> None:
    """Write overviews where GDAL looks for those of `beside`: `x.ovr`, `x.ovr.ovr`.

    A pixel is the mean of the valid pixels at full resolution below it, or nodata if there is none.
    A mean between two whole numbers is rounded up or down by a threshold that varies evenly from
    pixel to pixel, so that the mean over many pixels is kept. One square of the raster is in memory
    at a time. A raster of at most 512 pixels a side has no overviews.

    Args:
        path: the raster at full resolution.
        beside: the name that the overviews belong to.

    Raises:
        RasterioError: the raster cannot be read, or an overview cannot be written.
    """
    with ExitStack() as stack:
        source = stack.enter_context(rasterio.open(path))
        targets = []
        for level, (rows, cols) in enumerate(_sizes(source.height, source.width), 1):
            place = {"transform": source.transform * Affine.scale(2**level)}
            profile = source.profile | {"height": rows, "width": cols, "sparse_ok": True} | place
            targets.append(
                stack.enter_context(rasterio.open(beside + ".ovr" * level, "w", **profile))
            )
        side = max(SMALLEST, 2 ** len(targets))
        for square in Window(0, 0, source.height, source.width).split(side) if targets else ():
            values = source.read(
                window=rasterio.windows.Window(square.col, square.row, square.width, square.height)
            )
            # Most of a tile of a grid is empty, and pixels that are not written are nodata.
            if (values == source.nodata).all():
                continue
            levels = _pyramid(values, source.nodata, square, len(targets))
            for level, (target, means) in enumerate(zip(targets, levels, strict=True), 1):
                _, rows, cols = means.shape
                target.write(
                    means,
                    window=rasterio.windows.Window(
                        square.col >> level, square.row >> level, cols, rows
                    ),
                )


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
        for row in range(0, first.height, SMALLEST):
            rows = min(SMALLEST, first.height - row)
            strip = rasterio.windows.Window(0, row, first.width, rows)
            if not np.array_equal(first.read(window=strip), second.read(window=strip)):
                return False
    return True


def _sizes(rows: int, cols: int) -> list[tuple[int, int]]:
    """Rows and columns of each overview: half of the level before, rounded up."""
    sizes = []
    while max(rows, cols) > SMALLEST:
        rows, cols = (rows + 1) // 2, (cols + 1) // 2
        sizes.append((rows, cols))
    return sizes


def _pyramid(
    values: NDArray[Any], nodata: float, square: Window, levels: int
) -> list[NDArray[Any]]:
    """Means of each level over one square of a raster, axes (bands, rows, columns)."""
    valid = values != nodata
    sums = np.where(valid, values, 0).astype(np.int64 if values.itemsize > 2 else np.int32)
    counts = valid.astype(np.int32)
    kind = np.float64 if values.itemsize > 2 else np.float32
    made = []
    for level in range(1, levels + 1):
        sums, counts = _squares(sums), _squares(counts)
        _, rows, cols = sums.shape
        means: NDArray[Any] = sums.astype(kind) / np.maximum(counts, 1).astype(kind)
        whole = np.floor(means)
        limits = thresholds(Window(square.row >> level, square.col >> level, rows, cols))
        rounded = whole + (means - whole + limits >= 1)  # a whole mean stays as it is
        made.append(np.where(counts > 0, rounded, nodata).astype(values.dtype))
    return made


def _squares(values: NDArray[Any]) -> NDArray[Any]:
    """Sums over squares of 2 x 2 pixels; pixels beyond the edge count as 0."""
    _, rows, cols = values.shape
    if rows % 2 or cols % 2:
        values = np.pad(values, ((0, 0), (0, rows % 2), (0, cols % 2)))
    down = values[:, 0::2] + values[:, 1::2]
    squares: NDArray[Any] = down[:, :, 0::2] + down[:, :, 1::2]
    return squares
