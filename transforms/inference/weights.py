"""Weight files of GHS-S2Net: Keras 2.3.1 HDF5, read without Keras.

Only arrays and JSON are read; nothing in a file is executed. Source of the network: Corbane,
Syrris, Sabo et al. (2020), Neural Computing and Applications.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from transforms.elements import ModelError, StorageError
from transforms.storage.remote import Limits, Unavailable, is_http, read_url
from transforms.storage.room import why_not_written
from transforms.storage.storage import masked, published, read_bytes

from .architecture import (
    LAST_ACTIVATION,
    LAYERS,
    NORMS,
    REQUIRED,
    SHAPES,
    keras_names,
    model_config,
    weights_of,
)
from .hdf5 import check_array, own, text, texts
from .starter import STARTER_MODEL, starter_file

_MAX_CONFIG_CHARACTERS = 2**20
_UNREADABLE = (
    Unavailable,
    OSError,
    KeyError,
    ValueError,
    TypeError,
    RuntimeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""Errors of reading a damaged or foreign file, including those of h5py."""
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ABOUT_GROUP = "ghsl_beam"
DEMONSTRATION = "ghsl_beam_demonstration"
"""Attribute of a model that is only a demonstration."""
STARTER = "ghsl_beam_starter"
"""Attribute of the starter network, which the package has for any grid zone."""
TRAINED = "trained"
"""Attribute of a model that this program trained: by which version, on which data."""
_MAX_ABOUT = 2000


@dataclass(frozen=True, slots=True, eq=False)
class NetworkWeights:
    """The 24 arrays of GHS-S2Net.

    Attributes:
        arrays: By `layer/weight` (`conv1/kernel`, `norm1/gamma`, ...; `architecture.SHAPES`),
            float32, finite; kernels have axes (rows, columns, in, out), dense kernels (in, out).
        epsilon: Added to the variance in the three batch normalisations.
        demonstration: Whether the file says that it is only a demonstration.
        starter: Whether the file says that it is the starter network.
        trained: The note about its training in a file that this program wrote, may be empty; None
            for other files.
    """

    arrays: Mapping[str, NDArray[np.float32]]
    epsilon: tuple[float, float, float] = (0.001, 0.001, 0.001)
    demonstration: bool = False
    starter: bool = False
    trained: str | None = None

    def __post_init__(self) -> None:
        """Check names, shapes and numbers.

        Raises:
            ValueError: an array is missing, has another shape, or has impossible values.
        """
        if set(self.arrays) != set(SHAPES):
            odd = sorted(set(self.arrays) ^ set(SHAPES))
            raise ValueError(f"has other arrays than the network: {odd}")
        for key, shape in SHAPES.items():
            _check_array(key, self.arrays[key], shape)
        if not all(np.isfinite(value) and value >= 0 for value in self.epsilon):
            raise ValueError(f"epsilon: found {self.epsilon}, expected numbers of at least 0")

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        return self.arrays[key]

    @property
    def parameters(self) -> int:
        """Number of weights and biases, counted as in the paper (1 448 578 in the network)."""
        return sum(array.size for array in self.arrays.values())


