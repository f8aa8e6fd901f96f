"""The events of a run for its launcher: those of this machine, and those of a cluster's workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from transforms.observe.event_sums import EVERY, SumsReader
from transforms.observe.events import Event, EventReader


class RunEvents:
    """The events of all processes of a run; each call continues after the last one."""

    def __init__(self, folder: Path, sums: str | None = None) -> None:
        """Keep the places of the events.

        Args:
            folder: folder of the events of this machine's processes.
            sums: location of the sums that a cluster's workers write; None without a cluster.
        """
        self._here = EventReader(folder)
        self._there = None if sums is None else SumsReader(sums)
        self._next = 0.0

    def worker_has_begun(self) -> bool:
        """Whether any worker has begun, here or on a cluster.

        Raises:
            StorageError: the cluster's storage does not say.
        """
        return self._here.has_any() or (self._there is not None and self._there.has_any())

    def new(self, *, last: bool = False) -> Iterator[Event]:
        """Events since the last call; the cluster's storage is read at intervals and at the end."""
        yield from self._here.new()
        if self._there and (last or time.monotonic() >= self._next):
            yield from self._there.new()
            self._next = time.monotonic() + EVERY
