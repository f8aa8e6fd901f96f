"""Every engine against float64 patch by patch, the choice among them, and their bounds."""

import dataclasses
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.laws.test_network import patch_by_patch
from transforms.elements import ModelError, Window
from transforms.inference.engines import EXACT, FAST, Choice, Engine, base, choose, winograd
from transforms.inference.engines.acceptance import MEAN, MOST, difference, sample
from transforms.inference.engines.choice import _MAKERS, Machine
from transforms.inference.engines.machine_code import has
from transforms.inference.handler import GhsS2NetHandler, PredictionInput
from transforms.inference.network import collapse
from transforms.inference.predict import CONTEXT, prepare
from transforms.inference.starter import starter_file
from transforms.inference.weights import NetworkWeights, load_weights, save_weights

STARTER = starter_file()
VNNI = has("avx512f", "avx512vnni")
NAMES = [
    "winograd-float32",
    pytest.param(
        "winograd-int16",
        marks=pytest.mark.skipif(not VNNI, reason="this processor has no AVX-512 VNNI"),
    ),
    "tensorflow-float32",
]


def made(name: str, weights: NetworkWeights) -> Engine:
    return _MAKERS[name](collapse(weights))


@pytest.fixture(scope="module")
def scene(shared_data: Path) -> np.ndarray:
    """Real L1C pixels of ten land covers, (4, 128, 320), red green blue near infrared."""
    files = sorted((shared_data / "eurosat").glob("*/*_1.tif"))
    assert len(files) == 10
    tiles = [rasterio.open(file).read([4, 3, 2, 8]) for file in files]
    rows = [np.concatenate(tiles[i : i + 5], axis=2) for i in (0, 5)]
    return np.concatenate(rows, axis=1).astype(np.uint16)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", ["starter", "32T", "33U"])
def test_real_pixels_patch_by_patch(
    shared_data: Path, scene: np.ndarray, name: str, model: str
) -> None:
    path = STARTER if model == "starter" else f"{shared_data}/legacy_weights/MODEL_CNN_{model}.h5"
    weights = load_weights(path)
    x = prepare(np.pad(scene, ((0, 0), (2, 2), (2, 2)), mode="reflect"))
    found = made(name, weights).probabilities(x)
    random = np.random.default_rng(3)
    rows, cols = random.integers(0, 128, 3000), random.integers(0, 320, 3000)
    patches = np.stack([x[r : r + 5, c : c + 5] for r, c in zip(rows, cols, strict=True)])
    error = np.abs(found[rows, cols] - patch_by_patch(weights, patches.astype(np.float64)))
    if name.endswith("float32"):
        assert error.max() < 2.5e-6
    else:
        assert error.max() < MOST
        assert error.mean() < MEAN


