"""Reads the XML of a Sentinel-2 product: radiometry, date, clouds and the tile's 10 m grid.

Source: Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD), issue 14.9, the user
product metadata of Level-1C and Level-2A, and the tile metadata. This module opens no file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import defusedxml
import defusedxml.ElementTree

from transforms.elements import BANDS, BANDS_60M, TEN_BANDS, Level, SceneError

from .footprint import footprint_of

MAX_XML_BYTES = 64 * 2**20
"""Largest XML that is parsed; product and tile metadata are far smaller."""
MIN_QUANTIFICATION, MAX_QUANTIFICATION = 1000, 65_535
"""Limits of the quantification in digital numbers: products have 10 000, the earliest 1000. With a
value far away, every reflectance would be the same, without any error."""

BAND_INDEX = {
    "B01": 0,
    "B02": 1,
    "B03": 2,
    "B04": 3,
    "B05": 4,
    "B06": 5,
    "B07": 6,
    "B08": 7,
    "B8A": 8,
    "B09": 9,
    "B10": 10,
    "B11": 11,
    "B12": 12,
}
"""Band index of the specification, for products that list no bands."""

_BANDS = TEN_BANDS + BANDS_60M
_PRODUCT_ROOTS = {"Level-1C_User_Product": Level.L1C, "Level-2A_User_Product": Level.L2A}
_TILE_ROOTS = {"Level-1C_Tile_ID": Level.L1C, "Level-2A_Tile_ID": Level.L2A}
_STATED_LEVELS = {"Level-1C": Level.L1C, "Level-2A": Level.L2A, "Level-2Ap": Level.L2A}
_QUANTIFICATION = {
    Level.L1C: ("QUANTIFICATION_VALUE",),
    Level.L2A: ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
}
_OFFSETS = {
    Level.L1C: ("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
    Level.L2A: ("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"),
}
_IMAGES = ("IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID", "IMAGE_ID_2A")
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?")
_TILE = re.compile(r"_T(\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?=_|$)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_SPACECRAFT = re.compile(r"S(?:entinel)?[-_ ]?(2[A-Z])", re.IGNORECASE)
_STRIP_START = re.compile(r"_S(\d{8}T\d{6})(?=_|$)", re.ASCII)
_BASELINE = re.compile(r"\d{2}\.\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProductMetadata:
    """Metadata of a product (MTD_MSIL1C.xml, MTD_MSIL2A.xml and their older names).

    Attributes:
        level: Processing level.
        product_id: Product name without `.SAFE`; empty if the product does not state it.
        baseline: Processing baseline, `NN.NN`.
        satellite: As in product names (`S2A`); empty if absent.
        sensing: Start of the datatake, UTC.
        cloud_cover: Percent; None if absent.
        quantification: Digital numbers per unit of reflectance.
        offsets: By name of band, in digital numbers: the bands at 10 m, and those of the further
            bands that the product gives. 0 if it has no list.
        images: The image files in the product's list, without extension.
        footprint: The ground with data, as in `footprint_of`; empty if absent.
    """

    level: Level
    product_id: str
    baseline: str
    satellite: str
    sensing: datetime
    cloud_cover: float | None
    quantification: float
    offsets: dict[str, float]
    images: tuple[str, ...]
    footprint: str = ""


@dataclass(frozen=True, slots=True)
class TileMetadata:
    """Metadata of a tile (MTD_TL.xml): its 10 m grid, upper left corner in metres of `epsg`.

    `cloud_cover` is in percent, None if absent. `datastrip` is the sensing start of the datastrip,
    `YYYYMMDDTHHMMSS`, empty if absent.
    """

    level: Level
    tile: str
    epsg: int
    ulx: float
    uly: float
    rows: int
    cols: int
    cloud_cover: float | None
    datastrip: str


def parse_product(xml: bytes, name: str) -> ProductMetadata:
    """Read product metadata.

    Offsets come from the list in the file, by the index of the physical band, never from the date
    or the baseline.

    Args:
        xml: content of the file.
        name: name of the file, for errors.

    Raises:
        SceneError: the XML is unsafe, broken, of another kind or incomplete. A list of offsets
            without one of the bands is incomplete.
    """
    document = _Document(xml, name, _PRODUCT_ROOTS)
    stated = document.text("PROCESSING_LEVEL")
    if _STATED_LEVELS.get(stated) is not document.level:
        raise SceneError(
            name, f"has PROCESSING_LEVEL {stated[:40]!r} in a {document.level} product"
        )
    baseline = document.text("PROCESSING_BASELINE")
    if not _BASELINE.fullmatch(baseline):
        raise SceneError(name, f"has PROCESSING_BASELINE {baseline[:40]!r}, expected NN.NN")
    quantification = document.number(*_QUANTIFICATION[document.level])
    if not MIN_QUANTIFICATION <= quantification <= MAX_QUANTIFICATION:
        limits = f"{MIN_QUANTIFICATION} to {MAX_QUANTIFICATION}"
        raise SceneError(name, f"has quantification {quantification:g}, expected {limits}")
    offsets = _offsets(document)
    odd = [value for value in offsets.values() if abs(value) > quantification]
    if odd:
        raise SceneError(
            name,
            f"has an offset of {odd[0]:g}, expected at most the quantification, {quantification:g}",
        )
    return ProductMetadata(
        level=document.level,
        product_id=_product_id(document),
        baseline=baseline,
        satellite=_satellite(document),
        sensing=_moment(document.text("DATATAKE_SENSING_START", "PRODUCT_START_TIME"), name),
        cloud_cover=document.percent("Cloud_Coverage_Assessment"),
        quantification=quantification,
        offsets=offsets,
        images=tuple(text for tag in _IMAGES for text in document.texts(tag)),
        footprint=footprint_of(document.texts("EXT_POS_LIST")),
    )


def parse_tile(xml: bytes, name: str) -> TileMetadata:
    """Read tile metadata.

    Args:
        xml: content of the file.
        name: name of the file, for errors.

    Raises:
        SceneError: the XML is unsafe, broken or of another kind, or it does not define a north-up
            10 m grid in a UTM zone.
    """
    document = _Document(xml, name, _TILE_ROOTS)
    identifier = document.text("TILE_ID", "TILE_ID_2A")
    match = _TILE.search(identifier)
    if match is None:
        raise SceneError(name, f"has TILE_ID {identifier[:80]!r}, which names no MGRS tile")
    code = document.text("HORIZONTAL_CS_CODE")
    if not re.fullmatch(r"EPSG:32[67](0[1-9]|[1-5][0-9]|60)", code):
        raise SceneError(name, f"has HORIZONTAL_CS_CODE {code[:40]!r}, expected EPSG of a UTM zone")
    size, place = document.at_10m("Size"), document.at_10m("Geoposition")
    rows, cols = (document.number(tag, within=size) for tag in ("NROWS", "NCOLS"))
    ulx, uly = (document.number(tag, within=place) for tag in ("ULX", "ULY"))
    steps = tuple(document.number(tag, within=place) for tag in ("XDIM", "YDIM"))
    if not all(1 <= side <= 100_000 and side == int(side) for side in (rows, cols)):
        raise SceneError(name, f"has a size of {rows:g} x {cols:g} pixels at 10 m")
    if steps != (10, -10):
        raise SceneError(
            name, f"has pixels of {steps[0]:g} x {steps[1]:g} m at 10 m, expected 10 x -10"
        )
    return TileMetadata(
        level=document.level,
        tile=match.group(1),
        epsg=int(code.removeprefix("EPSG:")),
        ulx=ulx,
        uly=uly,
        rows=int(rows),
        cols=int(cols),
        cloud_cover=document.percent("CLOUDY_PIXEL_PERCENTAGE"),
        datastrip=_datastrip(document),
    )


def parse_xml(xml: bytes, name: str) -> Any:
    """Parse an XML file of a product, without entities or DTD; return its root element.

    Raises:
        SceneError: it is too large, unsafe or not well formed.
    """
    if len(xml) > MAX_XML_BYTES:
        raise SceneError(name, f"has more than {MAX_XML_BYTES} bytes of XML")
    try:
        return defusedxml.ElementTree.fromstring(xml, forbid_dtd=True)
    except defusedxml.DefusedXmlException as error:
        raise SceneError(name, f"is unsafe XML ({type(error).__name__})") from error
    except (SyntaxError, ValueError, LookupError) as error:  # ParseError is a SyntaxError
        reason = " ".join(str(error).split())[:120]
        raise SceneError(name, f"is not well-formed XML: {reason}") from error


def number(text: str, name: str, what: str) -> float:
    """A finite decimal number in the notation of XML; SceneError if the text is none."""
    if _NUMBER.fullmatch(text.strip()):
        value = float(text)
        if math.isfinite(value):
            return value
    raise SceneError(name, f"{what} is {text.strip()[:40]!r}, expected a number")


def local_name(element: Any) -> str:
    """The tag of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


