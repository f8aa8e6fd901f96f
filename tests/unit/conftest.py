"""What unit tests of several modules need."""

import logging

import pytest

BEAM = "apache_beam.runners.portability.local_job_service"


@pytest.fixture
def logging_restored():
    """Loggers as they were: `configure` sets the process's own."""
    root = logging.getLogger()
    names = ("", "ghsl_beam", "transforms", BEAM)
    before = root.handlers[:], {name: logging.getLogger(name).level for name in names}
    filters = logging.getLogger(BEAM).filters[:]
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if isinstance(handler, logging.FileHandler):
            handler.close()
    for handler in before[0]:
        root.addHandler(handler)
    for name, level in before[1].items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger(BEAM).filters[:] = filters
    logging.captureWarnings(False)
