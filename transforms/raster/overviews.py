"""Overviews of means, which lose nothing that is sparse.

GDAL computes each level from the one before and rounds every time, halves upwards: of scattered
built-up, the mean of a layer of bytes drifts by several percent in a few levels, then nothing is
left. Here every level comes from the full resolution, and is rounded so that means stay.
"""

from __future__ import annotations

import glob
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from transforms import elements
from transforms.elements import StorageError, thresholds

SMALLEST = 512
"""Pixels a side at which a raster needs no (further) overview: a tile of the file."""


def write_means(path: Path) -> list[Path]:
    """Write overviews of a raster beside it, where GDAL finds them: `x.tif.ovr`, `x.tif.ovr.ovr`.

    A pixel is the mean of the valid pixels at full resolution below it, nodata where there is
    none. What is between two whole numbers is rounded up or down by a threshold that varies
    evenly from pixel to pixel, so that the mean of many is kept. Memory is a strip of the raster.

    Returns:
        The files written, finest first; none for a raster of at most 512 pixels a side.

    Raises:
        RasterioError: the raster cannot be read, or an overview not be written.
        StorageError: an overview does not read back.
    """
    written: list[tuple[Path, Window, int]] = []
    with ExitStack() as stack:
        source = stack.enter_context(rasterio.open(path))
        files, targets = [], []
        for level, (rows, cols) in enumerate(_sizes(source.height, source.width), 1):
            place = {"transform": source.transform * Affine.scale(2**level)}
            profile = source.profile | {"height": rows, "width": cols} | place
            files.append(Path(f"{path}{'.ovr' * level}"))
            targets.append(stack.enter_context(rasterio.open(files[-1], "w", **profile)))
        strip = max(SMALLEST, 2 ** len(files))
        for top in range(0, source.height, strip) if files else ():
            window = Window(0, top, source.width, min(strip, source.height - top))
            levels = _pyramid(source.read(window=window), source.nodata, top, len(files))
            for level, (file, target, means) in enumerate(zip(files, targets, levels, strict=True)):
                _, rows, cols = means.shape
                window = Window(0, top >> (level + 1), cols, rows)
                target.write(means, window=window)
                written.append((file, window, crc32(means.tobytes())))
    # What GDAL cannot write when it closes a file, on a full disk, is no error of its own.
    for file, window, checksum in written:
        with rasterio.open(file) as target:
            if crc32(target.read(window=window).tobytes()) != checksum:
                raise StorageError(str(file), "written, but it does not read back")
    return files


def overview_files(path: Path) -> list[Path]:
    """The files of overviews that lie beside a raster."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.ovr*"))


def _sizes(rows: int, cols: int) -> list[tuple[int, int]]:
    sizes = []
    while max(rows, cols) > SMALLEST:
        rows, cols = (rows + 1) // 2, (cols + 1) // 2
        sizes.append((rows, cols))
    return sizes


def _pyramid(values: NDArray[Any], nodata: float, top: int, levels: int) -> list[NDArray[Any]]:
    """Means of each level of a strip, axes (bands, rows, columns); `top` is its first row."""
    valid = values != nodata
    sums = np.where(valid, values, 0).astype(np.int64 if values.itemsize > 2 else np.int32)
    counts = valid.astype(np.int32)
    kind = np.float64 if values.itemsize > 2 else np.float32
    made = []
    for level in range(1, levels + 1):
        sums, counts = _squares(sums), _squares(counts)
        _, rows, cols = sums.shape
        means: NDArray[Any] = sums.astype(kind) / np.maximum(counts, 1).astype(kind)
        means = means + thresholds(elements.Window(top >> level, 0, rows, cols))
        made.append(np.where(counts > 0, np.floor(means), nodata).astype(values.dtype))
    return made


def _squares(values: NDArray[Any]) -> NDArray[Any]:
    """Sums over squares of 2 x 2; what is beyond the edge is 0."""
    _, rows, cols = values.shape
    if rows % 2 or cols % 2:
        values = np.pad(values, ((0, 0), (0, rows % 2), (0, cols % 2)))
    down = values[:, 0::2] + values[:, 1::2]
    squares: NDArray[Any] = down[:, :, 0::2] + down[:, :, 1::2]
    return squares
