"""STAC APIs as data: the place of each collection, and the names of the assets of its items.

A job file can describe any other STAC API in the same way. Source of the names: recorded items of
each API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from transforms.elements import BANDS, BANDS_20M, TEN_BANDS, Level, SceneError
from transforms.storage.locations import is_url, problem
from transforms.storage.remote import is_http
from transforms.storage.signing import Signer

FILTER, QUERY = "filter", "query"
"""Ways to ask an API for tiles: by a CQL2 filter, or by the older query extension."""
STRICT = {"extra": "forbid"}
"""Any other key in a job file is a mistake."""
MOST_ITEMS, MOST_TILES, SLOWEST, FASTEST = 1000, 100, 0.1, 50.0


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of Sentinel-2 products in a STAC API.

    If products are SAFE folders, as they were delivered (`safe`), an item only names the folder.
    If not, the names of the assets of an item say which file is which.

    Attributes:
        name: identifier of the collection.
        roots: folders or URLs; each location in an item must be below one of them.
        safe: whether products are SAFE folders.
        red, green, blue, nir: assets with B04, B03, B02 and B08 at 10 m.
        bands_20m: assets with the bands at 20 m, in the order of `BANDS_20M`; empty if it has none.
        mask: asset with the cloud mask: SCL of L2A, MSK_CLASSI or MSK_CLOUDS of L1C.
        granule: asset with the tile's XML, MTD_TL.xml.
        product: asset with the product's XML, MTD_MSIL1C.xml or MTD_MSIL2A.xml.
        tile_info: asset with tileInfo.json, whose `productPath` leads to the product's XML.
        products: folder or URL to which `productPath` is relative, if there is no `product`.
        masks: folder of the masks beside the tile's XML, if there is no `mask`.
        nodata: digital number without data; only 0 is read.
        offset_applied: whether the offset in the product's XML was already added to the pixels.
        offset_flag: property of an item that says the same for this item, true or false.
        tokens: address of the tokens, if the files need some; the name of the container, which is
            the first part of the path of a file, follows it.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    roots: tuple[str, ...]
    safe: bool = False
    red: str = ""
    green: str = ""
    blue: str = ""
    nir: str = ""
    bands_20m: tuple[str, ...] = ()
    mask: str = ""
    granule: str = ""
    product: str = ""
    tile_info: str = ""
    products: str = ""
    masks: str = ""
    nodata: int = 0
    offset_applied: bool = False
    offset_flag: str = ""
    tokens: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a collection without a name")
        places = (*self.roots, *((self.products,) if self.products else ()))
        if not self.roots:
            raise ValueError(
                f"collection {self.name}: no roots, expected the folders or URLs of its products"
            )
        for place in places:
            if reason := problem(place):
                raise ValueError(f"collection {self.name}: {place!r} {reason}")
        if self.tokens and (problem(self.tokens) or not is_http(self.tokens)):
            raise ValueError(
                f"collection {self.name}: tokens {self.tokens!r} is not an http or https URL"
            )
        if self.nodata != 0:
            raise ValueError(f"collection {self.name}: nodata {self.nodata}, only 0 is read")
        if self.safe:
            return
        if len(self.bands_20m) not in (0, len(BANDS_20M)):
            raise ValueError(
                f"collection {self.name}: bands_20m has {len(self.bands_20m)} assets, expected "
                f"those of {', '.join(BANDS_20M)}, in this order"
            )
        given = (*self.bands, *self.bands_20m)
        missing = [band for band, asset in zip(TEN_BANDS, given, strict=False) if not asset]
        if missing:
            raise ValueError(f"collection {self.name}: no asset for {', '.join(missing)}")
        if twice := [asset for asset in given if given.count(asset) > 1]:
            raise ValueError(f"collection {self.name}: asset {twice[0]!r} is given for two bands")
        if not self.granule:
            raise ValueError(f"collection {self.name}: no asset for the tile's XML (granule)")
        if not (self.product or self.products):
            raise ValueError(
                f"collection {self.name}: no asset for the product's XML (product), and no folder "
                "of products (products)"
            )

    @property
    def bands(self) -> tuple[str, str, str, str]:
        """Assets of the four bands, in the order of `BANDS`."""
        return self.red, self.green, self.blue, self.nir

    def assets(self, bands: Sequence[str]) -> tuple[str, ...]:
        """Assets of bands, which are `BANDS` or `TEN_BANDS`, in their order.

        Raises:
            SceneError: the collection does not say which assets have the bands at 20 m.
        """
        if len(bands) > len(BANDS) and not self.bands_20m:
            reason = "no assets for the bands at 20 m (bands_20m), which composite.bands: ten needs"
            raise SceneError(f"collection {self.name}", reason)
        return (*self.bands, *self.bands_20m)[: len(bands)]

    def signers(self) -> tuple[Signer, ...]:
        """The services that give tokens for its files; empty if they are open."""
        hosts = {urlsplit(root).netloc.lower() for root in self.roots if is_http(root)}
        return tuple(Signer(host, self.tokens) for host in sorted(hosts) if self.tokens)

    def root_of(self, location: str) -> str | None:
        """The root above a location, if no step leads back (`..`); None if it is outside."""
        if problem(location) or ".." in location.split("/"):
            return None
        roots = (root.rstrip("/") for root in self.roots)
        root = next((root for root in roots if location.startswith(f"{root}/")), None)
        # What follows an empty part would be an absolute path below another root.
        return None if root is None or "//" in location.removeprefix(root) else root


@dataclass(frozen=True, slots=True)
class Preset:
    """A STAC API, and its collections that are used.

    Attributes:
        name: name for messages.
        address: address of its landing page.
        l1c, l2a: the collection of each level; None if there is none.
        ask: how to ask for a tile: `filter` (CQL2, basic) or the extension `query`.
        tile_property: property of an item that names its tile.
        tile_prefix: text before the name of the tile there.
        page: items a page, 1 to 1000.
        tiles: number of tiles in one search, 1 to 100.
        per_second: largest number of requests that begin within a second, 0.1 to 50.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    address: str
    l1c: Collection | None = None
    l2a: Collection | None = None
    ask: str = FILTER
    tile_property: str = "grid:code"
    tile_prefix: str = "MGRS-"
    page: int = 100
    tiles: int = 10
    per_second: float = 4.0

    def __post_init__(self) -> None:
        reason = problem(self.address)
        if reason is None and not is_http(self.address):
            reason = "is not an http or https URL"
        if reason:
            raise ValueError(f"{self.name}: address {self.address!r} {reason}")
        if self.l1c is None and self.l2a is None:
            raise ValueError(f"{self.name}: no collection, expected l1c or l2a")
        if self.ask not in (FILTER, QUERY):
            raise ValueError(f"{self.name}: ask {self.ask!r}, expected {FILTER} or {QUERY}")
        if not self.tile_property:
            raise ValueError(f"{self.name}: no tile_property, expected one such as grid:code")
        for key, value, most in (
            ("page", self.page, MOST_ITEMS),
            ("tiles", self.tiles, MOST_TILES),
        ):
            if not 1 <= value <= most:
                raise ValueError(f"{self.name}: {key} {value}, expected 1 to {most}")
        if not SLOWEST <= self.per_second <= FASTEST:
            text = f"per_second {self.per_second:g}, expected {SLOWEST:g} to {FASTEST:g}"
            raise ValueError(f"{self.name}: {text}")

    def of(self, level: Level) -> Collection | None:
        """The collection of a level; None if the API has none."""
        return self.l1c if level is Level.L1C else self.l2a

    def levels(self) -> tuple[Level, ...]:
        """The levels that it has."""
        return tuple(level for level in Level if self.of(level) is not None)

    def local(self) -> bool:
        """Whether its products are on this machine or a mount."""
        return not any(is_url(root) for one in self._collections() for root in one.roots)

    def signers(self) -> tuple[Signer, ...]:
        """The services that give tokens for its files; empty if they are open."""
        return tuple(signer for one in self._collections() for signer in one.signers())

    def _collections(self) -> tuple[Collection, ...]:
        return tuple(one for one in (self.l1c, self.l2a) if one is not None)


