from pathlib import Path

import pytest

from ghsl_beam.configuration import load_job, schema
from transforms.elements import RequestError

GOOD = """
name: city
epoch: 2020
area: {bbox: [12.5, 52.4, 12.7, 52.5]}
period: {start: 2020-05-01, end: 2020-08-31}
input: {archive: scenes}
residential: {model: classifier.skops}
output: out
"""


@pytest.fixture
def job_file(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(GOOD)
    return file


def test_paths_count_from_the_job_file(job_file):
    job = load_job(job_file)
    assert job.input.archive == str(job_file.parent / "scenes")
    assert job.output == str(job_file.parent / "out")


def test_settings_and_output_go_over_the_file(job_file, tmp_path):
    job = load_job(job_file, ("cleaning.ndvi_above=null", "block_size=256"), f"{tmp_path}/else")
    assert job.cleaning.ndvi_above is None
    assert job.block_size == 256
    assert job.output == f"{tmp_path}/else"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("period.end=2020-04-01", "period: end 2020-04-01 is before start 2020-05-01"),
        ("input.max_cloud=10", "did you mean max_cloud_cover?"),
        ("blok_size=10", "did you mean block_size?"),
        ("cleaning.minimum=12", "cleaning.minimum: .*less than or equal to 1, given 12"),
        ("greenness.radius_m=300 m", "greenness.radius_m: .*given '300 m'"),
        ("input.level=L3", "input.level: .*'L1C' or 'L2A'"),
        ("models.fallback=33I", "models.fallback"),
        ("area.wkt=POINT (1 2)", "exactly one of file, wkt, bbox"),
        ("name=../up", "name: "),
        (
            "grids=[{resolution: [10]}]",
            "grids.0.resolution: unknown key; did you mean resolutions?",
        ),
        ("block_size", "key.path=value is expected"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(job_file, setting, named):
    with pytest.raises(RequestError, match=named) as caught:
        load_job(job_file, (setting,))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 1]\nb: [*a, *a]",
        "name: !!python/object/apply:os.system ['true']",
        "- a list",
        "{" * 5000,
        "a: [",
    ],
)
def test_yaml_that_is_no_job_is_refused(tmp_path, text):
    file = tmp_path / "job.yaml"
    file.write_text(text)
    with pytest.raises(RequestError, match=r"job\.yaml"):
        load_job(file)


def test_a_job_file_that_is_not_there():
    with pytest.raises(RequestError, match="No such file"):
        load_job(Path("/nowhere/job.yaml"))


def test_schema_states_units_and_bounds():
    text = str(schema())
    for expected in ("metres", "percent of the product", "'maximum': 100", "YYYY-MM-DD"):
        assert expected in text
