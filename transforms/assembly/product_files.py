"""The files of one product, in a folder or in a zip archive, reached by safe relative names."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from typing import Protocol

from transforms.elements import SceneError

VSIZIP = "/vsizip/"
MAX_ENTRIES = 100_000
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


def open_product(path: str) -> ProductFiles:
    """The files of a product at `path`, a folder or a `.zip`; SceneError where it is neither."""
    path = os.path.abspath(path)
    if not path.isprintable():
        raise SceneError(ascii(path), "control character in a name")
    if os.path.isdir(path):
        return FolderFiles(path)
    if path.lower().endswith(".zip") and os.path.isfile(path):
        return ZipFiles(path)
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
    if not path.startswith(VSIZIP):
        return _read_file(path, limit)
    path = path.removeprefix(VSIZIP)
    ends = [match.end() - 1 for match in re.finditer(r"\.zip/", path, re.IGNORECASE)]
    end = next((end for end in ends if os.path.isfile(path[:end])), len(path))
    try:
        with zipfile.ZipFile(path[:end]) as source:
            return _read_entry(source, path[end + 1 :], path, limit)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SceneError(path, f"not readable: {_line(error)}") from error


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


class ZipFiles:
    """A product in a zip archive; an archive with an unsafe name in it is refused whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as source:
                entries = source.infolist()
        except (
            OSError,
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            struct.error,
        ) as error:
            raise SceneError(path, f"not a readable zip: {_line(error)}") from error
        if len(entries) > MAX_ENTRIES:
            raise SceneError(path, f"{len(entries)} entries in the zip, at most {MAX_ENTRIES}")
        for entry in entries:
            reason = unsafe(entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                reason = "link"
            if reason:
                raise SceneError(path, f"{reason} in the zip: {entry.filename[:120]!r}")
        files = [entry.filename for entry in entries if not entry.is_dir()]
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

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        reason = unsafe(name)
        if reason:
            raise SceneError(self.path, f"{reason}: {name[:120]!r}")
        return f"{VSIZIP}{self.path}/{self._prefix}{name}"

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`."""
        return os.path.getsize(self.path)


def _shallowest(files: list[str]) -> str:
    """Folder (with `/`, or "") of the shallowest product or AWS tile metadata in an archive."""
    found = [
        name
        for name in files
        if _PRODUCT_FILE.fullmatch(name.rpartition("/")[2]) or name.endswith("/metadata.xml")
    ]
    best = min(found, key=lambda name: (name.count("/"), name), default="")
    return best.rpartition("/")[0] + "/" if "/" in best else ""


def _read_file(path: str, limit: int) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SceneError(path, "not a regular file")
        with open(path, "rb") as source:
            data = source.read(limit + 1)
    except OSError as error:
        raise SceneError(path, f"not readable: {_line(error)}") from error
    if len(data) > limit:
        raise SceneError(path, f"larger than {limit} bytes")
    return data


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
