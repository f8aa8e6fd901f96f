"""The files of one product by safe relative names: in a folder, on object storage or in a zip."""

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
from transforms.storage.gdal_access import VSIZIP, gdal_path, location_of, split_zip_path

from .naming import (
    PRODUCT_FILE,
    is_packed,
    is_part_folder,
    is_product,
    parse_band_name,
    parse_name,
    printable,
)
from .zips import list_members, one_line, read_member

MAX_ENTRIES = 100_000
MAX_DEPTH = 32
SMALL = 8 << 20
"""Bytes; up to this size, the content of a file is compared, not only its size."""


class ProductFiles(Protocol):
    """The files of a product; names are relative, with `/`, and listed in order."""

    path: str
    in_folder: bool
    """Whether the product is unpacked, in its own folder."""
    offset_applied: bool
    """Whether the offset in the metadata was already added to the pixels."""

    @property
    def name(self) -> str:
        """Name of the product's own folder, or else of the archive."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder ("" is the product itself), sorted; empty if there is none."""
        ...

    def is_file(self, name: str) -> bool:
        """Whether such a file exists."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file; SceneError if it cannot be read or is larger than the limit."""
        ...

    def gdal_path(self, name: str) -> str:
        """The file's path for GDAL; SceneError if it is outside the product."""
        ...

    def size(self, names: tuple[str, ...]) -> int:
        """Size of these files in bytes; in a zip, the size of the whole archive."""
        ...

    def source(self, name: str) -> SourceFile:
        """The file as it is listed; in a zip, the whole archive."""
        ...

    def mark(self, name: str, small: bool = False) -> str:
        """A mark that every copy of a file shares: its size, and in a zip its checksum too.

        It costs no request. For a `small` file it includes the content, which is read if no listing
        has a checksum of it; SceneError as in `read`.
        """
        ...


def open_products(path: str) -> list[ProductFiles]:
    """The files of the products in a `.zip`, or of the product that a folder is.

    The result is empty if a folder is not itself a product.

    Raises:
        SceneError: there is no such folder or zip, or the zip contains no product.
    """
    path = path.rstrip("/") if storage.is_url(path) else os.path.abspath(path)
    if not path.isprintable():
        raise SceneError(printable(path), "has a control character in its name")
    try:
        if path.lower().endswith(".zip") and storage.is_file(path):
            return [*zip_products(path)]
        if storage.is_folder(path):
            files = ObjectFiles(path) if storage.is_url(path) else FolderFiles(path)
            return [files] if is_product(files.names("")) else []
    except StorageError as error:
        raise SceneError(path, f"cannot be read: {error.reason}") from error
    if os.path.islink(path):
        raise SceneError(path, "is a link to a file that does not exist")
    raise SceneError(path, "is not a product, expected a .SAFE folder or a .zip")


def product_file(files: ProductFiles) -> str:
    """Name of the product's own metadata file; SceneError if there is not exactly one."""
    names = [name for name in files.names("") if PRODUCT_FILE.fullmatch(name)]
    if len(names) != 1:
        what = "no product metadata" if not names else f"product metadata in {', '.join(names)}"
        raise SceneError(files.path, f"has {what}, expected MTD_MSIL1C.xml or MTD_MSIL2A.xml")
    return names[0]


def unsafe(name: str) -> str | None:
    """Why a relative name must not be used; None if it is safe."""
    if not name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "an absolute or empty name"
    if "\\" in name or not name.isprintable():
        return "a name with a backslash or control character"
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return "a name that leads out of its folder"
    return None


def read_bytes(path: str, limit: int) -> bytes:
    """The bytes of a file, named as by `gdal_path`; SceneError as in `ProductFiles.read`."""
    inside = split_zip_path(path)
    if inside is None:
        return _read_file(location_of(path), limit)
    return read_member(*inside, limit)


