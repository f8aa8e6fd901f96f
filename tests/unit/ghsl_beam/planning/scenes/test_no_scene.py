"""The answer to a job without a scene: what a person can compare with the request."""

import pytest

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.jobfile.configuration import make_job
from ghsl_beam.planning.scenes.no_scene import why_none
from transforms.assembly import LeftOut

NAMES = (
    "L1C/2017/02/16/S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102101.SAFE",
    "L1C/2019/05/01/S2A_MSIL1C_20190501T102101_N0204_R065_T33UUU_20190501T102101.SAFE",
    "L2A/S2A_MSIL2A_20190601T102101_N0204_R065_T33UUU_20190601T102101.zip",
)
BOX = (12.53, 52.455, 12.72, 52.515)


def answer(tmp_path, box=BOX, left_out=(), names=NAMES, **over):
    for name in names:
        (tmp_path / "archive" / name).mkdir(parents=True)
    (tmp_path / "archive").mkdir(exist_ok=True)
    content = {
        "name": "x",
        "area": {"bbox": list(box)},
        "period": "2018",
        "models": {"starter": True},
        "output": "out",
        "input": {"archive": str(tmp_path / "archive"), **over},
    }
    job = make_job(content, {})
    return why_none(job, read_area(list(box), tmp_path), left_out)


def test_another_period_nearest_first(tmp_path):
    assert answer(tmp_path) == (
        "the area is longitude 12.53 to 12.72, latitude 52.455 to 52.515; for these tiles the "
        "archive has L1C of 33UUU on 2019-05-01, L2A of 33UUU on 2019-06-01, L1C of 33UUU on "
        "2017-02-16; another period, such as --set period=2019-05-01/2019-05-01"
    )


def test_another_level(tmp_path):
    said = answer(tmp_path, names=NAMES[:1], level="L2A")
    assert said.endswith("L1C of 33UUU on 2017-02-16; another level: --set input.level=L1C")


def test_swapped(tmp_path):
    said = answer(tmp_path, (52.455, 12.53, 52.515, 12.72))
    assert "the archive has L1C and L2A of 33UUU from 2017-02-16 to 2019-06-01; longi" in said
    assert "may be swapped, longitude comes first: area: {bbox: [12.53, 52.455, 12.72, 52" in said


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "the archive has no product of Sentinel-2; check archive"),
        (NAMES, "their centres are at longitude 12.8"),
    ],
)
def test_elsewhere(tmp_path, names, says):
    said = answer(tmp_path, (20, 50, 20.1, 50.1), names=names)
    assert says in said
    assert "swapped" not in said


def test_what_the_job_leaves_out_is_named(tmp_path):
    scene = LeftOut("S2A_A", "33UUU", None, 98.9, "cloud cover 98.9 %, at most 90 %", "there")
    said = answer(tmp_path, left_out=[scene])
    assert "1 scene is too cloudy, the clearest has 98.9 %: raise input.max_cloud_cover (" in said
    assert "--set input.max_cloud_cover=99): S2A_A (98.9 %); the area is longitude 12.53" in said
    by_month = LeftOut("S2A_B", "33UUU", None, 1.0, "scenes.months does not have its month", "")
    said = answer(tmp_path / "other", left_out=[by_month])
    assert said.startswith("1 scene is left out: S2A_B (scenes.months does not have its month)")
