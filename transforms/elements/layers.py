"""All facts about a layer in one place: how it is made, written, listed and shown.

A layer is one entry: a member of `Layer` (on MGRS tiles) or of `GridLayer` (on output grids) with
its `LayerSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self


class Overviews(StrEnum):
    """How a pixel of an overview is computed from the valid pixels below it."""

    MEAN = "mean"
    """The mean at full resolution, rounded so that means are kept (`rasters.overviews`). Sparse
    values become faint, but never disappear."""
    MODE = "mode"
    """The most frequent class; classes have no mean."""


class Theme(StrEnum):
    """The group that a layer is shown in."""

    BUILT_UP = "Built-up"
    CLASSES = "Residential and non-residential"
    GREENNESS = "Greenness"
    OBSERVATIONS = "Observations"
    COMPOSITE = "Composite"


class Coarser(StrEnum):
    """The content of a layer on a coarser level of an output grid."""

    SUM = "sum"
    """The sum of the fine pixels."""
    MEAN = "mean"
    """The mean of the valid fine pixels."""
    NONE = "none"
    """Nothing: the layer exists only on the fine level."""


_GREY = ("#1d2b53", "#3a6ea5", "#7fb8d8", "#e6f2d5")
_HEAT = ("#ffffff", "#fee8c8", "#fdbb84", "#ef6548", "#b30000", "#5b0000")
_GREEN = ("#8c6d46", "#e8dfb8", "#b7d78b", "#4f9a3f", "#0b4a1d")
_QUALITIES = (
    ("clear observations", "#e6f2d5"),
    ("bright target", "#fdbb84"),
    ("masked observations only", "#7a5195"),
)
_USES = (("not built-up", "#f2f0ea"), ("residential", "#d1495b"), ("non-residential", "#33658a"))


@dataclass(frozen=True, slots=True)
class Picture:
    """How the report shows a layer.

    Attributes:
        colours: The colour scale from the lowest to the highest value, as `#rrggbb`.
        lowest: The stored value at the start of the scale.
        highest: The stored value at the end. None takes the greatest value of the picture.
        faintest: The place on the scale, 0 to 1, below which values above 0 are not drawn.
        legend: The factor by which the legend multiplies stored values.
        counts: Whether values are counts, so that the legend shows only whole numbers.
        classes: Name and colour of the classes 0, 1, 2 and so on. Empty for a continuous layer.
        composed: The bands that are shown as red, green and blue, counted from 1. Empty for a layer
            with a colour scale or classes.
    """

    colours: tuple[str, ...] = _GREY
    lowest: float = 0.0
    highest: float | None = None
    faintest: float = 0.0
    legend: float = 1.0
    counts: bool = False
    classes: tuple[tuple[str, str], ...] = ()
    composed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """The facts of a layer.

    Attributes:
        name: The name in paths, tags and records.
        title: The name in the report.
        values: The meaning of the values, for the catalogue.
        line: The line of the graph that makes it.
        stage: The stage that makes it.
        dtype: The type of its pixels. Empty if the level of an output grid decides it.
        nodata: The value of a pixel without data. It has no meaning if `dtype` is empty.
        unit: The unit of value x scale; empty if it has none.
        scale: The factor that turns a stored value into a quantity.
        measure: The unit for `ghsl-beam validate`, if the layer measures everything that is
            built-up. Empty if it measures something else, or only a part.
        overviews: How its overviews are computed.
        coarser: Its content on a coarser level of an output grid.
        picture: How the report shows it.
        theme: The group that it is shown in.
        named_bands: The names of its bands, if it has more than one.
        calibrated: Its title and the meaning of its values if a calibration was applied. Empty if
            they stay.
        needs_calibration: Whether it is made only with a calibration.
        optional: Whether it is made only if the job asks for it.
    """

    name: str
    title: str
    values: str
    line: str
    stage: str
    dtype: str = ""
    nodata: int = 0
    unit: str = ""
    scale: float = 1.0
    measure: str = ""
    overviews: Overviews = Overviews.MEAN
    coarser: Coarser = Coarser.NONE
    picture: Picture = Picture()
    theme: Theme = Theme.BUILT_UP
    named_bands: tuple[str, ...] = ()
    calibrated: tuple[str, str] | tuple[()] = ()
    needs_calibration: bool = False
    optional: bool = False

    @property
    def follows_calibration(self) -> bool:
        """Whether a calibration changes its values, or makes it."""
        return self.needs_calibration or bool(self.calibrated)

    def described(self, *, calibrated: bool) -> LayerSpec:
        """The same facts in the words for a run with a calibration, or without one."""
        if not (calibrated and self.calibrated):
            return self
        title, values = self.calibrated
        return replace(self, title=title, values=values)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a file that say what it holds."""
        classes = [f"{value} {name}" for value, (name, _) in enumerate(self.picture.classes)]
        named = {"CLASSES": "; ".join(classes)} if classes else {}
        return {"LAYER": self.name, "VALUES": self.values, **named}

    @property
    def stated_unit(self) -> str:
        """The unit that its files state: 1 for quantities without a unit, none for classes."""
        return self.unit or ("" if self.picture.classes else "1")

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of the bands; a single band has the layer's name."""
        return self.named_bands or (self.name,)


