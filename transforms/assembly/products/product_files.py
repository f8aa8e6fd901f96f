"""The files of one product, in a folder, on object storage or in a zip, by safe relative names."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from bisect import bisect_left
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Protocol

from transforms.elements import SceneError, SourceFile, StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import VSIZIP, gdal_path, location_of

from .naming import (
    PRODUCT_FILE,
    band_told,
    is_packed,
    is_part_folder,
    is_product,
    parse_name,
    printable,
)
from .zips import list_members, one_line, read_member, split_zip_path

MAX_ENTRIES = 100_000
MAX_DEPTH = 32
SMALL = 8 << 20
"""Bytes up to which a file's content is looked at to tell it from another of the same size."""


class ProductFiles(Protocol):
    """A product's tree; names are relative, with `/`, and listed in order."""

    path: str
    in_folder: bool
    """Whether it lies unpacked, in a folder of its own."""

    @property
    def name(self) -> str:
        """Name of the product's own folder, else of the archive."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder ("" is the product itself), sorted; empty if there is none."""
        ...

    def is_file(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """A file's bytes; SceneError where it cannot be read or is larger than the limit."""
        ...

    def gdal_path(self, name: str) -> str:
        """The file as GDAL opens it; SceneError where it lies outside the product."""
        ...

    def size(self, names: tuple[str, ...]) -> int:
        """Bytes of these files, of the whole archive in a zip."""
        ...

    def source(self, name: str) -> SourceFile:
        """The file as it is listed; in a zip, the whole archive."""
        ...

    def mark(self, name: str, small: bool = False) -> str:
        """What every copy of a file shares, at no request: its size, in a zip its checksum too.

        Of a `small` file also its content, read where no listing tells it; SceneError as in `read`.
        """
        ...


def open_products(path: str) -> list[ProductFiles]:
    """The files of the products that lie in a `.zip`, or of the one that a folder is.

    Empty where a folder is no product itself. Raises SceneError where there is neither folder nor
    zip, or the zip holds no product.
    """
    path = path.rstrip("/") if storage.is_url(path) else os.path.abspath(path)
    if not path.isprintable():
        raise SceneError(printable(path), "control character in a name")
    try:
        if path.lower().endswith(".zip") and storage.is_file(path):
            return [*zip_products(path)]
        if storage.is_folder(path):
            files = ObjectFiles(path) if storage.is_url(path) else FolderFiles(path)
            return [files] if is_product(files.names("")) else []
    except StorageError as error:
        raise SceneError(path, f"not readable: {error.reason}") from error
    if os.path.islink(path):
        raise SceneError(path, "a link that leads nowhere")
    raise SceneError(path, "no product: expected a .SAFE folder or a .zip")


def product_file(files: ProductFiles) -> str:
    """Name of the product's own metadata file; SceneError where there is not exactly one."""
    found = [name for name in files.names("") if PRODUCT_FILE.fullmatch(name)]
    if len(found) != 1:
        what = "no product metadata" if not found else f"product metadata in {', '.join(found)}"
        raise SceneError(files.path, f"{what}, expected one of MTD_MSIL1C.xml, MTD_MSIL2A.xml")
    return found[0]


def unsafe(name: str) -> str | None:
    """Why a relative name is not to be followed, None where it is safe."""
    if not name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "absolute or empty name"
    if "\\" in name or not name.isprintable():
        return "backslash or control character in a name"
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return "name that leaves its folder"
    return None


def read_bytes(path: str, limit: int) -> bytes:
    """Bytes of a file as `gdal_path` names it; SceneError as in `ProductFiles.read`."""
    inside = split_zip_path(path)
    if inside is None:
        return _read_file(location_of(path), limit)
    return read_member(*inside, limit)


def check_names(path: str, names: Collection[str], where: str) -> None:
    """Raises SceneError where there are too many names, or one is not to be followed."""
    if len(names) > MAX_ENTRIES:
        raise SceneError(path, f"{len(names)} entries {where}, at most {MAX_ENTRIES}")
    for name in names:
        reason = unsafe(name)
        if name.count("/") > MAX_DEPTH:
            reason = f"more than {MAX_DEPTH} folders in a name"
        if reason:
            raise SceneError(path, f"{reason} {where}: {name[:120]!r}")


class FolderFiles:
    """A product that lies unpacked; links out of it are not followed."""

    in_folder = True

    def __init__(self, path: str) -> None:
        self.path = path
        self._root = os.path.realpath(self.path)

    @property
    def name(self) -> str:
        """See `ProductFiles`."""
        return storage.name(self.path)

    def names(self, folder: str) -> list[str]:
        """See `ProductFiles`."""
        try:
            return sorted(os.listdir(os.path.join(self.path, folder) if folder else self.path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SceneError(os.path.join(self.path, folder), one_line(error)) from error

    def is_file(self, name: str) -> bool:
        """See `ProductFiles`."""
        return unsafe(name) is None and os.path.isfile(os.path.join(self.path, name))

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return _read_file(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        reason = unsafe(name)
        if reason:
            raise SceneError(self.path, f"{reason}: {name[:120]!r}")
        path = os.path.join(self.path, name)
        if os.path.commonpath([self._root, os.path.realpath(path)]) != self._root:
            raise SceneError(path, "a link that leads out of the product")
        return path

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        try:
            return sum(os.path.getsize(os.path.join(self.path, name)) for name in names)
        except OSError as error:
            raise SceneError(self.path, one_line(error)) from error

    def source(self, name: str) -> SourceFile:
        """See `ProductFiles`."""
        return SourceFile(self.gdal_path(name), self.size((name,)))

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`."""
        size = self.size((name,))
        return f"{size} {_md5(self, name)}" if small and size <= SMALL else str(size)


class _Listed:
    """A product whose names are all known at once, below a folder of a zip or of a bucket."""

    def __init__(self, path: str, names: Iterable[str], prefix: str = "") -> None:
        self.path = path
        self._prefix = prefix
        inside = [n.removeprefix(prefix) for n in names if n.startswith(prefix) and n != prefix]
        self._files = {name for name in inside if not name.endswith("/")}
        self._folders: dict[str, set[str]] = {}
        for name in inside:
            parts = name.removesuffix("/").split("/")
            for depth in range(len(parts)):
                self._folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    def names(self, folder: str) -> list[str]:
        """See `ProductFiles`."""
        return sorted(self._folders.get(folder, ()))

    def is_file(self, name: str) -> bool:
        """See `ProductFiles`."""
        return name in self._files

    def _place(self, name: str) -> str:
        """The name from `path`."""
        reason = unsafe(name)
        if reason:
            raise SceneError(self.path, f"{reason}: {name[:120]!r}")
        return f"{self._prefix}{name}"


class ObjectFiles(_Listed):
    """A product that lies unpacked on object storage: listed once, in a request or two."""

    in_folder = True

    def __init__(self, path: str) -> None:
        self._objects = storage.objects_below(path)
        check_names(path, self._objects, "in the product")
        super().__init__(path, self._objects)

    @property
    def name(self) -> str:
        """See `ProductFiles`."""
        return storage.name(self.path)

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        return gdal_path(storage.join(self.path, self._place(name)))

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        return sum(self._objects[self._place(name)].size for name in names)

    def source(self, name: str) -> SourceFile:
        """See `ProductFiles`."""
        stored = self._objects[self._place(name)]
        return SourceFile(storage.join(self.path, name), stored.size, stored.version)

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`."""
        stored = self._objects[self._place(name)]
        if not small or stored.size > SMALL:
            return str(stored.size)
        # S3's mark of an object that was written in one part is its MD5.
        mark = stored.version.strip('"')
        known = re.fullmatch("[0-9a-f]{32}", mark) is not None
        return f"{stored.size} {mark if known else _md5(self, name)}"


class ZipFiles(_Listed):
    """A product in a zip archive, below a folder of it."""

    in_folder = False

    def __init__(self, path: str, entries: Iterable[zipfile.ZipInfo], prefix: str = "") -> None:
        entries = list(entries)
        super().__init__(path, (entry.filename for entry in entries), prefix)
        self._marks = {entry.filename: f"{entry.file_size} {entry.CRC:08x}" for entry in entries}

    @cached_property
    def _stored(self) -> storage.Stored:
        return storage.stored(self.path)

    @property
    def name(self) -> str:
        """Name of the product's own folder, else of the archive."""
        return self._prefix.rstrip("/").rpartition("/")[2] or storage.name(self.path)

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        return f"{VSIZIP}{gdal_path(self.path)}/{self._place(name)}"

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        return self._stored.size

    def source(self, name: str) -> SourceFile:
        """See `ProductFiles`."""
        # A local file's version holds its inode, which a copy does not share.
        version = self._stored.version if storage.is_url(self.path) else ""
        return SourceFile(self.path, self._stored.size, version)

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`."""
        return self._marks[self._place(name)]


def zip_products(path: str) -> list[ZipFiles]:
    """The products in a zip; SceneError where it is unsafe, not readable or holds none."""
    members = list_members(path)
    names = [member.filename for member in members]
    check_names(path, names, "in the zip")
    prefixes = _prefixes(names)
    if not prefixes:
        raise SceneError(path, "no product metadata in the zip, expected a product")
    return [ZipFiles(path, members, prefix) for prefix in prefixes]


def _prefixes(names: list[str]) -> list[str]:
    """Folders of products in a zip, each with its `/`, "" is the zip itself; and archives in it.

    A folder that is named as a product counts too, unless it lies around one, and so does one of
    bands or of a granule that is no part of a product: opened, they tell what is missing.
    """
    folders: dict[str, set[str]] = {}
    for name in names:
        parts = name.removesuffix("/").split("/")
        for depth in range(len(parts)):
            folders.setdefault("".join(f"{p}/" for p in parts[:depth]), set()).add(parts[depth])
        if name.lower().endswith(".zip") or is_packed(name):
            folders.setdefault(f"{name}/", set())
    of_products = sorted(folder for folder, inside in folders.items() if is_product(inside))
    found: dict[str, None] = {}
    for folder in sorted(folders):
        if folder.startswith("__MACOSX/"):
            continue
        last = folder.rstrip("/").rpartition("/")[2]
        named = last.lower().endswith((".safe", ".zip")) or _is_name(last) or is_packed(last)
        at = bisect_left(of_products, folder)
        around = at < len(of_products) and of_products[at].startswith(folder)
        alone = not around and (named or _parts_alone(folders[folder]))
        whole = around and of_products[at] == folder
        if (whole or alone) and (named or not _below_one(folder, found)):
            found[folder] = None
    return list(found)


def _parts_alone(inside: set[str]) -> bool:
    return "MTD_TL.xml" in inside or "IMG_DATA" in inside or any(map(band_told, inside))


def _below_one(folder: str, found: Collection[str]) -> bool:
    """Whether a folder is a part of one that is found, or lies in such a part."""
    parts = folder.split("/")[:-1]
    return any(
        is_part_folder(part) and "".join(f"{p}/" for p in parts[:depth]) in found
        for depth, part in enumerate(parts)
    )


def _is_name(text: str) -> bool:
    name = parse_name(text)
    return name is not None and name.text == text


def _md5(files: ProductFiles, name: str) -> str:
    return hashlib.md5(files.read(name, SMALL), usedforsecurity=False).hexdigest()


def _read_file(location: str, limit: int) -> bytes:
    try:
        if not storage.is_url(location) and not stat.S_ISREG(os.stat(location).st_mode):
            raise SceneError(location, "not a regular file")
        return storage.read_bytes(location, limit)
    except StorageError as error:
        raise SceneError(location, f"not readable: {error.reason}") from error
    except OSError as error:
        raise SceneError(location, f"not readable: {one_line(error)}") from error
