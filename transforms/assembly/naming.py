"""What the names of products and granules say, without opening them.

Source: Sentinel-2 product naming, compact since 2016-12-06
(`S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102204`) and before
(`S2A_OPER_PRD_MSIL1C_PDMC_20161016T134321_R065_V20161016T101022_20161016T101022`).
"""

from __future__ import annotations

import re
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
    rf"_R\d{{3}}_V(?P<sensing>{_STAMP})"
)
_GRANULE = re.compile(rf"_T({TILE})(?=_|$)")


@dataclass(frozen=True, slots=True)
class ProductName:
    """A product's name, taken apart; `tile` is None in the old naming (it may hold several).

    `made` is the compact name's discriminator or the old name's creation, `YYYYMMDDTHHMMSS`.
    """

    satellite: str
    level: Level
    sensing: datetime
    tile: str | None
    made: str


def parse_name(name: str) -> ProductName | None:
    """Take a product's name apart (with or without extension); None where it follows no rule."""
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
        )
    return None


def granule_tile(name: str) -> str | None:
    """MGRS tile that a granule's folder name carries, None where it carries none."""
    match = _GRANULE.search(name) or re.match(rf"T({TILE})_", name)
    return match[1] if match else None
