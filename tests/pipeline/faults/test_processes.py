"""Processes that die, run out of memory, or come in each other's way."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

import transforms.assembly.transform
from ghsl_beam.outputs.record_schema import RECORD
from ghsl_beam.outputs.report import last_events, write_report
from ghsl_beam.running.lock import only_launch
from tests.pipeline.faults.conftest import small_job
from tests.pipeline.faults.table import fault
from tests.support.disturbed import children, cut, files_of, finish, start, wait_until
from tests.support.jobs import differing, layers, make
from transforms.elements import window_in

BLOCKS = "work/blocks/*/*/*.tif"
TWO = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
THREADS = ("--direct_running_mode=multi_threading", "--direct_num_workers=2")
MANY = 12
"""Block files there when a process is killed: the run is well under way, and not at its end."""


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The small job in blocks of 64 px: 4 blocks, 24 block files."""
    return small_job(tmp_path_factory.mktemp("processes"), block_size=64)


@pytest.fixture(scope="module")
def undisturbed(job, tmp_path_factory):
    output, record = make(
        job.file, settings=(f"output={tmp_path_factory.mktemp('undisturbed') / 'output'}",)
    )
    assert record["exit_code"] == 0
    return layers(output)


def goes_on(job, output, before, undisturbed):
    """A launch that follows makes nothing again, and ends with the same bytes."""
    seen = {}
    process = start(job.file, "--output", str(output))

    def look():
        seen.update(files_of(output, BLOCKS))
        return False

    wait_until(look, process)
    code, _, err = finish(process)
    assert code == 0, err
    assert {name: seen[name] for name in before} == before, "blocks were made again"
    assert not any(differing(layers(output), undisturbed).values())


fault(
    "processes",
    "worker killed (SIGKILL)",
    "one line says so; the next launch continues where it stopped, with the same bytes; 1",
)


@pytest.mark.parametrize("blocks", [0, 1, MANY])
def test_a_worker_that_is_killed(job, undisturbed, tmp_path, blocks):
    output = tmp_path / "output"
    process = start(job.file, "--output", str(output), *TWO)
    assert wait_until(
        lambda: len(children(process.pid)) >= 2 and len(files_of(output, BLOCKS)) >= blocks, process
    )
    workers = children(process.pid)
    os.kill(workers[-1], signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 1
    assert "a worker process ended" in err.splitlines()[-1]
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker}/exe"), "a worker outlived its launcher"
    before = files_of(output, BLOCKS)
    assert len(before) >= blocks
    goes_on(job, output, before, undisturbed)


fault(
    "processes",
    "launcher stopped (SIGTERM)",
    "it ends in order, on a cluster the job too; the next launch continues, with the same bytes; 1",
)


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGTERM, ()), (signal.SIGTERM, TWO), (signal.SIGINT, ())]
)
def test_a_launcher_that_is_told_to_stop(job, undisturbed, tmp_path, number, options):
    output = tmp_path / "output"
    process = start(job.file, "--output", str(output), *options)
    assert wait_until(lambda: len(files_of(output, BLOCKS)) >= MANY, process)
    workers = children(process.pid)
    process.send_signal(number)
    code, _, err = finish(process, 60)
    assert code == 1
    assert (
        err == f"ghsl-beam: stopped by {number.name}: the same command continues where it stopped\n"
    )
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker}/exe"), "a worker outlived its launcher"
    record = json.loads((output / "run.json").read_text())
    assert record["exit_code"] == 1
    assert record["error"].startswith(f"KeyboardInterrupt: {number.name}")
    goes_on(job, output, files_of(output, BLOCKS), undisturbed)


fault(
    "processes",
    "launcher stopped at any moment: it loads, plans, starts workers, ends",
    "one line within 10 s, the output free for the next launch, no process left; 1",
)
MOMENTS = random.Random(13)  # noqa: S311


@pytest.mark.parametrize(
    ("number", "seconds", "options", "to_all"),
    [
        (
            MOMENTS.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]),
            round(MOMENTS.uniform(0.5, 8), 2),
            options,
            MOMENTS.random() < 0.5,
        )
        for options in ((), TWO, THREADS)
        for _ in range(4)
    ],
)
def test_a_launcher_that_is_told_to_stop_at_any_moment(
    job, tmp_path, number, seconds, options, to_all
):
    """A terminal tells all processes of the launch."""
    output = tmp_path / "output"
    process = start(job.file, "--output", str(output), *options)
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        pytest.skip("the launch had ended before that")
    workers = children(process.pid)
    (os.killpg if to_all else os.kill)(process.pid, number)
    code, out, err = finish(process, 60)
    assert (code, out) == (1, "")
    assert (
        err == f"ghsl-beam: stopped by {number.name}: the same command continues where it stopped\n"
    )
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker}/exe"), "a worker outlived its launcher"
    with only_launch(str(output)):
        pass


fault(
    "processes",
    "Python modules in the current folder (`numpy.py`)",
    "none is imported, neither by the launcher nor by its workers; 0",
)


@pytest.mark.parametrize("options", [(), TWO])
def test_what_lies_in_the_current_folder_is_not_imported(job, tmp_path, options):
    here = tmp_path / "here"
    here.mkdir()
    # What is installed, what the standard library has, and what some libraries look for in vain.
    for module in ("numpy", "scipy", "rasterio", "psutil", "random", "apitools", "usercustomize"):
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write('{module} ')\nraise SystemExit(9)"
        (here / f"{module}.py").write_text(text)
    process = start(
        job.file, "--output", str(tmp_path / "output"), *options, cwd=here, PYTHONPATH=os.pathsep
    )
    code, _, err = finish(process)
    assert not (tmp_path / "imported").exists()
    assert code == 0, err


