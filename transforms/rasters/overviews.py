"""Computes the overviews of a raster, and checks that a cloud-optimised GeoTIFF holds them.

GDAL computes each level from the level before and rounds every time, halves upwards. In a layer of
bytes with scattered built-up, the mean then drifts by several percent in a few levels, and finally
nothing is left. So means are computed from the full resolution here, and rounded so that they are
kept. Sums of them stay in memory, and the finished file is compared with these sums. GDAL's own
overviews stay in memory themselves, because GDAL reports no error if it cannot write their file.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
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

from .tile_sums import WrittenPixels

SMALLEST = 512
"""A raster of at most this many pixels a side needs no further overview: a tile of the file."""
_KEPT = 1e-3
"""Largest change of the sum of a layer in an overview, as a share of it."""
_IN_MEMORY = {
    "COMPRESS_OVERVIEW": "ZSTD",
    "ZSTD_LEVEL_OVERVIEW": "1",
    "PREDICTOR_OVERVIEW": "2",
    "GDAL_TIFF_OVR_BLOCKSIZE": "512",
    "BIGTIFF_OVERVIEW": "IF_SAFER",
}

BESIDE = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
"""Has GDAL look for overviews by their names, whatever the setting is; it lists no folder."""


@contextmanager
def with_overviews(plain: Path, kind: Overviews) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Yield GDAL's name of a local raster together with its overviews; removed afterwards.

    The second value is a function that tells whether another raster has the same overviews.

    Args:
        plain: the raster, at its full resolution.
        kind: how the overviews are computed.

    Raises:
        RasterError: the raster cannot be read.
    """
    if kind is Overviews.MEAN:
        levels = range(1, 1 + _number_of_levels(plain))
        try:
            written = write_means(plain, str(plain))
            yield str(plain), partial(_holds, written)
        finally:
            for level in levels:
                Path(f"{plain}{'.ovr' * level}").unlink(missing_ok=True)
        return
    with _computed_by_gdal(plain, Resampling[kind.value]) as both:
        yield both, partial(same_overviews, both)


def _number_of_levels(path: Path) -> int:
    with rasterio.open(path) as source:
        return len(_sizes(source.height, source.width))


@contextmanager
def _computed_by_gdal(plain: Path, kind: Resampling) -> Iterator[str]:
    """Yield GDAL's name of a raster with overviews that GDAL computes and keeps in memory."""
    both = f"/vsimem/{uuid.uuid4().hex}.vrt"
    rasterio.shutil.copy(plain, both, driver="VRT")
    levels = _number_of_levels(plain)
    try:
        if levels:
            with (
                rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", **_IN_MEMORY),
                rasterio.open(both, "r+") as target,
            ):
                target.build_overviews([2 ** (level + 1) for level in range(levels)], kind)
        yield both
    finally:
        if levels:
            with suppress(CPLE_BaseError):  # there is none if it could not be computed
                rasterio.shutil.delete(both + ".ovr", driver="GTiff")
        rasterio.shutil.delete(both, driver="VRT")


def write_means(path: Path, beside: str) -> list[WrittenPixels]:
    """Write overviews where GDAL looks for those of `beside`: `x.ovr`, `x.ovr.ovr`.

    A pixel is the mean of the valid pixels at full resolution below it, or nodata if there is none.
    A mean between two whole numbers is rounded up or down by a threshold that varies evenly from
    pixel to pixel. Where the sum would change by more than 0.1 %, some are rounded the other way:
    then the sum is kept to half a unit of one pixel. One square of the raster is in memory
    at a time. A raster of at most 512 pixels a side has no overviews.

    Args:
        path: the raster at full resolution.
        beside: the name that the overviews belong to.

    Returns:
        The sums of each overview.

    Raises:
        RasterError: the raster cannot be read, or an overview cannot be written.
    """
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**BESIDE))
        source = stack.enter_context(rasterio.open(path))
        targets, written = [], []
        for level, (rows, cols) in enumerate(_sizes(source.height, source.width), 1):
            moved = {"transform": source.transform * Affine.scale(2**level)}
            profile = source.profile | {"height": rows, "width": cols, "sparse_ok": True} | moved
            targets.append(
                stack.enter_context(rasterio.open(beside + ".ovr" * level, "w", **profile))
            )
            written.append(WrittenPixels(source.dtypes[0], SMALLEST))
        errors = [[(0, 0)] * source.count for _ in targets]
        side = max(SMALLEST, 2 ** len(targets))
        for square in Window(0, 0, source.height, source.width).split(side) if targets else ():
            values = _read(source, square)
            # Most of a tile of a grid is empty, and pixels that are not written are nodata.
            empty = bool((values == source.nodata).all())
            levels = _pyramid(values, source.nodata, square, errors, empty=empty)
            for level, (target, means) in enumerate(zip(targets, levels, strict=True), 1):
                _, rows, cols = means.shape
                place = Window(square.row >> level, square.col >> level, rows, cols)
                written[level - 1].add(place, means)
                if not empty:
                    target.write(
                        means, window=rasterio.windows.Window(place.col, place.row, cols, rows)
                    )
    return written


def _holds(written: list[WrittenPixels], path: str) -> bool:
    """Whether a raster has overviews with these sums, and no others."""
    with rasterio.open(path) as source:
        if len(source.overviews(1)) != len(written):
            return False
    return all(_holds_level(sums, path, level) for level, sums in enumerate(written))


