"""Writes a cloud-optimised GeoTIFF part by part, and checks it before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from transforms.elements import LayerSpec, Window
from transforms.storage.room import ask_for_room
from transforms.storage.storage import published

from .bands import Statistics, describe, description
from .geotiff import FINGERPRINT_TAG, LOST, STRIP, strips
from .overviews import BESIDE, with_overviews
from .seal import BLANK_SEAL, SEAL_TAG, Sum, fill, has_its_size, seal
from .tile_sums import SUMS_TAG, WrittenPixels, as_tag, blank_tag, sums_of

VALID_TAG = "VALID_PIXELS"
"""The tag with the number of pixels that have data in every band."""
CLASSES_TAG = "CLASS_PIXELS"
"""The tag of a layer of classes with the number of pixels of class 0, 1, 2 and so on."""

_PLAIN = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": STRIP,
    "blockysize": STRIP,
    "sparse_ok": True,
    "interleave": "band",
    "bigtiff": "IF_SAFER",
    "photometric": "MINISBLACK",  # without it, GDAL warns when the bands get their colours
}
"""The plain file is not compressed: it is written and read once, and only the product stays."""


def level_of(dtype: str) -> int:
    """DEFLATE level for pixels of a type.

    Higher levels do not make wide pixels of real texture smaller, and cost three times as much.
    Bytes hold classes, percentages and counts, which compress well and quickly at every level.
    """
    return 6 if np.dtype(dtype).itemsize == 1 else 1


@contextmanager
def cog_writer(
    path: str,
    georeference: Mapping[str, Any],
    *,
    bands: int,
    dtype: str,
    nodata: int,
    tags: Mapping[str, str],
    spec: LayerSpec,
    tell: Callable[[Sum], None] = lambda made: None,
) -> Iterator[Callable[[Window, NDArray[Any]], None]]:
    """Write a cloud-optimised GeoTIFF part by part; publish it if the body ends without error.

    Yields a function that takes a window, counted from the corner of the raster, and its pixels.
    Windows must not overlap. Pixels that no window covers are nodata. The bands get their names,
    colours, units and scales from the layer, and their statistics from the pixels.

    Args:
        path: location of the raster.
        georeference: CRS, transform, height and width, as of `raster_profile`.
        bands: number of bands.
        dtype: type of the pixels.
        nodata: value of pixels without data.
        tags: tags of the file; `VALID_PIXELS` is added to them, and `CLASS_PIXELS` for classes.
        spec: describes the bands, and gives the kind of overviews.
        tell: called with size and SHA-256 of the file before it gets its final name.

    Raises:
        RasterError: the file cannot be written, or does not read back the same.
    """
    shape = georeference["height"], georeference["width"]
    pixels = bands * shape[0] * shape[1] * np.dtype(dtype).itemsize
    blank = blank_tag(shape, STRIP)
    given, valid = WrittenPixels(dtype, STRIP), 0
    statistics = [Statistics(nodata) for _ in range(bands)]
    of_class = [0] * len(spec.picture.classes)
    # Two files, the plain one and the final one, each with a third for its overviews.
    with published(path, 8 * pixels // 3) as beside:
        plain = beside.with_name(f"{beside.stem}.plain.tif")
        try:
            with rasterio.open(
                plain,
                "w",
                **_PLAIN,
                **georeference,
                count=bands,
                dtype=dtype,
                nodata=nodata,
            ) as target:
                describe(target, spec, nodata)

                def write(window: Window, array: NDArray[Any]) -> None:
                    nonlocal valid
                    place = rasterio.windows.Window(
                        window.col, window.row, window.width, window.height
                    )
                    part = array if array.ndim == 3 else array[np.newaxis]
                    target.write(part, window=place)
                    given.add(window, part)
                    valid += int((part != nodata).all(axis=0).sum())
                    for band, values in zip(statistics, part, strict=True):
                        band.add(values)
                    for value in range(len(of_class)):
                        of_class[value] += int(np.count_nonzero(part == value))

                yield write
                counted = {VALID_TAG: str(valid)}
                if of_class:
                    counted[CLASSES_TAG] = " ".join(map(str, of_class))
                for number, band in enumerate(statistics, 1):
                    target.update_tags(number, **band.tags(shape[0] * shape[1]))
                target.update_tags(**tags, **counted, **{SEAL_TAG: BLANK_SEAL, SUMS_TAG: blank})
            with with_overviews(plain, spec.overviews) as (both, has_overviews):
                # GDAL's driver crashes on a disk that is full before all headers are written.
                ask_for_room(beside, _headers(shape, [*tags.values(), blank]))
                with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", **BESIDE):
                    rasterio.shutil.copy(
                        both,
                        beside,
                        driver="COG",
                        compress="DEFLATE",
                        level=level_of(dtype),
                        predictor="YES",
                        overviews="FORCE_USE_EXISTING",
                        sparse_ok="TRUE",
                        bigtiff="IF_SAFER",
                    )
                sums = _sums_of(beside, given)
                if not has_overviews(str(beside)):
                    raise RasterioIOError(LOST)
                with beside.open("r+b") as file:
                    fill(file, SUMS_TAG, blank, as_tag(sums))
                made = seal(beside)
                mark = tags.get(FINGERPRINT_TAG)
                if not _is_labelled(beside, both, mark, as_tag(sums), made.size):
                    raise RasterioIOError(LOST)
            tell(made)
        finally:
            plain.unlink(missing_ok=True)


def _headers(shape: tuple[int, int], tags: Iterable[str]) -> int:
    """More bytes than the headers of a COG have, with those of all overviews and its tags."""
    tiles = -(-shape[0] // STRIP) * -(-shape[1] // STRIP)
    return 60 * tiles + 6 * sum(map(len, tags)) + (32 << 10)


def _sums_of(path: Path, given: WrittenPixels) -> bytes:
    """Sums of the tiles of a local raster, after a check that it holds the given pixels.

    Raises:
        RasterioError: it does not hold them, or cannot be read.
    """
    sums = []
    with rasterio.open(path) as source:
        for strip in strips(source):
            bands = source.read(
                window=rasterio.windows.Window(strip.col, strip.row, strip.width, strip.height)
            )
            if not given.are_in(strip, bands):
                raise RasterioIOError(LOST)
            sums.append(sums_of(bands, STRIP))
    return b"".join(sums)


def _is_labelled(path: Path, like: str, mark: str | None, sums: str, size: int) -> bool:
    """Whether a file is a sealed COG with this mark and these sums, and otherwise like `like`."""
    with rasterio.open(path) as made, rasterio.open(like) as given:
        tags, others = made.tags(), given.tags()
        return (
            tags.get(FINGERPRINT_TAG) == mark
            and tags.get(SUMS_TAG) == sums
            and has_its_size(tags.get(SEAL_TAG, ""), size)
            and tags == {**others, SUMS_TAG: sums, SEAL_TAG: tags[SEAL_TAG]}
            and made.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
            and made.crs is not None
            and (made.crs, made.transform) == (given.crs, given.transform)
            and description(made) == description(given)
        )
