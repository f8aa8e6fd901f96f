"""Compares the plan's estimate with the true time, for the demonstration and for synthetic tiles.

Each job is planned and then run, each time in a new process. The true time is the whole time of
the process of the run. A factor of 1 is a correct estimate; at 0.5 the estimate is half of the
true time, at 2 twice of it. The sample must exist (`./run_local.sh` makes it).

    python benchmarks/estimate.py [--side PIXELS]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from synthetic import ROOT, ghsl_beam, machine, synthetic_job

TILES = 4


def factor(name: str, job: Path, folder: Path) -> float:
    """Estimated seconds of a job divided by its true seconds."""
    output = folder / "output"
    planned = json.loads(ghsl_beam("plan", job, "--json", "--output", output).output)
    estimate = planned["estimate"]
    made = ghsl_beam("run", job, "--quiet", "--output", output)
    written = sum(path.stat().st_size for path in output.glob("*/**/*.tif"))
    record = json.loads((output / "run.json").read_text())
    print(f"{name}: {estimate['seconds']:.0f} s estimated, {made.seconds:.0f} s true")
    print(f"  bytes to write {estimate['bytes_to_write']}, true {written}")
    print(
        f"  memory {estimate['peak_bytes_a_worker'] / 1e6:.0f} MB, true {made.peak_bytes / 1e6:.0f}"
    )
    print(f"  estimated: {estimate['stages']}")
    print(f"  true: { {name: stage.get('seconds') for name, stage in record['stages'].items()} }")
    return float(estimate["seconds"]) / made.seconds


def main() -> None:
    """Plan and run both jobs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=2000, help="pixels of a tile's side")
    side = parser.parse_args().side
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        demo = factor("demonstration", ROOT / "examples" / "havelland.yaml", Path(folder, "demo"))
        job = synthetic_job(Path(folder, "large"), TILES, side, scenes=2)
        large = factor(f"{TILES} tiles of {side} px, 2 scenes", job, Path(folder, "large-run"))
    print(f"result: demo_factor={demo:.2f} larger_factor={large:.2f}")


if __name__ == "__main__":
    main()
