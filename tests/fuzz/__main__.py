"""One mutation again, in this process: `python -m tests.fuzz TARGET SEED NUMBER`."""

import importlib
import sys
import tempfile
from pathlib import Path

from tests.fuzz.watched import outcome

if __name__ == "__main__":
    target, seed, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    module = importlib.import_module(f"tests.fuzz.target_{target}")
    with tempfile.TemporaryDirectory() as folder:
        print(outcome(module, module.prepare(Path(folder)), Path(folder), seed, number))
