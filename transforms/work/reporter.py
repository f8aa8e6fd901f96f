"""Reporters: they receive the events and losses of the stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from transforms.elements import Loss
from transforms.observe.events import Event


class Reporter(Protocol):
    """Receives the events and losses of a stage; `JobReporter` does it for a job.

    A loss also leaves the stage as an element, whatever the reporter does.
    """

    @property
    def strict(self) -> bool:
        """Whether the first loss ends the job."""

    def begin(self) -> None:
        """Note that a worker runs; the first step of a line calls this."""

    def add(self, event: Event) -> None:
        """Add an event: a block is done, reused or lost."""

    def write_sums(self) -> None:
        """Write the sums of the events; called when a bundle of elements ends."""

    def record(self, loss: Loss) -> None:
        """Record a loss that ends the job."""

    def discard(self, path: str) -> None:
        """Note that a file cannot be read; the file may be removed if it is damaged."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A reporter that ignores everything, for stages without a job."""

    @property
    def strict(self) -> bool:
        """No loss ends anything."""
        return False

    def begin(self) -> None:
        """Do nothing."""

    def add(self, event: Event) -> None:
        """Do nothing."""

    def write_sums(self) -> None:
        """Do nothing."""

    def record(self, loss: Loss) -> None:
        """Do nothing."""

    def discard(self, path: str) -> None:
        """Do nothing."""


SILENT = Silent()
"""The default reporter of the stages."""
