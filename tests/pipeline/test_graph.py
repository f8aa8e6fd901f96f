"""What holds for the graph as a whole, seen in the form in which Beam hands it to a runner."""

import apache_beam as beam
import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.plan import make_plan
from ghsl_beam.running.pipeline import build
from tests.pipeline.faults.conftest import small_job
from transforms.work.losses import LOSSES

RECORD = "Record losses"


@pytest.fixture(scope="module")
def transforms(tmp_path_factory):
    """All steps of a job's graph, by name."""
    job = load_job(small_job(tmp_path_factory.mktemp("graph")).file)
    pipeline = beam.Pipeline()
    build(pipeline, read_inventory(make_plan(job)))
    proto = pipeline.to_runner_api()
    return {step.unique_name: step for step in proto.components.transforms.values()}


def reached_from(transforms, start):
    """All collections that are made of one, itself too."""
    found, left = set(), {start}
    while left:
        found |= left
        left = {
            out
            for step in transforms.values()
            if found & set(step.inputs.values())
            for out in step.outputs.values()
        } - found
    return found


def test_every_loss_is_recorded(transforms):
    recorded = set(transforms[RECORD].inputs.values())
    lost = {
        f"{name}, {out}": out
        for name, step in transforms.items()
        for tag, out in step.outputs.items()
        if tag == LOSSES
    }
    assert len({name.partition("/")[0] for name in lost}) >= 15
    assert any(name.startswith("Blocks to predict") for name in lost), "FanOut's"
    unheard = [name for name, out in lost.items() if not recorded & reached_from(transforms, out)]
    assert unheard == []
