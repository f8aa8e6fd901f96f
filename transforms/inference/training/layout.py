"""Converts the trained network, which has one convolution for two, to the JRC's file layout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.inference.weights import NetworkWeights

EPSILON = 0.001
"""What is added to the variance in the batch normalisations."""

Float32 = NDArray[np.float32]


def split_convolution(kernel: Float32, middle: int) -> tuple[Float32, Float32]:
    """Two 2 x 2 convolutions in a row that exactly equal one of 3 x 3.

    The first puts the four neighbours of its window side by side into the middle channels. For each
    of the nine places of the 3 x 3 kernel, the second takes the channel that has it.

    Args:
        kernel: (3, 3, in, out), float32.
        middle: channels between the two, at least 4 x in.

    Returns:
        (2, 2, in, middle) and (2, 2, middle, out), float32.

    Raises:
        ValueError: there are too few middle channels.
    """
    inputs, outputs = kernel.shape[2:]
    if middle < 4 * inputs:
        raise ValueError(f"got {middle} middle channels, expected at least {4 * inputs}")
    one = np.zeros((2, 2, inputs, middle), np.float32)
    two = np.zeros((2, 2, middle, outputs), np.float32)
    for i, j in np.ndindex(2, 2):
        channels = (2 * i + j) * inputs + np.arange(inputs)
        one[i, j, np.arange(inputs), channels] = 1
    for p, q in np.ndindex(3, 3):
        i, j = min(p, 1), min(q, 1)
        channels = (2 * i + j) * inputs + np.arange(inputs)
        two[p - i, q - j, channels] = kernel[p, q]
    return one, two


def fold_standardisation(
    kernel: Float32, bias: Float32, mean: Float32, spread: Float32
) -> tuple[Float32, Float32]:
    """A convolution of (x - mean) / spread as a convolution of x.

    Args:
        kernel: (rows, columns, in, out), float32, for standardised input, without padding.
        bias: (out,), float32.
        mean: (in,), float32.
        spread: (in,), float32, standard deviation, above 0.

    Returns:
        Kernel and bias for x itself, float32.
    """
    wide = kernel.astype(np.float64) / spread.astype(np.float64)[:, np.newaxis]
    shifted = bias.astype(np.float64) - np.einsum("ijco,c->o", wide, mean.astype(np.float64))
    return wide.astype(np.float32), shifted.astype(np.float32)


def to_layout(trained: dict[str, list[Float32]], mean: Float32, spread: Float32) -> NetworkWeights:
    """The 24 arrays of the file layout, for input of reflectance 0..1.

    Args:
        trained: weights of each layer of the collapsed network by its name.
        mean: (4,), float32, mean of each band, with which the input was standardised.
        spread: (4,), float32, standard deviation of each band.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    kernel, bias = trained["conv1"]
    first, first_bias = fold_standardisation(kernel, bias, mean, spread)
    second, second_bias = trained["conv2"]
    for (one, two), kernel, bias, middle in (
        (("conv1", "conv2"), first, first_bias, 128),
        (("conv3", "conv4"), second, second_bias, 512),
    ):
        arrays[f"{one}/kernel"], arrays[f"{two}/kernel"] = split_convolution(kernel, middle)
        arrays[f"{one}/bias"] = np.zeros(middle, np.float32)
        arrays[f"{two}/bias"] = bias
    for norm in ("norm1", "norm2", "norm3"):
        gamma, beta, average, variance = trained[norm]
        arrays[f"{norm}/gamma"], arrays[f"{norm}/beta"] = gamma, beta
        arrays[f"{norm}/moving_mean"], arrays[f"{norm}/moving_variance"] = average, variance
    for dense in ("dense1", "dense2"):
        arrays[f"{dense}/kernel"], arrays[f"{dense}/bias"] = trained[dense]
    return NetworkWeights(arrays, (EPSILON, EPSILON, EPSILON))