@pytest.mark.parametrize("name", NAMES[:2])
def test_threads_masks_and_places_do_not_matter_to_the_bit(name: str) -> None:
    engine = made(name, load_weights(STARTER))
    x = np.pad(sample(), ((0, 80), (0, 80), (0, 0)), mode="reflect")
    whole = engine.probabilities(x)
    random = np.random.default_rng(4)
    some = random.random(whole.shape) < 0.01
    assert np.array_equal(engine.probabilities(x, valid=some), np.where(some, whole, 0))
    block = Window(36, 52, 64, 40)  # a multiple of the tiles of 4 px needs no wider context
    inside = block.expand(2).slices_in(Window(-2, -2, *x.shape[:2]))
    part = engine.probabilities(np.ascontiguousarray(x[inside]), block.row, block.col)
    assert np.array_equal(part, whole[block.slices_in(Window(0, 0, *whole.shape))])
    engine.threads = 1
    assert np.array_equal(engine.probabilities(x), whole)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_anywhere_fit_together_to_the_bit_from_several_threads(name: str) -> None:
    engine = made(name, load_weights(STARTER))
    x = np.pad(sample(), ((0, 90), (0, 90), (0, 0)), mode="reflect")
    inner = Window(0, 0, *x.shape[:2]).expand(-CONTEXT)
    whole = engine.probabilities(x, inner.row, inner.col, halo=CONTEXT)
    random = np.random.default_rng(5)

    def block(_: int) -> Window:
        height, width = (int(n) for n in random.integers(1, 99, 2))
        row = int(random.integers(inner.row, inner.row + inner.height - height))
        col = int(random.integers(inner.col, inner.col + inner.width - width))
        return Window(row, col, height, width)

    def same(part: Window) -> bool:
        around = part.expand(CONTEXT).slices_in(Window(0, 0, *x.shape[:2]))
        pixels = np.ascontiguousarray(x[around])
        found = engine.probabilities(pixels, part.row, part.col, halo=CONTEXT)
        return np.array_equal(found, whole[part.slices_in(inner)])

    blocks = [block(i) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        assert [b for b, fits in zip(blocks, pool.map(same, blocks), strict=True) if not fits] == []


def test_choice() -> None:
    best, no_integers = Machine(False, True, True), Machine(False, True, False)
    nothing, gpu = Machine(False, False, False), Machine(True, True, True)
    assert choose(EXACT, best) == Choice("winograd-float32", EXACT)
    assert choose(FAST, best) == Choice("winograd-int16", FAST)
    assert choose(FAST, no_integers) == choose(EXACT, no_integers) == choose(EXACT, best)
    assert choose(EXACT, nothing) == Choice("tensorflow-float32", EXACT)
    assert choose(FAST, nothing) == choose(EXACT, nothing)
    assert choose(EXACT, gpu) == Choice("tensorflow-float32", EXACT)
    assert choose(FAST, gpu) == Choice("tensorflow-mixed", FAST)
    with pytest.raises(ValueError, match="precision"):
        choose("quick", best)
    with pytest.raises(ValueError, match="precision"):
        GhsS2NetHandler((), precision="quick")


def coarse(weights: NetworkWeights) -> NetworkWeights:
    """A network whose last layer tears small differences around a probability of 0.5 apart."""
    arrays = dict(weights.arrays)
    for key in ("dense2/kernel", "dense2/bias"):
        arrays[key] = arrays[key] * np.float32(300)
    return dataclasses.replace(weights, arrays=arrays)


@pytest.mark.skipif(not VNNI, reason="this processor has no AVX-512 VNNI: fast is exact")
def test_fast_refuses_a_model_beyond_its_bounds(tmp_path: Path) -> None:
    file = tmp_path / "MODEL_CNN_33U.h5"
    save_weights(file, coarse(load_weights(STARTER)))
    block = PredictionInput("33U", "33UUU", Window(0, 0, 8, 8), np.full((4, 12, 12), 900, "u2"))
    with pytest.raises(ModelError, match=r"MODEL_CNN_33U.h5: .*models.precision to 'exact'"):
        GhsS2NetHandler((("33U", str(file)),), precision=FAST).load_model().predict(block)
    GhsS2NetHandler((("33U", str(file)),)).load_model().predict(block)
    GhsS2NetHandler((("33U", str(STARTER)),), precision=FAST).load_model().predict(block)


def test_the_sample_is_the_same_every_time_and_tells_engines_apart() -> None:
    assert np.array_equal(sample(), sample())
    weights = load_weights(STARTER)
    probability = made("winograd-float32", weights).probabilities(sample())
    assert probability.min() < 0.05
    assert probability.max() > 0.95
    engine = made("winograd-float32", weights)
    assert difference(engine, engine) == (0, 0)


@pytest.mark.parametrize("name", NAMES[:2])
def test_further_models_take_the_same_memory_on_any_number_of_cores(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "cores", lambda: 8)
    # Without what an engine of another test still uses.
    monkeypatch.setattr(winograd, "_OPEN", {})
    weights, x = load_weights(STARTER), np.pad(sample(), ((0, 80), (0, 80), (0, 0)), mode="reflect")
    other = coarse(weights)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        engine = made(name, weights)
        first = tracemalloc.get_traced_memory()[0] - before
        further = made(name, other)
        second = tracemalloc.get_traced_memory()[0] - before - first
    finally:
        tracemalloc.stop()
    assert first > 8 * 10e6
    assert second < 12e6
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: (engine, further)[at % 2].probabilities(x), range(8)))
    for at, alone in enumerate((engine.probabilities(x), further.probabilities(x))):
        assert all(np.array_equal(each, alone) for each in found[at::2])
    assert not np.array_equal(found[0], found[1])


def test_fewer_cores_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert base.cores() == 1


def test_prediction_on_a_processor_needs_no_tensorflow_and_little_memory() -> None:
    code = (
        "import resource, sys; import numpy as np\n"
        "from transforms.inference.engines.choice import _MAKERS\n"
        "from transforms.inference.network import collapse\n"
        "from transforms.inference.weights import load_weights\n"
        "import transforms.inference.engines.winograd\n"
        f"network = collapse(load_weights({str(STARTER)!r}))\n"
        "x = np.full((2052, 2052, 4), 0.1, np.float32)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak()\n"
        "_MAKERS['winograd-float32'](network).probabilities(x)\n"
        "print(peak() - before, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, tensorflow = done.stdout.split()
    assert tensorflow == "False"
    assert float(megabytes) < 500
