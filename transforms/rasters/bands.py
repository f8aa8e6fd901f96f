"""What a band of a raster says about itself: name, colours, unit, scale, statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from transforms.elements import LayerSpec

_EXACT = 1 << 20
"""Pixels whose squares, each below 2^33, a sum of float64 adds without rounding."""
_HALF = 1 << 16


class Statistics:
    """Minimum, maximum, mean and standard deviation of the valid pixels of a band.

    The sums are whole numbers without rounding, so the order of the parts has no effect.
    """

    def __init__(self, nodata: float) -> None:
        """Start without pixels; pixels of the value `nodata` do not count."""
        self._nodata = nodata
        self._count, self._sum, self._squares = 0, 0, 0
        self._lowest, self._highest = 0, 0

    def add(self, values: NDArray[Any]) -> None:
        """Add the pixels of a part, an array of whole numbers of any shape."""
        valid = values[values != self._nodata]
        if not valid.size:
            return
        lowest, highest = int(valid.min()), int(valid.max())
        self._lowest = min(self._lowest, lowest) if self._count else lowest
        self._highest = max(self._highest, highest) if self._count else highest
        self._count += valid.size
        self._sum += int(valid.sum(dtype=np.int64))
        for begin in range(0, valid.size, _EXACT):
            self._squares += _squares(valid[begin : begin + _EXACT])

    def tags(self, pixels: int) -> dict[str, str]:
        """GDAL's tags of the statistics of a band of so many pixels, as stored, without a scale."""
        share = {"STATISTICS_VALID_PERCENT": f"{100 * self._count / pixels:.4g}"}
        if not self._count:
            return share
        mean = self._sum / self._count
        spread = self._squares * self._count - self._sum**2
        return {
            "STATISTICS_MINIMUM": str(self._lowest),
            "STATISTICS_MAXIMUM": str(self._highest),
            "STATISTICS_MEAN": f"{mean:.14g}",
            "STATISTICS_STDDEV": f"{math.sqrt(spread) / self._count:.14g}",
            **share,
        }


def _squares(values: NDArray[Any]) -> int:
    """The sum of the squares of at most 2^20 whole numbers of at most 32 bits, exactly."""
    if values.itemsize <= 2:
        plain = values.astype(np.float64)
        return int(np.dot(plain, plain))
    high, low = (part.astype(np.float64) for part in np.divmod(values.astype(np.int64), _HALF))
    middle = 2 * int(np.dot(high, low)) * _HALF
    return int(np.dot(high, high)) * _HALF**2 + middle + int(np.dot(low, low))


def describe(target: Any, spec: LayerSpec, nodata: float) -> None:
    """Give a new raster the names, colours, units and scales of its layer's bands.

    A layer of classes gets a colour table. The bands of a composite get the colours of its picture,
    or those of their names in GDAL. Other bands are grey. Call it before pixels are written.
    """
    for band, name in enumerate(spec.bands, 1):
        target.set_band_description(band, name)
    target.units = (spec.stated_unit,) * target.count
    target.scales = (spec.scale,) * target.count
    target.offsets = (0.0,) * target.count
    classes = spec.picture.classes
    if classes:
        table = {value: (*rgb(colour), 255) for value, (_, colour) in enumerate(classes)}
        target.write_colormap(1, table | {int(nodata): (0, 0, 0, 0)})
    elif len(spec.bands) > 1:
        shown = dict(zip(spec.picture.composed, ("red", "green", "blue"), strict=False))
        target.colorinterp = [
            getattr(ColorInterp, shown.get(band, name), ColorInterp.undefined)
            for band, name in enumerate(spec.bands, 1)
        ]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour, 0..255.

    Example:
        >>> rgb("#d1495b")
        (209, 73, 91)
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def description(source: Any) -> list[Any]:
    """All that an open raster says about its bands, to compare it with another."""
    tables = [
        source.colormap(band) if kind is ColorInterp.palette else None
        for band, kind in enumerate(source.colorinterp, 1)
    ]
    tags = [source.tags(band) for band in source.indexes]
    facts = (source.nodatavals, source.descriptions, source.units, source.scales, source.offsets)
    return [*facts, source.colorinterp, tables, tags]
