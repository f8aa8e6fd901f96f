"""Bands: refused, or equal to the sound pixels wherever the damage does not reach.

JPEG 2000 carries no checksum, so what lies in a tile whose own bytes were changed in place cannot
be judged; nor can it where the head of the codestream was. Where bytes are missing or moved, the
chain of the tiles' lengths is broken, which a decoder can tell.
"""

import struct

import numpy as np

from tests.fuzz import mutators, sound
from transforms.assembly.reading import read_band


def prepare(folder):
    safe, dn = sound.product(folder)
    path = next(safe.glob("GRANULE/*/IMG_DATA/*_B04.jp2"))
    data = path.read_bytes()
    assert np.array_equal(_read(path), dn[0])
    return data, dn[0], _tile_parts(data)


def case(state, dice, folder, tell):
    data, pixels, parts = state
    mutation = mutators.mutate(data, dice)
    tell(mutation.what)
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
        if not inside and not np.array_equal(found[_of(tile)], pixels[_of(tile)]):
            wrong = int((found[_of(tile)] != pixels[_of(tile)]).sum())
            raise AssertionError(f"JPEG 2000 tile {tile}: {wrong} wrong pixels")
    return "cannot be judged (within a tile)"


def _read(path):
    return read_band(str(path), 32633, sound.ULX, sound.ULY, sound.WHOLE)


def _of(tile):
    across = -(-sound.COLS // 256)
    row, col = 256 * (tile // across), 256 * (tile % across)
    return slice(row, row + 256), slice(col, col + 256)


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
    assert len({tile for tile, _, _ in parts}) == 12
    return parts
