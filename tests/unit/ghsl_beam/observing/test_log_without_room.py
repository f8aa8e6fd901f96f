"""A log that cannot be written costs one line."""

import logging

import pytest

from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from tests.unit.transforms.storage.test_room import largest_file


@pytest.fixture
def as_launched():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(LogLevel.WARNING, as_json=False)
    yield
    root.handlers[:], root.level = before


def test_a_log_that_has_no_room(as_launched, tmp_path, capsys):
    path = logs.log_to_file(tmp_path)
    log = logging.getLogger("ghsl_beam.test")
    with largest_file(500):
        for number in range(50):
            log.info("a line that is not shown on stderr, number %d", number)
    logs.end_file(path)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: is incomplete: File too large" in line


def test_what_gdal_says_is_not_shown(as_launched, capsys):
    for _ in range(200):
        logging.getLogger("rasterio._env").error("CPLE_AppDefined in TIFFAppendToStrip")
    assert capsys.readouterr().err == ""
