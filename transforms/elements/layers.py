"""What is so of a layer wherever it is written, listed or shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Overviews(StrEnum):
    """How the pixels of an overview come from those below them that are valid."""

    MEAN = "mean"
    """The mean at full resolution, rounded so that means stay (`raster.overviews`): what is sparse
    grows faint, and is never left out."""
    AVERAGE = "average"
    """GDAL's mean of the level before, rounded at each: quicker, and as good where values are in
    the hundreds or thousands everywhere."""
    MODE = "mode"
    """The most frequent class: a mean of classes is none."""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A layer's title, what its values are, its bands and its overviews.

    `unit` and `scale` make a value a quantity: value x scale, in that unit ("" has none).
    """

    title: str
    values: str
    bands: tuple[str, ...]
    overviews: Overviews = Overviews.MEAN
    unit: str = ""
    scale: float = 1.0


_CLASSES = "0 not built-up, 1 residential, 2 non-residential"
LAYERS: dict[str, LayerSpec] = {
    "S2": LayerSpec(
        "Composite, true colour",
        "Cloud-free composite, R G B NIR, reflectance x 10000",
        ("red", "green", "blue", "nir"),
        Overviews.AVERAGE,
        scale=1e-4,
    ),
    "S2_COUNT": LayerSpec("Observations per pixel", "Number of observations", ("S2_COUNT",)),
    "BUFRAC_RAW": LayerSpec(
        "Built-up fraction as predicted",
        "Built-up fraction as predicted, x 10000",
        ("BUFRAC_RAW",),
        Overviews.AVERAGE,
        scale=1e-4,
    ),
    "BUFRAC": LayerSpec("Built-up fraction", "Built-up fraction, percent", ("BUFRAC",), unit="%"),
    "RES_NRES": LayerSpec("Residential and other use", _CLASSES, ("RES_NRES",), Overviews.MODE),
    "GREENNESS": LayerSpec(
        "Greenness (NDVI) of the built-up domain",
        "NDVI of the built-up domain, x 10000",
        ("GREENNESS",),
        scale=1e-4,
    ),
    "BUILT_S": LayerSpec("Built-up area", "Built-up area, m²", ("BUILT_S",), unit="m²"),
    "BUILT_S_NRES": LayerSpec(
        "Built-up area that is not residential",
        "Built-up area that is non-residential, m²",
        ("BUILT_S_NRES",),
        unit="m²",
    ),
    "BUILT_C_FUN": LayerSpec("Function of built-up", _CLASSES, ("BUILT_C_FUN",), Overviews.MODE),
}
"""By name, in the order in which they are made; a layer of a run is one of these."""