fault(
    "processes",
    "nobody reads what is printed (a stream closed, full, or its reader gone)",
    "the results do not depend on it; 0",
)


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&- <&-", ">/dev/full 2>&1", "2>&1 | :"])
def test_nobody_reads_what_is_printed(done, streams):
    command = f"{shlex.join([sys.executable, '-m', 'ghsl_beam', 'run', str(done)])} {streams}"
    pipe = ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"]
    ended = subprocess.run(pipe, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A job that is done."""
    job = small_job(tmp_path_factory.mktemp("done"))
    assert make(job.file)[1]["exit_code"] == 0
    return job.file


fault(
    "processes",
    "launcher killed (SIGKILL)",
    "its workers end by themselves; the next launch continues at once, with the same bytes",
)


def test_a_launcher_that_is_killed(job, undisturbed, tmp_path):
    output = tmp_path / "output"
    process = start(job.file, "--output", str(output), *TWO)
    assert wait_until(lambda: len(files_of(output, BLOCKS)) >= MANY, process)
    workers = children(process.pid)
    before = files_of(output, BLOCKS)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    record = json.loads((output / "run.json").read_text())
    RECORD.validate_python(record, strict=True)
    assert record["ended"] is None
    assert last_events(str(output))["assembly"]["blocks"] >= 1
    write_report(str(output))
    page = (output / "report" / "index.html").read_text()
    assert "Not finished when this report was written" in page
    assert "assembly" in page
    assert before
    goes_on(job, output, before, undisturbed)
    for worker in workers:
        assert not os.path.exists(f"/proc/{worker}/exe"), "a worker outlived its launcher"


fault(
    "processes",
    "clock moved between launches",
    "nothing depends on a time of a file: the next launch continues, with the same bytes",
)


@pytest.mark.parametrize("moment", [0, 4_000_000_000])
def test_a_clock_that_was_moved(job, undisturbed, tmp_path, moment):
    output = tmp_path / "output"
    process = start(job.file, "--output", str(output))
    assert wait_until(lambda: len(files_of(output, BLOCKS)) >= MANY, process)
    cut(process)
    for path in output.rglob("*"):
        os.utime(path, (moment, moment))
    before = files_of(output, BLOCKS)
    assert before
    goes_on(job, output, before, undisturbed)


fault(
    "processes",
    "two launches of one job",
    "the second says that the first is at work, in one line, and writes nothing; 1",
)


def test_two_launches_at_once(job, undisturbed, tmp_path):
    output = tmp_path / "output"
    first = start(job.file, "--output", str(output))
    lock = output / "work" / "launch.lock"
    assert wait_until(lambda: lock.exists() and lock.stat().st_size > 0, first), "it is not held"
    os.kill(first.pid, signal.SIGSTOP)
    try:
        code, _, err = finish(start(job.file, "--output", str(output)))
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert code == 1
    assert f"another launch runs on {output} (process {first.pid} on" in err
    code, _, err = finish(first)
    assert code == 0, err
    assert not any(differing(layers(output), undisturbed).values())


fault(
    "processes",
    "out of memory in a block",
    "tried again, then recorded; its pixels are nodata, the rest is made, a rerun makes it; 3",
)


def test_a_block_that_needs_too_much_memory(job, undisturbed, tmp_path, monkeypatch):
    module = transforms.assembly.transform
    real, tries = module.assemble_block, []

    def greedy(scenes, grid, *rest, **more):
        window = window_in(grid, scenes[0].grid)
        if (window.row, window.col) == (0, 0):
            tries.append(window)
            np.empty(2**60, np.uint8)  # raises MemoryError, as numpy does
        return real(scenes, grid, *rest, **more)

    monkeypatch.setattr(module, "assemble_block", greedy)
    settings = (f"output={tmp_path / 'output'}",)
    output, record = make(job.file, settings=settings)
    assert record["exit_code"] == 3
    assert len(tries) == 3
    (loss,) = record["losses"]
    assert (loss["stage"], loss["tile"]) == ("assembly", "33UUU")
    assert loss["reason"].startswith("not enough memory")
    assert (job.s2(output)[:, :64, :64] == 0).all()
    assert (job.s2(output)[:, 64:, 64:] > 0).any()
    monkeypatch.undo()
    _, record = make(job.file, settings=settings)
    assert record["exit_code"] == 0
    assert record["stages"]["assembly"]["blocks"] == 1
    assert not any(differing(layers(output), undisturbed).values())


fault("processes", "error of the program itself", "the job fails with this error; 1")


def test_an_error_of_the_program_is_no_loss(job, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(transforms.assembly.transform, "assemble_block", broken)
    with pytest.raises(Exception, match="planted"):
        make(job.file, settings=(f"output={tmp_path / 'output'}",))
    record = json.loads((tmp_path / "output" / "run.json").read_text())
    assert record["exit_code"] == 1
    assert "planted" in record["error"]
    assert record["losses"] == []


fault("processes", "a loss in a strict job", "the job stops at the first loss and names it; 1")


def test_a_strict_job_stops_at_the_first_loss(job, tmp_path):
    own = small_job(tmp_path / "own", block_size=64)
    own.red.write_bytes(own.red.read_bytes()[:1000])
    output = tmp_path / "output"
    code, _, err = finish(start(own.file, "--output", str(output), "--set", "strict=true"))
    assert code == 1
    line = err.splitlines()[-1]
    assert "strict: stopped at the first loss" in line
    assert "_B04.jp2" in line
    assert not list(output.glob("utm/**/*.tif"))