def _check_array(key: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{key}: found shape {array.shape}, expected {shape}")
    if array.dtype != np.float32:
        raise ValueError(f"{key}: found {array.dtype}, expected float32")
    bad = int(array.size - np.isfinite(array).sum())
    if bad:
        raise ValueError(f"{key}: found {bad} values that are not finite, expected none")
    if key.endswith("moving_variance") and (array < 0).any():
        raise ValueError(f"{key}: found a variance below 0, expected none")


def load_weights(path: str | Path) -> NetworkWeights:
    """Read a `MODEL_CNN_<zone>.h5`, after checking that it is GHS-S2Net; see `load_model`.

    Raises:
        ModelError: the file is missing, truncated, not HDF5, another network, or contains NaN.
    """
    return load_model(path)[0]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Facts about a model file, without its arrays.

    Attributes:
        sha256: SHA-256 of the file.
        git_blob: Git's SHA-1 of the file, as repositories list it.
        demonstration: As in `NetworkWeights`.
        starter: As in `NetworkWeights`.
        trained: As in `NetworkWeights`.
    """

    sha256: str
    git_blob: str
    demonstration: bool
    starter: bool
    trained: str | None


def describe_model(location: str | Path) -> ModelFile:
    """Read and check a model as `load_model` does, and return the facts about its file.

    Raises:
        ModelError: see `load_model`.
    """
    weights, content = _loaded(location)
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return ModelFile(
        hashlib.sha256(content).hexdigest(),
        blob.hexdigest(),
        weights.demonstration,
        weights.starter,
        weights.trained,
    )


def load_model(location: str | Path) -> tuple[NetworkWeights, str]:
    """Read a model, and compute the SHA-256 of its file from the same bytes.

    First the order and the settings of the layers are checked; their numbers do not matter
    (`conv2d_5` is as good as `conv2d_1`). Then the shape, the type and the decompressed size of
    each of the 24 arrays are checked. Only then are they read. Optimizer state is ignored.

    Args:
        location: path or URL of the file, or `STARTER_MODEL`; HDF5 as `model.save` of Keras 2.3.1
            writes it. It is read into memory completely, at most `Limits.size` bytes.

    Returns:
        The arrays with the epsilons of the batch normalisations, and 64 hexadecimal digits.

    Raises:
        ModelError: the file is missing, truncated, not HDF5, another network, or contains NaN.
    """
    weights, content = _loaded(location)
    return weights, hashlib.sha256(content).hexdigest()


def _loaded(location: str | Path) -> tuple[NetworkWeights, bytes]:
    file = masked(str(location))
    try:
        content = _content(str(location))
        _check_format(content[:512])
        with h5py.File(io.BytesIO(content), "r") as stored:
            return _read(stored), content
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ModelError(file, reason) from error


def _content(location: str) -> bytes:
    if location == STARTER_MODEL:
        return starter_file().read_bytes()
    try:
        return read_url(location) if is_http(location) else read_bytes(location, Limits().size)
    except StorageError as error:
        raise ValueError(error.reason) from error


def _check_format(head: bytes) -> None:
    if not head.startswith(_HDF5_MAGIC):
        kind = "an empty file" if not head else "another format"
        if head[:1] == b"\x80":
            kind = "a Python pickle, which is never opened"
        elif head[:2] == b"PK":
            kind = "a zip archive (perhaps the .keras format)"
        elif head.startswith(b"version https://git-lfs"):
            kind = "a Git LFS pointer instead of the file"
        elif head.lstrip()[:1] == b"<":
            kind = "a web page or XML"
        raise ValueError(f"found {kind}, expected Keras 2.3.1 HDF5")


def _read(stored: h5py.File) -> NetworkWeights:
    if "model_weights" not in stored:
        groups = [name[:40] for name in sorted(stored)[:8]]
        raise ValueError(
            f"found groups {groups}, expected model_weights: it is not a saved Keras model"
        )
    group = own(stored, "model_weights", h5py.Group)
    names = texts(group, "layer_names")
    _check_names(names)
    epsilon = _check_config(text(stored, "model_config", _MAX_CONFIG_CHARACTERS))
    datasets: dict[str, h5py.Dataset] = {}
    for name, (layer, _, _) in zip(names, LAYERS, strict=True):
        datasets.update(_datasets(group, name, layer))
    for key, dataset in datasets.items():
        check_array(key, dataset, SHAPES[key])
    arrays = {key: np.asarray(datasets[key][()], dtype=np.float32) for key in SHAPES}
    if not isinstance(stored.get(ABOUT_GROUP, getlink=True), h5py.HardLink):
        return NetworkWeights(arrays, epsilon)
    about = own(stored, ABOUT_GROUP, h5py.Group)
    return NetworkWeights(
        arrays,
        epsilon,
        demonstration=DEMONSTRATION in about.attrs,
        starter=STARTER in about.attrs,
        trained=text(about, TRAINED, _MAX_ABOUT) or "",
    )


def _check_names(names: list[str]) -> None:
    bases = [re.sub(r"_\d+$", "", name) for name in names]
    expected = [base for _, _, base in LAYERS]
    if bases != expected:
        raise ValueError(f"layers: found {', '.join(bases[:20])}, expected {', '.join(expected)}")


def _check_config(config: str | None) -> tuple[float, float, float]:
    """Check the settings of the layers; return the epsilons of the batch normalisations."""
    if config is None:
        raise ValueError("model_config: cannot be read, expected Keras' JSON")
    try:
        layers = json.loads(config)["config"]["layers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("model_config: has no list of layers, expected Keras' JSON") from error
    classes = [str(layer["class_name"])[:40] for layer in layers]
    expected = [keras_class for _, keras_class, _ in LAYERS]
    if classes != expected:
        raise ValueError(f"model_config: found {classes[:20]}, expected {expected}")
    epsilon = {}
    for layer, (name, keras_class, _) in zip(layers, LAYERS, strict=True):
        settings = layer["config"]
        required = dict(REQUIRED.get(keras_class, {}))
        if name == "dense2":
            required["activation"] = LAST_ACTIVATION
        for setting, value in required.items():
            if settings.get(setting) != value:
                given = settings.get(setting)
                raise ValueError(f"{name}: found {setting} {given!r}, expected {value!r}")
        if name in NORMS:
            epsilon[name] = float(settings["epsilon"])
    return epsilon["norm1"], epsilon["norm2"], epsilon["norm3"]


def _datasets(group: h5py.Group, name: str, layer: str) -> dict[str, h5py.Dataset]:
    """The datasets of one layer by our names, found through its `weight_names`."""
    folder = own(group, name, h5py.Group)
    wanted = weights_of(layer)
    stored = texts(folder, "weight_names") if wanted else []
    names = tuple(path.rsplit("/", 1)[-1].removesuffix(":0") for path in stored)
    if names != wanted:
        raise ValueError(f"{name}: found weights {names}, expected {wanted}")
    result = {}
    for weight, path in zip(wanted, stored, strict=True):
        parent = folder
        *above, last = path.split("/")
        for part in above:
            parent = own(parent, part, h5py.Group)
        result[f"{layer}/{weight}"] = own(parent, last, h5py.Dataset)
    return result


def save_weights(
    path: str | Path, weights: NetworkWeights, attrs: Mapping[str, str] | None = None
) -> None:
    """Write a weight file in the JRC's layout, without optimizer state, whole or not at all.

    Args:
        path: the file; its folder is created if necessary.
        weights: the network.
        attrs: notes about the model, as text attributes of an extra group `ghsl_beam`, which Keras
            and other readers ignore (for example `ghsl_beam_demonstration`).

    Raises:
        ModelError: the file cannot be written.
    """
    names = keras_names()
    try:
        with published(str(path)) as partial, h5py.File(partial, "w", libver="earliest") as stored:
            stored.attrs["backend"] = np.bytes_("tensorflow")
            stored.attrs["keras_version"] = np.bytes_("2.3.1")
            stored.attrs["model_config"] = np.bytes_(json.dumps(model_config(weights.epsilon)))
            group = stored.create_group("model_weights")
            group.attrs["backend"] = np.bytes_("tensorflow")
            group.attrs["keras_version"] = np.bytes_("2.3.1")
            group.attrs["layer_names"] = np.array([names[n].encode() for n, _, _ in LAYERS])
            for layer, _, _ in LAYERS:
                folder = group.create_group(names[layer])
                paths = [f"{names[layer]}/{weight}:0" for weight in weights_of(layer)]
                folder.attrs["weight_names"] = np.array([p.encode() for p in paths] or [], "S48")
                for weight, name in zip(weights_of(layer), paths, strict=True):
                    folder.create_dataset(
                        name,
                        data=weights[f"{layer}/{weight}"],
                        compression="gzip",
                        compression_opts=9,
                        shuffle=True,
                    )
            about = stored.create_group(ABOUT_GROUP)
            for key, text in sorted((attrs or {}).items()):
                about.attrs[key] = text
    except StorageError as error:
        raise ModelError(error.file, error.reason) from error
    except (OSError, RuntimeError) as error:  # raised by HDF5 if a file cannot be closed
        reason = f"cannot be written: {why_not_written(error, Path(path))}"
        raise ModelError(str(path), reason) from error


def read_about(path: str | Path) -> dict[str, str]:
    """The notes about a model that `save_weights` wrote; empty for other files.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with h5py.File(path, "r") as stored:
            if ABOUT_GROUP not in stored:
                return {}
            about = own(stored, ABOUT_GROUP, h5py.Group)
            notes = {str(name): text(about, name, _MAX_ABOUT) for name in list(about.attrs)[:64]}
            return {name: value for name, value in notes.items() if value is not None}
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error}") from error