class _Document:
    """A parsed metadata file, with its elements by local name."""

    def __init__(self, xml: bytes, name: str, roots: dict[str, Level]) -> None:
        root = parse_xml(xml, name)
        if local_name(root) not in roots:
            expected = " or ".join(roots)
            raise SceneError(
                name, f"has root element {local_name(root)[:80]!r}, expected {expected}"
            )
        self.name = name
        self.level = roots[local_name(root)]
        self.elements: dict[str, list[Any]] = {}
        for element in root.iter():
            self.elements.setdefault(local_name(element), []).append(element)

    def texts(self, tag: str) -> list[str]:
        return [text for e in self.elements.get(tag, ()) if (text := (e.text or "").strip())]

    def text(self, *tags: str) -> str:
        for tag in tags:
            texts = self.texts(tag)
            if texts:
                return texts[0]
        raise SceneError(self.name, f"has no {' or '.join(tags)}")

    def number(self, *tags: str, within: Any = None) -> float:
        if within is None:
            value = number(self.text(*tags), self.name, tags[0])
            stated = next(texts for tag in tags if (texts := self.texts(tag)))
            if any(number(text, self.name, tags[0]) != value for text in stated):
                raise SceneError(self.name, f"has two values of {tags[0]}")
            return value
        for child in within:
            if local_name(child) in tags:
                return number(child.text or "", self.name, tags[0])
        raise SceneError(self.name, f"has no {tags[0]} in {local_name(within)} at 10 m")

    def percent(self, tag: str) -> float | None:
        texts = self.texts(tag)
        if not texts:
            return None
        value = number(texts[0], self.name, tag)
        if not 0 <= value <= 100.01:  # some processors round up beyond 100
            raise SceneError(self.name, f"has {tag} {value:g}, expected 0 to 100")
        return min(value, 100.0)

    def at_10m(self, tag: str) -> Any:
        for element in self.elements.get(tag, ()):
            if (element.get("resolution") or "").strip() == "10":
                return element
        raise SceneError(self.name, f"has no {tag} of resolution 10")


