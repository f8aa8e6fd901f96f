"""The pictures of the page: each layer once, as WebP, within a budget of bytes."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ghsl_beam.planning.products import recorded_location
from transforms.elements import LAYERS, LayerSpec

from .colours import RGBA, categories, in_colour, on_scale
from .frame import Frame
from .legend import Legend, highest_of, legend_of
from .mosaic import Mosaic, mosaic

BUDGET = 1_800_000
"""Bytes of all pictures together; in the page they take a third more."""
MAX_LAYERS = 60
"""Largest number of layers of all grids; a job has about ten on a grid."""
_COMPOSED = 3
"""Share of a composite in the budget, if that of another layer is 1."""
_ORDER = {layer: place for place, layer in enumerate(LAYERS)}
_UNKNOWN = LayerSpec("", title="", values="", line="", stage="")
"""A layer that a record names but no run makes."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A layer of the map.

    Attributes:
        layer: The name of the layer.
        grid: `utm`, or an output grid at a resolution.
        title: The title of the layer.
        where: The grid in words.
        legend: Its legend.
        image: The picture as a data URI; empty if there is none.
        products: The number of products.
        errors: The products that cannot be shown, each (path, reason).
    """

    layer: str
    grid: str
    title: str
    where: str
    legend: Legend
    image: str
    products: int
    errors: tuple[tuple[str, str], ...]

    @property
    def alt(self) -> str:
        """The picture in words."""
        return f"Map of {self.title}, {self.where}: {self.legend.reach}"


def plates(
    output: str, products: Sequence[Mapping[str, Any]], frame: Frame, calibrated: bool
) -> list[Plate]:
    """The layers of a run in the order in which they are made, UTM tiles before grids."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for product in products:
        key = (str(product.get("grid") or "utm"), str(product.get("layer")))
        grouped.setdefault(key, []).append(product)
    ordered = sorted(grouped, key=lambda k: (k[0] != "utm", k[0], _ORDER.get(k[1], 99), k[1]))
    ordered = ordered[:MAX_LAYERS]
    specs = {name: LAYERS.get(name, _UNKNOWN) for _, name in ordered}
    shares = {key: _COMPOSED if specs[key[1]].picture.composed else 1 for key in ordered}
    unit = BUDGET / max(1, sum(shares.values()))
    made = []
    for grid, layer in ordered:
        mine = sorted(grouped[grid, layer], key=lambda p: str(p.get("path")))
        places = [_place(output, grid, layer, product) for product in mine]
        spec = specs[layer]
        found = mosaic(places, spec, frame)
        shown, legend = coloured(found, spec)
        image = encoded(shown, unit * shares[grid, layer], exact=not spec.picture.composed)
        described = spec.described(calibrated=calibrated)
        made.append(
            Plate(
                layer,
                grid,
                described.title or layer,
                "UTM tiles" if grid == "utm" else f"grid {grid}",
                legend,
                as_uri(image) if found.products else "",
                len(mine),
                tuple(found.errors),
            )
        )
    return made


def _place(
    output: str, grid: str, layer: str, product: Mapping[str, Any]
) -> tuple[str, Callable[[], str]]:
    tile, path = str(product.get("tile") or ""), str(product.get("path") or "")
    return path, lambda: recorded_location(output, grid, layer, tile, path)


def coloured(found: Mosaic, spec: LayerSpec) -> tuple[RGBA, Legend]:
    """The picture of a mosaic, RGBA (rows, columns, 4), and its legend."""
    picture = spec.picture
    if picture.composed and not np.isnan(found.values).all(axis=(1, 2)).any():
        return in_colour(found.values), legend_of(spec, 0)
    band = found.values[0]
    if picture.classes:
        return categories(band, picture.classes), legend_of(spec, 0)
    known = band[~np.isnan(band)]
    highest = highest_of(spec, float(known.max()) if known.size else math.nan, found.cell)
    return on_scale(band, picture, highest), legend_of(spec, highest)


def encoded(shown: RGBA, budget: float, *, exact: bool) -> bytes:
    """A picture as WebP of at most `budget` bytes.

    Where exact pixels need too much, the picture loses some of its detail, and then of its size.

    Args:
        shown: RGBA, axes (rows, columns, 4).
        budget: bytes; a picture of a few pixels may be larger.
        exact: whether to try exact pixels at all.
    """
    image = Image.fromarray(shown)
    ways = [{"lossless": True, "quality": 20, "method": 1}] if exact else []
    ways += [{"quality": quality, "method": 2} for quality in (85, 75)]
    while True:
        for way in ways:
            data = _webp(image, way)
            if len(data) <= budget:
                return data
        if max(image.size) <= 64:
            return data
        smaller = [max(1, round(side * 0.75)) for side in image.size]
        image = image.resize((smaller[0], smaller[1]), Image.Resampling.NEAREST)


def as_uri(image: bytes) -> str:
    """A WebP as a data URI."""
    return "data:image/webp;base64," + base64.b64encode(image).decode()


def _webp(image: Image.Image, way: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **way)
    return file.getvalue()
