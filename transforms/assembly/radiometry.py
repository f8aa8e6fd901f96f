"""Digital numbers to top-of-atmosphere or surface reflectance, and to the composite's numbers.

Source: Sentinel-2 Products Specification Document; from baseline 04.00 on, digital numbers carry
an offset: reflectance = (DN + offset) / quantification. DN 0 is nodata.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SCALE = 10_000
"""Composite digital numbers are reflectance times this."""


def reflectance(
    dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float
) -> NDArray[np.float64]:
    """Reflectance of digital numbers.

    `dn` is (bands, ...), uint16, nodata 0; `offsets` in digital numbers, one per band of `dn`;
    `quantification` digital numbers per unit of reflectance, above 0. Returns float64 of the
    same shape, without unit, nan at nodata; it may be below 0 or above 1. Raises ValueError where
    the number of offsets is not that of the bands.
    """
    _check(dn, offsets, quantification)
    shift = np.asarray(offsets, np.float64).reshape(-1, *[1] * (dn.ndim - 1))
    return np.where(dn == 0, np.nan, (dn.astype(np.float64) + shift) / quantification)


def to_composite_dn(
    dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float
) -> NDArray[np.uint16]:
    """Digital numbers of a product to the composite's: reflectance x 10 000.

    `dn` is (bands, ...), uint16, nodata 0; offsets and quantification as in `reflectance`.
    Returns uint16 of the same shape: 0 at nodata, else the rounded value clamped to 1..65535, so
    that valid stays valid. Raises ValueError where the number of offsets is not that of the bands.

    Example:
        >>> dn = np.array([[0, 900, 1500]], np.uint16)
        >>> to_composite_dn(dn, [-1000.0], 10000.0).tolist()
        [[0, 1, 500]]
    """
    _check(dn, offsets, quantification)
    every = np.arange(2**16, dtype=np.uint16)[np.newaxis]  # one look-up table per offset
    tables = {}
    for offset in set(offsets):
        values = np.rint(reflectance(every, [offset], quantification)[0] * SCALE)
        values[0] = 0
        tables[offset] = np.clip(values, every[0] > 0, 65535).astype(np.uint16)
    out = np.empty(dn.shape, np.uint16)
    for band, offset in enumerate(offsets):
        np.take(tables[offset], dn[band], out=out[band])
    return out


def _check(dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float) -> None:
    if dn.dtype != np.uint16:
        raise ValueError(f"digital numbers of {dn.dtype}, expected uint16")
    if dn.ndim == 0 or dn.shape[0] != len(offsets):
        raise ValueError(f"{len(offsets)} offsets for an array of shape {dn.shape}")
    if not quantification > 0:
        raise ValueError(f"quantification {quantification}, expected more than 0")
