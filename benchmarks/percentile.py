"""Compares the percentile of the composite with one that sorts each pixel with numpy.

Observations are random, as many of them masked as the table says. CPU seconds are medians of the
rounds, and both ways take turns.

    python benchmarks/percentile.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from synthetic import machine

from transforms.assembly.percentile import percentile_of_stack

PERCENTILE = 30.0
CASES = ((3, 0.7), (10, 0.7), (10, 1.0), (30, 0.7), (73, 0.4))


def by_sorting(
    stack: NDArray[np.uint16], valid: NDArray[np.bool_], percentile: float
) -> NDArray[np.uint16]:
    """The same percentile from all observations of each pixel in ascending order."""
    counts = np.count_nonzero(valid, axis=0)
    lanes = np.moveaxis(np.where(valid[:, np.newaxis], stack, np.uint16(65535)), 0, -1).copy()
    lanes.sort(axis=-1)
    position = np.maximum(counts - 1, 0) * (percentile / 100)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = position - lower
    a, b = (
        np.take_along_axis(lanes, place[np.newaxis, ..., np.newaxis], -1)[..., 0].astype(np.float64)
        for place in (lower, upper)
    )
    value = np.where(weight < 0.5, a + (b - a) * weight, b - (b - a) * (1 - weight))
    return np.where(counts > 0, np.maximum(np.rint(value), 1), 0).astype(np.uint16)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    dice = np.random.default_rng(0)
    print(machine())
    print("| observations | clear | sorted, s | percentile, s | ratio | pixels that differ |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for n, share in CASES:
        stack = dice.integers(200, 6000, (n, 4, 512, 512), dtype=np.uint16)
        valid = dice.random((n, 512, 512)) < share
        seconds: dict[str, list[float]] = {"sorted": [], "made": []}
        for _ in range(rounds):
            for name, way in (("sorted", by_sorting), ("made", percentile_of_stack)):
                start = time.process_time()
                found = way(stack, valid, PERCENTILE)
                seconds[name].append(time.process_time() - start)
                if name == "sorted":
                    expected = found
        before, now = (statistics.median(values) for values in seconds.values())
        ratios.append(now / before)
        print(
            f"| {n} | {share:.0%} | {before:.3f} | {now:.3f} | {ratios[-1]:.2f} | "
            f"{np.count_nonzero(found != expected)} |"
        )
    print(f"result: ratio={statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
