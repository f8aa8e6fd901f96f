"""Prints how right calibrated areas are, on synthetic towns whose footprints are known exactly.

A town has houses, a network that is blurred, too sure of itself and wrong in places, and the job's
own cleaning. For each town it prints the error of the total area on held-out blocks, the error on
another town of the same kind, and the error of the sum of probabilities without a calibration.

    python benchmarks/calibration.py [--towns N]
"""

from __future__ import annotations

import argparse
import sys

from synthetic import ROOT

sys.path.insert(0, str(ROOT))

from ghsl_beam.tools.calibration.fit import fit
from ghsl_beam.tools.calibration.sums import Ground
from tests.unit.ghsl_beam.tools.calibration.test_fit import STEPS, add, area_of, town
from transforms.cleaning import Curve, clean


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--towns", type=int, default=6)
    given = parser.parse_args()
    print("| town | held-out blocks | lowest | highest | another town | not calibrated | RMSE |")
    print("|---|---|---|---|---|---|---|")
    most = 0.0
    for seed in range(1, given.towns + 1):
        raw, s2, known = town(seed)
        percent = clean(raw, s2, STEPS)
        made = fit(add(Ground(), raw, percent, known), "town.h5", omitted=True)
        other_raw, other_s2, other = town(seed + 100)
        area = area_of(other_raw, clean(other_raw, other_s2, STEPS), Curve(tuple(made.knots)))
        elsewhere = 100 * (area / other.sum() - 1)
        plain = 100 * (percent[percent <= 100].sum() / 100 / known.sum() - 1)
        held = made.held_out
        most = max(most, abs(held.bias_percent), abs(elsewhere))
        print(
            f"| {seed} | {held.bias_percent:+.2f} % | {held.bias_percent_lowest:+.1f} % "
            f"| {held.bias_percent_highest:+.1f} % | {elsewhere:+.1f} % | {plain:+.0f} % "
            f"| {held.rmse:.3f} |"
        )
    print(f"result: the total area is wrong by at most {most:.1f} %")


if __name__ == "__main__":
    main()