_EODATA = ("s3://eodata",)
COPERNICUS = Preset(
    name="copernicus",
    address="https://stac.dataspace.copernicus.eu/v1/",
    l1c=Collection("sentinel-2-l1c", _EODATA, safe=True),
    l2a=Collection("sentinel-2-l2a", _EODATA, safe=True),
)
"""The Copernicus Data Space Ecosystem. Its service refuses more than five requests in a second."""

_EARTH_SEARCH_20M = ("rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22")
_AWS_L1C = Collection(
    "sentinel-2-l1c",
    ("s3://sentinel-s2-l1c/tiles",),
    red="red",
    green="green",
    blue="blue",
    nir="nir",
    bands_20m=_EARTH_SEARCH_20M,
    granule="granule_metadata",
    tile_info="tileinfo_metadata",
    products="s3://sentinel-s2-l1c",
    masks="qi",
)
EARTH_SEARCH = Preset(
    name="earth-search",
    address="https://earth-search.aws.element84.com/v1",
    l1c=_AWS_L1C,
    l2a=Collection(
        "sentinel-2-c1-l2a",
        ("https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a",),
        red="red",
        green="green",
        blue="blue",
        nir="nir",
        bands_20m=_EARTH_SEARCH_20M,
        mask="scl",
        granule="granule_metadata",
        product="product_metadata",
    ),
    ask=QUERY,
)
"""Earth Search with Collection 1: every file of L2A is open, and the pixels are unchanged."""
EARTH_SEARCH_L2A = Preset(
    name="earth-search-l2a",
    address="https://earth-search.aws.element84.com/v1",
    l1c=_AWS_L1C,
    l2a=Collection(
        "sentinel-2-l2a",
        ("https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs",),
        red="red",
        green="green",
        blue="blue",
        nir="nir",
        bands_20m=_EARTH_SEARCH_20M,
        mask="scl",
        granule="granule_metadata",
        tile_info="tileinfo_metadata",
        products="s3://sentinel-s2-l2a",
        offset_applied=True,
        offset_flag="earthsearch:boa_offset_applied",
    ),
    ask=QUERY,
)
"""Earth Search with its first L2A collection: the offset is applied, and the product's own XML is
in a bucket where the requester pays."""

PLANETARY_COMPUTER = Preset(
    name="planetary-computer",
    address="https://planetarycomputer.microsoft.com/api/stac/v1",
    l2a=Collection(
        "sentinel-2-l2a",
        ("https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2",),
        red="B04",
        green="B03",
        blue="B02",
        nir="B08",
        bands_20m=BANDS_20M,
        mask="SCL",
        granule="granule-metadata",
        product="product-metadata",
        tokens="https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel2l2a01",
    ),
    tile_property="s2:mgrs_tile",
    tile_prefix="",
    tiles=1,  # larger searches time out there
)
"""The Planetary Computer; `transforms.storage.signing` signs its files when they are read."""

PRESETS = {
    preset.name: preset
    for preset in (COPERNICUS, EARTH_SEARCH, EARTH_SEARCH_L2A, PLANETARY_COMPUTER)
}
"""The presets that a job file can name."""
