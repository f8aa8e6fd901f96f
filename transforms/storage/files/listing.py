"""Lists the files in folders, on local paths and on object storage."""

from __future__ import annotations

import glob as local_glob
import os
from pathlib import Path
from typing import Any

from transforms.elements import StorageError

from ..locations import is_url, name
from ..object_store import call
from .reading import Stored, local, of_object, stored_or_none
from .writing import is_partial


def listing(folder: str) -> list[str]:
    """Names directly in a folder, sorted; empty if there is no such folder.

    Files that `published` has not finished are left out.

    Raises:
        StorageError: it cannot be listed.
    """

    def names(system: Any, path: str) -> list[str]:
        entries = {str(entry["name"]).rstrip("/") for entry in system.ls(path, detail=True)}
        # A file, and the empty object that some tools create for a folder, list themselves.
        return sorted(name(entry) for entry in entries - {path.rstrip("/")})

    try:
        if is_url(folder):
            return call(folder, names)
        with local(folder):
            return sorted(name for name in os.listdir(folder) if not is_partial(name))
    except StorageError as error:
        if error.absent:
            return []
        raise


def contents(folder: str) -> dict[str, bool]:
    """Names directly in a folder, sorted, each with whether it is a folder.

    Unlike in `listing`, hidden and partial files are included. A link counts as its target. On
    object storage, the name "" means that there are keys with an empty part (`folder//`), which no
    location has. The result is empty if there is no such folder.

    Raises:
        StorageError: it cannot be listed.
    """

    def entries(system: Any, path: str) -> dict[str, bool]:
        kinds: dict[str, bool] = {}
        for entry in system.ls(path, detail=True):
            below = str(entry["name"]).rstrip("/")
            is_folder = entry["type"] == "directory"
            if below != path.rstrip("/"):
                # A key may be an object and also the beginning of other keys.
                kinds[name(below)] = kinds.get(name(below), False) or is_folder
            elif is_folder:  # the empty object that stands for the folder counts as a file
                kinds[""] = True
        return kinds

    try:
        if is_url(folder):
            kinds = call(folder, entries)
        else:
            with local(folder), os.scandir(folder) as opened:
                # `is_dir` raises an error for a link to itself.
                kinds = {
                    entry.name: os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                    for entry in opened
                }
    except StorageError as error:
        if error.absent:
            return {}
        raise
    return dict(sorted(kinds.items()))


def files_below(folder: str) -> dict[str, Stored]:
    """All files below a folder, by relative path, sorted; links are not followed.

    Raises:
        StorageError: it cannot be listed.
    """
    if is_url(folder):
        return objects_below(folder)
    with local(folder):
        paths = [
            Path(place, file)
            for place, _, files in os.walk(folder)
            for file in files
            if not is_partial(file)
        ]
    there = {path.relative_to(folder).as_posix(): stored_or_none(str(path)) for path in paths}
    return {name: about for name, about in sorted(there.items()) if about is not None}


def objects_below(url: str) -> dict[str, Stored]:
    """All objects below a URL, by relative name, sorted; empty if there are none.

    Raises:
        StorageError: it cannot be listed.
    """

    def find(system: Any, path: str) -> dict[str, Stored]:
        objects = system.find(path, detail=True)
        below = {key.removeprefix(path).lstrip("/"): objects[key] for key in sorted(objects)}
        return {key: of_object(about) for key, about in below.items() if key}

    return call(url, find)


def glob(base: str, pattern: str) -> list[str]:
    """Relative paths of the files below a folder that match a pattern, sorted.

    Raises:
        StorageError: it cannot be listed.
    """
    if not is_url(base):
        with local(base):
            return sorted(local_glob.glob(pattern, root_dir=base))

    def find(system: Any, path: str) -> list[str]:
        matches = system.glob(f"{local_glob.escape(path)}/{pattern}")
        return sorted(entry.removeprefix(path).lstrip("/") for entry in matches)

    return call(base, find)
