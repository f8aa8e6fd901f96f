"""Training: the exact parts, that a network learns what can be learnt, and that it goes on."""

from dataclasses import replace

import numpy as np
import pytest

from transforms.inference.predict import prepare
from transforms.inference.starter import starter_file
from transforms.inference.training import (
    LabelledImage,
    band_statistics,
    draw_samples,
    fold_standardisation,
    recoloured,
    relit,
    split_convolution,
    take_patches,
    turned,
)
from transforms.inference.training.fitting import windows
from transforms.inference.weights import STARTER, load_weights, read_about


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


def test_patches_are_centred_and_prepared_as_for_the_prediction() -> None:
    s2 = np.arange(4 * 7 * 9, dtype=np.uint16).reshape(4, 7, 9) * 60
    places = np.array([[3, 4], [0, 0], [6, 8]])
    patches = take_patches(s2, places)
    assert patches.shape == (3, 5, 5, 4)
    x = prepare(s2)
    for patch, (row, col) in zip(patches, places, strict=True):
        assert patch[2, 2].tolist() == x[row, col].tolist()
    assert np.array_equal(patches[0], x[1:6, 2:7])
    nine = windows(patches)
    assert nine.shape == (3, 9, 36)
    assert np.array_equal(nine[1, 5].reshape(3, 3, 4), patches[1, 1:4, 2:5])


def image(rows: int = 40, cols: int = 50) -> LabelledImage:
    """Five rows of built-up; the upper half has weight 1, the lower one 0.2, the last row 0."""
    built_up = np.zeros((rows, cols), np.float32)
    built_up[:5] = 1
    weights = np.full(built_up.shape, 0.2, np.float32)
    weights[: rows // 2] = 1
    weights[-1] = 0
    s2 = np.broadcast_to(np.arange(rows, dtype=np.uint16)[:, None] * 10, (4, rows, cols))
    return LabelledImage(s2, built_up, weights)


def test_samples_are_drawn_by_group() -> None:
    drawn = draw_samples([image(), image()], 100, 3)
    rows = np.rint(drawn.patches[:, 2, 2, 0] * 1000)
    assert [(rows < 5).sum(), ((rows >= 5) & (rows < 20)).sum(), (rows >= 20).sum()] == [100] * 3
    assert rows.max() < 39
    assert np.array_equal(drawn.built_up, rows < 5)
    assert np.allclose(drawn.weights, np.where(rows < 20, 1, 0.2))
    again = draw_samples([image(), image()], 100, 3)
    assert np.array_equal(drawn.patches, again.patches)
    of_built = draw_samples([image()], 100, 3, built_share=0.1)
    assert of_built.weights.mean() == pytest.approx(1)
    share = of_built.weights[of_built.built_up == 1].sum() / of_built.weights.sum()
    assert share == pytest.approx(0.1)
    none = replace(image(), built_up=np.zeros((40, 50), np.float32))
    with pytest.raises(ValueError, match="one label"):
        draw_samples([none], 100, 3)
    with pytest.raises(ValueError, match="do not match"):
        replace(image(), built_up=np.zeros((1, 50), np.float32))


def test_statistics_of_bands() -> None:
    mean, spread = band_statistics(np.full((3, 4), 0.5, np.float32))
    assert mean.tolist() == [0.5] * 4
    assert (spread > 0).all()
    with pytest.raises(ValueError, match="can be used"):
        band_statistics(np.zeros((0, 4), np.float32))


def test_patches_are_turned_and_relit() -> None:
    patches = np.tile(np.arange(100, dtype=np.float32).reshape(1, 5, 5, 4) / 200, (64, 1, 1, 1))
    found = turned(patches, np.random.default_rng(0))
    assert len(np.unique(found, axis=0)) == 8
    assert np.array_equal(np.sort(found.ravel()), np.sort(patches.ravel()))
    assert (found[:, 2, 2] == patches[:, 2, 2]).all()
    light = relit(patches, np.random.default_rng(0), gain=0.5, haze=0)
    assert (light[patches == 0] == 0).all()
    factor = light[:, 4, 4] / patches[:, 4, 4]
    assert factor.min() > 0.6
    assert factor.max() < 1.6
    assert factor.std() > 0.1
    hazy = relit(patches, np.random.default_rng(0), gain=0, haze=0.02) - patches
    assert hazy[:, 4, 4].min() > -0.006
    assert 0.01 < hazy[:, 4, 4].max() <= 0.021
    assert (np.abs(hazy[:, 4, 4, 2]) >= np.abs(hazy[:, 4, 4, 3]) - 1e-6).all()
    assert relit(patches, np.random.default_rng(0), gain=0, haze=0) is patches
    mixed = np.concatenate([patches, patches[:, ::-1] * 0.5])
    swapped = recoloured(mixed, np.random.default_rng(0), 0.5)
    same = (swapped == mixed).all(axis=(1, 2, 3))
    assert 0.5 < same.mean() < 0.95  # half of those that change get the colour they had
    ratio = swapped[:, 1:, 1:] / swapped[:, 4:5, 4:5]
    assert np.allclose(ratio, mixed[:, 1:, 1:] / mixed[:, 4:5, 4:5], rtol=1e-4)
    assert recoloured(patches, np.random.default_rng(0), 0) is patches


def test_the_starter_network() -> None:
    weights = load_weights(starter_file())
    assert weights.parameters == 1_448_578
    assert weights.starter
    assert not weights.demonstration
    assert "not a model of the jrc" in read_about(starter_file())[STARTER].lower()
    assert starter_file().stat().st_size < 3_000_000
