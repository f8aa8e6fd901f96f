"""`python -m deploy.one_machine flink`: a cluster on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from pathlib import Path

import yaml

from ghsl_beam.runners.profiles import options

from . import ENGINES, missing, start
from .distribution import DistributionError
from .hosts import HostError, Network


def main() -> int:
    """Start a cluster, print how to launch a job on it, and wait; 1 if it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m deploy.one_machine", description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("--workers", type=int, default=2, help="hosts in addition to the head")
    parser.add_argument("--slots", type=int, default=2, help="tasks that a worker runs at a time")
    arguments = parser.parse_args()
    lack = missing()
    if lack:
        print(f"one_machine: {lack}", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix=f"ghsl-beam-{arguments.engine}-"))
    try:
        with Network(folder) as network:
            cluster = start(arguments.engine, network, arguments.workers, arguments.slots)
            profile = folder / f"{arguments.engine}.yaml"
            profile.write_text(yaml.safe_dump({**options(arguments.engine), **cluster.options}))
            print(f"logs: {folder / 'logs'}")
            print(f"run a job: ghsl-beam run JOB --profile {profile}", flush=True)
            threading.Event().wait()
    except (DistributionError, HostError) as error:
        print(f"one_machine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
