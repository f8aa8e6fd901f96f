"""The command line in this process, which spares the seconds that a process of its own takes."""

import sys

import pytest

from ghsl_beam import command_line


def call(monkeypatch, capfd, *arguments):
    """Exit code, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["ghsl-beam", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(command_line, "_begin", lambda: None)  # it is for a process
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code or 0, *capfd.readouterr()
