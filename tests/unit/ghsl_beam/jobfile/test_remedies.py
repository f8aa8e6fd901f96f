"""What a message tells a person to write is accepted when it is written."""

import re
import shlex

import pytest

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.scenes.no_scene import why_none
from tests.unit.ghsl_beam.jobfile.test_messages import GOOD
from transforms.assembly import LeftOut
from transforms.elements import RequestError


@pytest.fixture
def file(tmp_path):
    (tmp_path / "job.yaml").write_text(GOOD)
    return tmp_path / "job.yaml"


@pytest.mark.parametrize(
    ("wrong", "remedy", "written"),
    [
        (("name=mein_gebiet",), r"such as (\S+), given", ["name={}"]),
        (("grids=[{crs: EPSG:54009}]",), r"did you mean (\S+)\?", ["grids=[{{crs: '{}'}}]"]),
        (("area.bbox=[1, 2, 3, 4]",), r"--set '(area=.*?)', given", ["{}"]),
        (("area=berlin.gpkg",), r"write area: (\{.*?\})", ["area={}"]),
        (("area=[12.5, 52, 13, 53]",), r"write area: (\{.*?\})", ["area={}"]),
        (("residential={}",), r"ask for the starter models \((.*?)\)", ["residential={{}}", "{}"]),
    ],
)
def test_a_refused_job_file(file, wrong, remedy, written):
    with pytest.raises(RequestError) as refused:
        load_job(file, wrong)
    found = re.search(remedy, str(refused.value))
    assert found, str(refused.value)
    settings = [form.format(found[1]) for form in written]
    settings = [text.replace("models: {starter", "models={starter") for text in settings]
    load_job(file, tuple(settings))


@pytest.mark.parametrize(
    ("left_out", "level"),
    [
        ([LeftOut("S2A_A", "33UUU", None, 98.9, "cloudy", "there")], "L1C"),
        ([], "L1C"),
        ([], "L2A"),
    ],
)
def test_no_scene(file, tmp_path, left_out, level):
    name = "S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102101.SAFE"
    (tmp_path / "scenes" / name).mkdir(parents=True)
    box = [12.53, 52.455, 12.72, 52.515]
    job = load_job(file, (f"area={{bbox: {box}}}", f"input.level={level}"))
    said = why_none(job, read_area(box, tmp_path), left_out)
    (setting,) = re.findall(r"--set (\S+?=\S+?)(?:\)|$)", said)
    load_job(file, tuple(shlex.split(setting)))


def test_swapped_coordinates(file, tmp_path):
    name = "S2A_MSIL1C_20170216T102101_N0204_R065_T33UUU_20170216T102101.SAFE"
    (tmp_path / "scenes" / name).mkdir(parents=True)
    box = [52.455, 12.53, 52.515, 12.72]
    said = why_none(load_job(file, (f"area={{bbox: {box}}}",)), read_area(box, tmp_path), [])
    area = re.search(r"area: (\{bbox: \[.*?\]\})", said)[1]
    assert load_job(file, (f"area={area}",)).area.bbox == (12.53, 52.455, 12.72, 52.515)
