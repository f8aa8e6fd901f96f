"""ghsl-beam doctor: each check is one line that says what to do."""

import socket

import pytest

from ghsl_beam.jobfile.configuration import make_job
from ghsl_beam.tools.starting import doctor, job_checks
from ghsl_beam.tools.starting.doctor import State
from tests.support import command
from tests.support.jobs import models_folder


def test_this_machine_is_sound(monkeypatch, capfd):
    monkeypatch.delenv("COPERNICUS_ACCESS_KEY_ID", raising=False)
    code, out, _ = command.call(monkeypatch, capfd, "doctor")
    assert code == 0, out
    for what in ("python: 3.", "packages: ", "JPEG 2000: ", "memory: ", "temporary files: "):
        assert what in out
    assert "warning keys of copernicus: none" in out
    assert out.splitlines()[-1].startswith("faults: 0, warnings: ")


def test_what_is_wrong_with_a_machine(monkeypatch, tmp_path):
    assert doctor._python((3, 14)).state is State.FAULT
    assert "expected one of 3.11, 3.12, 3.13" in doctor._python((3, 10)).found

    def load(module):
        if module == "rasterio":
            raise ImportError("libexpat.so.1: cannot open shared object file")

    found = doctor._packages(load)
    assert found.state is State.FAULT
    assert "apt-get install libexpat1" in found.found
    usage = type("Usage", (), {"free": 5e8})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    found = doctor._disk("output", tmp_path / "not" / "there")
    assert (found.state, found.found[:14]) == (State.FAULT, "0.5 GB free at")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert "install Java 17" in doctor._java().found


def job(tmp_path, **over):
    content = {
        "name": "x",
        "area": {"bbox": [12.53, 52.455, 12.72, 52.515]},
        "period": "2018",
        "models": {"starter": True},
        "output": str(tmp_path / "out"),
        "input": {"archive": str(tmp_path)},
    }
    return make_job(content | over, {})


def states(found):
    return {one.what: one.state for one in job_checks.check_job(found)}


def test_a_job(tmp_path, monkeypatch):
    assert set(states(job(tmp_path)).values()) == {State.OK}
    found = states(job(tmp_path, input={"archive": str(tmp_path / "none")}))
    assert found["archive"] is State.FAULT
    folder = models_folder(tmp_path / "models")
    classifier = {"model": str(folder / "none.skops")}
    wrong = job(tmp_path, models={"folder": str(folder)}, residential=classifier)
    found = {one.what: one for one in job_checks.check_job(wrong)}
    assert found["classifier"].state is State.FAULT
    assert found["models"].state is State.FAULT  # 33U is here; the nearest tile is in 32U
    assert "no file for 32U" in found["models"].found
    assert not (tmp_path / "out").exists()


def test_keys_are_named_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(job_checks, "reach", lambda url: "refused")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"COPERNICUS_{name}", raising=False)
    far = job(tmp_path, input={"source": "odata"})
    found = {one.what: one for one in job_checks.check_job(far)}
    assert found["keys of copernicus"].state is State.FAULT
    assert "does not answer (refused)" in found["catalogue"].found
    assert "archive" not in found  # without keys nobody can ask
    monkeypatch.setenv("COPERNICUS_ACCESS_KEY_ID", "planted-key-id")
    monkeypatch.setenv("COPERNICUS_SECRET_ACCESS_KEY", "planted-secret")
    found = {one.what: one for one in job_checks.check_job(far)}
    assert found["keys of copernicus"].state is State.OK
    assert "planted" not in "".join(one.found for one in found.values())
    assert "does not answer" in found["archive"].found


@pytest.mark.parametrize("listens", [True, False])
def test_a_host_answers_or_not(listens, monkeypatch):
    monkeypatch.setattr(doctor, "getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not listens:
            server.close()
        reason = doctor.reach(f"http://127.0.0.1:{port}/x")
    assert bool(reason) is not listens
