"""The seal of a published raster: its own size and checksum, in a tag of its header.

With the header alone it is known whether a file has its length, and with its bytes whether they are
those that were published. The seal travels with the file: it needs no record beside it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

SEAL_TAG = "GHSL_SEAL"
BLANK_SEAL = f"{0:020d} {0:08x}"
"""What the tag holds before the file is sealed: as long as a seal."""
_TAG = f'<Item name="{SEAL_TAG}">'.encode()
_SEAL = re.compile(r"(\d{20}) ([0-9a-f]{8})")
_PIECE = 1 << 20
_HEAD = 8 << 20
"""Bytes at the beginning of a file that hold its tags, as in a cloud-optimised GeoTIFF."""


class Sum(NamedTuple):
    """Bytes of a file, and the hexadecimal SHA-256 of all of them."""

    size: int
    sha256: str


class Content(NamedTuple):
    """A file's sum, and whether its seal is that of its bytes."""

    sum: Sum
    sealed: bool


def has_its_size(seal: str, size: int) -> bool:
    """Whether a seal is that of a file of so many bytes."""
    match = _SEAL.fullmatch(seal)
    return match is not None and int(match[1]) == size


def seal(path: Path) -> Sum:
    """Seal a local file that carries a blank seal; other tags may be filled in before.

    Raises:
        OSError: it cannot be written.
        ValueError: it carries no blank seal.
    """
    with path.open("r+b") as file:
        place = fill(file, SEAL_TAG, BLANK_SEAL, BLANK_SEAL)
        file.seek(0)
        crc, size = 0, 0
        while piece := file.read(_PIECE):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
        file.seek(place)
        file.write(f"{size:020d} {crc:08x}".encode())
        file.flush()
        file.seek(0)
        return Sum(size, hashlib.file_digest(file, "sha256").hexdigest())


def fill(file: BinaryIO, tag: str, blank: str, value: str) -> int:
    """Overwrite the blank value of a tag with one of the same length; returns where it lies.

    Raises:
        OSError: it cannot be written.
        ValueError: the file has no such tag with this value.
    """
    if len(blank) != len(value):
        raise ValueError(f"{tag}: a value of {len(blank)} characters was expected")
    name = f'<Item name="{tag}">'.encode()
    file.seek(0)
    place = file.read(_HEAD).find(name + blank.encode() + b"<")
    if place < 0:
        raise ValueError(f"{tag}: no such tag in the head of the file")
    place += len(name)
    file.seek(place)
    file.write(value.encode())
    file.flush()
    return place


def content_of(file: BinaryIO) -> Content:
    """Read a file whole, and compare it with its seal."""
    head = file.read(_HEAD)
    begin = head.find(_TAG) + len(_TAG)
    end = begin + len(BLANK_SEAL)
    found = _SEAL.fullmatch(head[begin:end].decode("latin-1"))
    digest = hashlib.sha256(head)
    crc = zlib.crc32(head[end:], zlib.crc32(head[:begin] + BLANK_SEAL.encode()))
    size = len(head)
    while piece := file.read(_PIECE):
        digest.update(piece)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    sealed = found is not None and (int(found[1]), int(found[2], 16)) == (size, crc)
    return Content(Sum(size, digest.hexdigest()), sealed)
