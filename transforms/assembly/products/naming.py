"""Reads the names of products and granules, without opening them.

Source: Sentinel-2 product naming, compact since 2016-12-06
(`S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102204`) and before
(`S2A_OPER_PRD_MSIL1C_PDMC_20161016T134321_R065_V20161016T101022_20161016T101022`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from transforms.elements import Level

TILE = r"[0-9]{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]"
_STAMP = r"[0-9]{8}T[0-9]{6}"
_COMPACT = re.compile(
    rf"(?P<satellite>S2[A-Z])_MSI(?P<level>L1C|L2A)_(?P<sensing>{_STAMP})"
    rf"(_N(?P<baseline>\d{{4}}))?_R\d{{3}}_T(?P<tile>{TILE})_(?P<made>{_STAMP})"
)
_OLD = re.compile(
    rf"(?P<satellite>S2[A-Z])_(OPER|USER)_PRD_MSI(?P<level>L1C|L2A)_\w{{4}}_(?P<made>{_STAMP})"
    rf"_R\d{{3}}_V(?P<sensing>{_STAMP})(_{_STAMP})?"
)
_OTHER_KIND = re.compile(
    r"(S(1[A-D]|3[A-D]|5P|6[A-B])_|S2[A-Z]_(\w{4}_)?(PRD_)?(MSI_?L(0|1A|1B|3)|AUX_)).*[0-9]{8}T[0-9]{6}"
    r"|L[COTEM]0[4-9]_L\w{3}_[0-9]{6}_[0-9]{8}"
)
"""Products of other satellites, and levels of Sentinel-2 without reflectance of a tile. The
patterns match whole names, because a folder of any content may begin like one."""
_TILE_FOLDER = re.compile(rf"T?({TILE})")
_LEVEL_FOLDER = re.compile(r"(L0|L1A|L1B|L1C|L2A|L3[A-Z]?)(_N\d{4})?")
PRODUCT_FILE = re.compile(
    r"(MTD_MSIL(1C|2A)|S2[A-Z]_(OPER|USER)_MTD_SAFL(1C|2A)\w*|product_metadata)\.xml", re.IGNORECASE
)
_AWS_TILE = ("tileInfo.json", "preview.jp2", "B04.jp2", "R10m")
_GRANULE = re.compile(rf"_T({TILE})(?=_|$)")
_WHOLE_GRANULE = re.compile(
    rf"L(1C|2A)_T{TILE}_A[0-9]{{6}}_{_STAMP}|S2[A-Z]_(OPER|USER)_MSI_L(1C|2A)_TL_\w+_T{TILE}_N\d\d\.\d\d"
)
_BAND = re.compile(r"(?:(?P<rest>\w+)_)?B(02|03|04|08)(?P<fine>_10m)?\.jp2", re.IGNORECASE)
_BAND_DAY = re.compile(rf"_({_STAMP})(?=_|$)")
_PACKED = re.compile(
    r".*\.(t(ar\.)?(gz|bz2?|xz|zst|lz4|lzma)|tar|tbz2|7z|rar|z[0-9]{2}|(zip|tar|7z|rar)\.[0-9]{2,3})",
    re.IGNORECASE | re.DOTALL,
)
_OF_PRODUCTS = frozenset(
    (
        *("GRANULE", "DATASTRIP", "AUX_DATA", "HTML", "REP_INFO", "INSPIRE"),
        *("IMG_DATA", "QI_DATA", "QI", "AUXILIARY", "PREVIEW", "R10M", "R20M", "R60M"),
    )
)


@dataclass(frozen=True, slots=True)
class ProductName:
    """The parts of a product's name; in the old naming `tile` is None (it may have several tiles).

    `made` is the discriminator of a compact name or the creation time of an old name,
    `YYYYMMDDTHHMMSS`.
    """

    satellite: str
    level: Level
    sensing: datetime
    tile: str | None
    made: str
    text: str
    """The part of the name that follows the naming rule, without extension."""


def parse_name(name: str) -> ProductName | None:
    """Parse a product's name, with or without extension; None if it follows no rule."""
    for pattern in (_COMPACT, _OLD):
        match = pattern.match(name)
        if match is None:
            continue
        try:
            sensing = datetime.strptime(match["sensing"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        return ProductName(
            satellite=match["satellite"],
            level=Level(match["level"]),
            sensing=sensing,
            tile=match["tile"] if pattern is _COMPACT else None,
            made=match["made"],
            text=match[0],
        )
    return None


def is_other_kind(name: str) -> bool:
    """Whether a name belongs to another satellite's product, or to a level that is never used."""
    return _OTHER_KIND.match(name) is not None


def folder_tile(name: str) -> str | None:
    """MGRS tile that a folder is named after: `33UUU` or `T33UUU`; None for other names."""
    match = _TILE_FOLDER.fullmatch(name)
    return match[1] if match else None


def granule_level(name: str) -> Level | None:
    """Level in the full name of a granule; None if it follows no rule."""
    match = _WHOLE_GRANULE.fullmatch(name)
    return Level(f"L{match[1] or match[3]}") if match else None


def parse_band_name(name: str) -> tuple[str | None, str | None, Level | None] | None:
    """Tile, `YYYYMMDDTHHMMSS` and level in the name of a 10 m band; None for other files."""
    match = _BAND.fullmatch(name)
    if match is None:
        return None
    rest = match["rest"] or ""
    stamp = _BAND_DAY.search(rest)
    level = Level.L2A if match["fine"] else None
    return granule_tile(f"_{rest}"), stamp[1] if stamp else None, level


def is_packed(name: str) -> bool:
    """Whether a file is an archive format that is not read, or a part of one, by its ending."""
    return _PACKED.fullmatch(name) is not None


def is_part_folder(name: str) -> bool:
    """Whether a folder in a product is one of its parts, by its name."""
    return name.upper() in _OF_PRODUCTS


def folder_level(name: str) -> str | None:
    """Level that a folder is named after, such as `L1C` or `L2A_N0500`; None for other names."""
    match = _LEVEL_FOLDER.fullmatch(name)
    return match[1] if match else None


def is_product(names: Collection[str]) -> bool:
    """Whether the names in one folder are those of a product: metadata, granules, an AWS tile."""
    if any(PRODUCT_FILE.fullmatch(name) or name.upper() == "GRANULE" for name in names):
        return True
    return "metadata.xml" in names and any(name in names for name in _AWS_TILE)


def printable(text: str) -> str:
    """A text on one line, with an escape for every character that cannot be printed."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def granule_tile(name: str) -> str | None:
    """MGRS tile in the folder name of a granule; None if it has none."""
    match = _GRANULE.search(name) or re.match(rf"T({TILE})_", name)
    return match[1] if match else None
