"""Clouds and their shadows by the four-band network of ukis-csmask, in overlapping patches.

Source: M. Wieland, Y. Li, S. Martinis (2019), Multi-sensor cloud and cloud shadow segmentation with
a convolutional neural network, Remote Sensing of Environment 230; the models are those of the
package ukis-csmask 1.0.0 (German Aerospace Center, Apache-2.0). Its own code is not used.
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from transforms.elements import Level, ModelError, Window

from ...radiometry import SCALE
from ..classes import MaskClass

CELL = 3
"""Side of a cell of the mask in pixels of 10 m: the network was trained at about 30 m."""
PATCH = 256
"""Side of the network's input in cells."""
STEP = 192
"""Largest distance of two neighbouring patches in cells."""
_PACKAGE = "ukis_csmask"
_BANDS = ("red", "green", "blue", "nir")
"""Order of the bands in the arrays of `classify`, by their names in ukis-csmask."""
_LOCK = Lock()


def reach(window: Window, shape: tuple[int, int]) -> Window:
    """The cells that decide about the cells of a window: all patches that touch the window.

    Args:
        window: cells, counted from the upper left corner of the scene's grid, inside it.
        shape: rows and columns of cells of the whole grid.

    Returns:
        The window of these cells, cut at the grid.

    Raises:
        ValueError: the window is not inside the grid.

    Examples:
        >>> reach(Window(100, 300, 20, 20), (256, 600))
        Window(row=0, col=172, height=256, width=256)
    """
    if Window(0, 0, *shape).intersect(window) != window:
        raise ValueError(f"{window} is not inside a grid of {shape[0]} x {shape[1]} cells")
    patches = [
        Window(row, col, min(PATCH, shape[0]), min(PATCH, shape[1]))
        for row in _ends(_touching(window.row, window.bottom, shape[0]))
        for col in _ends(_touching(window.col, window.right, shape[1]))
    ]
    first, last = patches[0], patches[-1]
    return Window(first.row, first.col, last.bottom - first.row, last.right - first.col)


def classify(
    dn: NDArray[np.uint16], place: Window, window: Window, shape: tuple[int, int], level: Level
) -> NDArray[np.uint8]:
    """Classes of the cells of a window.

    The network sees patches of 256 x 256 cells. The patches lie at fixed places of the grid and
    overlap; where several cover a cell, their probabilities are blended with weights that depend
    only on the place of the cell. So the class of a cell does not depend on the window. A patch
    without data is not run. Inside a patch, data are mirrored at their edge into the cells without
    data. A grid smaller than a patch is continued by reflection.

    Args:
        dn: uint16 (4, H, W), red, green, blue, near infrared: reflectance x 10 000, nodata 0.
        place: the cells that `dn` covers; it contains `reach(window, shape)`.
        window: the wanted cells.
        shape: rows and columns of cells of the whole grid of the scene.
        level: processing level of the scene; each has a network of its own.

    Returns:
        uint8 (h, w) of `MaskClass`; NODATA where a band is 0.

    Raises:
        ValueError: `dn` has another shape, or does not cover what is needed.
        ModelError: the network is not installed.
    """
    if dn.shape != (4, *place.shape):
        raise ValueError(f"got an array of shape {dn.shape}, expected {(4, *place.shape)}")
    reach(window, shape).slices_in(place)
    classes = np.empty(window.shape, np.uint8)
    # Only the rows from `top` on are kept as probabilities, at most those of one row of patches.
    blended, top = np.zeros((3, PATCH, window.width), np.float32), window.row
    starts = _touching(window.row, window.bottom, shape[0])
    for start, following in zip(starts, [*starts[1:], window.bottom], strict=True):
        for left in _touching(window.col, window.right, shape[1]):
            patch = Window(start, left, min(PATCH, shape[0]), min(PATCH, shape[1]))
            part = patch.intersect(window)
            found = _probabilities(dn[:, *patch.slices_in(place)], level)
            if part is None or found is None:
                continue
            down = _weights(shape[0])[start][part.row - start : part.bottom - start]
            across = _weights(shape[1])[left][part.col - left : part.right - left]
            rows, cols = part.slices_in(Window(top, window.col, PATCH, window.width))
            found = found[:, *part.slices_in(patch)] * (down[:, np.newaxis] * across)
            blended[:, rows, cols] += found
        done = max(following - top, 0)
        classes[top - window.row :][:done] = blended[:, :done].argmax(axis=0)
        blended = np.roll(blended, -done, axis=1)
        blended[:, PATCH - done :] = 0
        top += done
    classes[(dn[:, *window.slices_in(place)] == 0).any(axis=0)] = MaskClass.NODATA
    return classes


def release() -> None:
    """Forget the networks of this process, and give their memory back to the system."""
    with _LOCK:
        _loaded.cache_clear()
    _trim()


