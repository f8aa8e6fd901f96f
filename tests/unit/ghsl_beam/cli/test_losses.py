"""The lines about losses that commands print."""

import sys

from ghsl_beam.cli.losses import say_command_again, say_losses, say_remedies


def test_equal_losses_of_blocks_are_one_line(capsys):
    one = {"stage": "assembly", "tile": "33UUU", "scene": None, "file": "", "reason": "is damaged"}
    other = {**one, "stage": "fetch", "file": "a.jp2"}
    say_losses([one, one, other], "losses in run.json")
    assert capsys.readouterr().out.splitlines() == [
        "lost in assembly: 33UUU: is damaged (2 blocks)",
        "lost in fetch: 33UUU a.jp2: is damaged",
    ]


def test_many_losses_are_counted(capsys):
    say_losses([{"stage": "s", "tile": f"{n:02}", "reason": "r"} for n in range(23)], "the record")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lost in s: 00: r"
    assert lines[19:] == ["lost in s: 19: r", "and 3 more: see the record"]


def test_the_command_is_named(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ghsl-beam", "fetch", "my job.yaml"])
    say_command_again("fetch only what was lost")
    expected = "to fetch only what was lost, run again: ghsl-beam fetch 'my job.yaml'\n"
    assert capsys.readouterr().out == expected


def test_a_damaged_file_is_not_repaired_by_running_again(capsys):
    damaged = {"stage": "assembly", "tile": "33UUU", "reason": "is damaged", "cause": "damaged"}
    say_remedies([damaged, damaged, {**damaged, "cause": "storage"}])
    first, second = capsys.readouterr().out.splitlines()
    assert "To run again does not repair it" in first
    assert "Run the same command again" in second
