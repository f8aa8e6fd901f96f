"""What lies in the folder of a cache: names, notes, and which entry goes first."""

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
"""Its presence says that the folder is a cache, to us and to programs that make backups."""
MARKER_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"  # as https://bford.info/cachedir says
    "# ghsl-beam keeps files of a Sentinel-2 archive here. It may remove any of them.\n"
)
NEW_MARKER = f"{MARKER}.new"
FOLDER_LOCK = "folder.lock"
_DATA = re.compile(r"([0-9a-f]{32})\.(file|zip)")
_BESIDE = re.compile(r"([0-9a-f]{32})\.(note|lock|(\d{1,18})\.partial)")


class Entry(NamedTuple):
    """A file that is kept: its name, its bytes, and when it was last used (POSIX seconds)."""

    name: str
    size: int
    used: float

    @property
    def key(self) -> str:
        """What the files of an entry have in common."""
        return self.name.partition(".")[0]


class Note(NamedTuple):
    """What is known of a kept file: its bytes, and their SHA-256 when they came."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The folder of a cache.

    `entries` are the files that are kept; `partials` are key, reserved bytes and name of each that
    is being written; `beside` are key, name and time of change of notes and locks; `others` are the
    names of what is none of these.
    """

    entries: tuple[Entry, ...]
    partials: tuple[tuple[str, int, str], ...]
    beside: tuple[tuple[str, str, float], ...]
    others: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that are taken, those among them that are reserved."""
        return sum(entry.size for entry in self.entries) + sum(size for _, size, _ in self.partials)


def name_of(file: SourceFile) -> str:
    """The name of the entry of a file: another version of the file has another name."""
    key = fingerprint(file.location, file.size, file.version, file.checksum)
    # GDAL's names of what is in a zip have `.zip` in them.
    return f"{key}.{'zip' if file.location.lower().endswith('.zip') else 'file'}"


def partial_name(key: str, size: int) -> str:
    """The name of a file while it is written: it says how many bytes it will have."""
    return f"{key}.{size}.partial"


def read_folder(folder: str | Path) -> Listed:
    """What lies in the folder of a cache; links are not followed, and are no entries.

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
                continue  # it has just gone
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
        entries: those that may go.
        needed: bytes; nothing goes where this is 0 or less.
        remove: removes an entry; False where it is in use, and stays.

    Returns:
        The bytes that are free now, of those needed or more.

    Example:
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
    """Keep what is known of a file, with its location for people who look.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(folder, f"{key}.note")
    content = {**note._asdict(), "location": masked(file.location)}
    path.write_text(json.dumps(content), encoding="utf-8")


def read_note(folder: str | Path, key: str) -> Note | None:
    """What is known of a file; None where there is no note, or one that cannot be read."""
    try:
        content = json.loads(Path(folder, f"{key}.note").read_bytes())
        return Note(int(content["size"]), str(content["sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
