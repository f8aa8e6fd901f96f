"""Trains GHS-S2Net on a labelled image, and returns weights in the JRC's file layout.

The collapsed network is trained (see `network`): a 3 x 3 convolution in place of two of 2 x 2, with
the same normalisation, tanh and dropout. It has the same capability, because the two convolutions
follow exactly from the one (`split_convolution`), and it takes a quarter of the time. The input is
standardised by band during training. The standardisation is then included in the first
convolution, so the file takes reflectance 0..1 like any other.

Source of the network, its loss and optimizer: Corbane, Syrris, Sabo et al. (2020), Neural
Computing and Applications.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import BANDS_IN, PATCH
from .predict import HALO
from .weights import NetworkWeights

_EPSILON = 0.001

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How long to train, and on how many pixels.

    Attributes:
        samples: Pixels drawn from built-up, and the same number from each group of equal weight.
        epochs: Passes over these pixels; in each, all patches are mirrored and turned at random.
        batch: Patches in one step.
        learning_rate: Initial rate of Adam; it falls to 0 along a cosine.
        dropout: Share of activations that are dropped in training.
        seed: Seed of every random choice.
    """

    samples: int = 20000
    epochs: int = 8
    batch: int = 256
    learning_rate: float = 5e-4
    dropout: float = 0.1
    seed: int = 2017


def band_statistics(x: Float32, usable: NDArray[np.bool_]) -> tuple[Float32, Float32]:
    """Mean and standard deviation of each band.

    Args:
        x: axes (row, column, band), float32, reflectance 0..1.
        usable: axes (row, column), True for pixels that count.

    Raises:
        ValueError: no pixel is usable.
    """
    if not usable.any():
        raise ValueError("no pixel can be used for training")
    pixels = x[usable].astype(np.float64)
    spread = np.maximum(pixels.std(axis=0), 1e-6)
    return pixels.mean(axis=0).astype(np.float32), spread.astype(np.float32)


def draw_pixels(
    labels: NDArray[np.uint8], weights: Float32, samples: int, seed: int
) -> NDArray[np.intp]:
    """Draw training pixels: `samples` from each group of equal label and weight, or all it has.

    Args:
        labels: axes (row, column), 1 built-up, 0 not.
        weights: axes (row, column), float32, 0 where a pixel is not used.
        samples: pixels from each group.
        seed: seed of the choice.

    Returns:
        (n, 2) rows and columns, in random order.

    Raises:
        ValueError: one of the labels has no pixel.
    """
    random = np.random.default_rng(seed)
    drawn = []
    groups = sorted({(int(a), float(b)) for a, b in zip(*_pairs(labels, weights), strict=True)})
    if {label for label, _ in groups} != {0, 1}:
        raise ValueError("all pixels have one label, expected built-up and not built-up")
    for label, weight in groups:
        places = np.flatnonzero((labels == label) & (weights == np.float32(weight)))
        drawn.append(random.choice(places, min(samples, places.size), replace=False))
    order = random.permutation(np.concatenate(drawn))
    return np.stack(np.unravel_index(order, labels.shape), axis=1)


def _pairs(labels: NDArray[np.uint8], weights: Float32) -> tuple[list[int], list[float]]:
    pairs = np.unique(np.stack([labels[weights > 0], weights[weights > 0]]), axis=1)
    return pairs[0].tolist(), pairs[1].tolist()


def take_patches(x: Float32, places: NDArray[np.intp]) -> Float32:
    """5 x 5 windows around pixels, mirrored at the edge of the image.

    Args:
        x: axes (row, column, band), float32.
        places: (n, 2) rows and columns.

    Returns:
        (n, 5, 5, bands), float32.
    """
    padded = np.pad(x, ((HALO, HALO), (HALO, HALO), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))
    return np.ascontiguousarray(windows[places[:, 0], places[:, 1]].transpose(0, 2, 3, 1))


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


def train(
    x: Float32,
    labels: NDArray[np.uint8],
    weights: Float32,
    settings: TrainingSettings | None = None,
) -> NetworkWeights:
    """Train a network; the same input and seed give the same network on the same machine.

    Args:
        x: axes (row, column, band), float32, reflectance 0..1, red, green, blue, near infrared.
        labels: axes (row, column), uint8, 1 built-up, 0 not.
        weights: axes (row, column), float32, weight of a pixel; 0 if it is not used.
        settings: see `TrainingSettings`.

    Returns:
        The 24 arrays of the file layout, for input of reflectance 0..1.

    Raises:
        ValueError: shapes do not match, or a label has no pixel.
    """
    settings = settings or TrainingSettings()
    if x.shape != (*labels.shape, BANDS_IN) or weights.shape != labels.shape:
        raise ValueError(
            f"shapes do not match: x {x.shape}, labels {labels.shape}, weights {weights.shape}"
        )
    mean, spread = band_statistics(x, weights > 0)
    places = draw_pixels(labels, weights, settings.samples, settings.seed)
    patches = take_patches((x - mean) / spread, places)
    chosen = places[:, 0], places[:, 1]
    trained = _fit(patches, labels[chosen].astype(np.float32), weights[chosen], settings)
    return _to_layout(trained, mean, spread)


def _fit(
    patches: Float32, targets: Float32, weights: Float32, settings: TrainingSettings
) -> dict[str, list[Float32]]:
    """Train the collapsed network; return the weights of each layer by its name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    keras.utils.set_random_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    model = _model(keras, settings)
    steps = -(-len(patches) // settings.batch) * settings.epochs
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    both = np.stack([1 - targets, targets], axis=1)
    for _ in range(settings.epochs):
        turned = np.rot90(patches, int(random.integers(4)), axes=(1, 2))
        if random.integers(2):
            turned = turned[:, ::-1]
        model.fit(
            np.ascontiguousarray(turned),
            both,
            sample_weight=weights,
            batch_size=settings.batch,
            epochs=1,
            verbose=0,
        )
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def _model(keras: Any, settings: TrainingSettings) -> Any:
    layers = keras.layers
    stack = [keras.Input((PATCH, PATCH, BANDS_IN))]
    for number, linear in enumerate(
        (
            layers.Conv2D(128, 3, name="conv1"),
            layers.Conv2D(512, 3, name="conv2"),
            layers.Dense(128, name="dense1"),
        ),
        start=1,
    ):
        if linear.name == "dense1":
            stack.append(layers.Flatten())
        stack += [
            linear,
            layers.BatchNormalization(epsilon=_EPSILON, momentum=0.98, name=f"norm{number}"),
            layers.Activation("tanh"),
            layers.Dropout(settings.dropout),
        ]
    stack.append(layers.Dense(2, activation="sigmoid", name="dense2"))
    return keras.Sequential(stack)


def _to_layout(trained: dict[str, list[Float32]], mean: Float32, spread: Float32) -> NetworkWeights:
    """Convert the weights of the collapsed network to the 24 arrays."""
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
    return NetworkWeights(arrays, (_EPSILON, _EPSILON, _EPSILON))
