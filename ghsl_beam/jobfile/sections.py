"""The sections of a job file about models, layers and grids."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pyproj.database import get_codes
from pyproj.exceptions import CRSError

from ghsl_beam.jobfile.fields import NUMBER, Float, Location, Section
from transforms.aggregation.grid import ARC_SECONDS, METRES, from_config
from transforms.assembly.masks.choice import Order
from transforms.assembly.masks.parameters import CLOUD_M, SHADOW_M, Method
from transforms.assembly.temporal import Temporal
from transforms.elements import BANDS, TEN_BANDS, Layer, RequestError


class Bands(StrEnum):
    """Choices of bands for the composite."""

    RGBN = "rgbn"
    TEN = "ten"


class Tiles(StrEnum):
    """What MGRS tiles compute where they overlap."""

    OWNED = "owned"
    WHOLE = "whole"


class Masks(Section):
    """How clouds and cloud shadows are found, and what happens under them."""

    method: Method | None = Field(
        None,
        description="product: the mask in the product; csmask: a network that finds clouds and "
        "cloud shadows; s2cloudless: a classifier of ten bands of L1C, an extra; file: rasters of "
        "your own; by default csmask for L1C, product for L2A",
    )
    folder: Location | None = Field(
        None,
        description="file: folder or URL with SCENE_TILE.tif for each scene: 0 clear, 1 cloud, "
        "2 cloud shadow, 3 no data",
    )
    cloud_m: Annotated[float, Field(ge=0, le=2000), NUMBER] | None = Field(
        None, description=f"clouds grow by this distance, metres; by default {CLOUD_M:g} for csmask"
    )
    shadow_m: Annotated[float, Field(ge=0, le=2000), NUMBER] | None = Field(
        None,
        description="cloud shadows grow by this distance, metres; by default "
        f"{SHADOW_M:g} for csmask",
    )
    fill: bool = Field(
        True,
        description="true: a pixel without a clear observation has its masked ones, and "
        "S2_QUALITY says so; false: it has no data",
    )

    @model_validator(mode="after")
    def _fits(self) -> Masks:
        if (self.method is Method.FILE) != (self.folder is not None):
            raise ValueError("method: file and folder need each other: give both, or none")
        return self


class Scenes(Section):
    """Which scenes are used, and in which order."""

    order: Order = Field(
        Order.CLEAREST,
        description="clearest: scenes that show more of the area clear come first; nearest: "
        "scenes nearest to the middle of the period come first",
    )
    enough: Annotated[int, Field(ge=1, le=1000), NUMBER] | None = Field(
        10, description="a pixel uses its first so many clear observations; null: all"
    )
    at_most: Annotated[int, Field(ge=1, le=10_000), NUMBER] | None = Field(
        None, description="the first so many passes of a tile are used; null: all"
    )
    only: tuple[str, ...] = Field(
        (), description="names of products; if any is given, no other is used"
    )
    without: tuple[str, ...] = Field((), description="names of products that are not used")
    months: tuple[Annotated[int, Field(ge=1, le=12), NUMBER], ...] = Field(
        (), description="months of acquisition, 1 to 12; if any is given, no other is used"
    )


class Composite(Section):
    """How observations become one composite."""

    percentile: Float = Field(30, ge=0, le=100, description="percentile of the clear observations")
    bands: Bands = Field(
        Bands.RGBN,
        description="rgbn: the four bands at 10 m; ten: the six bands at 20 m too, as S2_20M",
    )

    layers: tuple[Temporal, ...] = Field(
        (),
        description="further layers in time: ndvi (S2_NDVI, percentiles 10, 50, 90), spread "
        "(S2_SPREAD, percentile 75 less 25), day (S2_DAY, day of the year)",
    )

    @property
    def optional(self) -> tuple[Layer, ...]:
        """The optional layers that are asked for."""
        ten = (Layer.S2_20M,) if self.bands is Bands.TEN else ()
        return (*ten, *(kind.layer for kind in Temporal if kind in self.layers))

    @property
    def names(self) -> tuple[str, ...]:
        """The bands of each scene, in order."""
        return TEN_BANDS if self.bands is Bands.TEN else BANDS


class Models(Section):
    """The GHS-S2Net models: one for each grid zone, or the starter network for all of them."""

    starter: bool = Field(
        False,
        description="true: use the starter network of this program in every zone, instead of a "
        "folder of models; it is not a model of the JRC",
    )
    folder: Location = Field(
        "cnn_models", validate_default=True, description="folder or URL of MODEL_CNN_<zone>.h5"
    )
    prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]*$",
        description="prefix of the file names, such as OWN_ for OWN_MODEL_CNN_33U.h5",
    )
    fallback: str = Field(
        "error",
        pattern=r"^(error|nearest|(0?[1-9]|[1-5][0-9]|60)[C-HJ-NP-X])$",
        description="for a zone without a model: error, nearest, or another zone, such as 33U",
    )
    precision: Literal["exact", "fast"] = Field(
        "exact",
        description="exact: within 2.5e-6 of float64; fast: within 0.015 of exact, mean 0.0002",
    )
    calibration: Location | None = Field(
        None,
        description="file of ghsl-beam calibrate: BUFRAC becomes a fraction and BUILT_S m2, and "
        "BUFRAC_SD is made; without it they are an uncalibrated probability and its sum",
    )

    def not_used(self) -> tuple[str, ...]:
        """The given keys that choose among files, if the starter network makes them useless."""
        keys = ("folder", "prefix", "fallback") if self.starter else ()
        return tuple(key for key in keys if key in self.model_fields_set)


STARTER_MINIMUM = 0.3
"""The default of `cleaning.minimum` for the starter network; docs/cleaning.md has the scores."""


class Cleaning(Section):
    """Steps of the cleaning; null switches a step off."""

    minimum: Annotated[float, Field(ge=0, le=1), NUMBER] | None = Field(
        0.1,
        description="a probability of built-up below this becomes 0; by default "
        f"{STARTER_MINIMUM} with models.starter, and 0.1 with other networks",
    )
    ndvi_above: Annotated[float, Field(ge=-1, le=1), NUMBER] | None = Field(
        0.6, description="a pixel with an NDVI above this is not built-up"
    )
    ndwi_above: Annotated[float, Field(ge=-1, le=1), NUMBER] | None = Field(
        0.0, description="a pixel with an NDWI above this is water, not built-up"
    )
    shore_m: Annotated[int, Field(ge=0, le=200), NUMBER] = Field(
        0,
        description="built-up so near to water (by ndwi_above) becomes 0, metres: for areas with "
        "lakes and without quays",
    )
    roads: Location | None = Field(None, description="vector file of road lines")
    road_width_field: str = Field("width", description="field with the width of the road, metres")
    minimum_area_m2: Annotated[int, Field(ge=0, le=10_000_000), NUMBER] | None = Field(
        400, description="connected built-up smaller than this becomes 0, m2"
    )


class Residential(Section):
    """The residential classifier."""

    model: Location | None = Field(
        None,
        description="classifier file (skops); without one, a job with models.starter: true uses "
        "the starter classifier of this program",
    )
    starter: bool = Field(
        False,
        description="true: use the starter classifier of this program, also with other networks; "
        "it is not of the JRC",
    )
    smoothing: Literal["none", "majority", "objects"] = Field(
        "objects",
        description="how neighbours change the class of a pixel: none; majority, of 3 x 3 pixels; "
        "objects, of the built-up that is connected with it within 100 m",
    )

    @model_validator(mode="after")
    def _one_classifier(self) -> Residential:
        if self.starter and self.model is not None:
            raise ValueError(f"found both model: {self.model} and starter: true: give one of them")
        return self


class Greenness(Section):
    """NDVI inside the built-up domain; null switches a step off."""

    radius_m: Float = Field(300, ge=10, le=2000, description="radius of the closing disk, metres")
    minimum: Float = Field(
        0.5,
        gt=0,
        le=1,
        description="a pixel with a cleaned probability below this is not dense built-up",
    )
    minimum_area_m2: Annotated[int, Field(ge=0, le=1_000_000), NUMBER] | None = Field(
        10_000,
        description="connected dense built-up smaller than this is left out before the closing, m2",
    )
    ndwi_above: Annotated[float, Field(ge=-1, le=1), NUMBER] | None = Field(
        0.0, description="a pixel with an NDWI above this is water, outside the domain"
    )


class Districts(Section):
    """Polygons for which run.json and the report have totals of their own."""

    file: Location = Field(
        description="file of polygons, as for area.file; `file.gpkg|layer` for one of its layers"
    )
    name: str | None = Field(
        None, description="field with the names of the polygons; without one they are numbered"
    )


def _span(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


class Extent(StrEnum):
    """How much of a grid's cell or R/C tile its files have."""

    AREA = "area"
    TILE = "tile"


