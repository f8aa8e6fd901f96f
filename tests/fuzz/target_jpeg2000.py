"""Bands: refused, or equal to the sound pixels wherever the damage does not reach.

JPEG 2000 carries no checksum, so what lies in a tile whose own bytes were changed in place cannot
be judged; nor can it where the head of the codestream was. Where bytes are missing or moved, the
chain of the tiles' lengths is broken, which a decoder can tell.
"""

import struct

import numpy as np
import rasterio

from tests.fuzz import mutators, sound
from tests.support.grids import grid_at
from tests.support.scenes import town
from transforms.assembly.reading import read_band

TILINGS = (256, 640, 1024)
"""Sides of JPEG 2000 tiles; the last holds the whole band, as bands at 60 m have it."""


def prepare(folder):
    pixels = town(sound.ROWS, sound.COLS)[0]
    made = []
    for side in TILINGS:
        path = folder / f"{side}.jp2"
        profile = {
            "driver": "JP2OpenJPEG",
            "height": sound.ROWS,
            "width": sound.COLS,
            "count": 1,
            "dtype": "uint16",
            "crs": "EPSG:32633",
            "transform": sound.GRID,
            "quality": 100,
            "reversible": "YES",
            "blockxsize": side,
            "blockysize": side,
        }
        with rasterio.open(path, "w", **profile) as target:
            target.write(pixels, 1)
        assert np.array_equal(_read(path), pixels)
        data = path.read_bytes()
        made.append((data, _tile_parts(data), side))
    return made, pixels


def case(state, dice, folder, tell):
    made, pixels = state
    data, parts, side = dice.choice(made)
    mutation = mutators.mutate(data, dice)
    tell(f"tiles of {side}: {mutation.what}")
    if mutation.data == data:
        return "the same"
    path = folder / "T33UUU_20200615T102101_B04.jp2"
    path.write_bytes(mutation.data)
    found = _read(path)
    if np.array_equal(found, pixels):
        return "equal"
    first = min(parts, key=lambda part: part[1])[1]
    if min(mutation.places) < first:
        return "cannot be judged (head)"
    assert not mutation.moved, "what lies elsewhere, or is missing, is taken for whole"
    for tile, begin, end in parts:
        inside = any(begin <= place < end for place in mutation.places)
        if not inside and not np.array_equal(found[_of(tile, side)], pixels[_of(tile, side)]):
            wrong = int((found[_of(tile, side)] != pixels[_of(tile, side)]).sum())
            raise AssertionError(f"JPEG 2000 tile {tile}: {wrong} wrong pixels")
    return "cannot be judged (within a tile)"


def _read(path):
    return read_band(str(path), grid_at(32633, sound.ULX, sound.ULY, sound.WHOLE))


def _of(tile, side):
    across = -(-sound.COLS // side)
    row, col = side * (tile // across), side * (tile % across)
    return slice(row, row + side), slice(col, col + side)


def _tile_parts(data):
    """Tile number, first byte and end of each tile-part.

    Source: ISO/IEC 15444-1, A.4.2: SOT, its length 10, tile, bytes from SOT on, part, parts.
    """
    place = data.index(b"\xff\x90\x00\x0a")
    parts = []
    while data[place : place + 4] == b"\xff\x90\x00\x0a":
        tile, length = struct.unpack_from(">HI", data, place + 4)
        parts.append((tile, place, place + length))
        place += length
    assert data[place : place + 2] == b"\xff\xd9"
    return parts
