"""How many clear observations a pixel needs: accuracy and decoding against their number.

The composite of every half year of two real series (L2A with SCL, 64 x 64 pixels) is made with the
first N clear observations of each pixel, and with all of them. Both are compared with what the
surface is: the 30th percentile of all observations that no rule calls hazy. An observation is hazy
if its blue is more than 300 above the pixel's median, which SCL often misses.

    python benchmarks/enough.py

The last line is `result: enough=… error=… error_of_all=… decoded_share=…`: the default of the job,
the median error in digital numbers, that of all observations, and the share of scenes that blocks
decode, for blocks of 64 x 64 pixels.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio

from ghsl_beam.jobfile.sections import Scenes
from transforms.assembly import cloud_from_scl, percentile_of_stack

DATA = Path(os.environ.get("GHSL_BEAM_TEST_DATA", "../shared/data")) / "s2_l2a_timeseries"
NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
HAZE = 300


def read(folder: Path) -> list[tuple[datetime, np.ndarray, np.ndarray]]:
    """The dates of a series, R G B NIR (4, h, w) and clear pixels (h, w) of each."""
    found = []
    for path in sorted(folder.glob("*_B02B03B04B08_10m.tif")):
        day = path.name[:8]
        with rasterio.open(path) as source:
            dn = source.read([3, 2, 1, 4])
        with rasterio.open(folder / f"{day}_SCL_20m.tif") as source:
            masked = cloud_from_scl(source.read(1)).repeat(2, 0).repeat(2, 1)
        clear = ~masked & (dn > 0).all(axis=0)
        found.append((datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC), dn, clear))
    return found


def half_years(series: list) -> dict[str, list]:
    """The dates of each half year that has at least 16."""
    by_half = defaultdict(list)
    for one in series:
        by_half[f"{one[0].year} {'first' if one[0].month < 7 else 'second'} half"].append(one)
    return {name: dates for name, dates in by_half.items() if len(dates) >= 16}


def composite(dates: list, number: int | None) -> tuple[np.ndarray, float]:
    """The composite of the first `number` clear observations, and the share of dates decoded."""
    middle = dates[0][0] + (dates[-1][0] - dates[0][0]) / 2
    ordered = sorted(dates, key=lambda one: (-round(one[2].mean(), 4), abs(one[0] - middle)))
    used = np.zeros(dates[0][2].shape, int)
    taken, decoded = [], 0
    for _, _, clear in ordered:
        takes = clear if number is None else clear & (used < number)
        used += takes
        taken.append(takes)
        decoded += bool(takes.any())
    stack = np.stack([dn for _, dn, _ in ordered])
    return percentile_of_stack(stack, np.stack(taken), 30), decoded / len(ordered)


def surface(dates: list) -> np.ndarray:
    """The 30th percentile of all observations that are neither masked nor hazy."""
    stack, clear = np.stack([dn for _, dn, _ in dates]), np.stack([c for _, _, c in dates])
    blue = np.where(clear, stack[:, 2], np.nan)
    hazy = blue > np.nanmedian(blue, axis=0) + HAZE
    return percentile_of_stack(stack, clear & ~hazy, 30)


def main() -> int:
    """Print the table and the result."""
    if not DATA.is_dir():
        print(f"skipped: {DATA} is absent; set GHSL_BEAM_TEST_DATA")
        return 0
    sets = [
        dates
        for folder in sorted(DATA.iterdir())
        if folder.is_dir()
        for dates in half_years(read(folder)).values()
    ]
    default = Scenes().enough
    table = {}
    for number in (*NUMBERS, None):
        errors, shares = [], []
        for dates in sets:
            made, share = composite(dates, number)
            true = surface(dates)
            both = (made > 0) & (true > 0)
            errors.append(np.abs(made.astype(int) - true)[both].mean())
            shares.append(share)
        table[number] = float(np.median(errors)), float(np.max(errors)), float(np.mean(shares))
    print(f"{len(sets)} half years of two series, {sum(map(len, sets))} dates")
    print("observations   median error   worst error   dates decoded")
    for number, (error, worst, share) in table.items():
        name = "all" if number is None else str(number)
        mark = "  <- default" if number == default else ""
        print(f"{name:>12} {error:14.0f} {worst:13.0f} {share:14.0%}{mark}")
    error, _, share = table[default]
    print(
        f"result: enough={default} error={error:.1f} error_of_all={table[None][0]:.1f} "
        f"decoded_share={share:.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