def _holds_level(sums: WrittenPixels, path: str, level: int) -> bool:
    with rasterio.open(path, overview_level=level) as source:
        return all(sums.are_in(strip, _read(source, strip)) for strip in _strips(source))


def same_overviews(one: str, other: str) -> bool:
    """Whether two rasters have the same overviews, pixel by pixel.

    Raises:
        RasterioError: one cannot be read.
    """
    with rasterio.Env(**BESIDE):
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
        return all(
            np.array_equal(_read(first, strip), _read(second, strip)) for strip in _strips(first)
        )


def _strips(source: Any) -> Iterator[Window]:
    """The strips that cover a raster."""
    return Window(0, 0, source.height, source.width).strips(SMALLEST)


def _read(source: Any, part: Window) -> NDArray[Any]:
    """The pixels of a window, axes (bands, rows, columns)."""
    place = rasterio.windows.Window(part.col, part.row, part.width, part.height)
    values: NDArray[Any] = source.read(window=place)
    return values


def _sizes(rows: int, cols: int) -> list[tuple[int, int]]:
    """Rows and columns of each overview: half of the level before, rounded up."""
    sizes = []
    while max(rows, cols) > SMALLEST:
        rows, cols = (rows + 1) // 2, (cols + 1) // 2
        sizes.append((rows, cols))
    return sizes


def _pyramid(
    values: NDArray[Any],
    nodata: float,
    square: Window,
    errors: list[list[tuple[int, int]]],
    *,
    empty: bool,
) -> list[NDArray[Any]]:
    """Means of each level over one square of a raster, axes (bands, rows, columns).

    `errors` has, for each level and band, by how much the means of the squares before are too high
    in sum, and the exact sum. It is updated.
    """
    levels = len(errors)
    if empty:
        bands, rows, cols = values.shape
        sizes = [(-(-rows >> level), -(-cols >> level)) for level in range(1, levels + 1)]
        return [np.full((bands, *size), nodata, values.dtype) for size in sizes]
    valid = values != nodata
    whole = np.dtype(np.int64 if values.itemsize > 2 else np.int32)
    sums: NDArray[Any] = values
    if valid.all():
        valid = valid[:1]  # the same in each band
    else:
        sums = np.where(valid, values, values.dtype.type(0))
    counts: NDArray[Any] = valid
    kind = np.float64 if values.itemsize > 2 else np.float32
    made = []
    for level in range(1, levels + 1):
        sums, counts = _squares(sums, whole), _squares(counts, np.dtype(np.int32))
        _, rows, cols = sums.shape
        means: NDArray[Any] = sums.astype(kind) / np.maximum(counts, 1).astype(kind)
        low = np.floor(means)
        limits = thresholds(Window(square.row >> level, square.col >> level, rows, cols))
        means -= low
        means += limits
        rounded = low + (means >= 1)  # a whole mean stays as it is
        for band, (error, total) in enumerate(errors[level - 1]):
            weights = counts[band if len(counts) > 1 else 0]
            exact = int(sums[band].sum(dtype=np.int64))
            total += exact
            error += _summed(rounded[band], weights) - exact
            if abs(error) > _KEPT * abs(total):
                error += _even_out(rounded[band], means[band] - 1, weights, sums[band], error)
            errors[level - 1][band] = error, total
        made.append(np.where(counts > 0, rounded, nodata).astype(values.dtype))
    return made


def _summed(rounded: NDArray[Any], counts: NDArray[Any]) -> int:
    """The sum of the pixels that rounded means stand for; exact, as all numbers are whole."""
    first = counts.flat[0]
    if (counts == first).all():  # nearly everywhere
        return int(first) * int(rounded.sum(dtype=np.float64))
    return int(np.multiply(rounded, counts, dtype=np.float64).sum())


def _even_out(
    rounded: NDArray[Any],
    above: NDArray[Any],
    counts: NDArray[Any],
    sums: NDArray[Any],
    error: int,
) -> int:
    """Round some means of a band the other way, so that their sum is nearer to the exact one.

    Those nearest to their threshold are changed first.

    Args:
        rounded: the rounded means; updated.
        above: how far each mean is above its threshold; from 0 on it was rounded up.
        counts: number of the valid pixels below each mean.
        sums: their sum.
        error: by how much the sum is too high.

    Returns:
        The change of the sum; after it, the error is at most half of the pixels below one mean, if
        enough means can be changed.
    """
    exact = rounded.astype(np.float64) * counts
    places = np.flatnonzero(exact > sums if error > 0 else exact < sums)
    order = places[np.argsort(np.abs(above.flat[places]), kind="stable")]
    changed = np.concatenate([[0], np.cumsum(counts.flat[order], dtype=np.int64)])
    number = int(np.argmin(np.abs(changed - abs(error))))
    step = -1 if error > 0 else 1
    rounded.flat[order[:number]] += step
    return step * int(changed[number])


def _squares(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Sums in a type over squares of 2 x 2 pixels; pixels beyond the edge count as 0."""
    _, rows, cols = values.shape
    if rows % 2 or cols % 2:
        values = np.pad(values, ((0, 0), (0, rows % 2), (0, cols % 2)))
    down = np.add(values[:, 0::2], values[:, 1::2], dtype=dtype)
    squares: NDArray[Any] = down[:, :, 0::2] + down[:, :, 1::2]
    return squares
