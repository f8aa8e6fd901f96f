"""Temporal layers: what the observations of a pixel say beside their percentile."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

from .percentile import percentile_of_stack

NDVI_PERCENTILES = (10, 50, 90)
"""The percentiles in S2_NDVI, in the order of its bands."""
_ONE = 10_000
_OFFSET = _ONE + 1
"""Added to NDVI x 10 000, so that it is above 0 as `percentile_of_stack` expects it."""
_BANDS = 4
_DAYS = 400


class Temporal(StrEnum):
    """The temporal layers that a job may ask for."""

    NDVI = "ndvi"
    """The 10th, 50th and 90th percentile of NDVI."""
    SPREAD = "spread"
    """The distance between the 25th and the 75th percentile of each band at 10 m."""
    DAY = "day"
    """The day of the observation that is most like the composite."""

    @property
    def layer(self) -> Layer:
        """The layer of a tile."""
        return Layer[f"S2_{self.upper()}"]


def temporal_layer(
    kind: Temporal,
    stack: NDArray[np.uint16],
    valid: NDArray[np.bool_],
    days: NDArray[np.int64],
    composite: NDArray[np.uint16],
) -> NDArray[Any]:
    """A temporal layer.

    Args:
        kind: the layer.
        stack: uint16 (n, bands, h, w), observations: red, green, blue, near infrared first.
        valid: bool (n, h, w), True where an observation counts.
        days: int64 (n,), the day of the year of each observation, 1 to 366.
        composite: uint16 (bands, h, w), their percentile, 0 without one.

    Returns:
        Axes (bands, h, w), or (h, w) for one band, with dtype and nodata of the layer.
    """
    if kind is Temporal.NDVI:
        return ndvi_percentiles(stack, valid)
    if kind is Temporal.SPREAD:
        return spread(stack, valid)
    return day_of_year(stack, valid, days, composite)


def ndvi_percentiles(stack: NDArray[np.uint16], valid: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Percentiles of NDVI x 10 000; see `temporal_layer`.

    Returns:
        int16 (3, h, w), -10 000 to 10 000, nodata -32768.

    Examples:
        >>> stack = np.array([[[[1000]], [[1]], [[1]], [[3000]]]], np.uint16)
        >>> ndvi_percentiles(stack, np.ones((1, 1, 1), np.bool_)).ravel().tolist()
        [5000, 5000, 5000]
    """
    red, nir = stack[:, 0].astype(np.float32), stack[:, 3].astype(np.float32)
    ndvi = (nir - red) / np.maximum(nir + red, 1)
    scaled = (np.rint(ndvi * _ONE) + _OFFSET).astype(np.uint16)[:, np.newaxis]
    none = ~valid.any(axis=0)
    out = np.empty((len(NDVI_PERCENTILES), *valid.shape[1:]), np.int16)
    for band, percentile in zip(out, NDVI_PERCENTILES, strict=True):
        found = percentile_of_stack(scaled, valid, percentile)[0]
        band[...] = np.where(none, NODATA[Layer.S2_NDVI], found.astype(np.int32) - _OFFSET)
    return out


def spread(stack: NDArray[np.uint16], valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """The 75th percentile less the 25th of red, green, blue, near infrared; see `temporal_layer`.

    Returns:
        uint16 (4, h, w), reflectance x 10 000, nodata 65535.
    """
    bands = stack[:, :_BANDS]
    high, low = (percentile_of_stack(bands, valid, percentile) for percentile in (75, 25))
    return np.where(valid.any(axis=0), high - low, np.uint16(NODATA[Layer.S2_SPREAD]))


def day_of_year(
    stack: NDArray[np.uint16],
    valid: NDArray[np.bool_],
    days: NDArray[np.int64],
    composite: NDArray[np.uint16],
) -> NDArray[np.uint16]:
    """The day of the observation that is most like the composite; see `temporal_layer`.

    It is the observation with the least sum of absolute differences over the bands at 10 m; of
    equal ones that of the earliest day in the year.

    Returns:
        uint16 (h, w), 1 to 366, nodata 0.
    """
    best = np.full(valid.shape[1:], np.iinfo(np.int64).max)
    for observation, counts, day in zip(stack, valid, days, strict=True):
        apart = np.abs(observation[:_BANDS].astype(np.int64) - composite[:_BANDS]).sum(axis=0)
        np.minimum(best, apart * _DAYS + day, out=best, where=counts)
    return np.where(valid.any(axis=0), best % _DAYS, 0).astype(np.uint16)
