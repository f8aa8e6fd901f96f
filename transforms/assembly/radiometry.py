"""Converts digital numbers to reflectance, and to the digital numbers of the composite.

Source: Sentinel-2 Products Specification Document. From baseline 04.00 on, digital numbers have an
offset: reflectance = (DN + offset) / quantification. DN 0 is nodata.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SCALE = 10_000
"""Digital numbers of the composite are reflectance times this factor."""


def reflectance(
    dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float
) -> NDArray[np.float64]:
    """Reflectance of digital numbers.

    Args:
        dn: uint16 (bands, ...), nodata 0.
        offsets: in digital numbers, one for each band of `dn`.
        quantification: digital numbers per unit of reflectance, above 0.

    Returns:
        float64 of the same shape, without unit, nan at nodata; may be below 0 or above 1.

    Raises:
        ValueError: the number of offsets is not the number of bands.
    """
    _check(dn, offsets, quantification)
    shift = np.asarray(offsets, np.float64).reshape(-1, *[1] * (dn.ndim - 1))
    return np.where(dn == 0, np.nan, (dn.astype(np.float64) + shift) / quantification)


def to_composite_dn(
    dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float
) -> NDArray[np.uint16]:
    """Convert digital numbers of a product to those of the composite: reflectance x 10 000.

    Args:
        dn: uint16 (bands, ...), nodata 0.
        offsets: as in `reflectance`.
        quantification: as in `reflectance`.

    Returns:
        uint16 of the same shape: 0 at nodata; elsewhere the rounded value, clamped to 1..65535, so
        that a valid pixel stays valid.

    Raises:
        ValueError: the number of offsets is not the number of bands.

    Examples:
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
        np.take(tables[offset], dn[band], out=out[band], mode="clip")  # no number is out of range
    return out


def _check(dn: NDArray[np.uint16], offsets: Sequence[float], quantification: float) -> None:
    if dn.dtype != np.uint16:
        raise ValueError(f"digital numbers have dtype {dn.dtype}, expected uint16")
    if dn.ndim == 0 or dn.shape[0] != len(offsets):
        raise ValueError(f"got {len(offsets)} offsets for an array of shape {dn.shape}")
    if not quantification > 0:
        raise ValueError(f"quantification is {quantification}, expected more than 0")
