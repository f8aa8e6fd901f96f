"""Memory of one worker process by its number of threads; each thread works on one block.

It runs the whole job on a synthetic product, on the DirectRunner in one process of N threads. (A
worker on a cluster is one Python process with a thread for each slot.) It prints the peak of
resident memory, and the memory of each further thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import synthetic  # noqa: F401 - makes the project's packages known

from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, write_job
from tests.support.scenes import town

PROGRAM = (
    "import sys; from ghsl_beam import load_job, run; "
    "record = run(load_job(sys.argv[1], output=sys.argv[2]), sys.argv[3:]); "
    "print(record['exit_code'])"
)
ULX, ULY = 330000, 5820000


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--block-size", type=int, default=512, help="pixels")
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--cols", type=int, default=2048)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = write(Path(folder), arguments.rows, arguments.cols, arguments.block_size)
        peaks = {n: peak_mb(job, Path(folder, f"output-{n}"), n) for n in arguments.threads}
    for threads, peak in peaks.items():
        print(f"{threads} threads: {peak:.0f} MB")
    first, last = arguments.threads[0], arguments.threads[-1]
    each = (peaks[last] - peaks[first]) / (last - first) if last != first else float("nan")
    print(
        f"result: block_size={arguments.block_size} "
        + " ".join(f"peak_mb_{n}={peak:.0f}" for n, peak in peaks.items())
        + f" mb_per_thread={each:.0f}"
    )
    return 0


def write(folder: Path, rows: int, cols: int, block_size: int) -> Path:
    """Write a job on one synthetic product of a given size; return the job file."""
    write_product(folder / "archive", Product("33UUU", 32633, ULX, ULY, town(rows, cols)))
    area = lonlat_box(32633, ULX, ULY - 10 * rows, ULX + 10 * cols, ULY)
    return write_job(folder, area, folder / "archive", block_size=block_size)


def peak_mb(job: Path, output: Path, threads: int) -> float:
    """Peak of resident memory of a process that runs the job, MB."""
    options = ["--direct_running_mode=multi_threading", f"--direct_num_workers={threads}"]
    command = [sys.executable, "-c", PROGRAM, str(job), str(output), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        said = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
    if said.strip() != b"0":
        raise SystemExit(f"worker_memory: the job ended with {said!r}")
    return used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
