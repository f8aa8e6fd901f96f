"""What people see is plain text without credentials, on streams that do not fail."""

import io
import os
import subprocess
import sys

import pytest

from ghsl_beam.cli import main
from ghsl_beam.estimating import plan_summary
from ghsl_beam.process import terminal

ODD = "S2A[/x][red]\x1b[2J\x1b]0;title\x07\u202egpj\udce9\nlost: forged"
SHOWN = r"S2A[/x][red]\x1b[2J\x1b]0;title\x07\u202egpj\udce9\nlost: forged"


def test_a_line_is_plain_and_masked(capsys):
    terminal.say(f"lost: {ODD}", "https://bob:p@SECRET@host/x")
    assert capsys.readouterr().out == f"lost: {SHOWN}\thttps://***@host/x\n"


def test_a_table_shows_what_is_in_it_and_nothing_of_markup(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    terminal.say_table(("file", "secret"), [(ODD, "password=SECRET")])
    out = capsys.readouterr().out
    assert SHOWN in out
    assert "SECRET" not in out
    assert all(line.isprintable() for line in out.splitlines())


def test_json_is_json_and_masked(capsys):
    terminal.say_json({"a": [ODD, {"token": "token=SECRET"}], "b": 1})
    out = capsys.readouterr().out
    assert "SECRET" not in out
    assert out.isascii()
    assert "\x1b" not in out


def test_plan_shows_odd_names_plainly(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    content = {
        "tiles": [
            {
                "tile": "33UUU",
                "zone": "33U",
                "model": ODD,
                "scenes": [{"id": ODD, "sensing": "2020-06-10T10:00", "cloud_cover": 1.0}],
                "bytes_to_read": 1,
                "bytes_to_fetch": 1,
                "blocks": 1,
                "exists": [],
            }
        ],
        "masks": "csmask",
        "grids": [],
        "estimate": {"seconds": None, "basis": ODD},
        "losses": [{"tile": "33UUU", "file": ODD, "reason": ODD}],
        "warnings": [ODD],
        "cache": {"folder": "cache", "bytes_at_most": 1},
    }
    monkeypatch.setattr(plan_summary, "summary", lambda plan: content)
    monkeypatch.setattr("ghsl_beam.planning.plan.make_plan", lambda job, verify: None)
    monkeypatch.setattr("ghsl_beam.running.lock.check_work_area", lambda output: None)

    class Job:
        output = "none"

    monkeypatch.setattr("ghsl_beam.jobfile.configuration.load_job", lambda *arguments: Job())
    main.app(["plan", "job.yaml"], standalone_mode=False)
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 5
    assert all(line.isprintable() for line in out.splitlines())


@pytest.mark.parametrize("name", ["/dev/full", "closed pipe"])
def test_a_stream_that_fails_drops_the_rest_and_says_why(name):
    if name == "/dev/full":
        descriptor = os.open(name, os.O_WRONLY)
    else:
        source, descriptor = os.pipe()
        os.close(source)
    stream = terminal.lasting(descriptor)
    for _ in range(3):
        print("x" * 100_000, file=stream)
    found = terminal.failure(stream)
    assert isinstance(found, OSError)
    assert isinstance(found, BrokenPipeError) is (name != "/dev/full")
    stream.close()
    os.close(descriptor)


def test_a_stream_that_lasts_keeps_what_comes_in_order(tmp_path):
    with (tmp_path / "out").open("wb") as file:
        stream = terminal.lasting(file.fileno())
        print("one", "caf\udce9", file=stream)
        print("two", file=stream)
        assert terminal.failure(stream) is None
        stream.close()
    assert (tmp_path / "out").read_bytes() == b"one caf\\udce9\ntwo\n"


def test_any_other_stream_has_not_failed():
    assert terminal.failure(io.StringIO()) is None


def test_a_pipe_that_takes_nothing_now_is_waited_for_and_given_up(monkeypatch):
    monkeypatch.setattr(terminal, "_PATIENCE", 0.05)
    source, target = os.pipe()
    os.set_blocking(target, False)
    stream = terminal.lasting(target)
    stream.write("x" * 1_000_000)
    assert "taken no output" in str(terminal.failure(stream))
    stream.close()
    for descriptor in (source, target):
        os.close(descriptor)


SCHEMA = f"{sys.executable} -m ghsl_beam schema"


@pytest.mark.parametrize(
    ("streams", "code", "error"),
    [
        ("> /dev/full", 1, "ghsl-beam: standard output: No space left on device\n"),
        ("| :", 0, ""),
        (">&-", 0, ""),
        ("2>&- | tail -1", 0, ""),
    ],
)
def test_what_a_command_is_asked_for_is_written_or_it_says_so(streams, code, error):
    pipe = ["bash", "-c", f"{SCHEMA} {streams}; exit ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(pipe, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (code, error)


HARMFUL = """
import os, sys
from ghsl_beam.process.environment import open_standard_files
open_standard_files()
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(2, b"from a library")
os.write(file, b"pixels")
"""


def test_what_libraries_print_never_goes_into_a_file(tmp_path):
    command = f"{sys.executable} -c '{HARMFUL}' {tmp_path}/a.tif <&- >&- 2>&-"
    subprocess.run(["bash", "-c", command], check=True, timeout=60)
    assert (tmp_path / "a.tif").read_bytes() == b"pixels"
