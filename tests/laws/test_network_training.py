"""Training: the exact parts, and that a network learns what can be learnt."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from transforms.inference.engines import EXACT, choose
from transforms.inference.network import collapse
from transforms.inference.training import (
    TrainingSettings,
    band_statistics,
    draw_pixels,
    fold_standardisation,
    split_convolution,
    take_patches,
    train,
)
from transforms.inference.weights import load_weights, read_about, save_weights

ROOT = Path(__file__).resolve().parents[2]
DEMONSTRATION = ROOT / "examples" / "models" / "DEMONSTRATION_MODEL_CNN_33U.h5"


@pytest.mark.parametrize(("inputs", "middle", "outputs"), [(4, 128, 8), (3, 12, 5)])
def test_split_convolution_is_exact(inputs: int, middle: int, outputs: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, inputs, outputs)).astype(np.float32)
    one, two = split_convolution(kernel, middle)
    joined = np.zeros_like(kernel)
    for i, j, k, m in np.ndindex(2, 2, 2, 2):
        joined[i + k, j + m] += one[i, j] @ two[k, m]
    assert joined.tobytes() == kernel.tobytes()
    with pytest.raises(ValueError, match="middle"):
        split_convolution(kernel, 4 * inputs - 1)


def test_fold_standardisation() -> None:
    random = np.random.default_rng(1)
    kernel = random.normal(size=(3, 3, 4, 6)).astype(np.float32)
    bias = random.normal(size=6).astype(np.float32)
    x = random.uniform(0, 0.4, (3, 3, 4)).astype(np.float32)
    mean = np.array([0.1, 0.12, 0.09, 0.3], np.float32)
    spread = np.array([0.02, 0.03, 0.01, 0.1], np.float32)
    folded, shifted = fold_standardisation(kernel, bias, mean, spread)
    one = np.einsum("ijc,ijco->o", (x - mean) / spread, kernel) + bias
    other = np.einsum("ijc,ijco->o", x, folded) + shifted
    assert np.allclose(one, other, atol=2e-3)


def test_patches_are_centred() -> None:
    x = np.arange(7 * 9 * 4, dtype=np.float32).reshape(7, 9, 4)
    places = np.array([[3, 4], [0, 0], [6, 8]])
    patches = take_patches(x, places)
    assert patches.shape == (3, 5, 5, 4)
    for patch, (row, col) in zip(patches, places, strict=True):
        assert patch[2, 2].tolist() == x[row, col].tolist()
    assert np.array_equal(patches[0], x[1:6, 2:7])


def test_draw_pixels_by_group() -> None:
    labels = np.zeros((40, 50), np.uint8)
    labels[:5] = 1
    weights = np.full(labels.shape, 0.2, np.float32)
    weights[:20] = 1
    weights[-1] = 0
    places = draw_pixels(labels, weights, 100, 3)
    assert len(places) == 300
    assert len(np.unique(places, axis=0)) == 300
    rows = places[:, 0]
    assert [(rows < 5).sum(), ((rows >= 5) & (rows < 20)).sum(), (rows >= 20).sum()] == [100] * 3
    assert rows.max() < 39
    assert np.array_equal(places, draw_pixels(labels, weights, 100, 3))
    with pytest.raises(ValueError, match="one label"):
        draw_pixels(np.zeros_like(labels), weights, 100, 3)


def test_statistics_of_usable_pixels_alone() -> None:
    x = np.zeros((3, 3, 4), np.float32)
    x[0, 0] = 0.5
    usable = np.zeros((3, 3), bool)
    with pytest.raises(ValueError, match="can be used"):
        band_statistics(x, usable)
    usable[0, 0] = True
    mean, spread = band_statistics(x, usable)
    assert mean.tolist() == [0.5] * 4
    assert (spread > 0).all()


def test_learns_a_bright_square(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.zeros((60, 60), np.uint8)
    labels[20:40, 20:40] = 1
    x = random.normal(0.1, 0.01, (60, 60, 4)).astype(np.float32)
    x[labels == 1] += 0.05
    settings = TrainingSettings(samples=300, epochs=8, batch=64)
    weights = train(x, labels, np.ones(labels.shape, np.float32), settings)
    path = tmp_path / "MODEL_CNN_33U.h5"
    save_weights(path, weights)
    padded = np.pad(x, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    found = choose(EXACT).make(collapse(load_weights(path))).probabilities(padded)
    assert ((found > 0.5) == (labels == 1)).mean() > 0.95
    with pytest.raises(ValueError, match="do not match"):
        train(x, labels[1:], np.ones(labels.shape, np.float32), settings)


def test_the_demonstrations_model() -> None:
    weights = load_weights(DEMONSTRATION)
    assert weights.parameters == 1_448_578
    assert "no use beyond" in read_about(DEMONSTRATION)["ghsl_beam_demonstration"].lower()
    assert DEMONSTRATION.stat().st_size < 6_000_000


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "examples" / "train_demo_network.py"
    spec = importlib.util.spec_from_file_location("train_demo_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_scores_leave_out_pixels_without_a_polygon(script: ModuleType) -> None:
    land_use = np.array([[0, 1, 1, 2, 2, 0]], np.uint8)
    found = script.scores(np.array([[1, 0.9, 0.8, 0.1, 0.2, 1]], np.float32), land_use)
    assert found == {"f1": 1.0, "average_precision": 1.0, "auc": 1.0, "share": 0.5}
