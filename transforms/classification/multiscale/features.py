"""Features of several sizes: what a pixel's surroundings of 50 to 310 m look like."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Layer

from .windows import Mask, Whole, WindowSums, highest, lowest

WINDOWS = (5, 9, 15, 31)
"""Sides of the windows of means and standard deviations, in pixels."""
PROFILES = (3, 5, 9, 17, 31)
"""Sides of the squares of the openings and closings, in pixels."""
HALO = PROFILES[-1] - 1
"""Pixels around a pixel that its features depend on: a closing looks twice as far as its square."""

_LAYERS = ("brightness", "nir", "ndvi", "bufrac", "swir16", "ndbi")
_ONE = 10_000  # digital number of a reflectance of 1, and of an NDVI of 1
_UNITS = {"bufrac": 100, "brightness": 3 * _ONE}
"""What a stored value is divided by, if it is not 10 000."""


def _moments(layer: str) -> tuple[str, ...]:
    return tuple(f"{layer}_{kind}_{n}x{n}" for n in WINDOWS for kind in ("mean", "std"))


OF_BANDS = (
    *(name for layer in _LAYERS[:3] for name in _moments(layer)),
    *(f"gradient_mean_{n}x{n}" for n in WINDOWS),
    *(f"contrast_{n}x{n}" for n in PROFILES[:2]),
    *(f"{kind}_{n}x{n}" for n in PROFILES for kind in ("brighter", "darker")),
)
"""The features of the bands alone."""
OF_BUFRAC = _moments("bufrac")
"""The features of BUFRAC."""
OF_20M = _moments("swir16") + _moments("ndbi")
"""The features of the bands at 20 m."""

Column = NDArray[np.float64]


def features(
    bufrac: NDArray[np.uint8],
    s2: NDArray[np.uint16],
    valid: Mask,
    where: Mask,
    names: Collection[str] = OF_BANDS + OF_BUFRAC,
) -> Iterator[tuple[str, Column]]:
    """Name and values of each feature.

    Only valid pixels count. `mean` and `std` are mean and standard deviation (of the population)
    in a window, in the unit of the layer. `gradient_mean` is the mean of the differences of
    brightness between the two neighbours in a row and in a column, added, of pixels with four valid
    neighbours; 0 where there are none. `contrast` is the highest less the lowest brightness.
    `brighter` is the brightness less its opening: a part of something bright that is smaller than
    the square. `darker` is the closing less the brightness. Everything is computed from whole
    numbers and rounded in the same way for each pixel.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100.
        s2: (4 or 10, rows, columns), uint16, the bands of S2, or those of S2 and S2_20M,
            reflectance x 10 000.
        valid: (rows, columns), pixels with data.
        where: (rows, columns), chosen pixels, all valid.
        names: the needed features: `OF_BANDS`, and those of `OF_BUFRAC` and `OF_20M` that there
            are. The latter need ten bands.

    Returns:
        For each feature its name and (pixels), float64.
    """
    layers = _whole_layers(bufrac, s2, valid)
    windows = WindowSums(where)
    corners = {side: windows.corners(side) for side in WINDOWS}
    counted = windows.rectangles(valid.astype(np.int64))
    numbers = {side: windows.sums(counted, corners[side]) for side in WINDOWS}
    for name in (layer for layer in _LAYERS if _moments(layer)[0] in names):
        total = windows.rectangles(layers[name])
        squares = windows.rectangles(layers[name] * layers[name])
        for side in WINDOWS:
            number, of = numbers[side], _UNITS.get(name, _ONE)
            sums = windows.sums(total, corners[side])
            spread = number * windows.sums(squares, corners[side]) - sums * sums
            yield f"{name}_mean_{side}x{side}", sums / (number * of)
            yield f"{name}_std_{side}x{side}", np.sqrt(spread.astype(np.float64)) / (number * of)
    slope, known = _gradient(layers["brightness"], valid)
    total, counted = windows.rectangles(slope), windows.rectangles(known.astype(np.int64))
    for side in WINDOWS:
        number = np.maximum(windows.sums(counted, corners[side]), 1) * _UNITS["brightness"]
        yield f"gradient_mean_{side}x{side}", windows.sums(total, corners[side]) / number
    yield from _profiles(layers["brightness"], valid, where)


def _whole_layers(
    bufrac: NDArray[np.uint8], s2: NDArray[np.uint16], valid: Mask
) -> dict[str, Whole]:
    """The layers in whole numbers, 0 where there is no data."""
    red, green, blue, nir, *further = (np.where(valid, band, 0).astype(np.int64) for band in s2)
    layers = {
        "bufrac": np.where(valid, bufrac, 0).astype(np.int64),
        "brightness": red + green + blue,
        "nir": nir,
        "ndvi": _index(nir, red),
    }
    if further:
        swir = further[Layer.S2_20M.spec.bands.index("swir16")]
        layers |= {"swir16": swir, "ndbi": _index(swir, nir)}
    return layers


def _index(one: Whole, other: Whole) -> Whole:
    """Normalised difference of two bands x 10 000; 0 where both are 0."""
    rounded: Whole = np.rint((one - other) * _ONE / np.maximum(one + other, 1)).astype(np.int64)
    return rounded


def _gradient(brightness: Whole, valid: Mask) -> tuple[Whole, Mask]:
    """Differences between the neighbours of each pixel, and where all four have data."""
    slope, known = np.zeros_like(brightness), np.zeros_like(valid)
    inner = (slice(1, -1), slice(1, -1))
    known[inner] = (
        valid[inner] & valid[:-2, 1:-1] & valid[2:, 1:-1] & valid[1:-1, :-2] & valid[1:-1, 2:]
    )
    down = np.abs(brightness[2:, 1:-1] - brightness[:-2, 1:-1])
    across = np.abs(brightness[1:-1, 2:] - brightness[1:-1, :-2])
    slope[inner] = np.where(known[inner], down + across, 0)
    return slope, known


def _profiles(brightness: Whole, valid: Mask, where: Mask) -> Iterator[tuple[str, Column]]:
    """Contrasts, and the differences to openings and closings of growing squares."""
    one, most = _UNITS["brightness"], 2**31 - 1
    values = brightness.astype(np.int32)
    low_here, high_here = np.where(valid, values, most), np.where(valid, values, 0)
    here = values[where]
    eroded = {side: lowest(low_here, side, most) for side in PROFILES}
    dilated = {side: highest(high_here, side, 0) for side in PROFILES}
    for side in PROFILES[:2]:
        yield f"contrast_{side}x{side}", (dilated[side][where] - eroded[side][where]) / one
    for side in PROFILES:
        opened = highest(np.where(valid, eroded[side], 0), side, 0)[where]
        closed = lowest(np.where(valid, dilated[side], most), side, most)[where]
        yield f"brighter_{side}x{side}", (here - opened) / one
        yield f"darker_{side}x{side}", (closed - here) / one
