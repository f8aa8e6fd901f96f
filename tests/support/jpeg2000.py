"""Bands like those of real products: JPEG 2000 with several JPEG 2000 tiles."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

ULX, ULY, EPSG = 300_000, 5_800_020, 32633
FIRST_TILE = b"\xff\x90\x00\x0a"


def land(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Texture and noise, uint16 (rows, cols), without 0."""
    y, x = np.mgrid[0:rows, 0:cols]
    noise = np.random.default_rng(seed).normal(0, 60, (rows, cols))
    return (2000 + 800 * np.sin(x / 17) + 600 * np.cos(y / 13) + noise).astype(np.uint16)


def write_band(
    path: Path,
    values: np.ndarray,
    tile: int | None,
    resolution: int = 10,
    corner: tuple[int, int] = (ULX, ULY),
    **options: object,
) -> bytes:
    """Write a band, (rows, cols) or (bands, rows, cols); one tile where `tile` is None.

    It is lossless, unless the writer's options say otherwise.
    """
    values = values if values.ndim == 3 else values[np.newaxis]
    count, rows, cols = values.shape
    profile = {
        "driver": "JP2OpenJPEG",
        "count": count,
        "height": rows,
        "width": cols,
        "dtype": values.dtype.name,
        "crs": f"EPSG:{EPSG}",
        "transform": from_origin(*corner, resolution, resolution),
        "blockxsize": tile or max(cols, 32),  # the writer's least
        "blockysize": tile or max(rows, 32),
        "quality": 100,
        "reversible": "YES",
        **options,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return path.read_bytes()


def tile_parts(data: bytes) -> list[tuple[int, int, int]]:
    """Number, first byte and byte after the last of each tile-part, in order."""
    found, position = [], data.index(FIRST_TILE)
    while data[position : position + 2] == FIRST_TILE[:2]:
        tile = int.from_bytes(data[position + 4 : position + 6])
        size = int.from_bytes(data[position + 6 : position + 10])
        found.append((tile, position, position + size))
        position += size
    return found
