"""What a person sees while the program starts, plans and measures."""

import os
import pty
import threading
import time

import pytest

from ghsl_beam.process import status
from ghsl_beam.process.terminal import say


@pytest.fixture
def screen(monkeypatch):
    """Begins the status on a terminal of its own; returns what the terminal has got."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    monkeypatch.setattr(status, "_STATE", status._Status())
    monkeypatch.setattr(status, "_PATIENCE", 0.02)
    monkeypatch.setattr(status, "_EVERY", 0.02)
    monkeypatch.setattr(status.os, "isatty", lambda number: True)
    monkeypatch.setattr(status.os, "dup", lambda number: slave)
    monkeypatch.setattr(status.os, "register_at_fork", lambda **what: None)
    monkeypatch.setenv("TERM", "xterm")

    def seen():
        time.sleep(0.1)
        try:
            return os.read(master, 65536).decode()
        except BlockingIOError:
            return ""

    yield seen
    status.end()
    os.close(master)
    os.close(slave)


def test_a_line_from_the_start_that_makes_room_for_others(screen, capsys):
    status.begin(["plan", "job.yaml"])
    assert screen().startswith("\r\x1b[2Kstarting ...\r\x1b[2Kstarting ...")
    status.now("searching scenes of 2 tiles")
    assert "searching scenes of 2 tiles ..." in screen()
    with status.hidden():
        assert screen().endswith("\r\x1b[2K")
        assert screen() == ""
    say("an answer")
    assert capsys.readouterr().out == "an answer\n"
    assert "searching" in screen()
    status.end()
    assert screen().endswith("\r\x1b[2K")
    assert screen() == ""


@pytest.mark.parametrize("arguments", [[], ["run", "--quiet"], ["--version"], ["run", "--help"]])
def test_where_nobody_waits_nothing_is_said(screen, arguments):
    status.begin(arguments)
    assert screen() == ""


def test_without_a_terminal_it_is_told_at_intervals(screen, monkeypatch):
    monkeypatch.setattr(status.os, "isatty", lambda number: False)
    monkeypatch.setattr(status, "_TELL_EVERY", 0.02)
    told, enough = [], threading.Event()
    status.begin(["plan", "job.yaml"])
    status.tell_by(lambda text, seconds: (told.append((text, seconds)), enough.set()))
    assert enough.wait(5)
    assert told[0] == ("starting", 0)
    assert screen() == ""
