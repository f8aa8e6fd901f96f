"""Losses by cause, with what to do."""

import pytest

from ghsl_beam.outputs.report.losses import MAX_ROWS, grouped
from transforms.elements import Cause, ModelError, RasterError, SceneError, StorageError, cause_of


def loss(cause, **over):
    one = {"stage": "assembly", "tile": "33UUU", "scene": "S2A", "file": "B04.jp2"}
    return {**one, "reason": "cannot be read", "window": None, "cause": cause, **over}


def test_a_damaged_file_is_not_repaired_by_running_again():
    (group,) = grouped([loss("damaged")] * 3)
    assert "run again does not repair it" in group.remedy
    assert group.count == 3
    assert group.rows == ((("assembly", "33UUU", "S2A", "B04.jp2", "cannot be read"), 3),)


def test_each_cause_is_a_group_with_a_remedy_of_its_own():
    groups = grouped([loss(cause) for cause in Cause])
    assert len({group.title for group in groups}) == len({g.remedy for g in groups}) == len(Cause)


@pytest.mark.parametrize("cause", [None, "", "a later version's"])
def test_unknown_causes_are_other_losses(cause):
    (group,) = grouped([loss(cause)])
    assert group.title == "Other losses"


def test_many_losses_are_cut():
    (group,) = grouped([loss("storage", file=f"{n}.tif") for n in range(MAX_ROWS + 5)])
    assert (len(group.rows), group.more, group.count) == (MAX_ROWS, 5, MAX_ROWS + 5)


def passing(error):
    error.__cause__ = StorageError("s3://x", "no answer", passing=True)
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (SceneError("B04.jp2", "cannot be read"), Cause.DAMAGED),
        (passing(SceneError("B04.jp2", "cannot be read")), Cause.STORAGE),
        (StorageError("x", "no answer", passing=True), Cause.STORAGE),
        (StorageError("x", "does not exist", absent=True), Cause.MISSING),
        (StorageError("x", "no space left"), Cause.FILE),
        (RasterError("x: cannot be written"), Cause.FILE),
        (ModelError("m.h5", "is damaged"), Cause.MODEL),
        (MemoryError(), Cause.MEMORY),
    ],
)
def test_the_cause_of_an_error(error, cause):
    assert cause_of(error) == cause
