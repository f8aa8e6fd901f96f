import pickle
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely

from tests.unit.transforms.work.test_blocks import plan_of
from transforms.elements import Block, Layer, Level, Scene, VersionError, Window
from transforms.work.work_area import WorkArea

SCENE = Scene(
    id="S2A_MSIL1C",
    path="/archive/S2A_MSIL1C.SAFE",
    tile="33UUU",
    level=Level.L1C,
    baseline="05.00",
    sensing=datetime(2020, 6, 1, 10, 20, 31, tzinfo=UTC),
    cloud_cover=12.5,
    quantification=10000.0,
    offsets=(-1000.0, -1000.0, -1000.0, -1000.0),
    bands=("4.jp2", "3.jp2", "2.jp2", "8.jp2"),
    mask=None,
    mask_kind=None,
    epsg=32633,
    ulx=300000,
    uly=5900040,
    rows=10980,
    cols=10980,
    size=123,
)


def test_plans_come_back_as_they_were(tmp_path):
    work = WorkArea(str(tmp_path), launch="1")
    plan = replace(plan_of(shapely.box(0, 0, 1, 1)), scenes=(SCENE,))
    work.write_plan(plan)
    found = work.plan(plan.tile)
    assert found == plan
    assert found.scenes[0].sensing.tzinfo is UTC, "pydantic's time zone crashes some interpreters"


def test_a_worker_of_another_version_says_so(tmp_path):
    work = WorkArea(str(tmp_path))
    plan = plan_of(shapely.box(0, 0, 1, 1))
    work.write_plan(plan)
    here = pickle.loads(pickle.dumps(work))  # noqa: S301
    assert here.plan(plan.tile) == plan
    with pytest.raises(
        VersionError, match=r"a worker has ghsl-beam .*, the launcher ghsl-beam 0\.0\.9: "
    ):
        replace(work, version="ghsl-beam 0.0.9").plan(plan.tile)


def test_what_is_there_of_many_blocks_is_asked_for_once(bucket, front):
    work = WorkArea(f"{bucket}/work")
    plan = replace(plan_of(shapely.box(0, 0, 1, 1)), fingerprints={Layer.BUFRAC: "made"})
    work.write_plan(plan)
    blocks = [(Layer.BUFRAC, Block(plan.tile, Window(64 * row, 0, 64, 64))) for row in range(100)]
    front.asked.clear()
    assert work.stored_marks(blocks) == {}
    assert len(front.asked) <= 3
    pixels = np.zeros((64, 64), "uint8")
    for number, whole in enumerate((True, False)):
        work.write(*blocks[number], pixels, whole=whole)
    assert work.stored_marks(blocks) == {blocks[0]: "made", blocks[1]: "incomplete"}
