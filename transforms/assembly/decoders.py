"""Chooses the decoder of JPEG 2000 among the drivers of GDAL on this machine.

The wheels of rasterio have OpenJPEG alone. A GDAL that was built with Kakadu or Grok decodes the
same pixels faster.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from .raster_file import JPEG2000

OPENJPEG = JPEG2000
FASTER = ("JP2KAK", "JP2Grok")
"""Drivers of GDAL that decode faster, the fastest first."""
DRIVERS = (OPENJPEG, *FASTER)
_SIDE, _TILE = 256, 128
_ENCODINGS = ({"REVERSIBLE": "YES"}, {"REVERSIBLE": "NO"})
"""Options of the driver for images without loss, and with the filter that rounds."""
_LOG = logging.getLogger(__name__)


class Decoder(StrEnum):
    """The decoder that a job asks for."""

    OPENJPEG = "openjpeg"
    FASTEST = "fastest"


def driver_for(decoder: Decoder) -> str:
    """GDAL's driver for JPEG 2000; one that decodes other pixels than OpenJPEG is not used.

    Examples:
        >>> driver_for(Decoder.OPENJPEG)
        'JP2OpenJPEG'
    """
    return OPENJPEG if decoder is Decoder.OPENJPEG else _fastest()


@cache
def _fastest() -> str:
    for driver in FASTER:
        if driver not in available():
            continue
        if _gives_the_same_pixels(driver):
            return driver
        _LOG.warning("GDAL's driver %s decodes other pixels than OpenJPEG; it is not used", driver)
    return OPENJPEG


def available() -> frozenset[str]:
    """The drivers for JPEG 2000 of GDAL on this machine."""
    with rasterio.Env() as env:
        return frozenset(env.drivers()) & set(DRIVERS)


def _gives_the_same_pixels(driver: str) -> bool:
    """Whether a driver decodes images of several tiles as OpenJPEG does, whole and in parts."""
    windows = [Window(0, 0, _SIDE, _SIDE), Window(100, 90, 60, 70)]
    try:
        return all(
            np.array_equal(_decoded(data, driver, window), _decoded(data, OPENJPEG, window))
            for data in map(_image, _ENCODINGS)
            for window in windows
        )
    except RasterioError as error:
        _LOG.warning("GDAL's driver %s fails: %s", driver, error)
        return False


def _image(options: dict[str, str]) -> bytes:
    """An image with the value range of a scene, as JPEG 2000."""
    values = np.random.default_rng(0).normal(2000, 700, (_SIDE, _SIDE)).clip(1, 12000)
    profile: dict[str, Any] = {"width": _SIDE, "height": _SIDE, "count": 1, "dtype": "uint16"}
    tiles = {"blockxsize": _TILE, "blockysize": _TILE, "QUALITY": "100"}
    with MemoryFile() as memory:
        with memory.open(driver=OPENJPEG, **profile, **tiles, **options) as target:
            target.write(values.astype(np.uint16), 1)
        return bytes(memory.read())


def _decoded(data: bytes, driver: str, window: Window) -> NDArray[np.uint16]:
    with MemoryFile(data) as memory, rasterio.open(memory.name, driver=driver) as source:
        values: NDArray[np.uint16] = source.read(1, window=window)
    return values
