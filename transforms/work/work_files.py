"""What of a work area is a job's own: told by a marker and by names; all else is never touched.

A folder `work` beside the products may be a person's. It is a job's own where a launch made it,
which left a marker there, and of what lies in it that is which bears a name that jobs give. Links
are never a job's own, and never followed: what they lead to belongs to somebody else.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from transforms.elements import Layer, StorageError
from transforms.storage import storage

MARKER = "ghsl-beam-work-area.json"
"""Name of the file by which a launch knows that a launch made the work area."""
LOCK = "launch.lock"
"""Name of the launch lock."""
_CONTENT = {"made_by": "ghsl-beam", "format": 1}
_MAX_BYTES = 4096
_LOG = logging.getLogger(__name__)

_TILE, _HEX = r"\d{1,2}[A-Z]{3}", r"[0-9a-f]{32}"
_LAYER = "|".join(Layer)
_PARTS = (
    ("plan", rf"{_TILE}\.json"),
    ("blocks", rf"(?:{_LAYER})", _TILE, r"r\d+_c\d+_\d+x\d+\.tif"),
    ("grid", r"[\w.-]+", r"[A-Z0-9_]+", r"(?:R\d+_C\d+|x-?\d+_y-?\d+)_r\d+_c\d+\.tif"),
    ("losses", rf"{_HEX}\.json"),
    ("products", rf"{_HEX}\.json"),
    ("sums", r"[\w-]+", rf"{_HEX}\.json"),
    ("events", r"\d{8}T\d{6}\.\d{6}Z-\d+", r".+-\d+\.jsonl"),
)
"""Names of the folders, and of the files in the last of them, level by level."""
_PARTIAL = re.compile(
    r"\.(?P<stem>.+)\.[0-9a-f]{8}\.partial(?P<suffix>\.[^./]+)?(?P<more>\.[^/]+)?"
)
"""A file that is still being written, or was when its process was killed."""
_PRODUCT = re.compile(
    r"(run|catalog)\.json|report/index\.html|stac/[^/]+/[^/]+\.json|(utm|grid)/[^/]+/[^/]+\.(tif|vrt)"
)
"""What a launch makes beside its work area, a path from the output."""


def problem(folder: str) -> str | None:
    """Why a launch must not work in a folder, in a few words; None where it may.

    A work area of a launch may be there, or an empty folder, or none.

    Raises:
        StorageError: the storage does not say what is there.
    """
    if not storage.is_url(folder):
        if os.path.islink(folder):
            return "is a link, but a work area must be a folder"
        if os.path.lexists(folder) and not os.path.isdir(folder):
            return "is not a folder"
    names = set(_entries(folder))
    made = MARKER in names and _is_marker(storage.join(folder, MARKER))
    if not made:
        # An ending launch removes the lock last.
        names -= {name for name in names if _is_lock(folder, name)}
    for name in sorted(names, key=lambda name: (name.endswith("/"), name)):  # a file says more
        if not (made and is_own(name)):
            return f"holds {name}, which no launch made"
    return None


def claim(folder: str) -> None:
    """Mark a folder as a work area, if it is not marked yet.

    Raises:
        StorageError: it cannot be written.
    """
    marker = storage.join(folder, MARKER)
    if not storage.is_file(marker):
        storage.write_whole(marker, json.dumps(_CONTENT).encode())


def is_own(name: str) -> bool:
    """Whether jobs give such a name, a path from the work area; of folders it ends with a slash."""
    *above, last = name.removesuffix("/").split("/")
    partial = _PARTIAL.fullmatch(last)
    if partial and not name.endswith("/"):
        last = partial["stem"] + (partial["suffix"] or "")
    levels = [*above, last]
    if name.endswith("/"):
        return any(len(levels) < len(part) and _fits(levels, part) for part in _PARTS)
    return levels in ([MARKER], [LOCK]) or any(
        len(levels) == len(part) and _fits(levels, part) for part in _PARTS
    )


def clear(folder: str, below: str = "") -> None:
    """Remove what is a job's own below a part of a work area; of the whole, all but its lock.

    Raises:
        StorageError: something cannot be removed.
    """
    prefix = f"{below}/" if below else ""
    own = [name for name in _entries(folder, prefix) if is_own(name) and name != LOCK]
    files = [name for name in own if not name.endswith("/")]
    # The marker goes last: without it, what is left would be nobody's.
    files.sort(key=lambda name: name == MARKER)
    storage.remove_files([storage.join(folder, name) for name in files])
    if storage.is_url(folder):
        return
    folders = [name for name in own if name.endswith("/")]
    for name in sorted(folders, key=len, reverse=True):
        _remove_if_empty(storage.join(folder, name))


def remove(folder: str) -> None:
    """Remove a work area whole, its lock last: as soon as that is gone, another launch may begin.

    Raises:
        StorageError: something cannot be removed.
    """
    clear(folder)
    storage.remove(storage.join(folder, LOCK))
    if not storage.is_url(folder):
        _remove_if_empty(folder)


def remove_unfinished(output: str) -> None:
    """Remove what killed processes of earlier launches were writing beside the products.

    For a launch that holds the output. Object storage has nothing of the kind: an object is there
    whole or not at all.
    """
    if storage.is_url(output):
        return
    for pattern in (".*", "report/.*", "stac/*/.*", "utm/*/.*", "grid/*/.*"):
        for path in Path(output).glob(pattern):
            found = _PARTIAL.fullmatch(path.name)
            if not found or path.is_symlink() or not path.is_file():
                continue
            # The suffix of the final name, which those of a raster's parts follow or precede.
            suffixes = f"{found['suffix'] or ''}{found['more'] or ''}".split(".")
            folder = path.parent.relative_to(output).as_posix().removeprefix(".")
            finals = (f"{folder}/{found['stem']}.{suffix}".lstrip("/") for suffix in suffixes)
            if any(map(_PRODUCT.fullmatch, finals)):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _LOG.warning(
                        "%s is no longer needed but cannot be removed: %s", path, error.strerror
                    )


def _fits(levels: Iterable[str], part: Iterable[str]) -> bool:
    return all(re.fullmatch(pattern, level) for level, pattern in zip(levels, part, strict=False))


def _entries(folder: str, prefix: str = "") -> Iterator[str]:
    """Paths of all that lies below, from the folder; those of folders end with a slash."""
    if storage.is_url(folder):
        below = storage.join(folder, prefix.rstrip("/")) if prefix else folder
        yield from (prefix + name for name in storage.objects_below(below))
        return
    above = [folder]
    for level in prefix.rstrip("/").split("/") if prefix else ():
        above.append(os.path.join(above[-1], level))
    if any(map(os.path.islink, above)):
        return
    if prefix and os.path.isdir(above[-1]):
        yield prefix
    with suppress(FileNotFoundError):  # none, or an ending launch has just removed it
        yield from _walk(Path(folder), prefix, os.stat(folder).st_dev)


def _walk(folder: Path, prefix: str, device: int) -> Iterator[str]:
    place = folder / prefix
    try:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_dev != device:
                        yield f"{name}/ (another disk)"
                        continue
                    yield f"{name}/"
                    yield from _walk(folder, f"{name}/", device)
                else:
                    plain = entry.is_file(follow_symlinks=False)
                    yield name if plain else f"{name} (a link, or no file)"
    except OSError as error:
        raise StorageError(str(place), error.strerror or str(error)) from error


def _is_marker(path: str) -> bool:
    try:
        content = json.loads(storage.read_bytes(path, _MAX_BYTES))
    except (StorageError, ValueError):
        return False
    return isinstance(content, dict) and content == _CONTENT


def _is_lock(folder: str, name: str) -> bool:
    """Whether it is the lock, or the beginning of a marker, by what is in it."""
    if not is_own(name) or name.count("/"):
        return False
    if name != LOCK:
        return name != MARKER
    try:
        content = storage.read_bytes(storage.join(folder, name), _MAX_BYTES)
    except StorageError as error:
        return error.absent
    return not content or content.startswith((b"process ", b'{"launch": '))


def _remove_if_empty(path: str) -> None:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if os.path.isdir(path) and os.listdir(path):
            _LOG.warning("%s stays: it holds what no launch made", path)
            return
        raise StorageError(path, error.strerror or str(error)) from error
