"""Whom a stage tells what happens: a job's reporter, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from transforms.elements import Loss
from transforms.observe.events import Event


class Reporter(Protocol):
    """Takes what happens in a stage: `JobReporter` does it for a job.

    A loss leaves a stage as an element too, whoever is told.
    """

    @property
    def strict(self) -> bool:
        """Whether the first loss ends the job."""

    def begin(self) -> None:
        """Take note that a worker is alive: the first step of a fused stretch says so."""

    def add(self, event: Event) -> None:
        """Take a block that is done, reused or lost."""

    def write_sums(self) -> None:
        """Keep what was added: a bundle of elements ends."""

    def record(self, loss: Loss) -> None:
        """Keep a loss that ends the job."""

    def discard(self, path: str) -> None:
        """Take note that a file cannot be read; it may be removed where it is damaged."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A reporter that keeps nothing: stages run without a job."""

    @property
    def strict(self) -> bool:
        """A loss ends nothing."""
        return False

    def begin(self) -> None:
        """Keep nothing."""

    def add(self, event: Event) -> None:
        """Keep nothing."""

    def write_sums(self) -> None:
        """Keep nothing."""

    def record(self, loss: Loss) -> None:
        """Keep nothing."""

    def discard(self, path: str) -> None:
        """Remove nothing."""


SILENT = Silent()
"""What stages report to by default."""
