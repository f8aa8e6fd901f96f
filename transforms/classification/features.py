"""The features of a pixel for the classifier: named sets, each in a fixed order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

from . import multiscale

_SPECTRAL = ("bufrac", "red", "green", "blue", "nir")
_INDICES = ("ndvi", "ndwi", "brightness")
_FURTHER = (*Layer.S2_20M.spec.bands, "ndbi")
_TEXTURE = ("bufrac_mean_5x5", "bufrac_std_5x5", "nir_mean_5x5", "nir_std_5x5")

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "spectral": _SPECTRAL,
    "spectral_indices": _SPECTRAL + _INDICES,
    "spectral_texture": _SPECTRAL + _INDICES + _TEXTURE,
    "multiscale": _SPECTRAL + _INDICES + multiscale.OF_BANDS + multiscale.OF_BUFRAC,
    "multiscale_bands": _SPECTRAL[1:] + _INDICES + multiscale.OF_BANDS,
    "multiscale_ten": (
        _SPECTRAL
        + _INDICES
        + _FURTHER
        + multiscale.OF_BANDS
        + multiscale.OF_BUFRAC
        + multiscale.OF_20M
    ),
    "multiscale_bands_ten": (
        _SPECTRAL[1:] + _INDICES + _FURTHER + multiscale.OF_BANDS + multiscale.OF_20M
    ),
}
"""The features of each set, in the order of the table's columns."""

_RADIUS = 2
_ONE = 10_000  # digital number of a reflectance of 1

Plane = NDArray[np.float64]


def feature_halo(feature_set: str) -> int:
    """Pixels around a pixel that its features depend on.

    Raises:
        ValueError: there is no such set.
    """
    names = set(_names(feature_set))
    if names >= set(multiscale.OF_BANDS):
        return multiscale.HALO
    return _RADIUS if names & set(_TEXTURE) else 0


def bands_of(feature_set: str) -> int:
    """Number of bands that a feature set needs: 4, those of S2; or 10, also those of S2_20M.

    Raises:
        ValueError: there is no such set.
    """
    return 10 if set(_names(feature_set)) >= set(_FURTHER) else 4


