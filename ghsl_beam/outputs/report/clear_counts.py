"""How often the area was seen: a histogram of the clear observations of its pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ghsl_beam.planning.products import read_product, recorded_location
from transforms.elements import Layer, RasterError

MAX_PIXELS = 600_000_000
"""Largest number of pixels that are counted one by one, about that of five tiles."""
_STRIP = 512
_BARS = 16
"""Largest number of bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Pixels with `first` to `last` clear observations; `height` is relative to the highest."""

    first: int
    last: int
    pixels: int
    share: float
    height: float

    @property
    def label(self) -> str:
        """The numbers of observations in words."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


@dataclass(frozen=True, slots=True)
class ClearCounts:
    """The histogram, and what follows from it.

    Attributes:
        bars: The bars from the smallest number of observations to the greatest.
        pixels: The number of pixels of 10 m in the area.
        never: The share of pixels without a clear observation.
        median: The median number of clear observations.
        most: The greatest number.
        whole: Whether every pixel was counted, or some rows of each tile.
    """

    bars: tuple[Bar, ...]
    pixels: int
    never: float
    median: int
    most: int
    whole: bool


def clear_counts(output: str, products: Sequence[Mapping[str, Any]]) -> ClearCounts | None:
    """Count the pixels of S2_COUNT, strip by strip; None if there are none to count.

    Where MGRS tiles share ground (`tiles: whole`), a pixel counts in each. A file that cannot be
    read is left out; its picture says why.
    """
    mine = [p for p in products if p.get("layer") == Layer.S2_COUNT and p.get("grid") == "utm"]
    mine.sort(key=lambda product: str(product.get("path")))
    budget = MAX_PIXELS // max(1, len(mine))
    pixels: Counter[int] = Counter()
    whole = True
    for product in mine:
        key, path = str(product.get("tile") or ""), str(product.get("path") or "")
        try:
            place = recorded_location(output, "utm", Layer.S2_COUNT, key, path)
            found, every = read_product(place, lambda source: _counted(source, budget))
        except (RasterError, RasterioError, OSError):
            continue
        pixels.update(found)
        whole = whole and every
    return summed(pixels, whole=whole)


def _counted(source: Any, budget: int) -> tuple[dict[int, int], bool]:
    """Pixels by their value, of every strip or of some of them in place of all; and whether all."""
    if np.dtype(source.dtypes[0]).kind != "u":
        raise RasterError(f"{source.name}: has pixels of type {source.dtypes[0]}, expected counts")
    step = max(1, -(-source.width * source.height // max(1, budget)))
    total = np.zeros(1 << 16, np.int64)
    read = 0
    for row in _some(range(0, source.height, _STRIP), step):
        height = min(_STRIP, source.height - row)
        strip = source.read(1, window=Window(0, row, source.width, height), masked=True)
        total += np.bincount(strip.compressed().astype(np.uint16), minlength=1 << 16)
        read += height
    (values,) = np.nonzero(total)
    factor = source.height / max(1, read)
    return {int(v): round(float(total[v]) * factor) for v in values}, read == source.height


def _some(strips: range, step: int) -> range:
    """Every `step`-th strip, or the one in the middle."""
    return strips[(step - 1) // 2 :: step] if step < len(strips) else strips[len(strips) // 2 :][:1]


def summed(pixels: Mapping[int, int], *, whole: bool) -> ClearCounts | None:
    """The histogram of pixels by their number of observations; None without pixels.

    Example:
        >>> summed({0: 1, 2: 3}, whole=True).median
        2
    """
    total = sum(pixels.values())
    if not total:
        return None
    values = sorted(pixels)
    most = values[-1]
    wide = max(1, -(-(most + 1) // _BARS))
    groups: Counter[int] = Counter()
    for value in values:
        groups[0 if value == 0 else 1 + (value - 1) // wide] += pixels[value]
    highest = max(groups.values())
    bars = []
    for group in range(max(groups) + 1):
        first = 0 if group == 0 else 1 + (group - 1) * wide
        last = 0 if group == 0 else min(first + wide - 1, most)
        number = groups[group]
        bars.append(Bar(first, last, number, number / total, number / highest))
    half, seen = total / 2, 0
    for value in values:
        seen += pixels[value]
        if seen >= half:
            break
    return ClearCounts(tuple(bars), total, pixels.get(0, 0) / total, value, most, whole)
