"""The faults that tests inject, and the table of them in docs/reliability.md.

`python -m tests.pipeline.faults.table` prints the table; a test compares it with the page.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
GROUPS = (
    "reading",
    "archives",
    "metadata",
    "storage",
    "finished",
    "cache",
    "services",
    "catalogues",
    "roads",
    "models",
    "configuration",
    "processes",
    "launches",
    "work",
    "data",
    "outputs",
)


@dataclass(frozen=True)
class Fault:
    """One row: what is done to the job, and how it ends."""

    group: str
    name: str
    outcome: str


FAULTS: list[Fault] = []


def fault(group: str, name: str, outcome: str) -> None:
    """Add a row; called beside the test that injects the fault."""
    row = Fault(group, name, outcome)
    if group not in GROUPS or any((f.group, f.name) == (group, name) for f in FAULTS):
        raise ValueError(f"{row}: no such group, or twice")
    FAULTS.append(row)


def table() -> str:
    """The rows of all groups, in Markdown."""
    for group in GROUPS:
        importlib.import_module(f"tests.pipeline.faults.test_{group}")
    lines = ["| fault | | how the job ends |", "|---|---|---|"]
    for group in GROUPS:
        lines += [f"| {f.group} | {f.name} | {f.outcome} |" for f in FAULTS if f.group == group]
    return "\n".join(lines)


if __name__ == "__main__":
    from tests.pipeline.faults import table as this  # the module that the tests add rows to

    print(this.table())
