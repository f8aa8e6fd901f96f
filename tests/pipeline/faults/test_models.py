"""Model files that are none: refused before anything starts."""

import pickle
import shutil

import h5py
import numpy as np
import pytest

from tests.pipeline.faults.table import fault
from tests.support.jobs import MODELS
from transforms.elements import RequestError

NAME = "DEMONSTRATION_MODEL_CNN_33U.h5"
REFUSED = "one line with the file, what was found and expected; nothing written; 2"


def truncated(path):
    path.write_bytes(path.read_bytes()[:100_000])


def with_nan(path):
    with h5py.File(path, "r+") as stored:
        kernel = next(
            stored["model_weights"][group][name]
            for group in ("dense_2",)
            for name in stored["model_weights"][group].attrs["weight_names"]
        )
        values = kernel[()]
        values.flat[0] = np.nan
        kernel[...] = values


def other_shape(path):
    with h5py.File(path, "r+") as stored:
        group = stored["model_weights"]["dense_2"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group[name] = np.zeros((128, 3), np.float32)


def pickled(path):
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


SPOILED = {
    "truncated": (truncated, "truncated"),
    "NaN": (with_nan, "not finite"),
    "another shape": (other_shape, "(128, 3)"),
    "pickle": (pickled, "pickle"),
}
for name in SPOILED:
    fault("models", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_model_is_refused(job, tmp_path, name):
    spoil, said = SPOILED[name]
    shutil.copytree(MODELS, tmp_path / "models")
    spoil(tmp_path / "models" / NAME)
    with pytest.raises(RequestError) as refused:
        job.run(f"models.folder={tmp_path / 'models'}")
    line = str(refused.value)
    assert NAME in line
    assert said in line
    assert "\n" not in line
    assert not (tmp_path / "output").exists()


fault(
    "models",
    "damaged after the plan",
    "the blocks it should predict are losses, the rest is made, a rerun makes the others; 3",
)


def test_a_model_that_is_damaged_on_the_way(job, tmp_path, monkeypatch):
    shutil.copytree(MODELS, tmp_path / "models")
    model = tmp_path / "models" / NAME
    good = model.read_bytes()
    import ghsl_beam.launch

    real = ghsl_beam.launch.make_plan

    def plan_and_spoil(settings):
        plan = real(settings)
        truncated(model)
        return plan

    monkeypatch.setattr(ghsl_beam.launch, "make_plan", plan_and_spoil)
    output, record = job.run(f"models.folder={tmp_path / 'models'}")
    assert record["exit_code"] == 3
    assert {loss["stage"] for loss in record["losses"]} == {"inference"}
    assert all(loss["file"].endswith(NAME) for loss in record["losses"])
    assert (job.s2(output) > 0).any()
    monkeypatch.undo()
    model.write_bytes(good)
    _, record = job.run(f"models.folder={tmp_path / 'models'}")
    assert record["exit_code"] == 0
    assert "assembly" not in record["stages"]
