"""The examples for cron and systemd, and the job that all examples launch."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ghsl_beam.configuration import load_job

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_job_makes_another_folder_every_month():
    job = load_job(DEPLOY / "jobs" / "monthly.yaml", today=date(2026, 1, 5))
    assert (job.period.start, job.period.end) == (date(2025, 12, 1), date(2025, 12, 31))
    assert (job.epoch, job.name) == (2025, "berlin-2025-12")
    assert job.output == "s3://my-bucket/berlin/2025-12"


@pytest.fixture
def systemd():
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("no systemd-analyze here")
    return found


def test_systemd_takes_the_units(systemd, tmp_path):
    for name in ("ghsl-beam.service", "ghsl-beam.timer"):
        text = (DEPLOY / "systemd" / name).read_text()
        # Verified is also that the program exists.
        (tmp_path / name).write_text(text.replace("/opt/ghsl-beam/bin/ghsl-beam", sys.executable))
    units = [tmp_path / "ghsl-beam.service", tmp_path / "ghsl-beam.timer"]
    ended = subprocess.run(
        [systemd, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_timer_is_for_the_fifth_of_the_month(systemd):
    timer = (DEPLOY / "systemd" / "ghsl-beam.timer").read_text()
    when = re.search(r"^OnCalendar=(.+)$", timer, re.M)[1]
    said = subprocess.run(
        [systemd, "calendar", "--iterations=3", when], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"\d{4}-\d{2}-(\d{2}) (\S+) UTC", said)[-3:] == [("05", "03:00:00")] * 3


def test_cron_launches_the_same(tmp_path):
    lines = (DEPLOY / "cron" / "ghsl-beam").read_text().splitlines()
    (line,) = (one for one in lines if one[:1].isdigit())
    *when, user, command = line.split(maxsplit=6)
    assert (when, user) == (["0", "3", "5", "*", "*"], "ghsl")
    assert "%" not in command, "cron makes a line end of it"
    start = re.search(
        r"^ExecStart=\S+ (.+)$", (DEPLOY / "systemd/ghsl-beam.service").read_text(), re.M
    )
    assert start[1] in command
    (tmp_path / "s3.env").write_text("AWS_REGION=somewhere\n")
    stub = tmp_path / "ghsl-beam"
    stub.write_text('#!/bin/sh\necho "$AWS_REGION $*"\n')
    stub.chmod(0o755)
    command = command.replace("/etc/ghsl-beam/s3.env", str(tmp_path / "s3.env"))
    command = command.replace("/opt/ghsl-beam/bin/ghsl-beam", str(stub))
    command = command.replace("logger --tag ghsl-beam", "cat")
    said = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"somewhere {start[1]}"