def check_names(path: str, names: Collection[str], where: str) -> None:
    """Raise SceneError if there are too many names, or an unsafe one."""
    if len(names) > MAX_ENTRIES:
        raise SceneError(path, f"has {len(names)} entries {where}, expected at most {MAX_ENTRIES}")
    for name in names:
        reason = unsafe(name)
        if name.count("/") > MAX_DEPTH:
            reason = f"a name with more than {MAX_DEPTH} folders"
        if reason:
            raise SceneError(path, f"has {reason} {where}: {name[:120]!r}")


class FolderFiles:
    """An unpacked product in a local folder; links out of it are not followed."""

    in_folder = True
    offset_applied = False

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
            raise SceneError(self.path, f"has {reason}: {name[:120]!r}")
        path = os.path.join(self.path, name)
        if os.path.commonpath([self._root, os.path.realpath(path)]) != self._root:
            raise SceneError(path, "is a link that leads out of the product")
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

    offset_applied = False

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
        """The name relative to `path`."""
        reason = unsafe(name)
        if reason:
            raise SceneError(self.path, f"has {reason}: {name[:120]!r}")
        return f"{self._prefix}{name}"


class ObjectFiles(_Listed):
    """An unpacked product on object storage, listed once with a request or two."""

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
        # The ETag of S3 is the MD5 of an object that was written in one part.
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
        """Name of the product's own folder, or else of the archive."""
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
    """The products in a zip; SceneError if it is unsafe, cannot be read or contains none."""
    members = list_members(path)
    names = [member.filename for member in members]
    check_names(path, names, "in the zip")
    prefixes = _prefixes(names)
    if not prefixes:
        raise SceneError(path, "contains no product metadata, expected a product in the zip")
    return [ZipFiles(path, members, prefix) for prefix in prefixes]


def _prefixes(names: list[str]) -> list[str]:
    """Folders of products in a zip, each with its `/` ("" is the zip itself), and inner archives.

    A folder that is named as a product counts too, unless a product is inside it. So does a folder
    of bands or of a granule without its product. The errors of opening them name what is missing.
    """
    folders: dict[str, set[str]] = {}
    for name in names:
        parts = name.removesuffix("/").split("/")
        for depth in range(len(parts)):
            folders.setdefault("".join(f"{p}/" for p in parts[:depth]), set()).add(parts[depth])
        if name.lower().endswith(".zip") or is_packed(name):
            folders.setdefault(f"{name}/", set())
    of_products = sorted(folder for folder, inside in folders.items() if is_product(inside))
    prefixes: dict[str, None] = {}
    for folder in sorted(folders):
        if folder.startswith("__MACOSX/"):
            continue
        last = folder.rstrip("/").rpartition("/")[2]
        named = last.lower().endswith((".safe", ".zip")) or _is_name(last) or is_packed(last)
        at = bisect_left(of_products, folder)
        around = at < len(of_products) and of_products[at].startswith(folder)
        alone = not around and (named or _parts_alone(folders[folder]))
        whole = around and of_products[at] == folder
        if (whole or alone) and (named or not _below_one(folder, prefixes)):
            prefixes[folder] = None
    return list(prefixes)


def _parts_alone(inside: set[str]) -> bool:
    return "MTD_TL.xml" in inside or "IMG_DATA" in inside or any(map(parse_band_name, inside))


def _below_one(folder: str, prefixes: Collection[str]) -> bool:
    """Whether a folder is a part of a product in `prefixes`, or is inside such a part."""
    parts = folder.split("/")[:-1]
    return any(
        is_part_folder(part) and "".join(f"{p}/" for p in parts[:depth]) in prefixes
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
            raise SceneError(location, "is not a regular file")
        return storage.read_bytes(location, limit)
    except StorageError as error:
        raise SceneError(location, f"cannot be read: {error.reason}") from error
    except OSError as error:
        raise SceneError(location, f"cannot be read: {one_line(error)}") from error
