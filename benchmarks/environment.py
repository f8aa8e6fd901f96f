"""Measures how large the environment is, and what each part of it weighs.

A package counts for the first of these parts that needs it, directly or by way of others: making
maps, TensorFlow (which only training a network and GPUs load), development.

    python benchmarks/environment.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement

OURS, SHOWN = "ghsl-beam", 16
LATE = ("tensorflow", "keras")
"""What only training a network and GPUs load."""
PARTS = ("maps", "tensorflow", "development")


def plain(name: str) -> str:
    """The name of a package in the form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


INSTALLED = {plain(one.metadata["Name"]): one for one in distributions()}


def needs(distribution: Distribution, extra: str = "") -> set[str]:
    """The packages that a package asks for here, for an extra or without one."""
    asked = set()
    for line in distribution.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            asked.add(plain(wanted.name))
    return asked & INSTALLED.keys()


def closure(names: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """These packages and all that they need, but nothing by way of those left out."""
    found: set[str] = set()
    left = set(names) - set(without)
    while left:
        name = left.pop()
        found.add(name)
        left |= needs(INSTALLED[name]) - found - set(without)
    return found


def size_of(distribution: Distribution) -> int:
    """Bytes of the files of a package."""
    size = 0
    for file in distribution.files or ():
        try:
            size += file.locate().stat().st_size  # type: ignore[attr-defined]
        except OSError:
            continue  # a file of an interpreter's cache that was never written
    return size


def main() -> None:
    """Print a table of the parts and one of the largest packages, and the result."""
    own = INSTALLED[OURS]
    maps = closure(needs(own), LATE)
    late = closure(set(LATE) & INSTALLED.keys()) - maps
    rest = INSTALLED.keys() - maps - late - {OURS, "pip", "setuptools", "wheel"}
    part_of = dict.fromkeys(maps, "maps") | dict.fromkeys(late, "tensorflow")
    part_of |= dict.fromkeys(rest, "development")
    sizes = {name: size_of(INSTALLED[name]) / 1e6 for name in part_of}
    sums = {part: sum(sizes[n] for n, p in part_of.items() if p == part) for part in PARTS}
    print("| part | packages | MB |\n|---|---|---|")
    for part in PARTS:
        print(f"| {part} | {sum(p == part for p in part_of.values())} | {sums[part]:.0f} |")
    print("\n| package | part | MB |\n|---|---|---|")
    for name in sorted(sizes, key=lambda name: -sizes[name])[:SHOWN]:
        print(f"| {name} | {part_of[name]} | {sizes[name]:.0f} |")
    named = " ".join(f"{part}_mb={size:.0f}" for part, size in sums.items())
    print(f"result: total_mb={sum(sums.values()):.0f} {named}")


if __name__ == "__main__":
    main()
