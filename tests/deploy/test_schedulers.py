"""The examples for cron and systemd, and the job that all examples launch."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ghsl_beam.jobfile.configuration import load_job

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TABLE = (DEPLOY / "cron" / "ghsl-beam").read_text()


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


def test_tries_of_any_length_are_counted(systemd):
    """A limit within a shorter time than its tries take never holds one back."""
    service = (DEPLOY / "systemd" / "ghsl-beam.service").read_text()
    seconds = {}
    for name in ("StartLimitIntervalSec", "TimeoutStartSec", "RestartSec"):
        written = re.search(rf"^{name}=(.+)$", service, re.M)[1]
        said = subprocess.run(
            [systemd, "timespan", written], capture_output=True, text=True, check=True
        ).stdout
        seconds[name] = int(re.search(r"s: (\d+)$", said, re.M)[1]) / 1e6
    burst = int(re.search(r"^StartLimitBurst=(\d+)$", service, re.M)[1])
    tries = burst * (seconds["TimeoutStartSec"] + seconds["RestartSec"])
    assert tries < seconds["StartLimitIntervalSec"] < 28 * 86400, "or a month holds up the next"


def test_the_timer_is_for_the_fifth_of_the_month(systemd):
    timer = (DEPLOY / "systemd" / "ghsl-beam.timer").read_text()
    when = re.search(r"^OnCalendar=(.+)$", timer, re.M)[1]
    said = subprocess.run(
        [systemd, "calendar", "--iterations=3", when], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"\d{4}-\d{2}-(\d{2}) (\S+) UTC", said)[-3:] == [("05", "03:00:00")] * 3


@pytest.fixture
def cron(tmp_path):
    """Runs the command of cron's table, with a launch that says its arguments and two variables.

    Given the text of s3.env, None where there is no such file, and what the launch ends with.
    Returns the exit code, what went to the system's log, and what cron would mail.
    """
    (line,) = (one for one in TABLE.splitlines() if one[:1].isdigit())
    command = line.split(maxsplit=6)[6]
    stub, log = tmp_path / "ghsl-beam", tmp_path / "log"
    (tmp_path / "logger").write_text(f'#!/bin/sh\necho "$*" > {log}\ncat >> {log}\n')
    (tmp_path / "logger").chmod(0o755)
    for written, here in {
        "/usr/local/bin/ghsl-beam-launch": DEPLOY / "cron" / "ghsl-beam-launch",
        "/etc/ghsl-beam/s3.env": tmp_path / "s3.env",
        "/opt/ghsl-beam/bin/ghsl-beam": stub,
    }.items():
        command = command.replace(f"{written} ", f"{here} ")

    def run(variables, code=0):
        if variables is not None:
            (tmp_path / "s3.env").write_text(variables)
        stub.write_text(
            '#!/bin/sh\necho "launched $*"\nprintf %s "$AWS_SECRET_ACCESS_KEY" > '
            f"{tmp_path}/secret\necho said >&2\nexit {code}\n"
        )
        stub.chmod(0o755)
        ended = subprocess.run(
            ["/bin/sh", "-c", command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            timeout=60,
        )
        return ended.returncode, log.read_text().splitlines(), ended.stdout + ended.stderr

    return run


def test_cron_launches_the_same(cron):
    (line,) = (one for one in TABLE.splitlines() if one[:1].isdigit())
    *when, user, command = line.split(maxsplit=6)
    assert (when, user) == (["0", "3", "5", "*", "*"], "ghsl")
    assert "%" not in command, "cron makes a line end of it"
    start = re.search(
        r"^ExecStart=\S+ (.+)$", (DEPLOY / "systemd/ghsl-beam.service").read_text(), re.M
    )
    logged = ["--tag ghsl-beam", f"launched {start[1]}", "said"]
    assert cron("AWS_SECRET_ACCESS_KEY=x\n") == (0, logged, "")


@pytest.mark.parametrize("code", [1, 2, 3])
def test_cron_s_script_ends_as_the_launch_does(cron, code):
    assert cron("", code)[0] == code


def test_cron_launches_nothing_without_credentials(cron):
    code, logged, mailed = cron(None)
    assert (code, mailed) == (1, "")
    assert "s3.env: No such file" in logged[1]
    assert not any("launched" in line for line in logged)


WRITTEN = "a/b+c= & ; $(touch evaluated) `touch evaluated` $HOME \" ' \\ * #"


def test_cron_hands_a_secret_on_as_it_is_written(cron, tmp_path):
    variables = f"# of the bucket\n\nAWS_SECRET_ACCESS_KEY={WRITTEN}"  # the last line has no end
    code, logged, mailed = cron(variables)
    assert (code, mailed, logged[2:]) == (0, "", ["said"])
    assert (tmp_path / "secret").read_text() == WRITTEN
    assert not (tmp_path / "evaluated").exists()


@pytest.mark.parametrize(
    "name", ["AWS SECRET=", "export AWS_SECRET_ACCESS_KEY=", "1=", "a[0]=", ""]
)
def test_cron_prints_no_secret_of_a_line_that_is_none(cron, name):
    code, logged, mailed = cron(f"AWS_REGION=x\n{name}planted\n")
    assert (code, mailed) == (1, "")
    assert [line.rpartition("/")[2] for line in logged[1:]] == [
        "s3.env: line 2: expected NAME=value"
    ]
