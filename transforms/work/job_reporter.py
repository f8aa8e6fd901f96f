"""The reporter of a job: events and their sums, losses, and damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transforms.elements import Loss
from transforms.observe.event_sums import EventSums, SumsReader, sums_of_process
from transforms.observe.events import Event, begin, has_folder
from transforms.storage import storage

from . import work_files
from .block_files import discard
from .losses import Losses

SUMS = "sums"
"""Folder of a work area with the sums of its launch."""


@dataclass(frozen=True, slots=True)
class JobReporter:
    """Keeps events and losses in the job's work area; a `strict` job stops at its first loss."""

    folder: str
    launch: str = ""
    strict: bool = False

    @property
    def sums(self) -> str:
        """Folder of the sums that a cluster's workers write; see `event_sums`."""
        return storage.join(self.folder, SUMS, self.launch)

    def _sums_of_process(self) -> EventSums | None:
        """The sums of this process; None if the launcher reads the events of this machine."""
        return sums_of_process(self.sums) if self.launch and not has_folder() else None

    def begin(self) -> None:
        """Tell the launcher that this worker runs, before its first event."""
        if not begin():
            self._sums_of_process()

    def add(self, event: Event) -> None:
        """Add an event to the sums of this process."""
        if sums := self._sums_of_process():
            sums.add(event)

    def write_sums(self) -> None:
        """Write the sums of this process, if they have changed."""
        if sums := self._sums_of_process():
            sums.write()

    def last_sums(self) -> Iterator[Event]:
        """The sums of the last launch on a cluster."""
        folder = storage.join(self.folder, SUMS)
        for launch in storage.listing(folder):
            yield from SumsReader(storage.join(folder, launch)).new()

    def record(self, loss: Loss) -> None:
        """Record a loss of this launch."""
        Losses(self.folder).record(loss)

    def discard(self, path: str) -> None:
        """Remove a file of the work area if it is damaged; the next launch makes it again."""
        discard(self.folder, path)

    def forget(self) -> None:
        """Remove the losses and the sums of the last launch."""
        Losses(self.folder).remove()
        work_files.clear(self.folder, SUMS)
