"""Colours of layers: from values to red, green, blue and opacity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements.layers import Picture

Floats = NDArray[Any]
RGBA = NDArray[np.uint8]
_COLOURS = 255
"""Colours of a scale."""


def in_colour(bands: Floats) -> RGBA:
    """RGBA (rows, columns, 4) of three bands, shown as red, green and blue; NaN is transparent.

    Each is stretched from its 2nd to its 98th percentile.
    """
    shown = ~np.isnan(bands).any(axis=0)
    result = np.zeros((*shown.shape, 4), np.uint8)
    if not shown.any():
        return result
    for index, band in enumerate(bands):
        known = band[shown]
        low, high = np.percentile(known, [2, 98])
        result[shown, index] = np.clip((known - low) * (255 / max(high - low, 1)), 0, 255)
    result[shown, 3] = 255
    return result


def categories(band: Floats, classes: Sequence[tuple[str, str]]) -> RGBA:
    """RGBA of classes 0, 1, 2 and so on, each (name, colour); other values are transparent."""
    known = (band >= 0) & (band < len(classes))  # not where it is NaN
    places = np.where(known, band, len(classes)).astype(np.uint8)
    return _of_table(places, [_rgb(colour) for _, colour in classes])


def on_scale(band: Floats, picture: Picture, highest: float) -> RGBA:
    """RGBA of values on the colour scale of a layer, which ends at `highest`; NaN is transparent.

    A value above 0 that is too faint to be seen gets the faintest colour of the layer.
    """
    # So many colours are enough for an eye, and few colours make a small picture.
    steps = np.asarray(band - picture.lowest, np.float32)
    steps *= (_COLOURS - 1) / ((highest - picture.lowest) or 1)
    if picture.faintest:
        faintest = np.float32((_COLOURS - 1) * picture.faintest)
        np.copyto(steps, faintest, where=(steps > 0) & (steps < faintest))
    np.clip(steps, 0, _COLOURS - 1, out=steps)
    np.copyto(steps, np.float32(_COLOURS), where=np.isnan(steps))
    ramp = [colour_at(place / (_COLOURS - 1), picture.colours) for place in range(_COLOURS)]
    return _of_table(np.rint(steps).astype(np.uint8), ramp)


def _of_table(places: NDArray[np.uint8], colours: Sequence[Sequence[int]]) -> RGBA:
    """RGBA of numbers of colours; the number after the last is transparent."""
    table = np.zeros((len(colours) + 1, 4), np.uint8)
    table[:-1, :3], table[:-1, 3] = colours, 255
    return table.view(np.uint32)[:, 0][places].view(np.uint8).reshape(*places.shape, 4)


def colour_at(at: float, colours: Sequence[str]) -> list[int]:
    """Red, green and blue at a place on a scale of colours, 0 to 1."""
    place = min(max(at, 0.0), 1.0) * (len(colours) - 1)
    first = min(int(place), len(colours) - 2)
    ends = zip(_rgb(colours[first]), _rgb(colours[first + 1]), strict=True)
    return [round(low + (high - low) * (place - first)) for low, high in ends]


def as_text(colour: Sequence[int]) -> str:
    """A colour as `#rrggbb`."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
