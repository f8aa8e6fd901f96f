"""Finds possible products in an archive by names, whatever the arrangement of its folders."""

from __future__ import annotations

import os
import re
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto

from transforms.elements import BANDS, Level, SceneError, StorageError
from transforms.storage import storage

from .naming import (
    PRODUCT_FILE,
    ProductName,
    folder_level,
    folder_tile,
    granule_level,
    granule_tile,
    is_other_kind,
    is_packed,
    is_part_folder,
    is_product,
    parse_band_name,
    parse_name,
)

MAX_DEPTH = 12
"""Depth of folders below the archive that are searched; a dated tree of `/eodata` has seven."""
MAX_FOLDERS = 20_000
"""Number of folders outside dated trees that are searched: an archive is not a whole disk."""
MAX_UNLIKELY = 1000
"""Number of folders that are searched although their names show another tile or level."""
ENDINGS = (".safe", ".zip")
MANIFEST = "manifest.safe"
"""A file in every delivered product; in spite of its ending it is not a product."""
_MISSION = re.compile(
    r"Sentinel-(1|3|5P|6|AUX)\b.*|(Landsat|Envisat|SMOS|ERS|PROBA|Jason|TERRA|AQUA)\b.*|TERRAAQUA"
    r"|C(LMS|MEMS|AMS|EMS|3S|-GLOPS)|Global-Mosaics|auxdata",
    re.IGNORECASE,
)
"""Folders beside `Sentinel-2` with products of other missions."""
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
"""Endings of files beside products that are not products: checksums, metadata, images, results."""
_SYSTEM = (
    *("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"),
    *("lost+found", ".snapshot", ".snapshots", ".zfs", "__MACOSX"),
)
"""Folders that a system keeps for itself: deleted files, and snapshots."""
_TILE_TREE = re.compile(r"/tiles/([0-9]{1,2})(?:/([C-HJ-NP-X])(?:/([A-HJ-NP-Z][A-HJ-NP-V]))?)?$")
"""A folder in a tree of tiles, `tiles/33/U/UU`, as in the public buckets of Google and AWS."""
_FOLDER_MARK = "_$folder$"
"""Ends the name of an empty object that stands for a folder, as in Google's public bucket."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The wanted products; the first and the last day of the period are included."""

    tiles: frozenset[str]
    start: date
    end: date
    level: Level
    max_cloud: float = 100.0
    """Largest cloud cover of a scene, percent."""
    bands: tuple[str, ...] = BANDS
    """The bands of a scene: `BANDS` or `TEN_BANDS`."""
    mask_bands: tuple[str, ...] = ()
    """The bands that only the mask needs: `S2CLOUDLESS_BANDS`, or none."""

    def by_name(self, name: ProductName | None) -> bool:
        """Whether a product may be wanted, by its name; an old name does not give the tile."""
        if name is None:
            return True
        if name.level is not self.level:
            return False
        return name.tile is None or (name.tile in self.tiles and self.on(name.sensing))

    def by_parts(self, folder: str, names: Iterable[str]) -> bool:
        """Whether parts of a product may be wanted, by the names of granule and bands."""
        level = granule_level(folder)
        if level and (level is not self.level or granule_tile(folder) not in self.tiles):
            return False
        bands = [parsed for parsed in map(parse_band_name, names) if parsed]
        return not bands or any(self._by_band(*parsed) for parsed in bands)

    def _by_band(self, tile: str | None, stamp: str | None, level: Level | None) -> bool:
        first, last = f"{self.start:%Y%m%d}", f"{self.end:%Y%m%d}"
        in_period = stamp is None or first <= stamp[:8] <= last
        return in_period and (not tile or tile in self.tiles) and level in (self.level, None)

    def in_tile_tree(self, folder: str) -> bool:
        """Whether a folder may lead to a wanted tile; False only in a tree of other tiles."""
        match = _TILE_TREE.search(folder)
        if match is None:
            return True
        zone, *others = match.groups(default="")
        begin = "".join((zone.zfill(2), *others))
        return any(tile.startswith(begin) for tile in self.tiles)

    def on(self, moment: datetime) -> bool:
        """Whether a moment is in the period."""
        return self.start <= moment.date() <= self.end


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that may be a wanted product but is not searched, with the reason."""

    path: str
    reason: str


Entry = str | PassedOver | SceneError
"""A location that may be a product, something skipped, or a folder that cannot be listed."""


def candidates(folder: str, wanted: Wanted) -> Iterator[Entry]:
    """Possible products in a folder and below it, in the order of names.

    A folder or `.zip` counts by its name, and any folder by its content. Two kinds are skipped
    silently: products whose own name shows another tile, day, level or satellite, and days of a
    dated tree outside the period. Folders that are named after another tile or level come last. A
    folder that is named as a product is not searched.
    """
    walk = _Walk(wanted)
    yield from walk.below(folder)
    yield from walk.last()


def within(product: str, entries: dict[str, bool], wanted: Wanted) -> Iterator[Entry]:
    """Other possible products in the folder of a product; `entries` says which are folders."""
    walk = _Walk(wanted)
    yield from walk.among(product, entries)
    yield from walk.last()


class _Kind(Enum):
    PRODUCT = auto()
    PACKED = auto()
    UNFINISHED = auto()
    PARTS = auto()
    UNNAMED = auto()
    FOLDER = auto()
    NOTHING = auto()


_WHY = {
    _Kind.PACKED: "packed in a form that is not read, expected a folder or a .zip",
    _Kind.PARTS: "bands without the metadata of their product, expected the whole product",
    _Kind.UNNAMED: "a zip of a product whose name does not end in .zip, rename it",
    _Kind.UNFINISHED: "an unfinished download by its name",
}


@dataclass
class _Walk:
    wanted: Wanted
    left: int = MAX_FOLDERS
    seen: set[str] = field(default_factory=set)
    later: deque[tuple[str, tuple[int, ...], int, bool]] = field(default_factory=deque)

    def below(
        self, folder: str, dates: tuple[int, ...] = (), depth: int = 0, likely: bool = True
    ) -> Iterator[Entry]:
        """See `candidates`; `dates` are year, month and day of the folders above."""
        place = folder if storage.is_url(folder) else os.path.realpath(folder)
        if place in self.seen:
            return
        self.seen.add(place)
        try:
            entries = storage.contents(folder)
        except StorageError as error:
            yield SceneError(folder, f"cannot be listed: {error.reason}")
            return
        if is_product(entries):
            yield folder
        elif "MTD_TL.xml" in entries:
            yield SceneError(
                folder, "is a granule without its product: there is no MTD_MSIL1C.xml above it"
            )
            return
        yield from self.among(folder, entries, dates, depth, likely)

    def among(
        self,
        folder: str,
        entries: dict[str, bool],
        dates: tuple[int, ...] = (),
        depth: int = 0,
        likely: bool = True,
    ) -> Iterator[Entry]:
        """Possible products among the entries of a folder."""
        parts = is_product(entries)
        if likely and not parts and self._parts_alone(entries):
            parts = True
            yield PassedOver(folder, _WHY[_Kind.PARTS])
        for name, is_folder in entries.items():
            if not name:
                reason = "has keys with '//', which cannot be read, expected single slashes"
                yield SceneError(f"{folder}//", reason)
                continue
            path = storage.join(folder, name)
            kind = _kind(name, is_folder)
            if kind is _Kind.FOLDER:
                if name in _SYSTEM or name.startswith(".Trash"):
                    continue
                beside = entries.get("Sentinel-2", False) and name != "Sentinel-2"
                part = parts and is_part_folder(name)
                if part and "metadata.xml" in entries:  # an AWS tile has many of them
                    continue
                if part or (beside and _MISSION.fullmatch(name)):
                    yield from self._directly_in(path)
                else:
                    yield from self._into(path, name, dates, depth + 1, likely, beside)
                continue
            if kind is _Kind.NOTHING and not is_folder and _is_unnamed_zip(path, name):
                kind = _Kind.UNNAMED
            if kind is not _Kind.NOTHING and self._by_name(name):
                yield path if kind is _Kind.PRODUCT else PassedOver(path, _WHY[kind])

    def _directly_in(self, folder: str) -> Iterator[Entry]:
        """Products by name directly in a folder that is not searched otherwise."""
        try:
            entries = storage.contents(folder)
        except StorageError as error:
            yield SceneError(folder, f"cannot be listed: {error.reason}")
            return
        for name, is_folder in entries.items():
            if _kind(name, is_folder) is _Kind.PRODUCT and self._by_name(name):
                yield storage.join(folder, name)

    def last(self) -> Iterator[Entry]:
        """Possible products in the postponed folders, which are not likely to contain any."""
        searched = 0
        while self.later:
            path, dates, depth, likely = self.later.popleft()
            searched += not likely
            if likely or searched <= MAX_UNLIKELY:
                yield from self.below(path, dates, depth, likely)
            else:
                limit = f"and at most {MAX_UNLIKELY} such folders are searched"
                yield PassedOver(path, f"named after another tile or level, {limit}")

    def _parts_alone(self, entries: dict[str, bool]) -> bool:
        """Whether these are names of a product's bands, or of the files around them."""
        whole = "tileInfo.json" in entries or entries.get("IMG_DATA", False)
        if not any(map(parse_band_name, entries)):
            return whole
        return self.wanted.by_parts("", entries)

    def _by_name(self, name: str) -> bool:
        return self.wanted.by_name(parse_name(name.lstrip(".")))

    def _into(
        self,
        path: str,
        name: str,
        dates: tuple[int, ...],
        depth: int,
        likely: bool,
        beside: bool,
    ) -> Iterator[Entry]:
        """Possible products in a folder.

        The folder is postponed if its name, or that of a folder above, shows that nothing in it is
        wanted, and if it lies beside `Sentinel-2`.
        """
        if not self.wanted.by_parts(name, ()) or not self.wanted.in_tile_tree(path):
            return
        longer = _dated(dates, name)
        if longer and len(longer) == 3 and not (likely and self._in_period(longer)):
            return
        tile, level = folder_tile(name), folder_level(name)
        if (tile and tile not in self.wanted.tiles) or (level and level != self.wanted.level):
            likely = False
        self.left -= likely and longer is None
        if depth > MAX_DEPTH or (likely and self.left < 0):
            deep = depth > MAX_DEPTH
            limit = f"{MAX_DEPTH} levels of folders" if deep else f"{MAX_FOLDERS} folders"
            yield PassedOver(path, f"at most {limit} are searched")
            return
        if likely and not beside:
            yield from self.below(path, longer or dates, depth)
        else:
            self.later.append((path, longer or dates, depth, likely))

    def _in_period(self, day: tuple[int, ...]) -> bool:
        return self.wanted.start <= date(*day) <= self.wanted.end


