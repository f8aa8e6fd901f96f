"""Compares the cost of classifying a block with the cost of its exact prediction, in CPU seconds.

    python benchmarks/classification.py

The block is one of the default size with real pixels, if ./run_local.sh has fetched the sample, and
artificial ones otherwise. The built-up is what the starter network predicts, cleaned as in the
demonstration; then half of the pixels, as in a large city; then all pixels, as no tile has it.
Prediction and classification are run in turn, and the fastest round of each counts. The last line
is for programs; `within` says whether the first two stay within a fifth of the prediction.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.inference import BLOCK, pixels
from transforms.classification import ResidentialClassifier, classify
from transforms.classification.starter import STARTER_CLASSIFIER
from transforms.cleaning import CleaningParameters, clean
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict

SQUARE = 64
"""Side of the squares of built-up in a city, pixels."""
MOST = 0.2
"""The classification may cost this share of the prediction."""


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=BLOCK, help="rows and columns of the block")
    parser.add_argument("--classifier", default=STARTER_CLASSIFIER, help="file of a classifier")
    wanted = parser.parse_args()
    reflectance = pixels(wanted.side).transpose(2, 0, 1)
    s2: NDArray[np.uint16] = np.rint(reflectance * 10_000).clip(1, 65535).astype(np.uint16)
    engine, classifier = load_engine(starter_file()), ResidentialClassifier.load(wanted.classifier)
    found = clean(predict(s2, engine), s2, CleaningParameters(minimum=0.5, ndvi_above=0.5))
    everywhere = np.full_like(found, 100)
    half = everywhere.copy()
    squares = np.indices(half.shape) // SQUARE
    half[squares.sum(axis=0) % 2 == 1] = 0
    runs: dict[str, Callable[[], object]] = {
        "exact prediction": lambda: predict(s2, engine),
        "classification": lambda: classify(found, s2, classifier),
        "classification, half built-up": lambda: classify(half, s2, classifier),
        "classification, all built-up": lambda: classify(everywhere, s2, classifier),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(wanted.rounds):
        for name, run in runs.items():
            times[name].append(cpu_seconds(run))
    best = {name: min(values) for name, values in times.items()}
    whole = best["exact prediction"]
    built = (found > 0).mean()
    print(f"{s2.shape[1]} x {s2.shape[2]} pixels, {built:.1%} built-up; {classifier.feature_set}")
    for name, seconds in best.items():
        part, pixel = seconds / whole, seconds / s2[0].size * 1e6
        print(f"{name:30} {seconds:7.3f} CPU s  {pixel:6.2f} us a pixel  {part:6.1%}")
    usual, city, worst = (best[name] / whole for name in list(runs)[1:])
    print(
        f"result: prediction_s={whole:.3f} share={usual:.3f} share_half_built={city:.3f} "
        f"share_all_built={worst:.3f} within={'yes' if max(usual, city) <= MOST else 'no'}"
    )


if __name__ == "__main__":
    main()
