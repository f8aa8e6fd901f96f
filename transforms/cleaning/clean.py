"""Cleans the built-up fraction that the network predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt, maximum_filter

from transforms.elements import NODATA, Layer
from transforms.rasters.sieve import small_components
from transforms.rasters.spectral import MILLIONTHS, index_above, millionths

from .parameters import CleaningParameters
from .streets import Road, street_masks

RAW_ONE = 10_000
"""BUFRAC_RAW of a pixel that is completely built-up."""
_HALVES_PER_PERCENT = 2 * RAW_ONE // 100


def clean(
    raw: NDArray[np.uint16],
    s2: NDArray[np.uint16],
    parameters: CleaningParameters,
    *,
    roads: Sequence[Road] = (),
    grid: GeoBox | None = None,
) -> NDArray[np.uint8]:
    """The cleaned built-up fraction, valid except in the outer `parameters.halo` pixels.

    Nodata is masked first, with the pixels up to `edge` from a pixel without S2. Then the steps
    follow, each on the result of the one before, and each only if its parameter is set. Below
    `minimum` becomes 0. NDVI above `ndvi_above` becomes 0. NDWI above `ndwi_above` becomes 0,
    and so does what is up to `shore` pixels from it.
    Pixels that a street covers become 0, and pixels that it only touches become half. The result is
    rounded to percent, half up. Components above 0 with fewer than `minimum_pixels` pixels become
    0. Thresholds and rounding are exact, because everything is computed in whole numbers. With a
    `minimum` of 0.01 or more, rounding makes no pixel 0.

    Args:
        raw: (rows, columns), uint16, BUFRAC_RAW, 0..10 000 for complete cover, nodata 65535.
        s2: (4, rows, columns), uint16, red, green, blue, near infrared, reflectance x 10 000,
            nodata 0; a pixel counts where all four bands are above 0.
        parameters: the parameters of the steps.
        roads: road lines in the CRS of the grid; all roads within half their width of it.
        grid: the grid of the arrays, pixels of 10 m; needed only for roads.

    Returns:
        (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255 where raw is nodata, or s2 is up
        to `edge` pixels away.

    Raises:
        ValueError: shapes or dtypes do not fit, raw is out of range, or roads have no grid.

    Source:
        The post-processing of GHS-BUILT-S2 (Corbane et al., 2021, Neural Computing and
        Applications 33); NDWI = (green - NIR) / (green + NIR), McFeeters (1996).

    Examples:
        A house, a field that is too green, and a pixel without data.

        >>> raw = np.array([[6000, 6000, 65535]], np.uint16)
        >>> s2 = np.full((4, 1, 3), 1000, np.uint16)
        >>> s2[3] = [[1000, 5000, 1000]]
        >>> clean(raw, s2, CleaningParameters(minimum_pixels=None)).tolist()
        [[60, 0, 255]]
    """
    _check(raw, s2)
    empty = (s2 == 0).any(axis=0)
    if parameters.edge:
        empty = maximum_filter(empty, 2 * parameters.edge + 1, mode="constant", cval=0)
    valid = (raw != NODATA[Layer.BUFRAC_RAW]) & ~empty
    if (raw[valid] > RAW_ONE).any():
        raise ValueError(f"BUFRAC_RAW is {raw[valid].max()}, expected at most {RAW_ONE}")
    halves = np.where(valid, raw, 0).astype(np.int64) * 2
    red, green, _, nir = s2
    if parameters.minimum is not None:
        halves[halves * MILLIONTHS < millionths(parameters.minimum) * 2 * RAW_ONE] = 0
    if parameters.ndvi_above is not None:
        halves[index_above(nir, red, parameters.ndvi_above)] = 0
    if parameters.ndwi_above is not None:
        water = index_above(green, nir, parameters.ndwi_above)
        if parameters.shore and water.any():
            water = distance_transform_edt(~water) <= parameters.shore
        halves[water] = 0
    if parameters.streets and roads:
        if grid is None or tuple(grid.shape) != raw.shape:
            raise ValueError(f"grid is {grid}, expected one of shape {raw.shape} for the roads")
        covered, touched = street_masks(roads, grid)
        halves[covered] = 0
        halves[touched] //= 2
    percent = ((halves + _HALVES_PER_PERCENT // 2) // _HALVES_PER_PERCENT).astype(np.uint8)
    if parameters.minimum_pixels is not None:
        percent[small_components(percent > 0, parameters.minimum_pixels)] = 0
    percent[~valid] = NODATA[Layer.BUFRAC]
    return percent


def _check(raw: NDArray[np.uint16], s2: NDArray[np.uint16]) -> None:
    if raw.ndim != 2 or s2.shape != (4, *raw.shape):
        raise ValueError(f"raw has shape {raw.shape} and s2 {s2.shape}, expected (h, w), (4, h, w)")
    if raw.dtype != np.uint16 or s2.dtype != np.uint16:
        raise ValueError(f"raw has dtype {raw.dtype} and s2 {s2.dtype}, expected uint16")