def valid_pixels(bufrac: NDArray[np.uint8], s2: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels where both inputs have data: (rows, columns), bool.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        s2: (4 or 10, rows, columns), uint16, the bands of S2, or those of S2 and S2_20M,
            reflectance x 10 000, nodata 0; a pixel counts where all bands are above 0.

    Raises:
        ValueError: shapes or dtypes do not fit.
    """
    if bufrac.ndim != 2 or s2.shape not in ((4, *bufrac.shape), (10, *bufrac.shape)):
        raise ValueError(
            f"bufrac has shape {bufrac.shape} and s2 {s2.shape}, expected (h, w) and (4, h, w) or "
            "(10, h, w)"
        )
    if bufrac.dtype != np.uint8 or s2.dtype != np.uint16:
        raise ValueError(
            f"bufrac has dtype {bufrac.dtype} and s2 {s2.dtype}, expected uint8 and uint16"
        )
    valid: NDArray[np.bool_] = (bufrac != NODATA[Layer.BUFRAC]) & (s2 > 0).all(axis=0)
    return valid


def feature_table(
    bufrac: NDArray[np.uint8],
    s2: NDArray[np.uint16],
    where: NDArray[np.bool_],
    feature_set: str,
) -> NDArray[np.float32]:
    """Features of chosen pixels, one row for each pixel, in the order of the array.

    Built-up fraction 0..1; bands and `brightness` (mean of red, green, blue) as reflectance;
    NDVI = (NIR - red) / (NIR + red), NDWI = (green - NIR) / (green + NIR) and
    NDBI = (swir16 - NIR) / (swir16 + NIR), -1..1; mean and standard deviation (of the population)
    over the valid pixels of 5 x 5, in the unit of their layer; `multiscale.features` describes
    those of larger surroundings. Sums are whole numbers, and each feature is rounded in the same
    way. So no feature depends on the window in which it is computed.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        s2: (4 or 10, rows, columns), uint16, as in `valid_pixels`; at least the bands of the set.
        where: (rows, columns), bool; the chosen pixels, all of them valid.
        feature_set: a name of `FEATURE_SETS`.

    Returns:
        (pixels, features), float32, finite, columns in the order of `FEATURE_SETS`.

    Raises:
        ValueError: there is no such set, shapes or dtypes do not fit, or a chosen pixel is nodata.
    """
    names = _names(feature_set)
    valid = valid_pixels(bufrac, s2)
    if where.shape != valid.shape or (where & ~valid).any():
        raise ValueError("a pixel without data has no features, expected valid pixels only")
    if len(s2) < bands_of(feature_set):
        raise ValueError(f"s2 has {len(s2)} bands, expected {bands_of(feature_set)}")
    red, green, blue, nir, *further = (band[where].astype(np.float64) for band in s2)
    simple: dict[str, Callable[[], Plane]] = {
        "bufrac": lambda: bufrac[where] / np.float64(100),
        "red": lambda: red / _ONE,
        "green": lambda: green / _ONE,
        "blue": lambda: blue / _ONE,
        "nir": lambda: nir / _ONE,
        "ndvi": lambda: (nir - red) / (nir + red),
        "ndwi": lambda: (green - nir) / (green + nir),
        "brightness": lambda: (red + green + blue) / (3 * _ONE),
    }
    if further:
        swir = further[Layer.S2_20M.spec.bands.index("swir16")]
        for name, values in zip(Layer.S2_20M.spec.bands, further, strict=True):
            simple[name] = lambda values=values: values / _ONE  # type: ignore[misc]
        simple["ndbi"] = lambda: (swir - nir) / (swir + nir)
    columns = {name: simple[name]() for name in names if name in simple}
    wide = set(names) >= set(multiscale.OF_BANDS)
    if not wide and "bufrac_mean_5x5" in names:
        mean, deviation = _local_moments(bufrac, valid, where)
        columns |= {"bufrac_mean_5x5": mean / 100, "bufrac_std_5x5": deviation / 100}
    if not wide and "nir_mean_5x5" in names:
        mean, deviation = _local_moments(s2[3], valid, where)
        columns |= {"nir_mean_5x5": mean / _ONE, "nir_std_5x5": deviation / _ONE}
    table = np.empty((red.size, len(names)), np.float32, order="F")  # written column by column
    for name, values in columns.items():
        table[:, names.index(name)] = values
    if wide:
        for name, values in multiscale.features(bufrac, s2, valid, where, names):
            table[:, names.index(name)] = values
    return table


def feature_table_in_strips(
    bufrac: NDArray[np.uint8],
    s2: NDArray[np.uint16],
    where: NDArray[np.bool_],
    feature_set: str,
    rows: int = 256,
) -> NDArray[np.float32]:
    """The same as `feature_table`, with less memory for large arrays.

    Args:
        bufrac: as in `feature_table`.
        s2: as in `feature_table`.
        where: as in `feature_table`.
        feature_set: as in `feature_table`.
        rows: rows that are computed together.

    Returns:
        As `feature_table`.

    Raises:
        ValueError: as `feature_table`.
    """
    halo, tables = feature_halo(feature_set), []
    for top in range(0, len(where), rows):
        if not where[top : top + rows].any():
            continue
        first, last = max(0, top - halo), min(len(where), top + rows + halo)
        chosen = where[first:last].copy()
        chosen[: top - first], chosen[top - first + rows :] = False, False
        tables.append(feature_table(bufrac[first:last], s2[:, first:last], chosen, feature_set))
    if not tables:
        return np.empty((0, len(_names(feature_set))), np.float32)
    return np.concatenate(tables)


def _names(feature_set: str) -> tuple[str, ...]:
    if feature_set not in FEATURE_SETS:
        raise ValueError(
            f"feature set is {feature_set!r}, expected one of {', '.join(FEATURE_SETS)}"
        )
    return FEATURE_SETS[feature_set]


def _local_moments(
    layer: NDArray[np.uint8] | NDArray[np.uint16],
    valid: NDArray[np.bool_],
    where: NDArray[np.bool_],
) -> tuple[Plane, Plane]:
    """Mean and standard deviation over the valid pixels of 5 x 5, at the chosen pixels."""
    values = np.where(valid, layer, 0).astype(np.int64)
    number = _box_sum(valid.astype(np.int64))[where]
    total = _box_sum(values)[where]
    squares = _box_sum(values * values)[where]
    # n * sum of squares - square of sum is a whole number below 2**53, so no digits are lost.
    deviation = np.sqrt((number * squares - total * total).astype(np.float64)) / number
    return total / number, deviation


def _box_sum(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum over 5 x 5; pixels outside the array count as 0."""
    for axis in (0, 1):
        padding = [(_RADIUS, _RADIUS) if axis == a else (0, 0) for a in (0, 1)]
        padded = np.pad(values, padding)
        length = values.shape[axis]
        values = sum(
            (padded.take(range(s, s + length), axis) for s in range(2 * _RADIUS + 1)),
            start=np.zeros_like(values),
        )
    return values
