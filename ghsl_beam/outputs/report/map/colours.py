"""Colours of layers: from values to red, green, blue and opacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements.layers import Picture

Floats = NDArray[Any]
RGBA = NDArray[np.uint8]


def in_colour(bands: Floats) -> RGBA:
    """RGBA (4, rows, columns) of three bands, shown as red, green and blue; NaN is transparent.

    Each is stretched from its 2nd to its 98th percentile.
    """
    hidden = np.isnan(bands).any(axis=0)
    result = np.zeros((4, *hidden.shape), np.uint8)
    if hidden.all():
        return result
    shown = ~hidden
    for index, band in enumerate(bands):
        known = band[shown]
        low, high = np.percentile(known, [2, 98])
        result[index][shown] = np.clip((known - low) * (255 / max(high - low, 1)), 0, 255)
    result[3][shown] = 255
    return result


def categories(band: Floats, classes: Sequence[tuple[str, str]]) -> RGBA:
    """RGBA of classes 0, 1, 2 and so on, each (name, colour); other values are transparent."""
    result = np.zeros((4, *band.shape), np.uint8)
    for value, (_, colour) in enumerate(classes):
        result[:, band == value] = np.array([*_rgb(colour), 255], np.uint8)[:, np.newaxis]
    return result


def on_scale(band: Floats, picture: Picture, highest: float) -> RGBA:
    """RGBA of values on the colour scale of a layer, which ends at `highest`; NaN is transparent.

    A value above 0 that is too faint to be seen gets the faintest colour of the layer.
    """
    # 256 steps: so many colours are enough for an eye, and few colours make a small picture.
    steps = np.asarray(band - picture.lowest, np.float32)
    steps *= 255 / ((highest - picture.lowest) or 1)
    faintest = np.float32(255 * picture.faintest)
    steps[(steps > 0) & (steps < faintest)] = faintest
    hidden = np.isnan(steps)
    steps[hidden] = 0
    places = np.clip(np.rint(steps), 0, 255).astype(np.uint8)
    stops = np.linspace(0, 1, len(picture.colours))
    ends = np.array([_rgb(colour) for colour in picture.colours], float)
    result = np.empty((4, *band.shape), np.uint8)
    for channel in range(3):
        table = np.interp(np.linspace(0, 1, 256), stops, ends[:, channel]).round()
        result[channel] = table.astype(np.uint8)[places]
    result[3] = 255
    result[:, hidden] = 0
    return result


def colour_at(at: float, colours: Sequence[str]) -> list[int]:
    """Red, green and blue at a place on a scale of colours, 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    return [round(float(np.interp(at, stops, [_rgb(c)[i] for c in colours]))) for i in range(3)]


def as_text(colour: Sequence[int]) -> str:
    """A colour as `#rrggbb`."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
