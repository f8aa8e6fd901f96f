"""The collapsed network and the engine: against the JRC's stack, and patch by patch."""

from pathlib import Path

import numpy as np
import pytest

from transforms.elements import Window
from transforms.inference.engines import Engine
from transforms.inference.engines.choice import _MAKERS
from transforms.inference.network import collapse
from transforms.inference.predict import CONTEXT, encode, pad_block, prepare, valid
from transforms.inference.weights import NetworkWeights, load_weights

LEGACY = "legacy_weights"


@pytest.fixture(scope="module")
def image(shared_data: Path) -> np.ndarray:
    return np.load(shared_data / LEGACY / "image_uint16_RGBN.npy")


@pytest.fixture(scope="module", params=["32T", "33U"])
def zone(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def weights(shared_data: Path, zone: str) -> NetworkWeights:
    return load_weights(shared_data / LEGACY / f"MODEL_CNN_{zone}.h5")


@pytest.fixture(scope="module", params=["winograd-float32", "tensorflow-float32"])
def engine(request: pytest.FixtureRequest, weights: NetworkWeights) -> Engine:
    return _MAKERS[request.param](collapse(weights))


def block_of(image: np.ndarray, window: Window) -> np.ndarray:
    extent = Window(0, 0, *image.shape[1:])
    wanted = window.expand(CONTEXT)
    inside = wanted.intersect(extent)
    assert inside is not None
    return pad_block(image[:, *inside.slices_in(extent)], inside, wanted, extent)


def by_blocks(
    engine: Engine, image: np.ndarray, size: int, row: int = 0, col: int = 0
) -> np.ndarray:
    """Predict in blocks of a size; (row, col) shifts the blocks' grid, not the pixels'."""
    result = np.full(image.shape[1:], np.nan, np.float32)
    shifted = Window(row, col, *image.shape[1:])
    for part in shifted.split(size):
        window = Window(part.row - row, part.col - col, *part.shape)
        dn = block_of(image, window)
        inside = valid(dn)[CONTEXT:-CONTEXT, CONTEXT:-CONTEXT]
        place = window.slices_in(Window(0, 0, *image.shape[1:]))
        result[place] = engine.probabilities(prepare(dn), window.row, window.col, inside, CONTEXT)
    return result


@pytest.fixture(scope="module")
def whole(engine: Engine, image: np.ndarray) -> np.ndarray:
    return by_blocks(engine, image, 1024)


def test_as_the_legacy_stack_predicts(
    shared_data: Path, zone: str, image: np.ndarray, whole: np.ndarray
) -> None:
    expected = np.load(shared_data / LEGACY / f"expected_uint16_{zone}.npy")
    probability = np.load(shared_data / LEGACY / f"expected_probability_{zone}.npy")
    found = encode(whole, valid(image))
    assert np.array_equal(found == 65535, expected == 65535)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    is_valid = valid(image)
    assert np.abs(whole - probability)[is_valid].max() < 2.5e-6
    assert np.array_equal(encode(probability, is_valid), expected)  # the rounding is theirs


def patch_by_patch(weights: NetworkWeights, patches: np.ndarray) -> np.ndarray:
    """The network as its file has it, layer by layer, in float64, on (n, 5, 5, 4)."""
    wide = {key: array.astype(np.float64) for key, array in weights.arrays.items()}

    def convolve(x: np.ndarray, layer: str) -> np.ndarray:
        kernel, (n, rows, cols, _) = wide[f"{layer}/kernel"], x.shape
        out = np.zeros((n, rows - 1, cols - 1, kernel.shape[3])) + wide[f"{layer}/bias"]
        for i in range(2):
            for j in range(2):
                out += x[:, i : rows - 1 + i, j : cols - 1 + j] @ kernel[i, j]
        return out

    def normalise(x: np.ndarray, layer: str, epsilon: float) -> np.ndarray:
        centred = x - wide[f"{layer}/moving_mean"]
        root = np.sqrt(wide[f"{layer}/moving_variance"] + epsilon)
        return np.tanh(centred / root * wide[f"{layer}/gamma"] + wide[f"{layer}/beta"])

    x = normalise(convolve(convolve(patches, "conv1"), "conv2"), "norm1", weights.epsilon[0])
    x = normalise(convolve(convolve(x, "conv3"), "conv4"), "norm2", weights.epsilon[1])
    assert x.shape[1:] == (1, 1, 512)
    x = x.reshape(len(x), -1) @ wide["dense1/kernel"] + wide["dense1/bias"]
    x = normalise(x, "norm3", weights.epsilon[2])
    x = x @ wide["dense2/kernel"] + wide["dense2/bias"]
    return 1 / (1 + np.exp(-x[:, 1]))


def test_as_the_uncollapsed_network_patch_by_patch(
    weights: NetworkWeights, image: np.ndarray, whole: np.ndarray
) -> None:
    x = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect").transpose(1, 2, 0)
    x = np.clip(x.astype(np.float64) / 10000, 0, 1)
    is_valid = valid(image)
    random = np.random.default_rng(1)
    rows, cols = np.nonzero(is_valid)
    chosen = random.choice(rows.size, 1500, replace=False)
    corners = [(0, 0), (0, 229), (179, 0), (179, 229), (1, 1), (178, 228), (127, 128), (128, 127)]
    places = [p for p in corners if is_valid[p]]
    places += list(zip(rows[chosen], cols[chosen], strict=True))
    patches = np.stack([x[r : r + 5, c : c + 5] for r, c in places])
    expected = patch_by_patch(weights, patches)
    found = np.array([whole[p] for p in places])
    assert np.abs(found - expected).max() < 2.5e-6


@pytest.mark.parametrize(
    ("size", "row", "col"), [(96, 0, 0), (128, 0, 0), (200, 0, 0), (96, 37, 11), (128, 5, 77)]
)
def test_blocks_do_not_matter_to_the_bit(
    engine: Engine, image: np.ndarray, whole: np.ndarray, size: int, row: int, col: int
) -> None:
    found = by_blocks(engine, image, size, row, col)
    is_valid = valid(image)
    assert np.array_equal(encode(found, is_valid), encode(whole, is_valid))
    assert found[is_valid].tobytes() == whole[is_valid].tobytes()


def test_surroundings_beyond_the_window_do_not_matter(engine: Engine, image: np.ndarray) -> None:
    window = Window(130, 140, 40, 50)
    expected = engine.probabilities(
        prepare(block_of(image, window)), window.row, window.col, halo=CONTEXT
    )
    other = image.copy()
    keep = window.expand(CONTEXT).slices_in(Window(0, 0, *image.shape[1:]))
    other[:] = 9999
    other[:, *keep] = image[:, *keep]
    wide = engine.probabilities(prepare(block_of(other, Window(0, 0, 180, 230))), halo=CONTEXT)
    assert wide[window.slices_in(Window(0, 0, 180, 230))].tobytes() == expected.tobytes()


def test_what_no_valid_pixel_needs_is_not_computed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[np.ndarray] = []
    predict = engine._predict

    def counted(x: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        calls.append(wanted)
        return predict(x, wanted)

    monkeypatch.setattr(engine, "_predict", counted)
    size = 2 * engine.piece
    x = np.full((size + 4, size + 4, 4), 0.1, np.float32)
    mask = np.zeros((size, size), bool)
    assert not engine.probabilities(x, 0, 0, mask).any()
    assert calls == []
    mask[engine.piece, 3] = True
    found = engine.probabilities(x, 0, 0, mask)
    assert len(calls) == 1
    assert found[engine.piece, 3] > 0
    assert np.count_nonzero(found) == 1
    assert found[engine.piece, 3] == engine.probabilities(x)[engine.piece, 3]


def test_engine_refuses_other_input(engine: Engine) -> None:
    with pytest.raises(ValueError, match="shape"):
        engine.probabilities(np.zeros((4, 9, 4), np.float32))
    with pytest.raises(ValueError, match="float64"):
        engine.probabilities(np.zeros((9, 9, 4)))
    with pytest.raises(ValueError, match="mask"):
        engine.probabilities(np.zeros((9, 9, 4), np.float32), 0, 0, np.ones((9, 9), bool))


def test_collapsed_shapes(weights: NetworkWeights) -> None:
    network = collapse(weights)
    assert [k.shape for k in network.kernels] == [
        (3, 3, 4, 128),
        (3, 3, 128, 512),
        (1, 1, 512, 128),
        (1, 1, 128, 1),
    ]
    assert {a.dtype for a in (*network.kernels, *network.biases)} == {np.dtype(np.float32)}
