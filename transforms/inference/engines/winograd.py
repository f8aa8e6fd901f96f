"""GHS-S2Net by Winograd's minimal filtering: a third of the multiplications, no TensorFlow.

One thread computes all layers of a piece, in arrays that stay in the cache of its core. The pieces
are distributed over the threads. There are two precisions: float32, and 16-bit integers if the
processor multiplies them (AVX-512 VNNI). With integers, the second and third convolution, nine
tenths of the work, are sums of whole numbers, scaled so that none can overflow.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.inference.network import CollapsedNetwork

from .base import Engine, cores
from .kernels import FIRST, FREQUENCIES, ROWS, SECOND, TAPS, THIRD, TILE, Kernels, matrices
from .machine_code import has

_LEVELS = 4095.0
"""Integer that stands for 1.0 in the second convolution's activations."""
_LARGEST = 2**31 // 32768 - 128
"""Bound for the sum of |kernel| of 128 products of 16-bit integers, with half a unit of rounding
for each."""


def _aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array whose address is a multiple of 64 bytes, the length of a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _copied(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """A copy whose address is a multiple of 64 bytes."""
    result = _aligned(array.shape, dtype)
    result[...] = array
    return result


class _Workspace:
    """Arrays of one thread and their addresses."""

    def __init__(self, kernels: Kernels, side: int) -> None:
        width = side + 2
        integer = kernels.integer
        kind, product = (np.int16, np.int32) if integer else (np.float32, np.float32)
        tiles = kernels.tiles
        self.patches = _aligned((width, width, 3, 3, 4), np.float32)
        self.first = _aligned((width, width, FIRST), np.float32)
        self.places = _aligned((tiles,), np.int64)
        self.spread = _aligned((FREQUENCIES, tiles, FIRST), kind)
        self.products = _aligned((FREQUENCIES, tiles, kernels.panel), product)
        self.second = _aligned((tiles, TILE * TILE, SECOND), kind)
        self.third = _aligned((tiles, TILE * TILE, THIRD), np.float32)
        self.score = _aligned((tiles, TILE * TILE), np.float32)


class _Shop:
    """The compiled loops and their arrays, shared by all networks of the process."""

    def __init__(self, integer: bool, side: int) -> None:
        wide = has("avx512f")
        tiles = (side // TILE) ** 2
        self.kernels = Kernels(
            lanes=16 if wide else 8,
            vectors=4 if wide else 2,
            width=side + 2,
            tiles=-(-tiles // ROWS) * ROWS,
            integer=integer,
            levels=_LEVELS,
        )
        self.free: SimpleQueue[_Workspace] = SimpleQueue()
        self.threads = cores()
        for _ in range(self.threads):
            self.free.put(_Workspace(self.kernels, side))


_OPENING = Lock()
_OPEN: dict[tuple[bool, int], _Shop] = {}
"""The shops of this process. They stay, because to compile the loops again takes a second."""


def _shop(integer: bool, side: int) -> _Shop:
    with _OPENING:
        if (integer, side) not in _OPEN:
            _OPEN[integer, side] = _Shop(integer, side)
        return _OPEN[integer, side]


class WinogradEngine(Engine):
    """The collapsed network with F(4x4, 3x3) for its second convolution.

    All networks of a process together take about 21 MB for each core in addition to their blocks,
    whatever the size of the blocks.
    """

    piece = 64
    """A multiple of `TILE`; 2 more, the width of the first result, is a multiple of `ROWS`."""

    def __init__(self, network: CollapsedNetwork, *, integer: bool = False) -> None:
        """Transform the kernels and compile the loops.

        Args:
            network: see `network.collapse`.
            integer: whether to use 16-bit integers; the processor must have AVX-512 VNNI.
        """
        super().__init__(network)
        self._shop = _shop(integer, self.piece)
        self.threads = self._shop.threads
        self._kernels = self._shop.kernels
        self._prepare(network)

    def _prepare(self, network: CollapsedNetwork) -> None:
        """Prepare kernels in panels, biases and scales, at fixed addresses."""
        integer, panel = self._kernels.integer, self._kernels.panel
        b, g, _ = matrices()
        frequencies = np.einsum("ia,jb,abco->ijco", g, g, network.kernels[1], optimize=True)
        frequencies = frequencies.reshape(FREQUENCIES, FIRST, SECOND)
        dense = network.kernels[2][0, 0].astype(np.float64)
        self._scale = np.ones((FREQUENCIES, SECOND))
        self._dense_scale = np.ones(THIRD)
        kind: Any = np.float32
        if integer:
            kind = np.int16
            reach = np.abs(b).sum(axis=1)
            levels = 32767 / np.outer(reach, reach).ravel()
            frequencies, units = _whole(frequencies, _LARGEST)
            self._scale = 1 / (units * levels[:, np.newaxis])
            dense, units = _whole(dense, 2**31 / _LEVELS - SECOND)
            self._dense_scale = 1 / (units * _LEVELS)
        self._scale = _copied(self._scale, np.float32)
        self._dense_scale = _copied(self._dense_scale, np.float32)
        self._kernel1 = _copied(_panels(network.kernels[0].reshape(36, FIRST), panel), np.float32)
        self._kernel2 = _copied(_panels(frequencies, panel, pairs=integer), kind)
        self._kernel3 = _copied(_panels(dense, panel, pairs=integer), kind)
        self._kernel4 = _copied(network.kernels[3].reshape(THIRD), np.float32)
        self._biases = [_copied(bias, np.float32) for bias in network.biases]

    def _predict(self, x: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
        work = self._shop.free.get()
        try:
            return self._with(work, x, wanted)
        finally:
            self._shop.free.put(work)

    def _with(
        self, w: _Workspace, x: NDArray[np.float32], wanted: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Predict a piece in the arrays of one thread; tiles without a wanted pixel are skipped."""
        k, panel = self._kernels, self._kernels.panel
        side, width = self.piece // TILE, self.piece + 2
        tiles = wanted.reshape(side, TILE, side, TILE).any(axis=(1, 3))
        rows, cols = np.nonzero(tiles)
        count = rows.size
        groups = -(-count // ROWS)
        first, last = TILE * int(rows[0]), TILE * int(rows[-1]) + TAPS
        view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
        w.patches[first:last] = view[first:last].transpose(0, 1, 3, 4, 2)
        # The last group is filled up by repeating the last tile.
        w.places[:count] = 4 * FIRST * TILE * (rows * width + cols)
        w.places[count : groups * ROWS] = w.places[count - 1]
        blocks = (last - first) * width // ROWS
        for n in range(0, FIRST, panel):
            k.first(
                _at(w.patches, first),
                _at(self._kernel1, n // panel),
                _at(w.first, first) + 4 * n,
                blocks,
                _at(self._biases[0], n),
                0,
            )
        k.spread(_at(w.first), _at(w.places), _at(w.spread), groups * ROWS)
        for n in range(0, SECOND, panel):
            k.product(_at(w.spread), _at(self._kernel2, n // panel), _at(w.products), groups, 0, 0)
            k.gather(
                _at(w.products),
                _at(self._scale) + 4 * n,
                _at(self._biases[1], n),
                _at(w.second) + w.second.itemsize * n,
                groups * ROWS,
            )
        rows_of_dense = groups * TILE * TILE
        for n in range(0, THIRD, panel):
            k.dense(
                _at(w.second),
                _at(self._kernel3, n // panel),
                _at(w.third) + 4 * n,
                rows_of_dense,
                _at(self._biases[2], n),
                _at(self._dense_scale, n),
            )
        k.last(_at(w.third), _at(self._kernel4), _at(w.score), count * TILE * TILE)
        logit = w.score[:count] + self._biases[3]
        result = np.zeros((side, TILE, side, TILE), np.float32)
        result[rows, :, cols] = (1 / (1 + np.exp(-logit))).reshape(-1, TILE, TILE)
        return result.reshape(self.piece, self.piece)


def _at(array: NDArray[Any], index: int = 0) -> int:
    """Address of `array[index]`."""
    return int(array.__array_interface__["data"][0]) + index * array.strides[0]


def _panels(array: NDArray[Any], panel: int, *, pairs: bool = False) -> NDArray[Any]:
    """Second factors (..., depth, columns) in the layout of `Kernels.panel`."""
    *_, depth, columns = array.shape
    step = 2 if pairs else 1
    parted = array.reshape(-1, depth // step, step, columns // panel, panel)
    return parted.transpose(3, 0, 1, 4, 2)


def _whole(kernel: NDArray[np.float64], largest: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """A kernel (..., depth, columns) in integers, and the integers of 1.0, (..., columns).

    The sum of the absolute values in a column stays below `largest`, and each value below 2^15.
    """
    amount = np.abs(kernel)
    limit = np.minimum(
        largest / np.maximum(amount.sum(axis=-2), 1e-30),
        32767 / np.maximum(amount.max(axis=-2), 1e-30),
    )
    units = np.minimum(limit, 1e12)
    return np.rint(kernel * units[..., np.newaxis, :]), units
