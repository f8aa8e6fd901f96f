"""The network at work on a block, in pieces of one fixed shape, with TensorFlow.

TensorFlow picks its algorithms by the shape it is given, and another order of the same sums
gives other last bits. So every piece has the same shape, and lies on the tile's own grid of
pieces: a pixel is always computed at the same place of the same shape, whatever block it is in.
What of a piece lies outside the block is zero, and reaches no pixel that is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window

from .network import CollapsedNetwork
from .predict import HALO

PIECE = 128
"""Rows and columns a piece predicts; its activations take about 60 MB."""


class TensorFlowEngine:
    """GHS-S2Net in float32 on TensorFlow, which is imported at the first use.

    One call takes about 150 MB beside the block itself, whatever the block's size. Calls from
    several threads are allowed; each takes memory of its own.
    """

    def __init__(self, network: CollapsedNetwork) -> None:
        """Keep the network; see `network.collapse`."""
        self._run = _compiled(network)

    def probabilities(
        self,
        x: NDArray[np.float32],
        row: int = 0,
        col: int = 0,
        valid: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Probability of built-up for each pixel of a block.

        Args:
            x: axes (row, column, band), float32, reflectance 0..1, red, green, blue, near
                infrared; the block and 2 px on each side: (H + 4, W + 4, 4).
            row: row of the block's first pixel (without halo) in the tile.
            col: column of it.
            valid: axes (row, column), (H, W); pieces without a valid pixel are left at 0.

        Returns:
            Axes (row, column), float32, 0..1, (H, W). Two blocks that share a pixel and its
            5 x 5 neighbourhood agree on it to the bit.

        Raises:
            ValueError: shape or type of `x` or `valid` is another.
        """
        if x.ndim != 3 or x.shape[2] != 4 or min(x.shape[:2]) <= 2 * HALO:
            raise ValueError(f"found input of shape {x.shape}, expected (H + 4, W + 4, 4)")
        if x.dtype != np.float32:
            raise ValueError(f"found {x.dtype}, expected float32")
        block = Window(row, col, x.shape[0] - 2 * HALO, x.shape[1] - 2 * HALO)
        if valid is not None and valid.shape != block.shape:
            raise ValueError(f"found a mask of shape {valid.shape}, expected {block.shape}")
        result = np.zeros(block.shape, np.float32)
        for part, piece in _pieces(block):
            place = part.slices_in(block)
            if valid is not None and not valid[place].any():
                continue
            given = np.zeros((PIECE + 2 * HALO, PIECE + 2 * HALO, 4), np.float32)
            source, target = part.expand(HALO), piece.expand(HALO)
            given[source.slices_in(target)] = x[source.slices_in(block.expand(HALO))]
            result[place] = np.asarray(self._run(given[np.newaxis]))[part.slices_in(piece)]
        return result


def _pieces(block: Window) -> Iterator[tuple[Window, Window]]:
    """Parts of the block and the piece of the tile's grid each belongs to."""
    for part in block.split(PIECE):
        yield part, Window(part.row // PIECE * PIECE, part.col // PIECE * PIECE, PIECE, PIECE)


def _compiled(network: CollapsedNetwork) -> Any:
    """The network as a TensorFlow function of one piece: (1, 132, 132, 4) to (128, 128)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    # On a GPU, TensorFloat-32 would keep 10 bits of the mantissa: too few for 1 in 10 000.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    kernels = [tf.constant(kernel) for kernel in network.kernels]
    biases = [tf.constant(bias) for bias in network.biases]

    def run(x: Any) -> Any:
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            x = tf.tanh(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias))
        x = tf.sigmoid(tf.nn.bias_add(tf.nn.conv2d(x, kernels[-1], 1, "VALID"), biases[-1]))
        return x[0, :, :, 0]

    shape = (1, PIECE + 2 * HALO, PIECE + 2 * HALO, 4)
    return tf.function(run, input_signature=[tf.TensorSpec(shape, tf.float32)])
