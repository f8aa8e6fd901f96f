"""Calls the command line in this process, because a new process takes seconds."""

import sys

import pytest

from ghsl_beam.cli import main


def call(monkeypatch, capfd, *arguments):
    """Exit code, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["ghsl-beam", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(main, "_begin", lambda: None)  # it is for a process
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code or 0, *capfd.readouterr()


def without_progress(stderr):
    """What a command printed to stderr, without the lines of progress that a slow machine adds."""
    lines = stderr.splitlines(keepends=True)
    return "".join(line for line in lines if " message=progress " not in line)