def version(level: Level) -> str:
    """The version of the network of a level, for fingerprints and the run record."""
    return str(_description(level)["model"]["version"])


def _starts(size: int) -> list[int]:
    """First cells of the patches along an axis of a grid: evenly spread from its start to its end.

    Examples:
        >>> _starts(700)
        [0, 148, 296, 444]
    """
    count = -(-max(size - PATCH, 0) // STEP) + 1
    return [round(place) for place in np.linspace(0, max(size - PATCH, 0), count)]


def _touching(first: int, end: int, size: int) -> list[int]:
    """Starts of the patches that cover a cell between `first` and `end`."""
    return [start for start in _starts(size) if start < end and start + PATCH > first]


def _ends(values: list[int]) -> list[int]:
    return [values[0], values[-1]]


@cache
def _weights(size: int) -> dict[int, NDArray[np.float32]]:
    """Weights of the cells of each patch along an axis, by its start; they add up to 1.

    They rise smoothly from the edge of a patch, where the network sees the least around a cell.
    """
    edge = np.minimum(np.arange(PATCH), np.arange(PATCH)[::-1]) + 0.5
    rise = np.sin(np.pi / 2 * np.minimum(edge / (PATCH - STEP), 1)) ** 2
    total = np.zeros(max(size, PATCH))
    for start in _starts(size):
        total[start : start + PATCH] += rise
    return {
        start: (rise / total[start : start + PATCH]).astype(np.float32) for start in _starts(size)
    }


def _probabilities(dn: NDArray[np.uint16], level: Level) -> NDArray[np.float32] | None:
    """Probabilities of clear, cloud and shadow in a patch, float32 (3, h, w); None without data."""
    empty = (dn == 0).any(axis=0)
    if empty.all():
        return None
    height, width = empty.shape
    if empty.any():
        dn = dn[:, *_mirrored(empty)]
    network = _network(level)
    around = [(0, 0), (0, PATCH - height), (0, PATCH - width)]
    values = np.pad(dn[network.bands], around, mode="symmetric").astype(np.float32) / SCALE
    values = (values - network.mean) / network.deviation
    (logits,) = network.session.run(None, {network.input: values[np.newaxis]})
    logits = logits[0, :, :height, :width]
    grown = np.exp(logits - logits.max(axis=0))
    return np.asarray(grown / grown.sum(axis=0), np.float32)


def _mirrored(empty: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each cell of a patch, the row and column of the cell whose values it is given.

    It is the cell itself where there is data, else its mirror image at the nearest cell with data.
    Where the mirror image has no data, it is that nearest cell. Of six ways that were tried (black,
    the mean or median of the patch, the mean of the training, the nearest cell), this changes the
    classes beside the edge of a swath the least.
    """
    own = np.indices(empty.shape)
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    opposite = 2 * nearest - own
    ends = np.array(empty.shape)[:, np.newaxis, np.newaxis]
    usable = ((opposite >= 0) & (opposite < ends)).all(axis=0)
    opposite = np.where(usable, opposite, nearest)
    rows, cols = np.where(empty[tuple(opposite)], nearest, opposite)
    return rows, cols


@dataclass(frozen=True, slots=True)
class _Network:
    """A network that is ready to run, and how its input is made."""

    session: Any
    input: str
    bands: list[int]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


def _network(level: Level) -> _Network:
    """The network of a level; a process loads it once."""
    with _LOCK:
        return _loaded(level)


@cache
def _loaded(level: Level) -> _Network:
    import onnxruntime  # takes a quarter of a second

    options = onnxruntime.SessionOptions()
    # The workers share the cores. One thread adds numbers in one order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(_file(level, "onnx")), sess_options=options, providers=["CPUExecutionProvider"]
    )
    _trim()  # loading leaves 110 MB of free memory in the process
    data = _description(level)["data"]["dataset_statistics"]
    mean, deviation = np.array(data["img"], np.float32)[:, :, np.newaxis, np.newaxis]
    order = [_BANDS.index(band) for band in data["band_names"]]
    return _Network(session, session.get_inputs()[0].name, order, mean, deviation)


def _trim() -> None:
    """Return free memory of the process to the system, where the C library can do so (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _description(level: Level) -> Any:
    return json.loads(_file(level, "json").read_text(encoding="utf-8"))


def _file(level: Level, ending: str) -> Path:
    """A file of the network; the package is found without importing it."""
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise ModelError(
            "ukis-csmask", "is not installed, and masks by csmask need it: pip install ukis-csmask"
        )
    path = Path(package.origin).with_name(f"model_4b_{level.lower()}.{ending}")
    if not path.is_file():
        raise ModelError(str(path), "is absent: install ukis-csmask 1.0.0 again")
    return path
