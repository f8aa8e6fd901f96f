"""run.json has the shape that the docs state."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from ghsl_beam.outputs.record_schema import RECORD, record_schema
from ghsl_beam.outputs.run_record import stages_of
from transforms.observe.events import Event

PAGE = Path(__file__).resolve().parents[4] / "docs" / "run-record.schema.json"


def test_the_docs_hold_the_schema():
    assert json.loads(PAGE.read_text()) == record_schema()


def test_what_is_no_record():
    with pytest.raises(ValidationError, match="exit_code"):
        RECORD.validate_python({"job": "town"})


def test_stages_of_a_run_that_was_cut_off():
    events = [
        Event(10.0, "assembly", "done", "33UUU", "r0_c0_64x64", 1.5),
        Event(11.0, "assembly", "done", "33UUU", "r0_c64_64x64", 0.25),
        Event(11.5, "assembly", "lost", "33UUU", "r0_c64_64x64"),
        Event(12.0, "inference", "reused", "33UUU", "r0_c0_64x64"),
        Event(13.0, "assembly", "done", seconds=4.0, number=3),
    ]
    assert stages_of(events) == {
        "assembly": {"blocks": 5, "losses": 1, "seconds": 5.75},
        "inference": {"blocks_reused": 1, "seconds": 0},
    }