_CLASSES = "0 not built-up, 1 residential, 2 non-residential"
_AREA_PICTURE = Picture(_HEAT, faintest=0.1)


class _Specified(StrEnum):
    """Layers by name, each with its facts in `spec`."""

    spec: LayerSpec

    def __new__(cls, spec: Any) -> Self:
        """Make a member from a `LayerSpec`; its value is the name of the layer."""
        member = str.__new__(cls, spec.name)
        member._value_ = spec.name
        member.spec = spec
        return member


class Layer(_Specified):
    """The layers of a tile, in the order in which they are made."""

    S2 = LayerSpec(
        "S2",
        title="Composite, true colour",
        values="Cloud-free composite, R G B NIR, reflectance x 10000",
        line="assembly",
        stage="assembly",
        dtype="uint16",
        nodata=0,
        scale=1e-4,
        overviews=Overviews.MEAN,
        theme=Theme.COMPOSITE,
        picture=Picture(composed=(1, 2, 3)),
        named_bands=("red", "green", "blue", "nir"),
    )
    S2_20M = LayerSpec(
        "S2_20M",
        title="Composite, short-wave infrared as red",
        values="Cloud-free composite, B05 B06 B07 B8A B11 B12, reflectance x 10000",
        line="assembly",
        stage="assembly",
        dtype="uint16",
        nodata=0,
        scale=1e-4,
        overviews=Overviews.MEAN,
        theme=Theme.COMPOSITE,
        picture=Picture(composed=(6, 4, 1)),
        named_bands=("rededge071", "rededge075", "rededge078", "nir08", "swir16", "swir22"),
        optional=True,
    )
    S2_COUNT = LayerSpec(
        "S2_COUNT",
        title="Clear observations per pixel",
        values="Number of clear observations",
        line="assembly",
        stage="assembly",
        dtype="uint16",
        nodata=65535,
        theme=Theme.OBSERVATIONS,
        picture=Picture(counts=True),
    )
    S2_QUALITY = LayerSpec(
        "S2_QUALITY",
        title="Rule of the composite",
        values="0 clear observations, 1 bright target, 2 masked observations only",
        line="assembly",
        stage="assembly",
        dtype="uint8",
        nodata=255,
        overviews=Overviews.MODE,
        theme=Theme.OBSERVATIONS,
        picture=Picture(classes=_QUALITIES),
    )
    S2_NDVI = LayerSpec(
        "S2_NDVI",
        title="NDVI in time",
        values="Percentiles 10, 50 and 90 of the NDVI of the observations, x 10000",
        line="assembly",
        stage="assembly",
        dtype="int16",
        nodata=-32768,
        scale=1e-4,
        theme=Theme.OBSERVATIONS,
        picture=Picture(_GREEN, -1000, 8000, legend=1e-4),
        named_bands=("ndvi_p10", "ndvi_p50", "ndvi_p90"),
        optional=True,
    )
    S2_SPREAD = LayerSpec(
        "S2_SPREAD",
        title="Spread of the observations",
        values="Percentile 75 less percentile 25 of the observations, R G B NIR, reflectance "
        "x 10000",
        line="assembly",
        stage="assembly",
        dtype="uint16",
        nodata=65535,
        scale=1e-4,
        theme=Theme.OBSERVATIONS,
        picture=Picture(composed=(1, 2, 3)),
        named_bands=("spread_red", "spread_green", "spread_blue", "spread_nir"),
        optional=True,
    )
    S2_DAY = LayerSpec(
        "S2_DAY",
        title="Day of the observation that is most like the composite",
        values="Day of the year, 1 to 366",
        line="assembly",
        stage="assembly",
        dtype="uint16",
        nodata=0,
        theme=Theme.OBSERVATIONS,
        picture=Picture(lowest=1, highest=366),
        optional=True,
    )
    BUFRAC_RAW = LayerSpec(
        "BUFRAC_RAW",
        title="Built-up probability as predicted (uncalibrated)",
        values="Uncalibrated probability of built-up as predicted, x 10000",
        line="inference",
        stage="inference",
        dtype="uint16",
        nodata=65535,
        scale=1e-4,
        measure="per-10000",
        overviews=Overviews.MEAN,
        picture=Picture(_HEAT, highest=10000),  # the network never predicts exactly 0
    )
    BUFRAC = LayerSpec(
        "BUFRAC",
        title="Built-up probability, cleaned (uncalibrated)",
        values="Uncalibrated probability of built-up, cleaned, percent",
        line="layers",
        stage="cleaning",
        dtype="uint8",
        nodata=255,
        unit="%",
        measure="percent",
        picture=Picture(_HEAT, highest=100, faintest=0.1),
        calibrated=(
            "Built-up fraction, cleaned and calibrated",
            "Built-up fraction of the pixel, cleaned and calibrated, percent",
        ),
    )
    BUFRAC_SD = LayerSpec(
        "BUFRAC_SD",
        title="Uncertainty of the built-up fraction",
        values="Standard deviation of the built-up fraction of pixels with the same probability, "
        "percent",
        line="layers",
        stage="cleaning",
        dtype="uint8",
        nodata=255,
        unit="%",
        picture=Picture(highest=50),
        needs_calibration=True,
    )
    RES_NRES = LayerSpec(
        "RES_NRES",
        title="Residential and non-residential",
        values=_CLASSES,
        line="layers",
        stage="classification",
        dtype="uint8",
        nodata=255,
        overviews=Overviews.MODE,
        theme=Theme.CLASSES,
        picture=Picture(classes=_USES),
    )
    GREENNESS = LayerSpec(
        "GREENNESS",
        title="Greenness (NDVI) of the built-up domain",
        values="NDVI of the built-up domain, x 10000",
        line="layers",
        stage="greenness",
        dtype="int16",
        nodata=-32768,
        scale=1e-4,
        theme=Theme.GREENNESS,
        picture=Picture(_GREEN, -1000, 8000, legend=1e-4),
    )


