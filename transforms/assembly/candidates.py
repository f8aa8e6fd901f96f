"""What in an archive may be a product: found by names, however the folders are arranged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto

from transforms.elements import Level, SceneError, StorageError
from transforms.raster import storage

from .naming import (
    ProductName,
    folder_level,
    folder_tile,
    is_other_kind,
    is_product,
    parse_name,
)

MAX_DEPTH = 12
"""Folders below the archive that are looked into; a dated tree of `/eodata` has seven."""
MAX_FOLDERS = 20_000
"""Folders of no dated tree that are looked into: an archive is no whole disk."""
ENDINGS = (".safe", ".zip")
_PACKED = (
    *(".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst"),
    *(".tar.lz4", ".tar.lzma", ".7z", ".rar"),
)
_UNFINISHED = (
    *(".part", ".partial", ".incomplete", ".crdownload", ".download", ".tmp", ".temp"),
    *(".aria2", ".filepart", ".swp", ".unfinished"),
)
_BESIDE = (
    *(".md5", ".sha1", ".sha256", ".sha512", ".sum", ".asc", ".sig", ".meta4", ".url", ".log"),
    *(".xml", ".json", ".geojson", ".yaml", ".yml", ".gml", ".kml", ".kmz", ".csv", ".txt"),
    *(".jpg", ".jpeg", ".png", ".gif", ".html", ".htm", ".pdf", ".aux", ".qml", ".ovr"),
    *(".tif", ".tiff", ".jp2", ".vrt", ".nc", ".dim"),
)
"""Endings of files that lie beside products and are none: sums, metadata, pictures, results."""
_SYSTEM = (
    *("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"),
    *("lost+found", ".snapshot", ".snapshots", ".zfs", "__MACOSX"),
)
"""Folders that a system keeps for itself: what was thrown away, copies of earlier times."""
_OF_PRODUCTS = (
    *("GRANULE", "DATASTRIP", "AUX_DATA", "HTML", "rep_info", "INSPIRE"),
    *("IMG_DATA", "QI_DATA", "qi", "auxiliary", "preview", "R10m", "R20m", "R60m"),
)
"""Folders that are parts of a product."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The products that are asked for; the period's first and last day belong to it."""

    tiles: frozenset[str]
    start: date
    end: date
    level: Level

    def by_name(self, name: ProductName | None) -> bool:
        """Whether a product may be wanted by its name; old names tell no tile."""
        if name is None:
            return True
        if name.level is not self.level:
            return False
        return name.tile is None or (name.tile in self.tiles and self.on(name.sensing))

    def on(self, moment: datetime) -> bool:
        """Whether a moment lies in the period."""
        return self.start <= moment.date() <= self.end


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What is not looked into though it may be a product that is wanted, and why."""

    path: str
    reason: str


Found = str | PassedOver | SceneError
"""A location that may be a product, what is passed over, or a folder that cannot be listed."""


def candidates(folder: str, wanted: Wanted) -> Iterator[Found]:
    """What may be a product in a folder and below, in the order of the names.

    A folder or `.zip` counts by its name, and any folder by what lies in it. Passed over without a
    word is what the name of a product or of a folder around it tells: another tile, day, level or
    satellite. What is named as a product is not looked into.
    """
    yield from _Walk(wanted).below(folder)


class _Kind(Enum):
    PRODUCT = auto()
    PACKED = auto()
    UNFINISHED = auto()
    FOLDER = auto()
    NOTHING = auto()


_WHY = {
    _Kind.PACKED: "packed in a form that is not read, expected a folder or a .zip",
    _Kind.UNFINISHED: "an unfinished download by its name",
}


@dataclass
class _Walk:
    wanted: Wanted
    left: int = MAX_FOLDERS
    seen: set[str] = field(default_factory=set)

    def below(
        self, folder: str, dates: tuple[int, ...] = (), depth: int = 0, shallow: bool = False
    ) -> Iterator[Found]:
        """See `candidates`; `dates` are year, month and day of the folders above."""
        place = folder if storage.is_url(folder) else os.path.realpath(folder)
        if place in self.seen:
            return
        self.seen.add(place)
        try:
            entries = storage.contents(folder)
        except StorageError as error:
            yield SceneError(folder, f"not a readable folder: {error.reason}")
            return
        if is_product(entries):
            yield folder
        elif "MTD_TL.xml" in entries:
            yield SceneError(folder, "a granule without its product: no MTD_MSIL1C.xml above it")
            return
        for name, is_folder in entries.items():
            if not name:
                reason = "keys with an empty part are not read, expected one slash in place of two"
                yield SceneError(f"{folder}//", reason)
                continue
            path = storage.join(folder, name)
            kind = _kind(name, is_folder)
            if kind is _Kind.FOLDER:
                if not (shallow or (is_product(entries) and name in _OF_PRODUCTS)):
                    other_missions = entries.get("Sentinel-2", False) and name != "Sentinel-2"
                    yield from self._into(path, name, dates, depth + 1, other_missions)
            elif kind is not _Kind.NOTHING and self._by_name(name):
                yield path if kind is _Kind.PRODUCT else PassedOver(path, _WHY[kind])

    def _by_name(self, name: str) -> bool:
        return self.wanted.by_name(parse_name(name.lstrip(".")))

    def _into(
        self, path: str, name: str, dates: tuple[int, ...], depth: int, shallow: bool
    ) -> Iterator[Found]:
        """What lies in a folder, unless its name tells that nothing in it is wanted."""
        tile, level = folder_tile(name), folder_level(name)
        if name in _SYSTEM or name.startswith(".Trash") or is_other_kind(name):
            return
        if (tile and tile not in self.wanted.tiles) or (level and level != self.wanted.level):
            return
        longer = _dated(dates, name)
        if longer is None:
            self.left -= 1
        elif not self._in_period(longer):
            return
        if depth > MAX_DEPTH or self.left < 0:
            limit = f"{MAX_DEPTH} folders deep" if depth > MAX_DEPTH else f"{MAX_FOLDERS} folders"
            yield PassedOver(path, f"a folder that is not looked into: {limit} are the most")
            return
        yield from self.below(path, longer or dates, depth, shallow)

    def _in_period(self, dates: tuple[int, ...]) -> bool:
        size = len(dates)
        first, last = (
            (day.year, day.month, day.day)[:size] for day in (self.wanted.start, self.wanted.end)
        )
        return first <= dates <= last


def _dated(above: tuple[int, ...], name: str) -> tuple[int, ...] | None:
    """Year, month and day down to a folder of a dated tree; None for other folders."""
    if not (name.isascii() and name.isdigit()) or len(above) == 3:
        return None
    if (len(name) == 4) != (not above) or len(name) > 4 or (above and len(name) > 2):
        return None
    dates = (*above, int(name))
    try:
        date(*dates, *(1, 1)[len(dates) - 1 :])
    except ValueError:
        return None
    return dates if 1900 <= dates[0] < 2100 else None


def _kind(name: str, is_folder: bool) -> _Kind:
    """What an entry of a folder is, by its name."""
    bare = name.lstrip(".")
    ending = os.path.splitext(bare)[1].lower()
    if name.startswith("._") or is_other_kind(bare):  # `._` are attributes of other files
        return _Kind.NOTHING
    if bare.lower().endswith(ENDINGS):
        return _Kind.PRODUCT
    parsed = parse_name(bare)
    rest = bare[len(parsed.text) :] if parsed else None
    if rest == "":
        return _Kind.PRODUCT
    if is_folder:
        unfinished = rest is not None and ending in _UNFINISHED
        return _Kind.UNFINISHED if unfinished else _Kind.FOLDER
    if bare.lower().endswith(_PACKED):
        return _Kind.PACKED
    begun = os.path.splitext(bare)[0].lower() if ending in _UNFINISHED else ""
    if begun.endswith((*ENDINGS, *_PACKED)):
        return _Kind.UNFINISHED
    if rest is None or ending in _BESIDE:
        return _Kind.NOTHING
    if begun or name != bare:
        return _Kind.UNFINISHED
    return _Kind.PACKED if rest.startswith(".") else _Kind.NOTHING