def _dated(above: tuple[int, ...], name: str) -> tuple[int, ...] | None:
    """Year, month and day of a folder in a dated tree; None for other folders."""
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
    """The kind of an entry of a folder, by its name."""
    bare = name.lstrip(".")
    ending = os.path.splitext(bare)[1].lower()
    if name.startswith("._") or is_other_kind(bare):  # `._` are attributes of other files
        return _Kind.NOTHING
    if not is_folder and (bare.lower() == MANIFEST or bare.endswith(_FOLDER_MARK)):
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
    if is_packed(bare):
        return _Kind.PACKED
    begun = os.path.splitext(bare)[0].lower() if ending in _UNFINISHED else ""
    if begun.endswith(ENDINGS) or is_packed(begun):
        return _Kind.UNFINISHED
    if rest is None or ending in _BESIDE:
        return _Kind.NOTHING
    if begun or name != bare:
        return _Kind.UNFINISHED
    return _Kind.PACKED


def _is_unnamed_zip(path: str, name: str) -> bool:
    """Whether a local file with an unknown ending is a zip of a product."""
    ending = os.path.splitext(path)[1].lower()
    if storage.is_url(path) or ending in _BESIDE or is_other_kind(name):
        return False
    if not os.path.isfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rstrip("/").rpartition("/")[2] for name in archive.namelist()]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False
    return any(PRODUCT_FILE.fullmatch(name) for name in names)
