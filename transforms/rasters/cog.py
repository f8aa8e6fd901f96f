"""Writes a cloud-optimised GeoTIFF part by part, and checks it before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError

from transforms.elements import LayerSpec, Window
from transforms.storage.room import ask_for_room
from transforms.storage.storage import published

from .geotiff import FINGERPRINT_TAG, LOST, PROFILE, STRIP, strips
from .overviews import same_overviews, with_overviews
from .seal import BLANK_SEAL, SEAL_TAG, Sum, fill, has_its_size, seal
from .tile_sums import SUMS_TAG, WrittenPixels, as_tag, blank_tag, sums_of

VALID_TAG = "VALID_PIXELS"
"""The tag with the number of pixels that have data in every band."""


_HEADERS = 16 << 20
"""More bytes than the headers of a COG: of 400 000 tiles, with all overviews and tags."""


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
    Windows must not overlap. Pixels that no window covers are nodata.

    Args:
        path: location of the raster.
        georeference: CRS, transform, height and width, as of `raster_profile`.
        bands: number of bands.
        dtype: type of the pixels.
        nodata: value of pixels without data.
        tags: tags of the file; `VALID_PIXELS` is added to them.
        spec: gives the names of the bands and the kind of overviews.
        tell: called with size and SHA-256 of the file before it gets its final name.

    Raises:
        RasterError: the file cannot be written, or does not read back the same.
    """
    shape = georeference["height"], georeference["width"]
    pixels = bands * shape[0] * shape[1] * np.dtype(dtype).itemsize
    blank = blank_tag(shape, STRIP)
    given, valid = WrittenPixels(dtype, STRIP), 0
    # Three files: the plain one, the final one, and a third of one for its overviews.
    with published(path, 7 * pixels // 3) as beside:
        plain = beside.with_name(f"{beside.stem}.plain.tif")
        try:
            with rasterio.open(
                plain,
                "w",
                **{**PROFILE, "blockxsize": STRIP, "blockysize": STRIP},
                **georeference,
                count=bands,
                dtype=dtype,
                nodata=nodata,
                bigtiff="IF_SAFER",
            ) as target:
                _name_bands(target, spec)

                def write(window: Window, array: NDArray[Any]) -> None:
                    nonlocal valid
                    place = rasterio.windows.Window(
                        window.col, window.row, window.width, window.height
                    )
                    part = array if array.ndim == 3 else array[np.newaxis]
                    target.write(part, window=place)
                    given.add(window, part)
                    valid += int((part != nodata).all(axis=0).sum())

                yield write
                counted = {VALID_TAG: str(valid)}
                target.update_tags(**tags, **counted, **{SEAL_TAG: BLANK_SEAL, SUMS_TAG: blank})
            with with_overviews(plain, spec.overviews) as both:
                # GDAL's driver crashes on a disk that is full before all headers are written.
                ask_for_room(beside, min(plain.stat().st_size, _HEADERS))
                with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
                    rasterio.shutil.copy(
                        both,
                        beside,
                        driver="COG",
                        compress="DEFLATE",
                        predictor="YES",
                        overviews="FORCE_USE_EXISTING",
                        sparse_ok="TRUE",
                        bigtiff="IF_SAFER",
                    )
                sums = _sums_of(beside, given)
                if not same_overviews(both, str(beside)):
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
            and (made.nodatavals, made.descriptions) == (given.nodatavals, given.descriptions)
        )


def _name_bands(target: Any, spec: LayerSpec) -> None:
    """Give each band its name, and the colour of its picture, or that of its name in GDAL."""
    for band, name in enumerate(spec.bands, 1):
        target.set_band_description(band, name)
    if len(spec.bands) > 1:
        shown = dict(zip(spec.picture.composed, ("red", "green", "blue"), strict=False))
        target.colorinterp = [
            getattr(ColorInterp, shown.get(band, name), ColorInterp.undefined)
            for band, name in enumerate(spec.bands, 1)
        ]
