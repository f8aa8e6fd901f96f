"""Shows scattered files as the tree of the product that they come from.

Some archives keep each file of a product under its own name, and bands also as Cloud Optimized
GeoTIFF (COG). Under the names of a product, they are read like any product.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from transforms.elements import SceneError, SourceFile, StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import gdal_path

from .product_files import SMALL, check_names, read_bytes, unsafe


class AssetFiles:
    """The tree of a product whose files may be anywhere; see `ProductFiles`.

    Args:
        path: the nominal location of the product, for messages and `Scene.path`.
        name: the name of the product's folder, with `.SAFE`.
        files: location of each file, by its name in the product.
        looked_up: functions that find the location of a file at its first use, by its name.
        folders: folders of the product whose files are in another folder.
        offset_applied: see `ProductFiles`.
    """

    in_folder = False

    def __init__(
        self,
        path: str,
        name: str,
        files: Mapping[str, str],
        looked_up: Mapping[str, Callable[[], str]] | None = None,
        folders: Mapping[str, str] | None = None,
        offset_applied: bool = False,
    ) -> None:
        self.path = path
        self.offset_applied = offset_applied
        self._name = name
        self._places = dict(files)
        self._looked_up = dict(looked_up or {})
        self._folders = dict(folders or {})
        self._stored: dict[str, storage.Stored] = {}
        check_names(path, [*self._places, *self._looked_up, *self._folders], "in the product")

    @property
    def name(self) -> str:
        """See `ProductFiles`."""
        return self._name

    def names(self, folder: str) -> list[str]:
        """See `ProductFiles`."""
        self._list(folder)
        prefix = f"{folder}/" if folder else ""
        known = [*self._places, *self._looked_up, *(f"{name}/" for name in self._folders)]
        below = [name.removeprefix(prefix) for name in known if name.startswith(prefix)]
        return sorted({name.partition("/")[0] for name in below if name})

    def is_file(self, name: str) -> bool:
        """See `ProductFiles`; a file that the catalogue names counts as existing."""
        self._list(name.rpartition("/")[0])
        return name in self._places or name in self._looked_up

    def read(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        return read_bytes(self.gdal_path(name), limit)

    def gdal_path(self, name: str) -> str:
        """See `ProductFiles`."""
        return gdal_path(self._place(name))

    def size(self, names: tuple[str, ...]) -> int:
        """See `ProductFiles`; each file costs one request."""
        return sum(self._about(name).size for name in names)

    def source(self, name: str) -> SourceFile:
        """See `ProductFiles`."""
        about = self._about(name)
        return SourceFile(self._place(name), about.size, about.version)

    def mark(self, name: str, small: bool = False) -> str:
        """See `ProductFiles`; no listing has it, so each file costs one request."""
        size = self._about(name).size
        if not small or size > SMALL:
            return str(size)
        content = self.read(name, SMALL)
        return f"{size} {hashlib.md5(content, usedforsecurity=False).hexdigest()}"

    def _about(self, name: str) -> storage.Stored:
        if name not in self._stored:
            place = self._place(name)
            try:
                about = storage.stored(place)
            except StorageError as error:
                if error.passing:
                    raise
                raise SceneError(place, f"cannot be read: {error.reason}") from error
            if about.size <= 0:
                raise SceneError(place, "empty, or its storage does not give its size")
            self._stored[name] = about
        return self._stored[name]

    def _place(self, name: str) -> str:
        self._list(name.rpartition("/")[0])
        if name in self._looked_up:
            self._places[name] = self._looked_up.pop(name)()
        if name not in self._places:
            raise SceneError(self.path, f"no such file in the product: {name[:120]!r}")
        return self._places[name]

    def _list(self, folder: str) -> None:
        """Add the files of a folder in another place, once."""
        place = self._folders.get(folder)
        if place is None:
            return
        try:
            inside = storage.contents(place)
        except StorageError as error:
            raise SceneError(place, f"cannot be listed: {error.reason}") from error
        for name, is_folder in inside.items():
            if not is_folder and unsafe(name) is None and "/" not in name:
                self._places.setdefault(f"{folder}/{name}", storage.join(place, name))
        del self._folders[folder]
