"""Decides which files of a work area belong to the job, and removes only those.

A folder `work` beside the products may belong to a person. It belongs to the job if a launch made
it, which the marker file in it shows. In such a folder, a file belongs to the job if its name is
one that jobs give. Links never belong to the job and are never followed, because their targets
belong to somebody else.
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
"""Name of the file that shows that a launch made the work area."""
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
"""Patterns of the folder names and, last, of the file names, level by level."""
_PARTIAL = re.compile(
    r"\.(?P<stem>.+)\.[0-9a-f]{8}\.partial(?P<suffix>\.[^./]+)?(?P<more>\.[^/]+)?"
)
"""A file that is still being written, or that a killed process left."""
_PRODUCT = re.compile(
    r"(run|catalog)\.json|ghsl-beam\.qgs|report/index\.html|stac/[^/]+/[^/]+\.json"
    r"|utm/[^/]+\.(vrt|qml)|(utm|grid)/[^/]+/[^/]+\.(tif|vrt|qml|tif\.aux\.xml)"
    r"|masks/[^/]+/[^/]+\.(tif|json)"
)
"""Files that a launch makes beside its work area, relative to the output."""


def problem(folder: str) -> str | None:
    """Why a launch must not work in a folder, in a few words; None if it may.

    The folder may be a work area of a launch, be empty, or not exist.

    Raises:
        StorageError: the storage does not say what is in the folder.
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
    for name in sorted(
        names, key=lambda name: (name.endswith("/"), name)
    ):  # files first: they say more
        if not (made and is_own(name)):
            return f"contains {name}, which no launch made"
    return None


def claim(folder: str) -> None:
    """Mark a folder as a work area, unless it is marked already.

    Raises:
        StorageError: the marker cannot be written.
    """
    marker = storage.join(folder, MARKER)
    if not storage.is_file(marker):
        storage.write_whole(marker, json.dumps(_CONTENT).encode())


def is_own(name: str) -> bool:
    """Whether jobs give this name, relative to the work area; names of folders end with a slash."""
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
    """Remove the job's files below a part of a work area; for the whole area, all but its lock.

    Raises:
        StorageError: something cannot be removed.
    """
    prefix = f"{below}/" if below else ""
    own = [name for name in _entries(folder, prefix) if is_own(name) and name != LOCK]
    files = [name for name in own if not name.endswith("/")]
    # The marker goes last: without it, nobody would know whose the other files are.
    files.sort(key=lambda name: name == MARKER)
    storage.remove_files([storage.join(folder, name) for name in files])
    if storage.is_url(folder):
        return
    folders = [name for name in own if name.endswith("/")]
    for name in sorted(folders, key=len, reverse=True):
        _remove_if_empty(storage.join(folder, name))


def remove(folder: str) -> None:
    """Remove a whole work area, its lock last: without the lock, another launch may begin.

    Raises:
        StorageError: something cannot be removed.
    """
    clear(folder)
    storage.remove(storage.join(folder, LOCK))
    if not storage.is_url(folder):
        _remove_if_empty(folder)


def remove_unfinished(output: str) -> None:
    """Remove partial files that killed processes of earlier launches left beside the products.

    Only the launch that holds the lock of the output may call this. Object storage has no partial
    files: an object is there whole or not at all.
    """
    if storage.is_url(output):
        return
    for pattern in (
        ".*",
        "report/.*",
        "stac/*/.*",
        "utm/.*",
        "utm/*/.*",
        "grid/*/.*",
        "masks/*/.*",
    ):
        for path in Path(output).glob(pattern):
            partial = _PARTIAL.fullmatch(path.name)
            if not partial or path.is_symlink() or not path.is_file():
                continue
            # The suffix of the final name is one of these; parts of a raster have more suffixes.
            suffixes = f"{partial['suffix'] or ''}{partial['more'] or ''}".split(".")
            folder = path.parent.relative_to(output).as_posix().removeprefix(".")
            finals = (f"{folder}/{partial['stem']}.{suffix}".lstrip("/") for suffix in suffixes)
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
    """Relative paths of everything below a folder; those of folders end with a slash."""
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
    with suppress(FileNotFoundError):  # an ending launch may have removed it
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
                    yield name if plain else f"{name} (a link, or not a file)"
    except OSError as error:
        raise StorageError(str(place), error.strerror or str(error)) from error


def _is_marker(path: str) -> bool:
    try:
        content = json.loads(storage.read_bytes(path, _MAX_BYTES))
    except (StorageError, ValueError):
        return False
    return isinstance(content, dict) and content == _CONTENT


def _is_lock(folder: str, name: str) -> bool:
    """Whether a file is, by its content, the lock or the beginning of a marker."""
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
            _LOG.warning("%s is kept: it contains files that no launch made", path)
            return
        raise StorageError(path, error.strerror or str(error)) from error