class Grid(Section):
    """An output grid."""

    crs: str = Field("ESRI:54009", description="CRS of the grid")
    resolutions: tuple[Float, ...] = Field(
        (10, 100, 1000),
        min_length=1,
        description=f"metres, {_span(METRES)}, or arc seconds for EPSG:4326, {_span(ARC_SECONDS)}; "
        "each a multiple of the next finer",
    )

    extent: Extent = Field(
        Extent.AREA,
        description="area: files end with the area, at pixels of the coarsest resolution; tile: "
        "files have the whole tile, as those of GHSL; the pixels are the same",
    )

    @model_validator(mode="after")
    def _possible(self) -> Grid:
        self.label()
        return self

    def label(self) -> str:
        """The name of the grid in paths, the same for all spellings of its CRS.

        Raises:
            ValueError: the grid is not possible.
        """
        try:
            return from_config(self.crs, self.resolutions).label
        except (RequestError, CRSError) as error:
            raise ValueError(f"{error}{_other_authority(self.crs)}") from error


def _other_authority(crs: str) -> str:
    """A hint if a CRS exists under another authority: Mollweide is from ESRI."""
    name, _, code = crs.partition(":")
    other = {"EPSG": "ESRI", "ESRI": "EPSG"}.get(name.upper())
    known = other and re.fullmatch(r"\d{1,6}", code, re.A) and code in _codes(other)
    return f"; did you mean {other}:{code}?" if known else ""


@lru_cache
def _codes(authority: str) -> frozenset[str]:
    return frozenset(get_codes(authority, "CRS"))
