"""Compares the memory of a run over 16 tiles with that over 1 tile, with two worker processes.

Each tile has four blocks of the default size. So both workers have work even with one tile, and
every stage needs as much memory as with a whole Sentinel-2 tile. Most rows have no data: this
saves the time of their prediction, but no memory. Memory is the sum of the resident memory of all
processes of the run (shared memory is counted more than once).

    python benchmarks/memory.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from synthetic import Outcome, ghsl_beam, machine, synthetic_job

WORKERS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
SIDE, DATA_ROWS = 2048, 64
DEFAULTS: dict[str, Any] = {"masks": {}, "residential": {}}
"""The job's own: masks by csmask, and the starter classifier."""


def main() -> None:
    """Run both jobs; print memory and time of each."""
    print(machine())
    peaks = {}
    for tiles in (1, 16):
        with tempfile.TemporaryDirectory() as folder:
            job = synthetic_job(Path(folder), tiles, SIDE, DATA_ROWS, **DEFAULTS)
            made: Outcome = ghsl_beam("run", job, "--quiet", *WORKERS)
        peaks[tiles] = made.peak_bytes
        print(f"{tiles} tiles: {made.peak_bytes / 1e6:.0f} MB at most, {made.seconds:.0f} s")
    print(f"result: growth={peaks[16] / peaks[1]:.3f} peak_mb={peaks[16] / 1e6:.0f}")


if __name__ == "__main__":
    main()
