"""Log lines: one an event, structured, masked, also those that a worker process sends."""

import json
import logging
import sys

import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.log_handler import LOGENTRY_TO_LOG_LEVEL_MAP

from ghsl_beam.observing import logs
from ghsl_beam.runners.worker import WorkerFormatter
from ghsl_beam.runners.worker_records import restore_records
from transforms.elements import Window
from transforms.observe.events import at

SECRET = "wJalrXUtnFEMIplanted"  # noqa: S105 - planted
BEAM = logging.getLogger("apache_beam.runners.portability.local_job_service")


@pytest.fixture(autouse=True)
def _restored(logging_restored):
    restore_records()


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_json_line_tells_job_tile_and_block(capsys):
    logs.configure(logs.LogLevel.INFO, as_json=True)
    logs.set_job("town")
    with at("33UUU", Window(512, 0, 512, 200)):
        logging.getLogger("transforms.work.blocks").info("stored", extra={"seconds": 1.5})
    (line,) = lines(capsys)
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "info",
        "logger": "transforms.work.blocks",
        "message": "stored",
        "job": "town",
        "tile": "33UUU",
        "block": "r512_c0_512x200",
        "seconds": 1.5,
    }


def test_a_plain_line_stays_one_line_whatever_is_in_it(capsys):
    logs.configure(logs.LogLevel.INFO, as_json=False)
    name = "a\nlevel=error forged=1 \u2028 end"
    logging.getLogger("transforms.x").warning("file %s", name, extra={"path": name})
    (line,) = lines(capsys)
    assert r"a\nlevel=error" in line
    assert "level=warning" in line


@pytest.mark.parametrize("as_json", [True, False])
def test_planted_credentials_reach_neither_stderr_nor_file(capsys, tmp_path, as_json):
    logs.configure(logs.LogLevel.DEBUG, as_json=as_json)
    path = logs.log_to_file(tmp_path)
    logger = logging.getLogger("ghsl_beam.test")
    logger.info("https://user:%s@host/", SECRET)
    logger.info("read", extra={"url": f"https://h/?X-Amz-Signature={SECRET}", "token": SECRET})
    try:
        try:
            raise ValueError(f"password={SECRET}")
        except ValueError as error:
            raise RuntimeError(f"aws_secret_access_key: {SECRET}") from error
    except RuntimeError:
        logger.exception("secret=%s", SECRET)
    shown, kept = capsys.readouterr().err, path.read_text()
    for text in (shown, kept):
        assert SECRET not in text
        assert len(text.splitlines()) == 3
        assert "RuntimeError" in text


def test_levels_of_others_are_kept_down(capsys):
    logs.configure(logs.LogLevel.WARNING, as_json=False)
    logging.getLogger("apache_beam.x").warning("chatter")
    logging.getLogger("ghsl_beam.x").info("quiet")
    logging.getLogger("transforms.x").warning("shown")
    logging.getLogger("apache_beam.x").error("shown too")
    assert [line.split("message=")[1] for line in lines(capsys)] == ["shown", '"shown too"']


def test_the_file_has_more_than_the_terminal(capsys, tmp_path):
    logs.configure(logs.LogLevel.WARNING, as_json=False)
    path = logs.log_to_file(tmp_path / "logs")
    logging.getLogger("ghsl_beam.x").info("only in the file")
    assert lines(capsys) == []
    assert "only in the file" in path.read_text()


def test_what_ends_the_program_is_one_plain_line_and_its_traceback_is_kept(capsys, tmp_path):
    logs.configure(logs.LogLevel.WARNING, as_json=False)
    path = logs.log_to_file(tmp_path)
    try:
        raise ValueError("planted")
    except ValueError:
        logs.failed("failed: ValueError: planted", with_traceback=True)
    assert lines(capsys) == ["ghsl-beam: failed: ValueError: planted"]
    assert "Traceback" in path.read_text()


def sent(name, level, message, exc_info=None, **extra):
    """What the DirectRunner logs for a record of a worker process, as Beam makes it."""
    record = logging.LogRecord(name, level, "file.py", 1, message, (), exc_info)
    vars(record).update(extra)
    entry = beam_fn_api_pb2.LogEntry(message=WorkerFormatter(as_json=True).format(record))
    severity = {value: key for key, value in LOGENTRY_TO_LOG_LEVEL_MAP.items()}[level]
    entry.severity = severity
    entry.timestamp.seconds = 1_600_000_000
    assert record.exc_info is None, "Beam's handler would add the traceback unmasked"
    BEAM.log(level, "Worker: %s", str(entry).replace("\n", " "))


def test_a_worker_s_record_comes_back_whole(capsys):
    logs.configure(logs.LogLevel.INFO, as_json=True)
    logs.set_job("town")
    try:
        raise ValueError(f'token="{SECRET}"\nsecond "line"')
    except ValueError:
        sent(
            "transforms.assembly", logging.WARNING, "lost", sys.exc_info(), tile="33UUU", seconds=2
        )
    (line,) = lines(capsys)
    found = json.loads(line)
    assert SECRET not in line
    assert 'second "line"' in found["traceback"]
    assert found["time"] == "2020-09-13T12:26:40.000Z"
    expected = {"logger": "transforms.assembly", "level": "warning", "message": "lost"}
    assert expected.items() <= found.items()
    assert {"job": "town", "tile": "33UUU", "seconds": 2}.items() <= found.items()


def test_a_worker_s_other_libraries_are_kept_down(capsys):
    logs.configure(logs.LogLevel.WARNING, as_json=True)
    sent("apache_beam.runners.worker.sdk_worker", logging.WARNING, "chatter")
    sent("transforms.assembly", logging.WARNING, "shown")
    assert [json.loads(line)["message"] for line in lines(capsys)] == ["shown"]
