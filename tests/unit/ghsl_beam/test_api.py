"""What a notebook calls: `load_job`, `make_plan` and `run`."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import ghsl_beam
from ghsl_beam.jobfile.configuration import load_job
from tests.support.jobs import write_job
from transforms.elements import RequestError

BOX = "POLYGON ((12 52, 12.1 52, 12.1 52.1, 12 52))"


@pytest.fixture
def job_file(tmp_path):
    return write_job(tmp_path / "jobs", BOX, tmp_path / "archive")


def test_importing_it_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import ghsl_beam; print(set(sys.modules)-before)"
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert found == "{'ghsl_beam'}\n"


def test_the_version_is_that_of_the_installation():
    assert ghsl_beam.__version__ == importlib.metadata.version("ghsl-beam")


def test_all_that_is_promised_is_there():
    assert all(hasattr(ghsl_beam, name) for name in ghsl_beam.__all__)


def test_a_job_is_that_of_the_command_line(job_file):
    assert ghsl_beam.load_job(job_file) == load_job(job_file)
    assert ghsl_beam.load_job(str(job_file)) == load_job(job_file)


def test_changes_are_those_of_set_and_output(job_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = {"period.start": "2017-01-03", "name": "other", "output": Path("made")}
    said = ("period.start=2017-01-03", "name=other")
    found = ghsl_beam.load_job(job_file, **changes)
    assert found == load_job(job_file, said, output="made")
    assert found.output == str(tmp_path / "made")


def test_a_mapping_is_left_as_it_is(job_file, monkeypatch):
    import yaml

    monkeypatch.chdir(job_file.parent)  # relative paths of a mapping count from here
    content = yaml.safe_load(job_file.read_text())
    before = repr(content)
    found = ghsl_beam.load_job(content, **{"period.start": "2017-01-03"}, output="made")
    assert found == load_job(job_file, ("period.start=2017-01-03",), output="made")
    assert repr(content) == before


def test_a_mistake_is_one_line(job_file):
    with pytest.raises(RequestError, match=r"\.yaml: name: .*given '_'"):
        ghsl_beam.load_job(job_file, name="_")
    with pytest.raises(RequestError, match=r"^name\.inner: name has no keys below it$"):
        ghsl_beam.load_job(job_file, **{"name.inner": 1})
    with pytest.raises(RequestError, match=r"^job: "):
        ghsl_beam.load_job({})


def test_plan_and_run_are_those_of_the_command_line(job_file, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "ghsl_beam.planning.plan.make_plan", lambda job, verify: calls.append(("plan", job, verify))
    )
    monkeypatch.setattr(
        "ghsl_beam.running.launch.run",
        lambda job, options, verify: calls.append((tuple(options), job, verify)),
    )
    job = ghsl_beam.load_job(job_file)
    ghsl_beam.make_plan(job, verify=True)
    ghsl_beam.run(job, ["--direct_num_workers=2"])
    ghsl_beam.run(job, profile="local", verify=True)
    (planned, plain, with_profile) = calls
    assert planned == ("plan", job, True)
    assert plain == (("--direct_num_workers=2",), job, False)
    assert with_profile[0]
    assert with_profile[2]
