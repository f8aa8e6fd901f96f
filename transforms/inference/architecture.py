"""The layers of GHS-S2Net, as in the JRC's weight files.

Source: Corbane, Syrris, Sabo et al. (2020), "Convolutional neural networks for global human
settlements mapping from Sentinel-2 satellite imagery", Neural Computing and Applications.
"""

from __future__ import annotations

from typing import Any

LAYERS: tuple[tuple[str, str, str], ...] = (
    # (name in this program, Keras class, Keras name without its number)
    ("conv1", "Conv2D", "conv2d"),
    ("conv2", "Conv2D", "conv2d"),
    ("norm1", "BatchNormalization", "batch_normalization"),
    ("tanh1", "Activation", "activation"),
    ("drop1", "Dropout", "dropout"),
    ("conv3", "Conv2D", "conv2d"),
    ("conv4", "Conv2D", "conv2d"),
    ("norm2", "BatchNormalization", "batch_normalization"),
    ("tanh2", "Activation", "activation"),
    ("drop2", "Dropout", "dropout"),
    ("flatten", "Flatten", "flatten"),
    ("dense1", "Dense", "dense"),
    ("norm3", "BatchNormalization", "batch_normalization"),
    ("tanh3", "Activation", "activation"),
    ("drop3", "Dropout", "dropout"),
    ("dense2", "Dense", "dense"),
)
"""The sixteen layers in their order."""

NORMS = ("norm1", "norm2", "norm3")
PATCH = 5
"""Rows and columns of the network's input window, in pixels."""
BANDS_IN = 4
"""Bands of the input: red, green, blue, near infrared."""

_KERNELS: dict[str, tuple[int, ...]] = {
    "conv1": (2, 2, 4, 128),
    "conv2": (2, 2, 128, 128),
    "conv3": (2, 2, 128, 512),
    "conv4": (2, 2, 512, 512),
    "dense1": (512, 128),
    "dense2": (128, 2),
}
_NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
_NORM_SIZES = {"norm1": 128, "norm2": 512, "norm3": 128}


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, _, _ in LAYERS:
        if layer in _KERNELS:
            shapes[f"{layer}/kernel"] = _KERNELS[layer]
            shapes[f"{layer}/bias"] = _KERNELS[layer][-1:]
        elif layer in _NORM_SIZES:
            shapes.update({f"{layer}/{weight}": (_NORM_SIZES[layer],) for weight in _NORM_WEIGHTS})
    return shapes


SHAPES: dict[str, tuple[int, ...]] = _shapes()
"""The shapes of the 24 arrays by `layer/weight`, in file order; kernels are (rows, columns, in,
out)."""


def weights_of(layer: str) -> tuple[str, ...]:
    """Names of a layer's weights in Keras' order; empty for layers without weights."""
    return tuple(key.split("/")[1] for key in SHAPES if key.startswith(f"{layer}/"))


def keras_names() -> dict[str, str]:
    """The name of each layer as Keras 2.3.1 gives it in a new process: `conv2d_1`, ..."""
    numbers: dict[str, int] = {}
    names = {}
    for layer, _, base in LAYERS:
        numbers[base] = numbers.get(base, 0) + 1
        names[layer] = f"{base}_{numbers[base]}"
    return names


REQUIRED: dict[str, dict[str, Any]] = {
    "Conv2D": {
        "kernel_size": [2, 2],
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "linear",
        "use_bias": True,
    },
    "BatchNormalization": {"center": True, "scale": True},
    "Activation": {"activation": "tanh"},
    "Dense": {"activation": "linear", "use_bias": True},
}
"""Settings of a layer class that change the arithmetic, with their required values."""
LAST_ACTIVATION = "sigmoid"


def model_config(epsilon: tuple[float, float, float]) -> dict[str, Any]:
    """Keras' description of the network (a Sequential of the sixteen layers), JSON-like.

    Args:
        epsilon: added to the variance, for each of the three batch normalisations.
    """
    names = keras_names()
    layers = []
    for layer, keras_class, _ in LAYERS:
        config: dict[str, Any] = {"name": names[layer], "trainable": True}
        if layer == "conv1":
            config["batch_input_shape"] = [None, PATCH, PATCH, BANDS_IN]
        config["dtype"] = "float32"
        config.update(REQUIRED.get(keras_class, {}))
        if keras_class == "Conv2D":
            config["filters"] = _KERNELS[layer][-1]
        elif keras_class == "BatchNormalization":
            config.update(axis=-1, momentum=0.99, epsilon=epsilon[NORMS.index(layer)])
        elif keras_class == "Dropout":
            config.update(rate=0.1, noise_shape=None, seed=None)
        elif keras_class == "Flatten":
            config["data_format"] = "channels_last"
        elif keras_class == "Dense":
            config["units"] = _KERNELS[layer][-1]
        if layer == "dense2":
            config["activation"] = LAST_ACTIVATION
        layers.append({"class_name": keras_class, "config": config})
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers}}
