"""The common part of all engines: a block is cut into pieces of one shape on a fixed grid.

A library may choose its algorithm by the shape of the input, and another order of the same sums
gives other last bits. So all pieces have the same shape and are on the same grid. A pixel is always
computed at the same place in the same shape, whatever block it is in. Parts of a piece outside the
given pixels are zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import joblib  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window
from transforms.inference.network import CollapsedNetwork
from transforms.inference.predict import HALO


def cores() -> int:
    """Processor cores that this process may use, by its affinity and its container's quota.

    The environment variable LOKY_MAX_CPU_COUNT may lower the number.
    """
    return int(joblib.cpu_count())


class Engine(ABC):
    """Computes GHS-S2Net on blocks of pixels.

    Several threads may call it at the same time.

    Attributes:
        piece: Rows and columns of a piece.
        threads: Pieces that are computed in parallel; no effect on results.
    """

    piece: int
    threads: int = 1

    def __init__(self, network: CollapsedNetwork) -> None:
        """Keep the network; see `network.collapse`."""
        self._centre = network.centre

    @abstractmethod
    def _predict(self, x: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Probability of built-up for a piece.

        Args:
            x: axes (row, column, band), float32, (piece + 4, piece + 4, 4): reflectance minus the
                network's `centre`.
            wanted: axes (row, column), (piece, piece); other pixels may have any value.

        Returns:
            Axes (row, column), float32, 0..1, (piece, piece).
        """

    def probabilities(
        self,
        x: NDArray[np.float32],
        row: int = 0,
        col: int = 0,
        valid: NDArray[np.bool_] | None = None,
        halo: int = HALO,
    ) -> NDArray[np.float32]:
        """Probability of built-up for each pixel of a block.

        Args:
            x: axes (row, column, band), float32, reflectance 0..1, red, green, blue, near
                infrared; the block and `halo` px on each side: (H + 2 halo, W + 2 halo, 4).
            row: row of the block's first pixel (without halo) in the grid of the pieces.
            col: column of the same pixel.
            valid: axes (row, column), (H, W); other pixels stay 0, and only what valid pixels need
                is computed.
            halo: pixels given on each side, at least 2; `predict.CONTEXT` for blocks that must
                agree to the bit.

        Returns:
            Axes (row, column), float32, 0..1, (H, W). Two blocks that share a pixel and the
            `predict.CONTEXT` px around it agree on it to the bit.

        Raises:
            ValueError: shape or type of `x` or `valid` is wrong.
        """
        if halo < HALO:
            raise ValueError(f"halo has {halo} pixels, expected at least {HALO}")
        if x.ndim != 3 or x.shape[2] != 4 or min(x.shape[:2]) <= 2 * halo:
            side = 2 * halo
            raise ValueError(f"input has shape {x.shape}, expected (H + {side}, W + {side}, 4)")
        if x.dtype != np.float32:
            raise ValueError(f"input has dtype {x.dtype}, expected float32")
        block = Window(row, col, x.shape[0] - 2 * halo, x.shape[1] - 2 * halo)
        if valid is None:
            valid = np.ones(block.shape, np.bool_)
        if valid.shape != block.shape:
            raise ValueError(f"mask has shape {valid.shape}, expected {block.shape}")
        result = np.zeros(block.shape, np.float32)

        def predict_part(part: Window) -> None:
            place = part.slices_in(block)
            top, left = (at // self.piece * self.piece for at in (part.row, part.col))
            piece = Window(top, left, self.piece, self.piece)
            wanted = np.zeros(piece.shape, np.bool_)
            wanted[part.slices_in(piece)] = valid[place]
            source, target = block.expand(halo), piece.expand(HALO)
            given = np.zeros((*target.shape, 4), np.float32)
            common = source.intersect(target) or part  # the part itself is in both
            given[common.slices_in(target)] = x[common.slices_in(source)] - self._centre
            predicted = self._predict(given, wanted)[part.slices_in(piece)]
            np.copyto(result[place], predicted, where=valid[place])

        parts = (p for p in block.split(self.piece) if valid[p.slices_in(block)].any())
        _for_each(predict_part, parts, self.threads)
        return result


def _for_each(work: Callable[[Window], None], parts: Iterator[Window], threads: int) -> None:
    """Call `work` for each part, with at most `threads` at a time."""
    if threads == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, parts):
            pass
