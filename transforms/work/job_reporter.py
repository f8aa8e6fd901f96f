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
    """Keeps what stages tell in the job's work area; a `strict` job stops at its first loss."""

    folder: str
    launch: str = ""
    strict: bool = False

    @property
    def sums(self) -> str:
        """Where a cluster's workers write how far the launch is; see `event_sums`."""
        return storage.join(self.folder, SUMS, self.launch)

    def _sums_of_process(self) -> EventSums | None:
        """This process's sums for the launch; None where its launcher sees the events."""
        return sums_of_process(self.sums) if self.launch and not has_folder() else None

    def begin(self) -> None:
        """Tell the launcher that this worker has begun, before anything has happened in it."""
        if not begin():
            self._sums_of_process()

    def add(self, event: Event) -> None:
        """Add an event to this process's sums for the launch."""
        if sums := self._sums_of_process():
            sums.add(event)

    def write_sums(self) -> None:
        """Write this process's sums, where there is something new."""
        if sums := self._sums_of_process():
            sums.write()

    def last_sums(self) -> Iterator[Event]:
        """How far the last launch came on a cluster, whichever it was."""
        folder = storage.join(self.folder, SUMS)
        for launch in storage.listing(folder):
            yield from SumsReader(storage.join(folder, launch)).new()

    def record(self, loss: Loss) -> None:
        """Keep a loss among those of the launch."""
        Losses(self.folder).record(loss)

    def discard(self, path: str) -> None:
        """Remove a file of the work area where it is damaged: the next launch makes it anew."""
        discard(self.folder, path)

    def forget(self) -> None:
        """Remove what the last launch told: its losses, and how far it came."""
        Losses(self.folder).remove()
        work_files.clear(self.folder, SUMS)
