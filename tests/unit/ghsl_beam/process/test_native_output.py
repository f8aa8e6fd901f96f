"""What native libraries print on descriptor 2 is logged; what is for people is shown."""

import logging
import os
import subprocess
import sys

import pytest

from ghsl_beam.process.native_output import native_output_logged
from ghsl_beam.process.terminal import stderr

CHILD = "import os; os.write(2, b'from a worker process\\n')"


def test_native_lines_are_logged_and_python_s_are_shown(capfd, caplog):
    caplog.set_level(logging.INFO, "ghsl_beam.process.native_output")
    with native_output_logged():
        os.write(2, b"I0000 start-up\n\n")
        subprocess.run([sys.executable, "-c", CHILD], check=True)
        print("from a library", file=sys.stderr)
        print("for people", file=stderr())
    os.write(2, b"after\n")
    assert [record.getMessage() for record in caplog.records] == [
        "I0000 start-up",
        "from a worker process",
        "from a library",
    ]
    assert capfd.readouterr().err == "for people\nafter\n"


def test_descriptors_are_as_before_when_the_program_ends(capfd):
    before = sys.stderr
    with pytest.raises(SystemExit), native_output_logged():
        sys.exit(3)
    assert sys.stderr is before
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
