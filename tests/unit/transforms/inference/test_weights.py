"""Weight files: what is read, and what is refused."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from transforms.elements import ModelError
from transforms.inference.architecture import SHAPES
from transforms.inference.weights import (
    NetworkWeights,
    load_model,
    load_weights,
    read_about,
    save_weights,
)


def random_weights(seed: int = 0) -> NetworkWeights:
    random = np.random.default_rng(seed)
    arrays = {
        key: random.uniform(0.05, 0.1, shape).astype(np.float32) for key, shape in SHAPES.items()
    }
    return NetworkWeights(arrays, (0.001, 0.002, 0.003))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "MODEL_CNN_33U.h5"
    save_weights(path, random_weights())
    return path


@pytest.fixture
def broken(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(good, tmp_path / "MODEL_CNN_01C.h5"))


@pytest.mark.parametrize("zone", ["32T", "33U"])
def test_legacy_file(shared_data: Path, zone: str) -> None:
    weights = load_weights(shared_data / "legacy_weights" / f"MODEL_CNN_{zone}.h5")
    assert weights.parameters == 1_448_578
    assert weights.epsilon == (0.001, 0.001, 0.001)
    assert len(weights.arrays) == 24


def test_round_trip_keeps_every_bit(good: Path) -> None:
    weights, again = random_weights(), load_weights(good)
    assert again.epsilon == weights.epsilon
    for key in SHAPES:
        assert again[key].tobytes() == weights[key].tobytes()
        assert again[key].dtype == np.float32


def test_models_are_read_in_threads(good: Path, tmp_path: Path) -> None:
    """HDF5 crashes where two threads are in it."""
    cut = tmp_path / "MODEL_CNN_01C.h5"
    cut.write_bytes(good.read_bytes()[:-100_000])

    def digest(path: Path) -> str:
        try:
            return load_model(path)[1]
        except ModelError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(digest, 20 * [good, good, cut]))
    assert found == 20 * [load_model(good)[1], load_model(good)[1], "refused"]


def test_layout_is_that_of_keras(good: Path, shared_data: Path) -> None:
    with (
        h5py.File(good) as ours,
        h5py.File(shared_data / "legacy_weights" / "MODEL_CNN_32T.h5") as theirs,
    ):
        one, other = ours["model_weights"], theirs["model_weights"]
        assert one.attrs["layer_names"].tolist() == other.attrs["layer_names"].tolist()
        assert one.attrs["keras_version"] in ("2.3.1", b"2.3.1")
        for layer in other:
            mine = one[layer].attrs["weight_names"].tolist()
            assert mine == other[layer].attrs["weight_names"].tolist()
            for name in mine:
                assert one[layer][name].shape == other[layer][name].shape
        assert "optimizer_weights" not in ours
        classes = [
            [
                layer["class_name"]
                for layer in json.loads(f.attrs["model_config"])["config"]["layers"]
            ]
            for f in (ours, theirs)
        ]
        assert classes[0] == classes[1]


def test_about(good: Path, tmp_path: Path, shared_data: Path) -> None:
    path = tmp_path / "DEMONSTRATION_MODEL_CNN_33U.h5"
    save_weights(path, random_weights(), {"ghsl_beam_demonstration": "not for use"})
    assert read_about(path) == {"ghsl_beam_demonstration": "not for use"}
    assert load_weights(path).demonstration
    save_weights(path, random_weights(), {"pixels": "of somewhere"})
    assert not load_weights(path).demonstration
    assert read_about(good) == {}
    assert read_about(shared_data / "legacy_weights" / "MODEL_CNN_32T.h5") == {}
    assert load_weights(path).parameters == 1_448_578


def test_same_weights_same_bytes(good: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "again.h5", random_weights())
    assert good.read_bytes() == (tmp_path / "again.h5").read_bytes()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


def _foreign(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as stored:
        stored["temperature"] = [1.0, 2.0]


def _replace(path: Path, name: str, array: np.ndarray) -> None:
    with h5py.File(path, "r+") as stored:
        del stored["model_weights"][name]
        stored["model_weights"][name] = array


def _nan(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        stored["model_weights/conv2d_4/conv2d_4/kernel:0"][1, 1, 7, 3] = np.nan


def _variance(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        moving = stored["model_weights/batch_normalization_1/batch_normalization_1"]
        moving["moving_variance:0"][0] = -1


def _shape(path: Path) -> None:
    _replace(path, "dense_1/dense_1/kernel:0", np.zeros((512, 64), np.float32))


def _wide(path: Path) -> None:
    _replace(path, "dense_1/dense_1/bias:0", np.zeros(128, np.float64))


def _missing(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        del stored["model_weights/dense_2/dense_2/bias:0"]


def _link(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        group = stored["model_weights/dense_2/dense_2"]
        del group["bias:0"]
        group["bias:0"] = h5py.ExternalLink("other.h5", "/x")


def _order(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        names = stored["model_weights"].attrs["layer_names"]
        stored["model_weights"].attrs["layer_names"] = names[::-1]


def _config(path: Path, change: Callable[[dict], None]) -> None:
    with h5py.File(path, "r+") as stored:
        config = json.loads(stored.attrs["model_config"])
        change(config)
        stored.attrs["model_config"] = np.bytes_(json.dumps(config))


def _relu(path: Path) -> None:
    _config(path, lambda c: c["config"]["layers"][3]["config"].update(activation="relu"))


def _no_epsilon(path: Path) -> None:
    _config(path, lambda c: c["config"]["layers"][2]["config"].pop("epsilon"))


def _listless(path: Path) -> None:
    _config(path, lambda c: c.update(config=[1]))


def _no_config(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        del stored.attrs["model_config"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_truncate, "truncated"),
        (_pickle, "pickle"),
        (_foreign, "found groups"),
        (_nan, "conv4/kernel: found 1 values that are not finite"),
        (_variance, "variance below 0"),
        (_shape, r"dense1/kernel: found shape \(512, 64\), expected \(512, 128\)"),
        (_wide, "found float64, expected float32"),
        (_missing, "found nothing, expected a member of this file"),
        (_link, "found a link"),
        (_order, "layers: found dense"),
        (_relu, "found activation 'relu', expected 'tanh'"),
        (_no_epsilon, "epsilon"),
        (_listless, "no list of layers"),
        (_no_config, "expected Keras' JSON"),
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.write_text("<!DOCTYPE html>"), "web page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "LFS pointer"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600)), "open"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_faults_name_the_file(broken: Path, fault: Callable[[Path], None], says: str) -> None:
    fault(broken)
    with pytest.raises(ModelError, match=says) as caught:
        load_weights(broken)
    assert caught.value.file == str(broken)
    assert "\n" not in str(caught.value)


def test_any_cut_or_flipped_byte_is_refused_or_harmless(broken: Path) -> None:
    """No damage makes another exception than ModelError."""
    whole = broken.read_bytes()
    random = np.random.default_rng(3)
    for _ in range(25):
        damaged = bytearray(whole[: random.integers(1, len(whole))])
        damaged[random.integers(0, min(len(damaged), 20000))] ^= 0xFF
        broken.write_bytes(damaged)
        with pytest.raises(ModelError):
            load_weights(broken)
    for place in random.integers(8, 30000, 25):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        broken.write_bytes(damaged)
        try:
            load_weights(broken)
        except ModelError:
            continue


def test_weights_refuse_what_is_no_network() -> None:
    arrays = dict(random_weights().arrays)
    with pytest.raises(ValueError, match="dense2/bias"):
        NetworkWeights({key: array for key, array in arrays.items() if key != "dense2/bias"})
    with pytest.raises(ValueError, match="epsilon"):
        NetworkWeights(arrays, (0.001, float("nan"), 0.001))


def test_pure_modules_import_neither_tensorflow_nor_beam() -> None:
    code = (
        "import sys, transforms.inference, transforms.inference.training\n"
        "bad = {'tensorflow', 'keras', 'apache_beam'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
