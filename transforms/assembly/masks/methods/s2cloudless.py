"""Clouds by the pixel classifier of s2cloudless, from ten bands of L1C at 60 m.

It finds no cloud shadows. The model comes with the package s2cloudless; its own code is not used,
because it needs OpenCV and sentinelhub.

Source: A. Zupanc (2017), Improving cloud detection with machine learning; the package s2cloudless
1.7 (Sinergise, CC BY-SA 4.0), with its defaults for threshold, averaging and growing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, convolve

from transforms.elements import S2CLOUDLESS_BANDS, ModelError, Window

from ...radiometry import SCALE
from ..classes import MaskClass

CELL = 6
"""Side of a cell of the mask in pixels of 10 m."""
THRESHOLD = 0.4
"""Least mean probability of a cloud."""
_REACH = 2
"""One cell for the average and one for the growing."""
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.float32)
"""A disk with a radius of one cell."""
_PACKAGE, _MODEL = "s2cloudless", "models/pixel_s2_cloud_detector_lightGBM_v0.1.txt"
_ROWS = 1 << 18
"""Cells that are predicted at once."""
_LOCK = Lock()


def reach(window: Window, shape: tuple[int, int]) -> Window:
    """The cells that decide about the cells of a window.

    Args:
        window: cells, counted from the upper left corner of the scene's grid, inside it.
        shape: rows and columns of cells of the whole grid.

    Raises:
        ValueError: the window is not inside the grid.

    Examples:
        >>> reach(Window(1, 10, 4, 4), (100, 100))
        Window(row=0, col=8, height=7, width=8)
    """
    whole = Window(0, 0, *shape)
    found = window.expand(_REACH).intersect(whole)
    if found is None or whole.intersect(window) != window:
        raise ValueError(f"{window} is not inside a grid of {shape[0]} x {shape[1]} cells")
    return found


def classify(
    dn: NDArray[np.uint16], place: Window, window: Window, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Classes of the cells of a window.

    The probability of each cell is averaged with that of its four neighbours that have data. From
    0.4 on it is a cloud, and its four neighbours are clouds too.

    Args:
        dn: uint16 (10, H, W), `S2CLOUDLESS_BANDS` of L1C: reflectance x 10 000, nodata 0.
        place: the cells that `dn` covers; it contains `reach(window, shape)`.
        window: the wanted cells.
        shape: rows and columns of cells of the whole grid of the scene.

    Returns:
        uint8 (h, w) of `MaskClass`, without SHADOW; NODATA where a band is 0.

    Raises:
        ValueError: `dn` has another shape, or does not cover what is needed.
        ModelError: s2cloudless or LightGBM is not installed.
    """
    wide = reach(window, shape)
    expected = (len(S2CLOUDLESS_BANDS), *place.shape)
    if dn.shape != expected:
        raise ValueError(f"got an array of shape {dn.shape}, expected {expected}")
    dn = dn[:, *wide.slices_in(place)]
    valid = (dn != 0).all(axis=0)
    likely = np.zeros(valid.shape, np.float32)
    likely[valid] = _probabilities(dn[:, valid].T)
    cells = convolve(valid.astype(np.float32), _CROSS, mode="constant")
    total = convolve(likely, _CROSS, mode="constant")
    cloud = valid & (total > np.float32(THRESHOLD) * cells)
    classes = np.where(binary_dilation(cloud, _CROSS), MaskClass.CLOUD, MaskClass.CLEAR)
    classes[~valid] = MaskClass.NODATA
    return classes[window.slices_in(wide)].astype(np.uint8)


def version() -> str:
    """The version of the package, for fingerprints and the run record.

    Raises:
        ModelError: s2cloudless or LightGBM is not installed.
    """
    _file()
    return metadata.version(_PACKAGE)


def release() -> None:
    """Forget the classifier of this process."""
    with _LOCK:
        _loaded.cache_clear()


def _probabilities(dn: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Probability of a cloud for each row of `dn`, (n, 10); float32 (n,)."""
    out = np.empty(len(dn), np.float32)
    for first in range(0, len(dn), _ROWS):
        part = slice(first, first + _ROWS)
        out[part] = _model().predict(dn[part] / SCALE, num_threads=1)
    return out


def _model() -> Any:
    """The classifier; a process loads it once."""
    with _LOCK:
        return _loaded()


@cache
def _loaded() -> Any:
    file = _file()  # it checks that both packages are there
    return import_module("lightgbm").Booster(model_file=str(file))


def _file() -> Path:
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None or find_spec("lightgbm") is None:
        raise ModelError(
            "s2cloudless",
            "is not installed whole, and masks by s2cloudless need it: "
            "pip install 'ghsl-beam[s2cloudless]'",
        )
    path = Path(package.origin).parent / _MODEL
    if not path.is_file():
        raise ModelError(str(path), "is absent: install s2cloudless 1.7 again")
    return path
