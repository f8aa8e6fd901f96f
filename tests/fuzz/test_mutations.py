"""No mutation hangs, crashes, loses something unnamed, or passes for right where that shows."""

import os

import pytest

from tests.fuzz.watched import try_all

SEED = int(os.environ.get("GHSL_BEAM_FUZZ_SEED", "13"))
TIMES = float(os.environ.get("GHSL_BEAM_FUZZ_TIMES", "1"))
TARGETS = {
    "product_xml": 200,
    "gml": 150,
    "jpeg2000": 200,
    "zip": 120,
    "weights": 100,
    "classifier": 100,
    "vector": 200,
    "job_file": 200,
}
"""Mutations of each; 1000 are promised."""


def test_there_are_a_thousand():
    assert sum(TARGETS.values()) >= 1000


@pytest.mark.parametrize("target", TARGETS)
def test_no_mutation_passes_for_right(target, record_property):
    count = max(1, round(TARGETS[target] * TIMES))
    found = try_all(target, SEED, count)
    record_property("mutations", (target, dict(found.outcomes)))
    assert not found.faults, "\n" + "\n".join(found.faults)
    assert sum(found.outcomes.values()) == count
    if count >= 50:  # a target whose inputs are all refused, or all taken, tries nothing
        assert len(found.outcomes) > 1
