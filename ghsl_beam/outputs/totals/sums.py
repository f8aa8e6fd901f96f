"""Sums over pixels, and the totals that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghsl_beam.outputs.record_schema import TotalRecord
from transforms.elements import PIXEL, Layer

Floats = NDArray[np.float64]

HECTARE = 10_000.0
"""m²."""
LAYERS = (Layer.BUFRAC, Layer.RES_NRES, Layer.GREENNESS)
"""The layers that are summed up; the first that a tile has says where it has data."""
OBSERVED, RESIDENTIAL, NON_RESIDENTIAL, BUILT_UP, GREEN, NDVI = range(6)
"""Places in the sums of pixels: pixels with data, pixels of class 1 and 2, sum of BUFRAC as a
fraction, pixels of GREENNESS, sum of their NDVI."""
SCALES = np.array([1, 1, 1, 0.01, 1, Layer.GREENNESS.spec.scale])
"""Factors that turn sums of stored values into those of quantities."""


@dataclass(slots=True)
class Sums:
    """Sums over the ground of a polygon; `layers` are those that at least one of its tiles has."""

    area_m2: float = 0.0
    pixels: Floats = field(default_factory=lambda: np.zeros(len(SCALES)))
    layers: set[Layer] = field(default_factory=set)

    def add(self, other: Sums) -> None:
        """Add the sums of other ground."""
        self.area_m2 += other.area_m2
        self.pixels = self.pixels + other.pixels
        self.layers |= other.layers

    @property
    def totals(self) -> TotalRecord:
        """The totals in hectares, and the mean NDVI; None where the layer does not exist."""
        classes, green = Layer.RES_NRES in self.layers, self.pixels[GREEN]
        residential, other = self.pixels[RESIDENTIAL], self.pixels[NON_RESIDENTIAL]
        return {
            "area_ha": _rounded(self.area_m2 / HECTARE),
            "observed_ha": _hectares(self.pixels[OBSERVED]),
            "built_up_ha": _hectares(residential + other) if classes else None,
            "residential_ha": _hectares(residential) if classes else None,
            "non_residential_ha": _hectares(other) if classes else None,
            "built_up_sum_ha": (
                _hectares(self.pixels[BUILT_UP]) if Layer.BUFRAC in self.layers else None
            ),
            "greenness": round(float(self.pixels[NDVI] / green), 4) if green > 0 else None,
        }


def _hectares(pixels: float) -> float:
    return _rounded(pixels * PIXEL**2 / HECTARE)


def _rounded(hectares: float) -> float:
    return round(float(hectares), 4)


def terms(layers: Mapping[Layer, NDArray[Any]]) -> list[NDArray[Any]]:
    """What is summed up, pixel by pixel, in the order of the places in the sums.

    Args:
        layers: stored values of the layers that exist, (rows, columns) each.

    Returns:
        One array of the same shape for each place, of whole numbers, 0 without data; `SCALES` turns
        its sum into that of quantities.
    """
    first = next(layer for layer in LAYERS if layer in layers)
    result = [np.zeros(layers[first].shape, np.uint8)] * len(SCALES)
    result[OBSERVED] = _known(layers, first)
    if (classes := layers.get(Layer.RES_NRES)) is not None:
        result[RESIDENTIAL] = (classes == 1).view(np.uint8)
        result[NON_RESIDENTIAL] = (classes == 2).view(np.uint8)
    if (fraction := layers.get(Layer.BUFRAC)) is not None:
        result[BUILT_UP] = fraction * _known(layers, Layer.BUFRAC)
    if (ndvi := layers.get(Layer.GREENNESS)) is not None:
        result[GREEN] = _known(layers, Layer.GREENNESS)
        result[NDVI] = ndvi * result[GREEN]
    return result


def _known(layers: Mapping[Layer, NDArray[Any]], layer: Layer) -> NDArray[np.uint8]:
    return np.asarray(layers[layer] != layer.spec.nodata).view(np.uint8)


def total(parts: Sequence[Sums]) -> Sums:
    """The sums of several parts together."""
    result = Sums()
    for part in parts:
        result.add(part)
    return result
