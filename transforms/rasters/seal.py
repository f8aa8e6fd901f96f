"""The seal of a published raster: its own size and checksum, in a tag of its header.

The header alone shows whether a file has its full length. All its bytes together show whether they
are the published ones. The seal is part of the file, so no separate record is needed.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

SEAL_TAG = "GHSL_SEAL"
BLANK_SEAL = f"{0:020d} {0:08x}"
"""The value of the tag before the file is sealed; it is as long as a seal."""
_TAG = f'<Item name="{SEAL_TAG}">'.encode()
_SEAL = re.compile(r"(\d{20}) ([0-9a-f]{8})")
_PIECE = 1 << 20
_HEAD = 8 << 20
"""Bytes at the beginning of a file that contain its tags, as in a cloud-optimised GeoTIFF."""


class Sum(NamedTuple):
    """Size of a file in bytes, and its hexadecimal SHA-256."""

    size: int
    sha256: str


class Content(NamedTuple):
    """The sum of a file, and whether its seal matches its bytes."""

    sum: Sum
    sealed: bool


def has_its_size(seal: str, size: int) -> bool:
    """Whether a seal states this size in bytes."""
    match = _SEAL.fullmatch(seal)
    return match is not None and int(match[1]) == size


def seal(path: Path) -> Sum:
    """Seal a local file that has a blank seal; its other tags must be filled in before.

    Raises:
        OSError: it cannot be written.
        ValueError: it has no blank seal.
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
    """Replace the blank value of a tag by one of the same length; return its position in bytes.

    Raises:
        OSError: it cannot be written.
        ValueError: the file has no such tag with this value.
    """
    if len(blank) != len(value):
        raise ValueError(f"{tag}: the value has {len(value)} characters, expected {len(blank)}")
    name = f'<Item name="{tag}">'.encode()
    file.seek(0)
    place = file.read(_HEAD).find(name + blank.encode() + b"<")
    if place < 0:
        raise ValueError(f"{tag}: the first {_HEAD} bytes of the file have no such tag")
    place += len(name)
    file.seek(place)
    file.write(value.encode())
    file.flush()
    return place


def content_of(file: BinaryIO) -> Content:
    """Read a whole file and compare it with its seal."""
    head = file.read(_HEAD)
    begin = head.find(_TAG) + len(_TAG)
    end = begin + len(BLANK_SEAL)
    match = _SEAL.fullmatch(head[begin:end].decode("latin-1"))
    digest = hashlib.sha256(head)
    crc = zlib.crc32(head[end:], zlib.crc32(head[:begin] + BLANK_SEAL.encode()))
    size = len(head)
    while piece := file.read(_PIECE):
        digest.update(piece)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    sealed = match is not None and (int(match[1]), int(match[2], 16)) == (size, crc)
    return Content(Sum(size, digest.hexdigest()), sealed)
