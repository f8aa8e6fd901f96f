"""A STAC item of a Sentinel-2 product, mapped to a candidate.

An item only decides whether its product is worth reading. The meaning of the pixels comes from the
product's own XML: `raster:offset` is the same in every item of an API, for all products.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from transforms.assembly.products.asset_files import AssetFiles
from transforms.assembly.products.naming import TILE, ProductName, parse_name, printable
from transforms.assembly.products.product_files import read_bytes, unsafe
from transforms.elements import BANDS_20M, Level, SceneError
from transforms.storage import storage
from transforms.storage.caching.checksums import from_multihash
from transforms.storage.gdal_access import gdal_path
from transforms.storage.locations import masked

from ..catalogue import Candidate, Wanted
from .presets import Collection, Preset

LONGEST_DATATAKE = timedelta(hours=1)
"""Longer than the time from the start of a datatake, which names a product, to any tile of it."""
_SAFE = re.compile(r"(.*/)?([^/]+\.SAFE)(/.*)?", re.DOTALL)
_PLAIN_TILE = re.compile(rf"(?:MGRS-|T)?({TILE})")
_STRIP_START = re.compile(r"_S(\d{8}T\d{6})(?=_|$)")
_ORBIT = re.compile(r"_(A\d{6})_")
_BASELINE = re.compile(r"\d{2}\.\d{2}")
_MOST_TILE_INFO = 1 << 20


class NotAskedFor(NamedTuple):
    """A product that an API names, although the job did not ask for it."""

    location: str
    what: str


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads the items of a search in one collection.

    Attributes:
        preset: the API.
        collection: the collection that was searched.
        wanted: the products that were asked for.
        archive: the location here of what the API calls its root; "" if they are the same.
    """

    preset: Preset
    collection: Collection
    wanted: Wanted
    archive: str = ""

    def read(self, item: object) -> Candidate | NotAskedFor | SceneError | None:
        """The candidate that an item names; None if its day is just outside the period."""
        if not isinstance(item, dict):
            return SceneError(self.preset.address, f"an item that is a JSON {_kind(item)}")
        properties = _mapping(item.get("properties"))
        given = _text(item.get("id"))
        uri = _text(properties.get("s2:product_uri"))
        name = parse_name(uri) or parse_name(given)
        place = self._place(given or uri)
        if other := self._other(item, properties, name):
            return NotAskedFor(place, other)
        if name and name.tile and not self.wanted.on(name.sensing):
            return None
        if not given:
            return SceneError(place, "an item without an id")
        assets = _mapping(item.get("assets"))
        try:
            if self.collection.safe:
                return self._in_safe_folder(place, item, assets, properties, name)
            return self._of_assets(place, assets, properties, name)
        except SceneError as error:
            return error

    def _place(self, identifier: str) -> str:
        """The address of an item, for messages."""
        items = f"{self.preset.address.rstrip('/')}/collections/{self.collection.name}/items"
        return _shown(f"{items}/{identifier}")

    def _other(
        self, item: Mapping[str, Any], properties: Mapping[str, Any], name: ProductName | None
    ) -> str:
        """The tile, level, day or collection of an item that was not asked for; "" if it was."""
        collection = item.get("collection", self.collection.name)
        if collection != self.collection.name:
            return f"collection {_shown(str(collection))}"
        stated = _tile(_text(properties.get(self.preset.tile_property)))
        for tile in (stated, name.tile if name else None):
            if tile and tile not in self.wanted.tiles:
                return f"tile {tile}"
        if name is None:
            return ""
        if name.level is not self.wanted.level:
            return f"level {name.level}"
        first, last = self.wanted.start, self.wanted.end
        day = timedelta(days=1)  # more than `LONGEST_DATATAKE`, in whole days
        if not first - day <= name.sensing.date() <= last + day:
            return f"day {name.sensing:%Y-%m-%d}"
        return ""

    def _in_safe_folder(
        self,
        place: str,
        item: Mapping[str, Any],
        assets: Mapping[str, Any],
        properties: Mapping[str, Any],
        name: ProductName | None,
    ) -> Candidate:
        """A product in its SAFE folder, as it was delivered."""
        location = _folder(item, assets)
        if location is None:
            text = "no product folder in it, expected a link `enclosure` or assets below a .SAFE"
            raise SceneError(place, text)
        here = self._here(place, location)
        folder = storage.name(location).removesuffix(".SAFE")
        if name and folder != name.text:
            reason = f"names the product {name.text}, but its folder is {_shown(folder)}"
            raise SceneError(place, reason)
        names = {key: _below(location, asset) for key, asset in assets.items() if _mapping(asset)}
        return self._candidate(here, folder, properties, assets, names)

    def _of_assets(
        self,
        place: str,
        assets: Mapping[str, Any],
        properties: Mapping[str, Any],
        name: ProductName | None,
    ) -> Candidate:
        """A product whose files are assets; they get the names of the original product."""
        collection, level = self.collection, self.wanted.level
        if name is None:
            raise SceneError(place, "no name of a Sentinel-2 product in it, nor in s2:product_uri")
        bands = collection.assets(self.wanted.bands)
        places = {key: self._asset(place, assets, key) for key in bands}
        for key in (collection.mask, collection.granule, collection.product):
            if key:
                places[key] = self._asset(place, assets, key)
        tree = _Tree(name, level, properties)
        names = dict(zip(bands, map(tree.band, self.wanted.bands), strict=True))
        names[collection.granule] = f"{tree.granule}/MTD_TL.xml"
        if collection.mask:
            names[collection.mask] = tree.mask(places[collection.mask])
        if collection.product:
            names[collection.product] = f"MTD_MSI{level}.xml"
        granule = places[collection.granule].rpartition("/")[0]
        folders = {f"{tree.granule}/QI_DATA": storage.join(granule, collection.masks)}
        looked_up = {}
        if not collection.product:
            info = self._asset(place, assets, collection.tile_info, needed=False)
            looked_up[f"MTD_MSI{level}.xml"] = partial(_product_xml, collection, name, info)
        flag = properties.get(collection.offset_flag)
        files = AssetFiles(
            granule,
            f"{name.text}.SAFE",
            {names[key]: location for key, location in places.items()},
            looked_up,
            folders if collection.masks else None,
            offset_applied=flag if isinstance(flag, bool) else collection.offset_applied,
        )
        return self._candidate(granule, name.text, properties, assets, names, files)

    def _asset(self, place: str, assets: Mapping[str, Any], key: str, needed: bool = True) -> str:
        """Location of an asset; "" if it does not exist and is not needed."""
        asset = _mapping(assets.get(key))
        location = _text(asset.get("href"))
        if not location:
            if needed:
                named = ", ".join(sorted(map(str, assets)))[:120] or "none"
                raise SceneError(place, f"no asset {key!r} with an href, it has {_shown(named)}")
            return ""
        here = self._here(place, location)
        for description in (asset, *_bands_of(asset)):
            nodata = description.get("nodata")
            if nodata not in (None, self.collection.nodata) and key in self.collection.assets(
                self.wanted.bands
            ):
                found = f"nodata {_shown(str(nodata))[:20]} in asset {key!r}"
                raise SceneError(place, f"{found}, expected {self.collection.nodata}")
        return here

    def _here(self, place: str, location: str) -> str:
        """The location here for one in an item; SceneError if it is outside the roots."""
        root = self.collection.root_of(location)
        if root is None:
            roots = " or ".join(self.collection.roots)
            reason = f"names {_shown(location)}, expected a location below {roots}"
            raise SceneError(place, f"{reason}; the job reads no other location")
        if not self.archive:
            return location
        return storage.join(self.archive, location.removeprefix(f"{root}/"))

    def _candidate(
        self,
        location: str,
        name: str,
        properties: Mapping[str, Any],
        assets: Mapping[str, Any],
        names: Mapping[str, str],
        files: AssetFiles | None = None,
    ) -> Candidate:
        strip = properties.get("eopf:datastrip_id") or properties.get("s2:datastrip_id")
        made = properties.get("processing:version") or properties.get("s2:processing_baseline")
        baseline = _BASELINE.fullmatch(_text(made))
        ordered = _text(properties.get("order:status"))
        whole = _mapping(assets.get("Product"))
        return Candidate(
            location,
            name,
            datastrip=_text(strip),
            baseline=baseline[0] if baseline else "",
            cloud_cover=_percent(properties.get("eo:cloud_cover")),
            online=ordered in ("", "succeeded"),
            size=_count(whole.get("file:size")),
            checksums=_checksums(assets, names),
            files=files,
        )


