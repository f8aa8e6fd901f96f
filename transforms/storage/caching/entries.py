"""The contents of a cache folder: names, notes, and the order of removal."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from transforms.elements import SourceFile, fingerprint
from transforms.storage.locations import masked

MARKER = "CACHEDIR.TAG"
"""This file marks the folder as a cache, also for programs that make backups."""
MARKER_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"  # as https://bford.info/cachedir says
    "# ghsl-beam keeps files of a Sentinel-2 archive here. It may remove any of them.\n"
)
NEW_MARKER = f"{MARKER}.new"
FOLDER_LOCK = "folder.lock"
_DATA = re.compile(r"([0-9a-f]{32})\.(file|zip)")
_BESIDE = re.compile(r"([0-9a-f]{32})\.(note|lock|(\d{1,18})\.partial)")


class Entry(NamedTuple):
    """A kept file: its name, its size, and the time of its last use (POSIX seconds)."""

    name: str
    size: int
    used: float

    @property
    def key(self) -> str:
        """The part of the name that all files of an entry share."""
        return self.name.partition(".")[0]


class Note(NamedTuple):
    """The size of a kept file, its SHA-256 when it arrived, and the checksum that was compared."""

    size: int
    sha256: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """The listing of a cache folder.

    Attributes:
        entries: the kept files.
        partials: key, reserved bytes and name of each file that is being written.
        beside: key, name and time of change of notes and locks.
        others: names of all other files.
    """

    entries: tuple[Entry, ...]
    partials: tuple[tuple[str, int, str], ...]
    beside: tuple[tuple[str, str, float], ...]
    others: tuple[str, ...]

    @property
    def size(self) -> int:
        """Used bytes, with the reserved ones."""
        return sum(entry.size for entry in self.entries) + sum(size for _, size, _ in self.partials)


def name_of(file: SourceFile) -> str:
    """The name of the entry of a file; another version of the file has another name."""
    # Not each catalogue has checksums: jobs of two catalogues share a file of a known version.
    checksum = "" if file.version else file.checksum
    key = fingerprint(file.location, file.size, file.version, checksum)
    # GDAL's paths into a zip need `.zip` in them.
    return f"{key}.{'zip' if file.location.lower().endswith('.zip') else 'file'}"


def partial_name(key: str, size: int) -> str:
    """The name of a file while it is written; it contains the final size."""
    return f"{key}.{size}.partial"


def read_folder(folder: str | Path) -> Listed:
    """List the folder of a cache; links are not followed, and are not entries.

    Raises:
        OSError: it cannot be listed.
    """
    entries, partials, beside, others = [], [], [], []
    with os.scandir(folder) as opened:
        for found in opened:
            data, other = _DATA.fullmatch(found.name), _BESIDE.fullmatch(found.name)
            if found.name in (MARKER, NEW_MARKER, FOLDER_LOCK):
                continue
            try:
                about = found.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it was just removed
            if not stat.S_ISREG(about.st_mode) or not (data or other):
                others.append(found.name)
            elif data:
                entries.append(Entry(found.name, about.st_size, about.st_mtime))
            elif other and other[3]:
                partials.append((other[1], int(other[3]), found.name))
            elif other:
                beside.append((other[1], found.name, about.st_mtime))
    return Listed(tuple(entries), tuple(partials), tuple(beside), tuple(sorted(others)))


def make_room(entries: Iterable[Entry], needed: int, remove: Callable[[Entry], bool]) -> int:
    """Remove the least recently used entries until enough bytes are free.

    Args:
        entries: entries that may be removed.
        needed: bytes; nothing is removed if this is 0 or less.
        remove: removes an entry; returns False if it is in use and stays.

    Returns:
        The bytes that were freed.

    Examples:
        >>> old, new = Entry("a.file", 5, 1.0), Entry("b.file", 5, 2.0)
        >>> gone = []
        >>> make_room([new, old], 3, lambda entry: not gone.append(entry.name))
        5
        >>> gone
        ['a.file']
    """
    free = 0
    for entry in sorted(entries, key=lambda entry: (entry.used, entry.name)):
        if free >= needed:
            break
        if remove(entry):
            free += entry.size
    return free


def write_note(folder: str | Path, key: str, note: Note, file: SourceFile) -> None:
    """Write the note of a file, with its location for people who look.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(folder, f"{key}.note")
    content = {**note._asdict(), "location": masked(file.location)}
    path.write_text(json.dumps(content), encoding="utf-8")


def read_note(folder: str | Path, key: str) -> Note | None:
    """Read the note of a file; None if it does not exist or cannot be read."""
    try:
        content = json.loads(Path(folder, f"{key}.note").read_bytes())
        checksum = str(content.get("checksum", ""))
        return Note(int(content["size"]), str(content["sha256"]), checksum)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
