"""Damages the pixels of rasters, and leaves their header and fingerprint as they are."""

from pathlib import Path

from rasterio.io import MemoryFile


def damaged(raster: bytes) -> bytes:
    """The bytes of a GeoTIFF, with its first tile that has data overwritten."""
    with MemoryFile(raster) as memory, memory.open() as source:
        tiles = [(col, row) for (row, col), _ in source.block_windows(1)]
        first = next(t for t in tiles if _tag(source, "OFFSET", t))
        offset, size = _tag(source, "OFFSET", first), _tag(source, "SIZE", first)
    return raster[:offset] + b"\xff" * size + raster[offset + size :]


def damage(file: Path) -> None:
    """Damage a file in its place."""
    file.write_bytes(damaged(file.read_bytes()))


def _tag(source, what, tile) -> int:
    return int(source.get_tag_item(f"BLOCK_{what}_{tile[0]}_{tile[1]}", "TIFF", bidx=1) or 0)
