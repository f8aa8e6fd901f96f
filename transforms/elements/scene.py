"""One Sentinel-2 product as the job uses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .grid import Grid, utm_grid

BANDS = ("B04", "B03", "B02", "B08")
"""Red, green, blue, near infrared: the order of the S2 layer and of the network's input."""


class Level(StrEnum):
    """Processing level."""

    L1C = "L1C"
    L2A = "L2A"


class MaskKind(StrEnum):
    """Where a scene's cloud mask comes from."""

    CLASSIFICATION = "MSK_CLASSI"  # JP2, baseline 04.00 and later
    CLOUDS_GML = "MSK_CLOUDS"  # polygons, earlier baselines
    SCL = "SCL"  # scene classification of L2A


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of an archive as its listing shows it; what is fetched of it must be that.

    `location` is a path or a URL, of the archive for what lies in a zip; `size` are bytes, 0 where
    they are not known; `version` is the storage's own mark (an ETag); `checksum` is
    `ALGORITHM:HEXADECIMAL` where a catalogue tells it.
    """

    location: str
    size: int = 0
    version: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """A product and what its metadata says; nothing here needs the XML again.

    `bands` and `offsets` follow `BANDS`; paths are what GDAL opens (`/vsizip/...` in archives).
    The grid is the tile's 10 m grid as MTD_TL.xml gives it.
    """

    id: str
    path: str
    tile: str
    level: Level
    baseline: str
    sensing: datetime
    cloud_cover: float
    """Percent of the product, as its metadata states."""
    quantification: float
    offsets: tuple[float, float, float, float]
    bands: tuple[str, str, str, str]
    mask: str | None
    mask_kind: MaskKind | None
    epsg: int
    ulx: float
    uly: float
    rows: int
    cols: int
    size: int
    """Bytes of the band files (of the archive for a zip)."""
    satellite: str = ""
    """`S2A`, `S2B` and so on; empty where the metadata name none."""
    datastrip: str = ""
    """Sensing start of the datastrip, `YYYYMMDDTHHMMSS`; empty where the metadata name none."""
    files: str = ""
    """Hash of what every copy of its bands and mask shares: names in the product, sizes, kind of
    the mask, and the content of what is small or of what the archive has a checksum of."""
    band_files: tuple[SourceFile, ...] = ()
    """The files that the bands are in, in their order; empty where no listing shows them."""
    mask_file: SourceFile | None = None
    """The file that the mask is in."""

    @property
    def grid(self) -> Grid:
        """The 10 m grid of the product's tile."""
        return utm_grid(self.epsg, self.ulx, self.uly, self.rows, self.cols)
