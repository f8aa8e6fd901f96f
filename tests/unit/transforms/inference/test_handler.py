"""The handler under Beam's RunInference."""

import pickle
import shutil
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.util import assert_that

from transforms.elements import Block, ModelError, RequestError, VersionError, Window
from transforms.inference import handler as handler_module
from transforms.inference.engines import FAST, choose
from transforms.inference.engines.choice import Machine
from transforms.inference.handler import (
    GhsS2NetHandler,
    ModelBank,
    PredictionInput,
    PredictionOutput,
)
from transforms.inference.predict import HALO
from transforms.storage import storage

ZONES = ("32T", "33U")


@pytest.fixture(scope="module")
def models(shared_data: Path) -> tuple[tuple[str, str], ...]:
    folder = shared_data / "legacy_weights"
    return tuple((zone, str(folder / f"MODEL_CNN_{zone}.h5")) for zone in ZONES)


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> list[PredictionInput]:
    image = np.load(shared_data / "legacy_weights" / "image_uint16_RGBN.npy")
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    found = []
    for zone in ZONES:
        for window in Window(0, 0, 180, 230).split(128):
            rows, cols = window.expand(HALO).slices_in(Window(-2, -2, 184, 234))
            found.append(PredictionInput(zone, f"{zone}XX", window, padded[:, rows, cols]))
    return found


def expected_of(shared_data: Path, output: PredictionOutput) -> np.ndarray:
    zone = output.block.tile[:3]
    whole = np.load(shared_data / "legacy_weights" / f"expected_uint16_{zone}.npy")
    return whole[output.block.window.slices_in(Window(0, 0, 180, 230))]


def test_run_inference(
    shared_data: Path,
    models: tuple[tuple[str, str], ...],
    examples: list[PredictionInput],
) -> None:
    def check(outputs: list[PredictionOutput]) -> None:
        assert len(outputs) == len(examples)
        assert {o.block.tile for o in outputs} == {"32TXX", "33UXX"}
        for output in outputs:
            expected = expected_of(shared_data, output)
            assert output.bufrac_raw.dtype == np.uint16
            assert np.array_equal(output.bufrac_raw == 65535, expected == 65535)
            difference = output.bufrac_raw.astype(int) - expected.astype(int)
            assert np.abs(difference).max() <= 1

    with beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner") as p:
        outputs = p | beam.Create(examples) | RunInference(GhsS2NetHandler(models))
        assert_that(outputs, check)


def test_bank_loads_late_keeps_few_and_forgets_the_oldest(
    models: tuple[tuple[str, str], ...], examples: list[PredictionInput]
) -> None:
    small = Window(0, 0, 8, 8)
    dn = np.ascontiguousarray(examples[0].dn[:, 40:52, 40:52])
    bank = GhsS2NetHandler(models, max_models=1).load_model()
    assert bank.loads == 0
    for zone, loads in (("32T", 1), ("32T", 1), ("33U", 2), ("32T", 3)):
        bank.predict(PredictionInput(zone, "t", small, dn))
        assert bank.loads == loads
        assert bank.files == (dict(models)[zone],)
    both = GhsS2NetHandler(models, max_models=2).load_model()
    for zone in ("32T", "33U", "32T", "33U"):
        both.predict(PredictionInput(zone, "t", small, dn))
    assert both.loads == 2
    shared = GhsS2NetHandler((("31U", models[0][1]), ("33U", models[0][1]))).load_model()
    for zone in ("31U", "33U"):
        shared.predict(PredictionInput(zone, "t", small, dn))
    assert shared.loads == 1, "two zones of one file"


def test_block_without_data_needs_no_model() -> None:
    bank = ModelBank({}, 1)
    dn = np.zeros((4, 12, 13), np.uint16)
    found = bank.predict(PredictionInput("33U", "33UUU", Window(4, 5, 8, 9), dn))
    assert found.block == Block("33UUU", Window(4, 5, 8, 9))
    assert (found.bufrac_raw == 65535).all()
    assert found.bufrac_raw.shape == (8, 9)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    dn = np.ones((4, 12, 12), np.uint16)
    with pytest.raises(RequestError, match="33U"):
        ModelBank({}, 1).predict(PredictionInput("33U", "t", Window(0, 0, 8, 8), dn))
    bank = ModelBank({"33U": str(tmp_path / "absent.h5")}, 1)
    with pytest.raises(ModelError, match="absent"):
        bank.predict(PredictionInput("33U", "t", Window(0, 0, 8, 8), dn))
    with pytest.raises(ValueError, match="shape"):
        ModelBank({}, 1).predict(PredictionInput("33U", "t", Window(0, 0, 9, 8), dn))
    with pytest.raises(ValueError, match="max_models"):
        GhsS2NetHandler((), max_models=0)
    with pytest.raises(ValueError, match="two models"):
        GhsS2NetHandler((("33U", "a"), ("33U", "b")))


def test_a_worker_takes_the_engine_that_was_planned(
    models: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    best, plain = Machine(False, True, True), Machine(False, True, False)
    monkeypatch.setattr(handler_module, "this_machine", lambda: best)
    planned = GhsS2NetHandler(models, precision=FAST, choice=choose(FAST, plain))
    assert planned.load_model().choice.engine == "winograd-float32"
    monkeypatch.setattr(handler_module, "this_machine", lambda: plain)
    beyond = GhsS2NetHandler(models, precision=FAST, choice=choose(FAST, best))
    with pytest.raises(VersionError, match="cannot run the engine winograd-int16") as raised:
        beyond.load_model()
    assert len(str(raised.value).splitlines()) == 1


def test_a_worker_takes_the_file_that_was_planned(
    models: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    file = tmp_path / "MODEL_CNN_33U.h5"
    block = PredictionInput("33U", "t", Window(0, 0, 8, 8), np.full((4, 12, 12), 900, np.uint16))
    shutil.copy(dict(models)["33U"], file)
    sha256 = storage.sha256(str(file))
    handler = GhsS2NetHandler((("33U", str(file)),), sha256={str(file): sha256})
    handler = pickle.loads(pickle.dumps(handler))  # noqa: S301
    handler.load_model().predict(block)
    shutil.copy(dict(models)["32T"], file)
    with pytest.raises(VersionError, match=f"MODEL_CNN_33U.h5: .* planned with {sha256[:12]}"):
        list(handler.run_inference([block], handler.load_model()))


def test_handler_travels_and_takes_blocks_one_by_one() -> None:
    handler = pickle.loads(pickle.dumps(GhsS2NetHandler((("33U", "a"),))))  # noqa: S301
    assert handler.models == (("33U", "a"),)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 1, "max_batch_size": 1}
    assert handler.get_metrics_namespace() == "inference"
    dn = np.ones((4, 12, 12), np.uint16)
    assert handler.get_num_bytes([PredictionInput("33U", "t", Window(0, 0, 8, 8), dn)]) == 1152
