"""Measures NDVI inside the closed built-up domain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer
from transforms.rasters.sieve import small_components
from transforms.rasters.spectral import index_above

from .closing import close_support, disk_reach

SCALE = 10_000
"""Stored value of an NDVI of 1."""


@dataclass(frozen=True, slots=True)
class GreennessParameters:
    """What counts as the built-up domain, and how it is closed.

    The defaults leave out single houses, hedges and lanes. A closing with a large disk would join
    them to a domain that covers most of the land.
    """

    radius: float = 300.0
    """Radius of the disk in metres, 0 or more; 0 does not close the domain."""
    minimum: int = 50
    """Percent, 1..100; pixels with a lower BUFRAC are not closed."""
    minimum_pixels: int | None = 100
    """Pixels, 1 or more; smaller 8-connected components of these pixels are not closed. None keeps
    all."""
    ndwi_above: float | None = 0.0
    """NDWI of McFeeters (1996), -1..1; pixels above it (open water) are outside the domain. None
    keeps them."""
    resolution: float = 10.0
    """Size of a pixel in metres."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: a value is out of its range or not a number; the text names it.
        """
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise ValueError(f"radius is {self.radius!r} m, expected 0 or more")
        if not 1 <= self.minimum <= 100:
            raise ValueError(f"minimum is {self.minimum!r} percent, expected 1 to 100")
        if self.minimum_pixels is not None and self.minimum_pixels < 1:
            raise ValueError(f"minimum_pixels is {self.minimum_pixels!r}, expected 1 or more")
        if self.ndwi_above is not None and not -1 <= self.ndwi_above <= 1:
            raise ValueError(f"ndwi_above is {self.ndwi_above!r}, expected -1 to 1")
        if not (math.isfinite(self.resolution) and self.resolution > 0):
            raise ValueError(f"resolution is {self.resolution!r} m, expected above 0")

    @property
    def radius_pixels(self) -> float:
        """The radius in pixels."""
        return self.radius / self.resolution

    @property
    def halo(self) -> int:
        """Pixels around a window that its result depends on.

        It is twice the reach of the disk, and the size limit of the components: a component that
        reaches beyond that has more pixels than the limit inside it.
        """
        return 2 * disk_reach(self.radius_pixels) + (self.minimum_pixels or 0)


def built_up_domain(
    bufrac: NDArray[np.uint8], s2: NDArray[np.uint16], parameters: GreennessParameters
) -> NDArray[np.bool_]:
    """The built-up domain: dense and large built-up, closed by a disk, without water and nodata.

    Arguments and errors are those of `greenness`. Valid except in the outer `parameters.halo`
    pixels of the array.

    Returns:
        (rows, columns), bool.
    """
    known = bufrac != NODATA[Layer.BUFRAC]
    dense = known & (bufrac >= parameters.minimum)
    if parameters.minimum_pixels is not None:
        dense &= ~small_components(dense, parameters.minimum_pixels)
    domain = close_support(dense, parameters.radius_pixels)
    domain &= known & (s2 > 0).all(axis=0)
    if parameters.ndwi_above is not None:
        domain &= ~index_above(s2[1], s2[3], parameters.ndwi_above)
    return domain


def greenness(
    bufrac: NDArray[np.uint8], s2: NDArray[np.uint16], parameters: GreennessParameters
) -> NDArray[np.int16]:
    """NDVI in the built-up domain.

    The domain begins with the pixels whose BUFRAC is at least `minimum`, in components of at least
    `minimum_pixels`. A disk closes it. Water is taken out. Nodata is not built-up, and it stays
    nodata even where the closing would fill it. Valid except in the outer `parameters.halo` pixels
    of the array.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        s2: (4, rows, columns), uint16, red, green, blue, near infrared, reflectance x 10 000,
            nodata 0; a pixel counts where all four bands are above 0.
        parameters: the parameters of the domain.

    Returns:
        (rows, columns), int16, NDVI x 10 000, -10 000..10 000, rounded to the nearest whole number
        (half to even); nodata -32768 outside the domain and where bufrac or s2 is nodata.

    Raises:
        ValueError: shapes or dtypes do not fit.

    Source:
        The greenness of the built-up domain of the GHSL workflow; NDVI = (NIR - red) / (NIR +
        red), Rouse et al. (1974).

    Examples:
        A garden between houses counts; the field beside them does not.

        >>> bufrac = np.array([[50, 50, 50, 0], [50, 0, 50, 0], [50, 50, 50, 0]], np.uint8)
        >>> s2 = np.full((4, 3, 4), 1000, np.uint16)
        >>> s2[3, 1, 1] = 3000
        >>> greenness(bufrac, s2, GreennessParameters(10.0, minimum_pixels=8))[1].tolist()
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
    domain = built_up_domain(bufrac, s2, parameters)
    red, nir = s2[0][domain].astype(np.float64), s2[3][domain].astype(np.float64)
    result = np.full(bufrac.shape, NODATA[Layer.GREENNESS], np.int16)
    result[domain] = np.rint((nir - red) / (nir + red) * SCALE).astype(np.int16)
    return result
