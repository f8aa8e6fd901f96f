"""OpenStreetMap's .osm.pbf: checks that a file is whole, and configures GDAL to read it.

The sizes of the blocks show a truncated download before anything is read; this takes no time. GDAL
finds damage inside a block (see `lines`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from ghsl_beam.tools.roads.tags import OSM_TAGS
from transforms.elements import StorageError
from transforms.storage.temporary import process_folder
from transforms.storage.vector_formats import check_regular

_MAX_HEAD, _MAX_BLOCK = 64 << 10, 64 << 20
"""Largest numbers of bytes that the format allows (it recommends half of that)."""
_LINE_TAGS = ",".join(OSM_TAGS)
_CONFIGURATION = f"""\
closed_ways_are_polygons=
attribute_name_laundering=no
report_all_nodes=no
report_all_ways=no
[points]
osm_id=no
attributes=highway
[lines]
osm_id=no
attributes={_LINE_TAGS}
[multipolygons]
osm_id=no
attributes=highway
[multilinestrings]
osm_id=no
attributes=highway
[other_relations]
osm_id=no
attributes=highway
"""
"""Configuration of GDAL's driver: each tag that is read becomes a field, and other tags are not
kept. A closed way is a line, except with `area=yes`."""


def is_pbf(location: str) -> bool:
    """Whether a file is .osm.pbf, by its name."""
    return location.lower().endswith(".osm.pbf")


def configuration() -> str:
    """A file with the tags that GDAL's driver reads; it is removed with the process."""
    handle, path = tempfile.mkstemp(suffix=".ini", dir=process_folder())
    with os.fdopen(handle, "w") as file:
        file.write(_CONFIGURATION)
    return path


def check_pbf(path: str) -> None:
    """Check that a local file is OpenStreetMap's PBF and ends with its last block.

    Raises:
        StorageError: it does not, or GDAL cannot use its name.
    """
    check_regular(path)
    if "!" in path:  # pyogrio takes the part before it for an archive
        raise StorageError(
            path, "has a '!' in its path, which GDAL does not take as part of a name: rename it"
        )
    size = os.path.getsize(path)
    with Path(path).open("rb") as file:
        place, number = 0, 0
        while place < size:
            found = _block(file, number)
            if found is None:
                reason = (
                    f"block {number + 1}, at byte {place}, is damaged; download the file again"
                    if number
                    else "has the name of OpenStreetMap's PBF, but is not one"
                )
                raise StorageError(path, reason)
            place, number = place + found, number + 1
            if place > size:
                raise StorageError(
                    path, f"is cut off: {size} bytes, expected {place} at least; download it again"
                )
            file.seek(place)
    if not number:
        raise StorageError(path, "is empty, expected OpenStreetMap's PBF; download it again")


def _block(file: BinaryIO, number: int) -> int | None:
    """Size in bytes of the block that begins here, with its header; None at the end.

    Source: the OpenStreetMap wiki, PBF Format, File format.
    """
    length = int.from_bytes(file.read(4), "big")
    if not 0 < length <= _MAX_HEAD:
        return None
    head = file.read(length)
    fields = _fields(head)
    kind, bytes_of_block = fields.get(1), fields.get(3)
    expected = b"OSMHeader" if number == 0 else b"OSMData"
    if kind != expected or not isinstance(bytes_of_block, int) or bytes_of_block > _MAX_BLOCK:
        return None
    return 4 + length + bytes_of_block


def _fields(message: bytes) -> dict[int, int | bytes]:
    """Numbers and bytes of a protocol buffer message; a truncated field is left out."""
    found: dict[int, int | bytes] = {}
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        value, place = _number(message, place)
        if key & 7 == 0:
            found[key >> 3] = value
        elif key & 7 == 2 and place + value <= len(message):
            found[key >> 3] = message[place : place + value]
            place += value
        else:
            break
    return found


def _number(message: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the position after it."""
    value = shift = 0
    for byte in message[place : place + 10]:
        value |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:
            break
    return value, place
