"""What all engines share: a block cut into pieces of one fixed shape on a fixed grid.

An algorithm may be chosen by the shape it is given, and another order of the same sums gives
other last bits. So every piece has the same shape, and lies on that grid: a
pixel is always computed at the same place of the same shape, whatever block it is in. What of a
piece lies outside the pixels given is zero.
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
    """Processor cores that this process may use: by affinity, by its container's quota, or fewer.

    The environment variable LOKY_MAX_CPU_COUNT may say fewer.
    """
    return int(joblib.cpu_count())


class Engine(ABC):
    """GHS-S2Net at work on blocks of pixels.

    Calls from several threads are allowed.

    Attributes:
        piece: rows and columns of a piece.
        threads: pieces at work at a time; no effect on results.
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
            x: axes (row, column, band), float32, (piece + 4, piece + 4, 4): reflectance less the
                network's `centre`.
            wanted: axes (row, column), (piece, piece); other pixels may be left at anything.

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
            row: row of the block's first pixel (without halo) in the grid that pieces lie on.
            col: column of it.
            valid: axes (row, column), (H, W); other pixels are left at 0, and what no valid pixel
                needs is not computed.
            halo: pixels given on each side, at least 2; `predict.CONTEXT` for blocks that must
                fit together to the bit.

        Returns:
            Axes (row, column), float32, 0..1, (H, W). Two blocks that share a pixel and the
            `predict.CONTEXT` px around it agree on it to the bit.

        Raises:
            ValueError: shape or type of `x` or `valid` is another.
        """
        if halo < HALO:
            raise ValueError(f"found a halo of {halo} px, expected at least {HALO}")
        if x.ndim != 3 or x.shape[2] != 4 or min(x.shape[:2]) <= 2 * halo:
            side = 2 * halo
            raise ValueError(
                f"found input of shape {x.shape}, expected (H + {side}, W + {side}, 4)"
            )
        if x.dtype != np.float32:
            raise ValueError(f"found {x.dtype}, expected float32")
        block = Window(row, col, x.shape[0] - 2 * halo, x.shape[1] - 2 * halo)
        if valid is None:
            valid = np.ones(block.shape, np.bool_)
        if valid.shape != block.shape:
            raise ValueError(f"found a mask of shape {valid.shape}, expected {block.shape}")
        result = np.zeros(block.shape, np.float32)

        def one(part: Window) -> None:
            place = part.slices_in(block)
            top, left = (at // self.piece * self.piece for at in (part.row, part.col))
            piece = Window(top, left, self.piece, self.piece)
            wanted = np.zeros(piece.shape, np.bool_)
            wanted[part.slices_in(piece)] = valid[place]
            source, target = block.expand(halo), piece.expand(HALO)
            given = np.zeros((*target.shape, 4), np.float32)
            common = source.intersect(target) or part  # the part itself is in both
            given[common.slices_in(target)] = x[common.slices_in(source)] - self._centre
            found = self._predict(given, wanted)[part.slices_in(piece)]
            np.copyto(result[place], found, where=valid[place])

        parts = (p for p in block.split(self.piece) if valid[p.slices_in(block)].any())
        _for_each(one, parts, self.threads)
        return result


def _for_each(work: Callable[[Window], None], parts: Iterator[Window], threads: int) -> None:
    """Do the work for each part, so many at a time."""
    if threads == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, parts):
            pass
