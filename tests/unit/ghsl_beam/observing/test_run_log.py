"""The log file of a run goes to its output, wherever that is."""

import logging

import pytest

from ghsl_beam.observing import logs, run_log
from ghsl_beam.observing.run_log import RunLog
from tests.support.object_storage import make_bucket, s3_service, using
from transforms.elements import StorageError
from transforms.storage import storage

LOGGER = logging.getLogger("ghsl_beam.test")


@pytest.fixture(autouse=True)
def _logging(logging_restored):
    logs.configure(logs.LogLevel.WARNING, as_json=False)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files; one of the process itself may come to lie there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(run_log.tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def bucket():
    with s3_service() as address, using(address):
        yield make_bucket("logs")


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "out")
    return f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


def read(location):
    return storage.read_bytes(location, 1 << 16).decode()


def test_what_was_said_before_the_end_is_in_the_output(output, temporary):
    log = RunLog(output)
    with log:
        assert log.location is None
        log.begin()
        LOGGER.info("first")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logs.failed("last", with_traceback=True)
    assert log.location.startswith(f"{output}/logs/")
    assert "message=first" in read(log.location)
    assert "Traceback" in read(log.location).splitlines()[-1]
    assert not list(temporary.rglob("*.log"))


def test_a_run_that_does_not_begin_leaves_no_log(output, temporary):
    with RunLog(output):
        LOGGER.info("nothing to do")
    assert not storage.is_folder(f"{output}/logs")
    assert not list(temporary.rglob("*.log"))


@pytest.mark.parametrize("error", [StorageError("s3://logs", "gone"), OSError("disk full")])
def test_a_log_that_cannot_be_uploaded_stays(temporary, monkeypatch, capsys, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(storage, "write_whole", fail)
    with RunLog("s3://logs/out") as log:
        log.begin()
        LOGGER.info("first")
    (kept,) = temporary.rglob("*.log")
    assert "message=first" in kept.read_text()
    (line,) = capsys.readouterr().err.splitlines()
    assert f"which stays in {kept}: {error}" in line
