"""A small job where four MGRS tiles meet."""

from pathlib import Path

from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box
from tests.support.scenes import town

TILES = ("33UUT", "33UUU", "33UVT", "33UVU")
MIDDLE = (404880, 5795130)
"""The point half way between the centres of the four tiles, UTM 33, metres."""
SIZE = 260
"""Pixels of each tile's product, around the middle."""


def write_archive(folder: Path) -> Path:
    """One product a tile, each of another town; returns the folder."""
    x, y = MIDDLE
    for seed, tile in enumerate(TILES):
        corner = (x - 5 * SIZE, y + 5 * SIZE)
        write_product(folder, Product(tile, 32633, *corner, town(SIZE, SIZE, seed=seed)))
    return folder


def area() -> str:
    """An area on all four, as WKT."""
    x, y = MIDDLE
    return lonlat_box(32633, x - 1200, y - 1200, x + 1200, y + 1200)
