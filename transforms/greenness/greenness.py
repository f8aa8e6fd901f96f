"""Measures NDVI inside the closed built-up domain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

from .closing import close_support, disk_reach

SCALE = 10_000
"""Stored value of an NDVI of 1."""


@dataclass(frozen=True, slots=True)
class GreennessParameters:
    """The parameters of the closing."""

    radius: float = 300.0
    """Radius of the disk in metres, 0 or more; 0 leaves the built-up domain as it is."""
    resolution: float = 10.0
    """Size of a pixel in metres."""

    def __post_init__(self) -> None:
        """Check both values.

        Raises:
            ValueError: a value is out of its range or not a number; the text names it.
        """
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise ValueError(f"radius is {self.radius!r} m, expected 0 or more")
        if not (math.isfinite(self.resolution) and self.resolution > 0):
            raise ValueError(f"resolution is {self.resolution!r} m, expected above 0")

    @property
    def radius_pixels(self) -> float:
        """The radius in pixels."""
        return self.radius / self.resolution

    @property
    def halo(self) -> int:
        """Pixels around a window that its result depends on: twice the reach of the disk."""
        return 2 * disk_reach(self.radius_pixels)


def greenness(
    bufrac: NDArray[np.uint8], s2: NDArray[np.uint16], parameters: GreennessParameters
) -> NDArray[np.int16]:
    """NDVI in the built-up domain (BUFRAC above 0), closed by a disk.

    Valid except in the outer `parameters.halo` pixels of the array. Nodata is not built-up, and it
    stays nodata even where the closing would fill it.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        s2: (4, rows, columns), uint16, red, green, blue, near infrared, reflectance x 10 000,
            nodata 0; a pixel counts where all four bands are above 0.
        parameters: the parameters of the closing.

    Returns:
        (rows, columns), int16, NDVI x 10 000, -10 000..10 000, rounded to the nearest whole number
        (half to even); nodata -32768 outside the closed domain and where bufrac or s2 is nodata.

    Raises:
        ValueError: shapes or dtypes do not fit.

    Source:
        The greenness of the built-up domain of the GHSL workflow; NDVI = (NIR - red) / (NIR +
        red), Rouse et al. (1974).

    Example:
        A garden between houses counts; the field beside them does not.

        >>> bufrac = np.array([[50, 50, 50, 0], [50, 0, 50, 0], [50, 50, 50, 0]], np.uint8)
        >>> s2 = np.full((4, 3, 4), 1000, np.uint16)
        >>> s2[3, 1, 1] = 3000
        >>> greenness(bufrac, s2, GreennessParameters(radius=10.0))[1].tolist()
        [0, 5000, 0, -32768]
    """
    if bufrac.ndim != 2 or s2.shape != (4, *bufrac.shape):
        raise ValueError(
            f"bufrac has shape {bufrac.shape} and s2 {s2.shape}, expected (h, w) and (4, h, w)"
        )
    if bufrac.dtype != np.uint8 or s2.dtype != np.uint16:
        raise ValueError(
            f"bufrac has dtype {bufrac.dtype} and s2 {s2.dtype}, expected uint8 and uint16"
        )
    known = bufrac != NODATA[Layer.BUFRAC]
    domain = close_support(known & (bufrac > 0), parameters.radius_pixels)
    domain &= known & (s2 > 0).all(axis=0)
    red, nir = s2[0][domain].astype(np.float64), s2[3][domain].astype(np.float64)
    result = np.full(bufrac.shape, NODATA[Layer.GREENNESS], np.int16)
    result[domain] = np.rint((nir - red) / (nir + red) * SCALE).astype(np.int16)
    return result
