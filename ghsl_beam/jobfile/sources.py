"""The section `input` of a job file: the source of the scenes, and which scenes are used."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ghsl_beam.jobfile.fields import Float, Location, Section
from transforms.assembly.catalogues.stac.presets import COPERNICUS, PRESETS, Preset
from transforms.assembly.decoders import Decoder
from transforms.elements import Level
from transforms.storage import storage

EODATA = "s3://eodata"
"""The bucket of the Copernicus products; all catalogues of them use it."""


class Source(StrEnum):
    """The kinds of lists of the products that exist."""

    ARCHIVE = "archive"
    STAC = "stac"
    ODATA = "odata"
    CREODIAS_FINDER = "creodias-finder"


class Cache(Section):
    """The folder for fetched files of the archive; it has no effect on results."""

    folder: Location | None = Field(
        None,
        description="folder on a local or shared disk; by default ghsl-beam in $XDG_CACHE_HOME, "
        "or in ~/.cache if that is not set",
    )
    gigabytes: Float = Field(
        50, gt=0, le=1_000_000, description="largest size of the folder, 10^9 bytes"
    )

    @field_validator("folder")
    @classmethod
    def _on_a_disk(cls, text: str | None) -> str | None:
        if text is not None and storage.is_url(text):
            raise ValueError("expected a folder on a disk, not a URL")
        return text


class Input(Section):
    """The catalogue and the archive of scenes, and which scenes are used."""

    source: Source = Field(
        Source.ARCHIVE,
        description="list of the products: archive (the folders themselves), stac (a STAC API), "
        "odata (the catalogue of Copernicus), creodias-finder (the same, through that package)",
    )
    archive: Location | None = Field(
        None,
        description="folder or URL of Sentinel-2 products: .SAFE folders or .zip files; with a "
        "catalogue, the place of its products: s3://eodata by default, or a mount such as /eodata",
    )
    catalogue: str | None = Field(
        None,
        description="stac: the name of a preset, copernicus by default; odata: the address of the "
        "catalogue, by default that of Copernicus",
    )
    api: Preset | None = Field(
        None, description="description of another STAC API, instead of a preset"
    )
    level: Level = Field(Level.L1C, description="L1C (the networks were trained on it) or L2A")
    max_cloud_cover: Float = Field(90, ge=0, le=100, description="cloud cover of a scene, percent")
    access: Literal["direct", "download", "download-bands"] | None = Field(
        None,
        description="direct: read files at their own place; download: fetch whole files into the "
        "cache; download-bands: the same, but read masks at their own place; by default download "
        "for an archive on object storage, else direct; has no effect on results",
    )
    cache: Cache = Cache()
    decoder: Decoder = Field(
        Decoder.OPENJPEG,
        description="decoder of JPEG 2000: openjpeg; fastest: a faster driver of GDAL, if this "
        "machine has one that gives the same pixels; has no effect on results",
    )

    @property
    def preset(self) -> Preset:
        """The STAC API of source `stac`."""
        return self.api or PRESETS[self.catalogue or COPERNICUS.name]

    @property
    def place(self) -> str:
        """The folder or URL of the products; of several, the first."""
        return self.places[0]

    @property
    def places(self) -> tuple[str, ...]:
        """The folders or URLs of the products; an API may have several."""
        if self.archive:
            return (self.archive,)
        collection = self.preset.of(self.level) if self.source is Source.STAC else None
        return collection.roots if collection else (EODATA,)

    @property
    def cogs(self) -> bool:
        """Whether the bands are COGs: files of L2A that are not in SAFE folders."""
        collection = self.preset.of(self.level) if self.source is Source.STAC else None
        return collection is not None and not collection.safe and self.level is Level.L2A

    @model_validator(mode="after")
    def _fits(self) -> Input:
        if self.source is Source.ARCHIVE and self.archive is None:
            raise ValueError(
                "give archive, the folder or URL of the products, or the source of a catalogue "
                f"({', '.join(one for one in Source if one is not Source.ARCHIVE)})"
            )
        if self.source is Source.STAC:
            self._check_preset()
        elif self.source is Source.ODATA:
            _check_address(self.catalogue)
        elif self.catalogue is not None:
            raise ValueError(f"source {self.source} takes no catalogue")
        if self.api is not None and (self.source is not Source.STAC or self.catalogue is not None):
            raise ValueError(
                "api describes a STAC API: give it with source: stac, and without catalogue"
            )
        return self

    def _check_preset(self) -> None:
        if self.catalogue is not None and self.catalogue not in PRESETS:
            raise ValueError(
                f"there is no preset {self.catalogue[:60]!r}: use one of {', '.join(PRESETS)}, or "
                "describe an API under input.api (docs/catalogues.md)"
            )
        if self.preset.of(self.level) is None:
            levels = " and ".join(self.preset.levels())
            raise ValueError(
                f"{self.preset.name} has no {self.level} (the value of level), only {levels}: "
                f"write level: {self.preset.levels()[0]}"
            )


def _check_address(catalogue: str | None) -> None:
    if catalogue is None:
        return
    address = urlsplit(catalogue)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("expected an address such as https://catalogue.example.org/odata/v1")
    if address.username or address.password or address.query or address.fragment:
        raise ValueError("the address has a user, a password, ? or #: give it without them")
