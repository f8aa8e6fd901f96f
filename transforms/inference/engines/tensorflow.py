"""GHS-S2Net on TensorFlow: the engine for GPUs, and for processors without another engine."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.inference.network import CollapsedNetwork
from transforms.inference.predict import HALO

from .base import Engine

ON_CPU, ON_GPU = 128, 512
"""Rows and columns of a piece: on a CPU activations take 60 MB; a GPU is fully used (1 GB)."""


class TensorFlowEngine(Engine):
    """The collapsed network as four convolutions; TensorFlow is imported at the first use.

    On a CPU, one call takes about 150 MB in addition to the block, whatever the size of the block.
    """

    def __init__(self, network: CollapsedNetwork, *, mixed: bool = False) -> None:
        """Trace the network.

        Args:
            network: see `network.collapse`.
            mixed: whether all but the first and the last convolution use 16-bit floats.
        """
        super().__init__(network)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        gpu = bool(tf.config.list_physical_devices("GPU"))
        self.piece = ON_GPU if gpu else ON_CPU
        # TensorFloat-32 would keep 10 bits of the mantissa, too few for 1 in 10 000.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        # Activations are within -1..1, so the 10 bits of float16 matter more than bfloat16's range.
        low = (tf.float16 if gpu else tf.bfloat16) if mixed else tf.float32
        kinds = (tf.float32, low, low, tf.float32)
        kernels = [tf.constant(k, kind) for k, kind in zip(network.kernels, kinds, strict=True)]
        biases = [tf.constant(bias) for bias in network.biases]

        def run(x: Any) -> Any:
            for kernel, bias in zip(kernels, biases, strict=True):
                product = tf.nn.conv2d(tf.cast(x, kernel.dtype), kernel, 1, "VALID")
                logit = tf.nn.bias_add(tf.cast(product, tf.float32), bias)
                x = tf.tanh(logit)
            return tf.sigmoid(logit)[0, :, :, 0]

        shape = (1, self.piece + 2 * HALO, self.piece + 2 * HALO, 4)
        self._run = tf.function(run, input_signature=[tf.TensorSpec(shape, tf.float32)])

    def _predict(self, x: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
        return np.asarray(self._run(x[np.newaxis]))
