"""The plan's estimate against the truth: the demonstration, and four larger synthetic tiles.

Each job is planned, then run, each in a process of its own; the truth is the whole time of the
run's process. A factor of 1 is a true estimate; 0.5 and 2 are half and twice the truth. The
sample must have been arranged (`./run_local.sh` does it).

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
    """Estimated over true seconds of a job."""
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
