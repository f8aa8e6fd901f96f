"""Legends: values in the units that a reader knows, each with its colour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from transforms.elements import Layer, LayerSpec

from .colours import as_text, colour_at

_HECTARES = 20_000.0
"""An area of so many m² and more reads better in hectares."""
_UNITS = {
    Layer.GREENNESS: (1e-4, "NDVI"),
    Layer.S2_NDVI: (1e-4, "NDVI"),
    Layer.S2_COUNT: (1.0, "clear observations"),
    Layer.S2_DAY: (1.0, "day of the year"),
    Layer.BUFRAC_RAW: (0.01, "%"),
}


@dataclass(frozen=True, slots=True)
class Legend:
    """Entries of a legend, each (label, colour), and the unit of the labels."""

    entries: tuple[tuple[str, str], ...] = ()
    unit: str = ""

    @property
    def reach(self) -> str:
        """What the picture shows, for people who do not see it."""
        labels = [label for label, _ in self.entries]
        if not labels:
            return "in true colour" if not self.unit else self.unit
        if not self.unit:
            return ", ".join(labels)
        return f"{labels[0]} to {labels[-1]} {self.unit}".rstrip()


def legend_of(spec: LayerSpec, highest: float) -> Legend:
    """The legend of a layer whose colour scale ends at the stored value `highest`."""
    picture = spec.picture
    if picture.composed:
        return Legend()
    if picture.classes:
        return Legend(tuple(picture.classes))
    factor, unit = _unit(spec, highest)
    entries = tuple(
        (number(mark * factor), as_text(colour_at(at, picture.colours)))
        for mark, at in marks(picture.lowest, highest, whole=picture.counts or factor == 1.0)
    )
    return Legend(entries, unit)


def _unit(spec: LayerSpec, highest: float) -> tuple[float, str]:
    for layer, known in _UNITS.items():
        if spec.name == layer:
            return known
    if spec.unit == "m²":
        return (1e-4, "ha") if highest >= _HECTARES else (1.0, "m²")
    return spec.picture.legend, spec.unit


def highest_of(spec: LayerSpec, most: float, cell: float) -> float:
    """The stored value at the end of a continuous layer's colour scale.

    Args:
        spec: the facts of the layer.
        most: the greatest value of the picture; NaN without data.
        cell: the area of the largest pixel of the layer in m².
    """
    if spec.picture.highest is not None:
        return spec.picture.highest
    most = most if math.isfinite(most) else 0.0
    if spec.unit == "m²":
        return min(round_up(most), cell) if cell else round_up(most)
    # The greatest mean of counts is not a whole number.
    return max(float(np.ceil(most)) if spec.picture.counts else most, 1)


def marks(low: float, high: float, whole: bool) -> list[tuple[float, float]]:
    """Values of a legend, each with its place on the scale, 0 to 1; at will whole numbers.

    Example:
        >>> marks(-1000, 8000, whole=False)
        [(-1000.0, 0.0), (2000.0, 0.3333333333333333), (5000.0, 0.6666666666666666), (8000.0, 1.0)]
    """
    pieces = next((n for n in (4, 3) if _is_round((high - low) / n)), 4)
    values = [float(low + (high - low) * i / pieces) for i in range(pieces + 1)]
    if whole:
        values = sorted({float(np.floor(value + 0.5)) for value in values})
    return [(value, (value - low) / ((high - low) or 1)) for value in values]


def _is_round(step: float) -> bool:
    """Whether two digits are enough for a step."""
    return step > 0 and math.isclose(step, float(f"{step:.2g}"), rel_tol=1e-9)


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def number(value: float) -> str:
    """A number with as many digits as a reader needs."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value + 0.0:.4g}"
