"""What an operator sees of a run: progress, logs, the one line of a failure."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.support.archive import Product, write_product
from tests.support.command import without_progress
from tests.support.jobs import lonlat_box, write_job
from tests.support.scenes import town
from tests.support.terminal import counts_of, on_terminal

SIDE, BLOCK = 200, 128
ULX, ULY = 330000, 5820000
MODES = ("in_memory", "multi_threading", "multi_processing")
SECRET = "wJalrXUtnFEMIplanted"  # noqa: S105 - planted


@pytest.fixture(scope="module")
def small_job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    write_product(folder / "archive", Product("33UUU", 32633, ULX, ULY, town(SIDE, SIDE)))
    area = lonlat_box(32633, ULX - 500, ULY - 10 * SIDE - 500, ULX + 10 * SIDE + 500, ULY + 500)
    return write_job(folder, area, folder / "archive", block_size=BLOCK)


def command(job, output, *options, mode="in_memory"):
    modes = (f"--direct_running_mode={mode}", "--direct_num_workers=2")
    return [
        *(sys.executable, "-m", "ghsl_beam", "run", str(job), "--output", str(output)),
        *(*modes, *options),
    ]


def launch(*arguments, **over):
    """A run without a terminal and without settings of this shell that would keep it quiet."""
    clean = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    ended = subprocess.run(
        command(*arguments, **over), capture_output=True, text=True, env=clean, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.mark.parametrize("mode", MODES)
def test_live_counts_on_a_terminal_in_every_running_mode(small_job, tmp_path, mode):
    code, shown = on_terminal(command(small_job, tmp_path / "output", mode=mode))
    assert code == 0, shown
    # 200 px in blocks of 128: 2 x 2; one output cell; 6 layers and 2 x 3 files of the grid.
    for stage, total in (("assembly", 4), ("inference", 4), ("greenness", 4), ("publish", 13)):
        assert max(counts_of(stage, shown)) == (total, total), stage
    assert counts_of("inference", shown)[0] != (4, 4), "only the end was shown"
    assert re.search(r"\d/s", shown)


def test_quiet_is_quiet(small_job, tmp_path):
    code, shown = on_terminal(command(small_job, tmp_path / "output", "--quiet"))
    assert (code, shown) == (0, "")


def test_a_good_run_without_a_terminal_leaves_stderr_empty_and_a_log(small_job, tmp_path):
    ended = launch(small_job, tmp_path / "output", mode="multi_processing")
    assert without_progress(ended.stderr) == ""
    (log,) = (tmp_path / "output" / "logs").iterdir()
    lines = log.read_text().splitlines()
    assert all(line.startswith("time=") and " job=town" in line for line in lines)
    published = [line for line in lines if "message=published" in line]
    assert len([line for line in published if " tile=33UUU " in line]) == 7
    assert len(published) == 13


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_json_lines_carry_job_tile_and_block(small_job, tmp_path, mode):
    options = ("--log-json", "--log-level", "debug")
    ended = launch(small_job, tmp_path / "output", *options, mode=mode)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    done = [line for line in lines if line["message"] == "done" and line["stage"] == "inference"]
    assert {line["job"] for line in done} == {"town"}
    assert {line["tile"] for line in done} == {"33UUU"}
    blocks = {"r0_c0_128x128", "r0_c128_128x72", "r128_c0_72x128", "r128_c128_72x72"}
    assert {line["block"] for line in done} == blocks
    assert {line["level"] for line in done} == {"debug"}
    assert lines[-1]["message"] == "run ended"


FAILING = f"""
import logging
logging.getLogger().addHandler(logging.NullHandler())  # this import comes earlier than a user's
import ghsl_beam.running.launch
from ghsl_beam.cli.main import main

def fail(*arguments):
    raise ZeroDivisionError("broken at https://user:{SECRET}@host/?X-Amz-Signature={SECRET}")

ghsl_beam.running.launch._compute = fail
main()
"""


@pytest.mark.parametrize("options", [(), ("--log-json",)])
def test_a_failure_is_one_masked_line_and_its_traceback_is_in_the_log(small_job, tmp_path, options):
    arguments = ["run", str(small_job), "--output", str(tmp_path / "output"), *options]
    ended = subprocess.run(
        [sys.executable, "-c", FAILING, *arguments], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    (log,) = (tmp_path / "output" / "logs").iterdir()
    assert str(log) in line
    assert "ZeroDivisionError" in line
    assert "in fail" in log.read_text()
    assert SECRET not in line + log.read_text() + ended.stdout
    if options:
        assert json.loads(line)["level"] == "error"
    else:
        assert line.startswith("ghsl-beam: failed: ")
