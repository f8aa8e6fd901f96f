"""Damage of a stored raster is noticed when it is read, whatever was damaged."""

import random

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError

from tests.support.scenes import town
from transforms.elements import Layer, RasterError, RasterRef, Window, utm_grid
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    is_damaged,
    raster_profile,
    read_window,
    write_block,
)
from transforms.rasters.tile_sums import SUMS_TAG, WrittenPixels, read_checked

ROWS, COLS = 90, 110
WHOLE = Window(0, 0, ROWS, COLS)
PLACE = raster_profile(utm_grid(32633, 300000, 5900040, ROWS, COLS))
REFERENCE = {"tile": "33UUU", "layer": Layer.S2, "window": WHOLE}


@pytest.fixture(scope="module")
def pixels():
    return town(ROWS, COLS)


def flips(size: int) -> list[tuple[int, int]]:
    """Bits of the whole file, and as many of its head and its end, where the tags lie."""
    rng = random.Random(13)  # noqa: S311 - not for a secret
    ends = [*range(700), *range(size - 700, size)]
    return [(rng.randrange(size), rng.randrange(8)) for _ in range(150)] + [
        (rng.choice(ends), rng.randrange(8)) for _ in range(150)
    ]


def test_a_flipped_bit_is_noticed_or_harmless(pixels, tmp_path):
    path = tmp_path / "block.tif"
    write_block(str(path), pixels, PLACE, 0, {FINGERPRINT_TAG: "f"})
    data = bytearray(path.read_bytes())
    noticed = 0
    for place, bit in flips(len(data)):
        data[place] ^= 1 << bit
        path.write_bytes(data)
        data[place] ^= 1 << bit
        try:
            found = read_window([RasterRef(path=str(path), **REFERENCE)], WHOLE, 4, "uint16", 0)
        except RasterError:
            noticed += 1
            assert is_damaged(str(path)), "else it would stay, and be a loss for ever"
        else:
            np.testing.assert_array_equal(found, pixels)
    assert noticed > 100


def test_a_tile_in_the_place_of_another_is_noticed(tmp_path):
    """A damaged offset leads to another tile, which decodes well."""
    pixels = np.zeros((512, 512), "uint16")
    pixels[:256], pixels[256:] = 1, 2
    path, swapped = tmp_path / "block.tif", tmp_path / "swapped.tif"
    place = raster_profile(utm_grid(32633, 300000, 5900040, 512, 512))
    write_block(str(path), pixels, place, 0, {})
    with rasterio.open(path) as source:
        tags, profile = source.tags(), source.profile
    with rasterio.open(swapped, "w", **profile) as target:
        target.write(pixels[::-1], 1)
        target.update_tags(**tags)
    with rasterio.open(swapped) as source, pytest.raises(RasterioIOError, match="checksum"):
        read_checked(source, Window(0, 0, 10, 10))


@pytest.mark.parametrize("tag", [None, "", "!", "AAAA", "AAAAAAAAAAA="])
def test_a_raster_without_its_sums_is_not_read(tag, tmp_path):
    path = tmp_path / "other.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", **PLACE) as target:
        if tag is not None:
            target.update_tags(**{SUMS_TAG: tag})
    with pytest.raises(RasterError, match="damaged: its checksums"):
        read_window([RasterRef(path=str(path), **REFERENCE)], WHOLE, 1, "uint8", 0)


@given(st.integers(0, 70), st.integers(0, 90), st.integers(1, 60), st.integers(1, 60), st.data())
@settings(max_examples=50, deadline=None)
def test_what_was_given_is_compared_pixel_by_pixel(row, col, height, width, data):
    pixels = np.random.default_rng(1).integers(0, 99, (2, 130, 150)).astype("uint8")
    window = Window(row, col, height, width)
    given_pixels = WrittenPixels("uint8", 32)
    given_pixels.add(window, pixels[:, row : row + height, col : col + width])
    strips = [Window(top, 0, min(32, 130 - top), 150) for top in range(0, 130, 32)]

    def all_there(stored):
        parts = (stored[:, s.row : s.bottom] for s in strips)
        return all(given_pixels.are_in(s, part) for s, part in zip(strips, parts, strict=True))

    assert all_there(pixels)
    band = data.draw(st.integers(0, 1))
    at = data.draw(st.integers(0, 129)), data.draw(st.integers(0, 149))
    pixels[band, *at] += 1
    inside = row <= at[0] < window.bottom and col <= at[1] < window.right
    assert all_there(pixels) is not inside
