"""The files of one product, in a folder, on object storage or in a zip, by safe relative names."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Protocol, TypeVar

from transforms.elements import SceneError, StorageError
from transforms.raster import storage
from transforms.raster.gdal_access import gdal_path, location_of

VSIZIP = "/vsizip/"
MAX_ENTRIES = 100_000
SMALL = 8 << 20
"""Bytes up to which a file's content is looked at to tell it from another of the same size."""
T = TypeVar("T")
_PRODUCT_FILE = re.compile(
    r"(MTD_MSIL(1C|2A)|S2[A-Z]_(OPER|USER)_MTD_SAFL(1C|2A)\w*|product_metadata)\.xml", re.IGNORECASE
)


class ProductFiles(Protocol):
    """A product's tree; names are relative, with `/`, and listed in order."""

    path: str

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

    def mark(self, name: str, small: bool = False) -> str:
        """What every copy of a file shares, at no request: its size, in a zip its checksum too.

        Of a `small` file also its content, read where no listing tells it; SceneError as in `read`.
        """
        ...


def open_product(path: str) -> ProductFiles:
    """The files of a product at `path`, a folder or a `.zip`; SceneError where it is neither."""
    path = path.rstrip("/") if storage.is_url(path) else os.path.abspath(path)
    if not path.isprintable():
        raise SceneError(ascii(path), "control character in a name")
    try:
        if path.lower().endswith(".zip") and storage.is_file(path):
            return ZipFiles(path)
        if storage.is_folder(path):
            return ObjectFiles(path) if storage.is_url(path) else FolderFiles(path)
    except StorageError as error:
        raise SceneError(path, f"not readable: {error.reason}") from error
    raise SceneError(path, "no product: expected a .SAFE folder or a .zip")


def product_file(files: ProductFiles) -> str:
    """Name of the product's own metadata file; SceneError where there is not exactly one."""
    found = [name for name in files.names("") if _PRODUCT_FILE.fullmatch(name)]
    if len(found) != 1:
        what = "no product metadata" if not found else f"product metadata in {', '.join(found)}"
        raise SceneError(files.path, f"{what}, expected one of MTD_MSIL1C.xml, MTD_MSIL2A.xml")
    return found[0]


def unsafe(name: str) -> str | None:
    """Why a relative name is not to be followed, None where it is safe."""
    if not name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "absolute or empty name"
    if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "backslash or control character in a name"
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return "name that leaves its folder"
    return None


def read_bytes(path: str, limit: int) -> bytes:
    """Bytes of a file as `gdal_path` names it; SceneError as in `ProductFiles.read`."""
    location = location_of(path.removeprefix(VSIZIP))
    if not path.startswith(VSIZIP):
        return _read_file(location, limit)
    archive, entry = split_zip(location)
    return _in_zip(archive, lambda source: _read_entry(source, entry, location, limit))


def split_zip(location: str) -> tuple[str, str]:
    """The archive and the entry that a location in a zip names."""
    ends = [match.end() - 1 for match in re.finditer(r"\.zip/", location, re.IGNORECASE)]
    end = next((end for end in ends if storage.is_file(location[:end])), len(location))
    return location[:end], location[end + 1 :]


class FolderFiles:
    """A product that lies unpacked; links out of it are not followed."""

    def __init__(self, path: str) -> None:
        self.path = path
        inner = [name for name in self.names("") if name.upper().endswith(".SAFE")]
        if len(inner) == 1 and not any(_PRODUCT_FILE.fullmatch(name) for name in self.names("")):
            self.path = os.path.join(path, inner[0])
        self._root = os.path.realpath(self.path)

    def names(self, folder: str) -> list[str]:
        """See `ProductFiles`."""
        try:
            return sorted(os.listdir(os.path.join(self.path, folder) if folder else self.path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SceneError(os.path.join(self.path, folder), _line(error)) from error

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
            raise SceneError(self.path, _line(error)) from error

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`."""
        size = self.size((name,))
        return f"{size} {_md5(self, name)}" if small and size <= SMALL else str(size)


class _Listed:
    """A product whose names are all known at once; one with an unsafe name is refused whole."""

    def __init__(self, path: str, names: Iterable[str], where: str) -> None:
        self.path = path
        names = list(names)
        if len(names) > MAX_ENTRIES:
            raise SceneError(path, f"{len(names)} entries {where}, at most {MAX_ENTRIES}")
        for name in names:
            reason = unsafe(name)
            if reason:
                raise SceneError(path, f"{reason} {where}: {name[:120]!r}")
        files = [name for name in names if not name.endswith("/")]
        self._prefix = _shallowest(files)
        self._files = {
            name.removeprefix(self._prefix) for name in files if name.startswith(self._prefix)
        }
        self._folders: dict[str, set[str]] = {}
        for name in self._files:
            parts = name.split("/")
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

    def __init__(self, path: str) -> None:
        self._objects = storage.objects_below(path)
        super().__init__(path, self._objects, "in the product")

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        return gdal_path(storage.join(self.path, self._place(name)))

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        return sum(self._objects[self._place(name)].size for name in names)

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
    """A product in a zip archive."""

    def __init__(self, path: str) -> None:
        entries = _in_zip(path, zipfile.ZipFile.infolist)
        for entry in entries:
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise SceneError(path, f"link in the zip: {entry.filename[:120]!r}")
        super().__init__(path, (entry.filename for entry in entries), "in the zip")
        self._marks = {entry.filename: f"{entry.file_size} {entry.CRC:08x}" for entry in entries}

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        return f"{VSIZIP}{gdal_path(self.path)}/{self._place(name)}"

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        return storage.size(self.path)

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`."""
        return self._marks[self._place(name)]


def _md5(files: ProductFiles, name: str) -> str:
    return hashlib.md5(files.read(name, SMALL), usedforsecurity=False).hexdigest()


def _shallowest(files: list[str]) -> str:
    """Folder (with `/`, or "") of the shallowest product or AWS tile metadata in an archive."""
    found = [
        name
        for name in files
        if _PRODUCT_FILE.fullmatch(name.rpartition("/")[2]) or name.endswith("/metadata.xml")
    ]
    best = min(found, key=lambda name: (name.count("/"), name), default="")
    return best.rpartition("/")[0] + "/" if "/" in best else ""


def _read_file(location: str, limit: int) -> bytes:
    try:
        if not storage.is_url(location) and not stat.S_ISREG(os.stat(location).st_mode):
            raise SceneError(location, "not a regular file")
        return storage.read_bytes(location, limit)
    except StorageError as error:
        raise SceneError(location, f"not readable: {error.reason}") from error
    except OSError as error:
        raise SceneError(location, f"not readable: {_line(error)}") from error


def _in_zip(path: str, use: Callable[[zipfile.ZipFile], T]) -> T:
    def within(file: BinaryIO) -> T:
        with zipfile.ZipFile(file) as source:
            return use(source)

    try:
        return storage.with_file(path, within)
    except StorageError as error:
        raise SceneError(path, f"not readable: {error.reason}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SceneError(path, f"not a readable zip: {_line(error)}") from error


def _read_entry(source: zipfile.ZipFile, entry: str, path: str, limit: int) -> bytes:
    try:
        with source.open(entry) as file:
            data = file.read(limit + 1)
    except KeyError as error:
        raise SceneError(path, "no such entry in the zip") from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SceneError(path, f"not readable: {_line(error)}") from error
    except zlib.error as error:
        raise SceneError(path, f"damaged zip: {_line(error)}") from error
    if len(data) > limit:
        raise SceneError(path, f"larger than {limit} bytes")
    return data


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
