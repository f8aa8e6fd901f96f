import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import shapely

from tests.unit.transforms.work.test_blocks import plan_of
from transforms.elements import Level, RasterError, Scene, VersionError
from transforms.work.plans import Plans

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
    plans = Plans(str(tmp_path), launch="1")
    plan = replace(plan_of(shapely.box(0, 0, 1, 1)), scenes=(SCENE,))
    plans.write(plan)
    found = plans.read(plan.tile)
    assert found == plan
    assert found.scenes[0].sensing.tzinfo is UTC, "pydantic's time zone crashes some interpreters"


def test_a_worker_of_another_version_says_so(tmp_path):
    plans = Plans(str(tmp_path))
    plan = plan_of(shapely.box(0, 0, 1, 1))
    plans.write(plan)
    here = pickle.loads(pickle.dumps(plans))  # noqa: S301
    assert here.read(plan.tile) == plan
    with pytest.raises(
        VersionError, match=r"a worker has ghsl-beam .*, the launcher has ghsl-beam 0\.0\.9: "
    ):
        replace(plans, version="ghsl-beam 0.0.9").read(plan.tile)


def test_what_is_removed_is_gone_for_who_has_not_read_it(tmp_path):
    plans = Plans(str(tmp_path), launch="1")
    plan = plan_of(shapely.box(0, 0, 1, 1))
    plans.write(plan)
    assert plans.tiles() == [plan.tile]
    plans.remove(plan.tile)
    assert plans.tiles() == []
    with pytest.raises(RasterError, match=f"{plan.tile}.json: cannot read the tile's plan"):
        plans.read(plan.tile)
