"""One Sentinel-2 product, as the job uses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .grid import Grid, utm_grid

BANDS = ("B04", "B03", "B02", "B08")
"""Red, green, blue, near infrared at 10 m: the order of the S2 layer and of the network's input."""
BANDS_20M = ("B05", "B06", "B07", "B8A", "B11", "B12")
"""Red edge, narrow near infrared and short-wave infrared: the order of the S2_20M layer."""
TEN_BANDS = BANDS + BANDS_20M
BANDS_60M = ("B01", "B09", "B10")
"""Coastal aerosol, water vapour and cirrus, which only masks use; L2A has no B10."""
S2CLOUDLESS_BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The bands of L1C that the mask method s2cloudless sees, in the order of its model."""


class Level(StrEnum):
    """Processing level."""

    L1C = "L1C"
    L2A = "L2A"


class MaskKind(StrEnum):
    """The file that a scene's cloud mask comes from."""

    CLASSIFICATION = "MSK_CLASSI"  # JPEG 2000, baseline 04.00 and later
    CLOUDS_GML = "MSK_CLOUDS"  # polygons, earlier baselines
    SCL = "SCL"  # scene classification of L2A


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of an archive, as in its listing; a fetched file must agree with it.

    Attributes:
        location: path or URL; for a file in a zip, that of the zip.
        size: bytes; 0 if it is not known.
        version: the mark of the storage (an ETag).
        checksum: `ALGORITHM:HEXADECIMAL`, if a catalogue gives it.
    """

    location: str
    size: int = 0
    version: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A product and the facts of its metadata; after the plan, nobody reads the XML again.

    `bands` and `offsets` are in the order of `BANDS`, or of `TEN_BANDS` if the job needs them.
    Paths are in the form that GDAL opens (`/vsizip/...` in archives). The grid is the 10 m grid of
    the tile, from MTD_TL.xml.
    """

    id: str
    path: str
    tile: str
    level: Level
    baseline: str
    sensing: datetime
    cloud_cover: float
    """Cloud cover of the product in percent, from its metadata."""
    quantification: float
    offsets: tuple[float, ...]
    bands: tuple[str, ...]
    mask: str | None
    mask_kind: MaskKind | None
    epsg: int
    ulx: float
    uly: float
    rows: int
    cols: int
    size: int
    """Bytes of the band files (of the zip for a product in a zip)."""
    satellite: str = ""
    """`S2A`, `S2B` and so on; empty if the metadata does not give it."""
    datastrip: str = ""
    """Sensing start of the datastrip, `YYYYMMDDTHHMMSS`; empty if the metadata does not give it."""
    files: str = ""
    """Hash of the facts that every copy of its bands and mask shares: names in the product, sizes,
    kind of the mask, and the content of small files or of files with a checksum in the archive."""
    band_files: tuple[SourceFile, ...] = ()
    """The files that contain the bands, in the order of the bands; empty if they are not listed."""
    mask_file: SourceFile | None = None
    """The file that contains the mask."""
    mask_bands: tuple[str, ...] = ()
    """Paths of the bands that only the mask method needs: `S2CLOUDLESS_BANDS`, or none."""
    mask_offsets: tuple[float, ...] = ()
    """The offsets of `mask_bands`."""
    mask_band_files: tuple[SourceFile, ...] = ()
    """The files that contain `mask_bands`; empty if they are not listed."""
    footprint: str = ""
    """The ground with data as its metadata states it: hexadecimal WKB of polygons in longitude and
    latitude, beyond 180 across the antimeridian; empty if the metadata does not state it."""

    @property
    def facts(self) -> list[Any]:
        """What its pixels depend on, for fingerprints: the same for every copy of its files."""
        return [
            *(self.id, self.baseline, self.quantification, self.offsets),
            *(self.ulx, self.uly, self.rows, self.cols),
            *(self.files, self.sensing.isoformat(), self.datastrip),
        ]

    @property
    def grid(self) -> Grid:
        """The 10 m grid of the product's tile."""
        return utm_grid(self.epsg, self.ulx, self.uly, self.rows, self.cols)