def _satellite(document: _Document) -> str:
    names = (_SPACECRAFT.fullmatch(text) for text in document.texts("SPACECRAFT_NAME"))
    return next((f"S{match[1].upper()}" for match in names if match), "")


def _product_id(document: _Document) -> str:
    for tag in ("PRODUCT_URI", "PRODUCT_URI_2A"):
        for text in document.texts(tag):
            identifier = re.sub(r"\.safe$", "", text, flags=re.IGNORECASE)
            if not _NAME.fullmatch(identifier):
                raise SceneError(
                    document.name, f"has {tag} {text[:80]!r}, which is not a product name"
                )
            return identifier
    return ""


def _offsets(document: _Document) -> dict[str, float]:
    list_tag, tag = _OFFSETS[document.level]
    elements = document.elements.get(tag, [])
    if not elements and list_tag not in document.elements:
        return dict.fromkeys(_BANDS, 0.0)
    listed = _band_indices(document)
    wanted = listed or {band: str(index) for band, index in BAND_INDEX.items()}
    values: dict[str, float] = {}
    for element in elements:
        index = (element.get("band_id") or "").strip()
        value = number(element.text or "", document.name, tag)
        if values.setdefault(index, value) != value:
            raise SceneError(document.name, f"has two values of {tag} for band_id {index[:20]!r}")
    missing = [
        band for band in {**listed, **dict.fromkeys(BANDS)} if wanted.get(band) not in values
    ]
    if missing:
        raise SceneError(
            document.name, f"has no {tag} for {', '.join(missing)}: the list is incomplete"
        )
    return {band: values[wanted[band]] for band in _BANDS if wanted.get(band) in values}


def _band_indices(document: _Document) -> dict[str, str]:
    """Index by band name (two digits), from the product's Spectral_Information."""
    indices: dict[str, str] = {}
    for element in document.elements.get("Spectral_Information", ()):
        match = re.fullmatch(r"B(\d{1,2})(A?)", (element.get("physicalBand") or "").strip())
        if match is None:
            continue
        band = f"B{match[1]}A" if match[2] else f"B{int(match[1]):02d}"
        indices[band] = (element.get("bandId") or "").strip()
    return indices


def _datastrip(document: _Document) -> str:
    for tag in ("DATASTRIP_ID", "DATASTRIP_ID_2A"):
        for text in document.texts(tag):
            match = _STRIP_START.search(text)
            if match and _is_moment(match[1]):
                return match[1]
    return ""


def _is_moment(stamp: str) -> bool:
    try:
        datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SceneError(name, f"has sensing time {text[:40]!r}, expected ISO 8601") from None
