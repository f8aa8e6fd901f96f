"""A wrong request ends at once: exit code 2, one line, nothing written."""

from functools import partial

import pytest
import yaml

from tests.support.command import call


@pytest.fixture
def launch(monkeypatch, capfd):
    return partial(call, monkeypatch, capfd, "run")


@pytest.fixture
def job(job_file, tmp_path):
    """The good job with an output of its own, as a dictionary to spoil, and a way to launch it."""
    content = yaml.safe_load(job_file.read_text())
    content["output"] = str(tmp_path / "output")
    return content


def spoiled(content, path, value):
    *sections, key = path.split(".")
    for section in sections:
        content = content.setdefault(section, {})
    content[key] = value


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("period", {"start": "2021-01-01", "end": "2021-02-01"}, "no L1C scene of 32UQD, 33UUU"),
        ("period.end", "2020-01-01", "period: end 2020-01-01 is before start"),
        ("input.archive", "/nowhere", "input.archive: no such folder"),
        ("input.level", "L2A", "no L2A scene"),
        ("area", {"bbox": [-30.0, 40.0, -29.9, 40.1]}, "no L1C scene"),
        ("area", {"bbox": [10.0, 88.0, 11.0, 89.0]}, "no Sentinel-2 tile"),
        ("area", {"wkt": "POINT (12 52)"}, "area"),
        ("area", {"wkt": "POLYGON ((12 52, 12"}, "area"),
        ("models", {"prefix": "OWN_"}, "33U"),
        ("models", {"folder": "/nowhere"}, "nowhere"),
        ("residential.model", "/nowhere.skops", "nowhere"),
        ("cleaning.roads", "/nowhere.gpkg", "cleaning.roads: no such file"),
        ("greenness.radius", 300, "did you mean radius_m?"),
        ("residential.smoothing", "object", "residential.smoothing"),
        ("greenness.radius_m", "300 m", "greenness.radius_m"),
        ("grids", [{"crs": "EPSG:999999"}], "EPSG:999999"),
        ("grids", [{"resolutions": [100, 250]}], "not a multiple"),
        ("output", "/proc/output", "output"),
        ("output", "/" + 300 * "a", "output: /aaa"),
    ],
)
def test_one_line_that_names_the_thing(job, launch, tmp_path, path, value, named):
    spoiled(job, path, value)
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(job))
    code, _, err = launch(file)
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("ghsl-beam: ")
    assert named in line
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--no_such_option=1", "--no_such_option=1 is not an option"),
        ("--runner=os.Bar", "--runner os.Bar: module 'os' has no attribute 'Bar'"),
        ("--runner=os.path", "--runner os.path: 'module' object is not callable"),
        ("--runner=os.getcwd", "--runner os.getcwd: is not a runner of Beam"),
        ("--runner=PortableRunner", "--runner PortableRunner: give --job_endpoint"),
    ],
)
def test_an_option_that_is_wrong(job, launch, tmp_path, option, named):
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(job))
    code, _, err = launch(file, option)
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith(f"ghsl-beam: {named}")
    assert not (tmp_path / "output").exists()