class GridLayer(_Specified):
    """The layers of an output grid."""

    BUILT_S = LayerSpec(
        "BUILT_S",
        title="Built-up, sum of the probability (uncalibrated)",
        values="Sum of the uncalibrated probability of built-up, each times the m² of its pixel",
        line="grids",
        stage="aggregation",
        unit="m²",
        measure="m2",
        coarser=Coarser.SUM,
        picture=_AREA_PICTURE,
        calibrated=("Built-up area (calibrated)", "Calibrated built-up area, m²"),
    )
    BUILT_S_NRES = LayerSpec(
        "BUILT_S_NRES",
        title="Non-residential built-up, sum of the probability (uncalibrated)",
        values="Sum of the uncalibrated probability of built-up, each times the m² of its pixel, "
        "of non-residential pixels",
        line="grids",
        stage="aggregation",
        unit="m²",
        coarser=Coarser.SUM,
        picture=_AREA_PICTURE,
        calibrated=(
            "Non-residential built-up area (calibrated)",
            "Calibrated built-up area of non-residential pixels, m²",
        ),
    )
    BUILT_C_FUN = LayerSpec(
        "BUILT_C_FUN",
        title="Function of built-up",
        values=_CLASSES,
        line="grids",
        stage="aggregation",
        dtype="uint8",
        nodata=255,
        overviews=Overviews.MODE,
        theme=Theme.CLASSES,
        picture=Picture(classes=_USES),
    )
    GREENNESS = replace(
        Layer.GREENNESS.spec, line="grids", stage="aggregation", coarser=Coarser.MEAN
    )


LAYERS: Mapping[str, LayerSpec] = MappingProxyType(
    {str(layer): layer.spec for layer in Layer}
    | {str(layer): layer.spec for layer in GridLayer if layer not in {*Layer}}
)
"""All layers by name, in the order in which they are made.

A name that tiles and grids share gives the layer of the tiles; the facts read the same.
"""
DTYPE: Mapping[Layer, str] = MappingProxyType({layer: layer.spec.dtype for layer in Layer})
NODATA: Mapping[Layer, int] = MappingProxyType({layer: layer.spec.nodata for layer in Layer})