class _Tree:
    """The names of the files of a product in its SAFE folder."""

    def __init__(self, name: ProductName, level: Level, properties: Mapping[str, Any]) -> None:
        strip = _STRIP_START.search(_text(properties.get("s2:datastrip_id")))
        orbit = _ORBIT.search(_text(properties.get("s2:granule_id")))
        known = f"_{orbit[1]}_{strip[1]}" if orbit and strip else ""
        self._fine = level is Level.L2A
        self._stem = f"T{name.tile}_{name.sensing:%Y%m%dT%H%M%S}"
        self.granule = f"GRANULE/{level}_T{name.tile}{known}"

    def band(self, band: str) -> str:
        metres = 20 if band in BANDS_20M else 10
        folder, end = (f"R{metres}m/", f"_{metres}m") if self._fine else ("", "")
        return f"{self.granule}/IMG_DATA/{folder}{self._stem}_{band}{end}.jp2"

    def mask(self, location: str) -> str:
        if self._fine:
            return f"{self.granule}/IMG_DATA/R20m/{self._stem}_SCL_20m.jp2"
        kind = "MSK_CLOUDS_B00.gml" if location.endswith(".gml") else "MSK_CLASSI_B00.jp2"
        return f"{self.granule}/QI_DATA/{kind}"


def _product_xml(collection: Collection, name: ProductName, tile_info: str) -> str:
    """Location of the XML of a product, if no asset names it: below `productPath` of tileInfo.json.

    Without tileInfo.json, it follows from the product's name.
    """
    day = name.sensing
    path = f"products/{day.year}/{day.month}/{day.day}/{name.text}"
    if tile_info:
        try:
            given = json.loads(read_bytes(gdal_path(tile_info), _MOST_TILE_INFO))["productPath"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise SceneError(tile_info, "no JSON with a productPath in it") from error
        path = _text(given)
    if unsafe(path) or storage.name(path) != name.text:
        reason = f"productPath {_shown(path)}, expected one that ends in {name.text}"
        raise SceneError(tile_info, reason)
    return storage.join(collection.products, path, "metadata.xml")


def _folder(item: Mapping[str, Any], assets: Mapping[str, Any]) -> str | None:
    """The SAFE folder in the link or the assets of an item; None if they name none."""
    links = item.get("links")
    for link in map(_mapping, links if isinstance(links, list) else ()):
        href = _text(link.get("href"))
        if link.get("rel") == "enclosure" and href.rstrip("/").endswith(".SAFE"):
            return href.rstrip("/")
    for asset in map(_mapping, assets.values()):
        href = _text(asset.get("href"))
        match = _SAFE.fullmatch(href)
        if match and not href.startswith(("http://", "https://")):
            return f"{match[1] or ''}{match[2]}"
    return None


def _below(location: str, asset: Mapping[str, Any]) -> str:
    """The name of an asset inside the product at a location; "" if it is outside."""
    href = _text(asset.get("href"))
    name = href.removeprefix(f"{location}/")
    return "" if name == href or unsafe(name) else name


def _checksums(assets: Mapping[str, Any], names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The checksums of the assets, by the file's name in the product.

    Some checksums of Copernicus have the code of MD5, but 32 bytes; these are left out.
    """
    sums = (
        (name, from_multihash(_text(_mapping(assets.get(key)).get("file:checksum"))))
        for key, name in names.items()
    )
    return tuple(sorted((name, checksum) for name, checksum in sums if name and checksum))


def _tile(text: str) -> str | None:
    """The tile in `MGRS-33UUU` or `06VVN`; a zone may be written with one digit."""
    zone = re.sub(r"^(MGRS-|T)?(\d[A-Z]{3})$", r"0\2", text)
    match = _PLAIN_TILE.fullmatch(zone)
    return match[1] if match else None


def _bands_of(asset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = [asset.get(key) for key in ("raster:bands", "bands")]
    return [_mapping(one) for some in listed if isinstance(some, list) for one in some[:1]]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """A number of bytes; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _percent(value: object) -> float | None:
    """A percentage; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= 100 else None


def _kind(value: object) -> str:
    return type(value).__name__


def _shown(text: str) -> str:
    """A text of an answer for a message: on one line, short, without credentials."""
    return printable(masked(text))[:200]
