"""Checksums of a raster's pixels, tile by tile, so that a read notices a flipped bit.

ZSTD as GDAL writes it and DEFLATE as GDAL reads it do not notice all damage, and no compression
notices a damaged header. A CRC-32 of the pixels of each GeoTIFF tile notices all of it. A window is
checked by reading only the tiles that it touches, which GDAL reads completely anyway.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import rasterio.windows
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from transforms.elements import Window

SUMS_TAG = "GHSL_TILE_SUMS"
_BYTES = 4


def sums_of(bands: NDArray[Any], side: int) -> bytes:
    """Sums of the tiles of an array, row by row of tiles.

    Args:
        bands: axes (bands, rows, columns).
        side: rows and columns of a tile; tiles at the right and lower edge are smaller.
    """
    return b"".join(
        _sum(bands[:, row : row + side, col : col + side])
        for row in range(0, bands.shape[1], side)
        for col in range(0, bands.shape[2], side)
    )


def as_tag(sums: bytes) -> str:
    """Sums in the form of the tag of a raster."""
    return base64.b64encode(sums).decode()


def blank_tag(shape: tuple[int, int], side: int) -> str:
    """A placeholder as long as the tag of a raster of this shape (rows, columns)."""
    tiles = -(-shape[0] // side) * -(-shape[1] // side)
    return as_tag(bytes(_BYTES * tiles))


class WrittenPixels:
    """Sums of the pixels that were passed for writing, by the strips that contain them."""

    def __init__(self, dtype: str, rows: int) -> None:
        """Start with no pixels; `rows` is the height of a strip."""
        self._dtype, self._rows = dtype, rows
        self._parts: dict[int, list[tuple[Window, bytes]]] = {}

    def add(self, window: Window, bands: NDArray[Any]) -> None:
        """Keep the sums of the pixels of a window, axes (bands, rows, columns)."""
        values = bands.astype(self._dtype, copy=False)
        for row in range(window.row // self._rows * self._rows, window.bottom, self._rows):
            part = Window(row, window.col, self._rows, window.width).intersect(window)
            if part is not None:
                inside = (slice(None), *part.slices_in(window))
                self._parts.setdefault(row, []).append((part, _sum(values[inside])))

    def are_in(self, strip: Window, bands: NDArray[Any]) -> bool:
        """Whether a strip contains all pixels that were passed for it."""
        return all(
            _sum(bands[(slice(None), *part.slices_in(strip))]) == expected
            for part, expected in self._parts.get(strip.row, ())
        )


def read_checked(source: Any, window: Window) -> NDArray[Any]:
    """Read a window of an open raster, and compare the touched tiles with their sums.

    Returns:
        Axes (bands, rows, columns).

    Raises:
        RasterioIOError: it cannot be read, or its pixels are not the written ones.
    """
    side = source.block_shapes[0][0]
    across, down = -(-source.width // side), -(-source.height // side)
    try:
        sums = base64.b64decode(source.tags().get(SUMS_TAG, ""), validate=True)
    except ValueError as error:
        raise RasterioIOError("the file is damaged: its checksums cannot be read") from error
    whole = Window(0, 0, source.height, source.width)
    if len(sums) != _BYTES * across * down or window.intersect(whole) != window:
        raise RasterioIOError(
            "the file is damaged: its checksums or its size do not match its pixels"
        )
    around = _around(window, side).intersect(whole) or window
    bands = np.asarray(
        source.read(
            window=rasterio.windows.Window(around.col, around.row, around.width, around.height)
        )
    )
    for tile in around.split(side):
        rows, cols = tile.slices_in(around)
        place = _BYTES * (tile.row // side * across + tile.col // side)
        if _sum(bands[:, rows, cols]) != sums[place : place + _BYTES]:
            raise RasterioIOError("the file is damaged: its pixels do not match their checksum")
    return bands[(slice(None), *window.slices_in(around))]


def _sum(tile: NDArray[Any]) -> bytes:
    kind = f"{tile.dtype.name} {tile.shape}".encode()
    return zlib.crc32(np.ascontiguousarray(tile).data, zlib.crc32(kind)).to_bytes(_BYTES, "big")


def _around(window: Window, side: int) -> Window:
    """The window grown to whole tiles."""
    row, col = window.row // side * side, window.col // side * side
    bottom, right = -(-window.bottom // side) * side, -(-window.right // side) * side
    return Window(row, col, bottom - row, right - col)
