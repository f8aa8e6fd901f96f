"""GHS-S2Net as four convolutions applied once per pixel of a whole block.

Derivation. The network of a 5 x 5 patch is

    conv 2x2 A -> conv 2x2 B -> norm -> tanh -> conv 2x2 C -> conv 2x2 D -> norm -> tanh
    -> dense E -> norm -> tanh -> dense F -> sigmoid

with dropout inactive in inference. Two convolutions in a row with nothing non-linear between them
are one convolution: with A[i, j] (in x middle) and B[k, m] (middle x out),

    K[i + k, j + m] = sum A[i, j] B[k, m],      bias = b + sum over (k, m) of a B[k, m]

so two of 2 x 2 are one of 3 x 3. A batch normalisation in inference is an affine map of each
channel, s = gamma / sqrt(variance + epsilon): K s, (bias - mean) s + beta. On a 5 x 5 patch, the
first 3 x 3 convolution gives 3 x 3 places and the second gives one. So flattening changes nothing,
and the dense layers are 1 x 1 convolutions. Moving the patch over an image is then the same as a
convolution of the image. Of the two outputs, the job uses unit 1, built-up. The sums are computed
in float64 and rounded once to float32.

A network that was trained on standardised reflectance has large first kernels and a large bias,
which almost cancel. In float32 that costs two digits. So a reflectance for each band, `centre`, is
subtracted from the input first, and the first bias is adapted: K x + b = K (x - c) + (b + K c).
The c with the smallest such bias (least squares) is close to the mean reflectance of the training
data.

Source of the network: Corbane, Syrris, Sabo et al. (2020), Neural Computing and Applications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .weights import NetworkWeights

BUILT_UP_UNIT = 1
"""Index of the output unit, of two, with the probability of built-up."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CollapsedNetwork:
    """The four convolutions; kernels float32 with axes (rows, columns, in, out).

    Attributes:
        kernels: (3, 3, 4, 128), (3, 3, 128, 512), (1, 1, 512, 128), (1, 1, 128, 1).
        biases: float32; their sizes are 128, 512, 128 and 1.
        centre: float32 (4,), reflectance 0..1, to subtract from the input first.
    """

    kernels: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]
    centre: NDArray[np.float32]


def collapse(weights: NetworkWeights) -> CollapsedNetwork:
    """The same network with pairs of convolutions joined and normalisations included.

    Args:
        weights: the 24 arrays of a weight file.

    Returns:
        Four convolutions: tanh after the first three, sigmoid after the last.
    """
    wide = {key: array.astype(np.float64) for key, array in weights.arrays.items()}
    first = _joined(wide, "conv1", "conv2")
    second = _joined(wide, "conv3", "conv4")
    third = wide["dense1/kernel"][np.newaxis, np.newaxis], wide["dense1/bias"]
    last = (
        wide["dense2/kernel"][np.newaxis, np.newaxis, :, BUILT_UP_UNIT : BUILT_UP_UNIT + 1],
        wide["dense2/bias"][BUILT_UP_UNIT : BUILT_UP_UNIT + 1],
    )
    layers = [
        _normalised(wide, name, epsilon, kernel, bias)
        for name, epsilon, (kernel, bias) in zip(
            ("norm1", "norm2", "norm3"), weights.epsilon, (first, second, third), strict=True
        )
    ]
    layers.append(last)
    kernel, bias = layers[0]
    by_band = kernel.sum(axis=(0, 1))
    centre = np.clip(np.linalg.lstsq(by_band.T, -bias, rcond=None)[0], 0, 1).astype(np.float32)
    layers[0] = kernel, bias + centre.astype(np.float64) @ by_band
    return CollapsedNetwork(
        tuple(np.ascontiguousarray(kernel, dtype=np.float32) for kernel, _ in layers),
        tuple(np.ascontiguousarray(bias, dtype=np.float32) for _, bias in layers),
        centre,
    )


def _joined(wide: dict[str, Float64], one: str, two: str) -> tuple[Float64, Float64]:
    """One 3 x 3 convolution that equals two of 2 x 2."""
    a, b = wide[f"{one}/kernel"], wide[f"{two}/kernel"]
    kernel = np.zeros((3, 3, a.shape[2], b.shape[3]))
    for i, j, k, m in np.ndindex(2, 2, 2, 2):
        kernel[i + k, j + m] += a[i, j] @ b[k, m]
    return kernel, wide[f"{two}/bias"] + wide[f"{one}/bias"] @ b.sum(axis=(0, 1))


def _normalised(
    wide: dict[str, Float64], norm: str, epsilon: float, kernel: Float64, bias: Float64
) -> tuple[Float64, Float64]:
    """A convolution that includes the batch normalisation after it."""
    scale = wide[f"{norm}/gamma"] / np.sqrt(wide[f"{norm}/moving_variance"] + epsilon)
    return kernel * scale, (bias - wide[f"{norm}/moving_mean"]) * scale + wide[f"{norm}/beta"]
