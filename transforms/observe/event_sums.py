"""Sums of the events on a cluster's workers, in the work area, for progress during a run.

Runners give out their metrics only when a job has ended. So each worker process keeps its own sums,
and writes them every few seconds to its own small file in the job's work area. There is no
background thread: a process writes when it begins, when it has an event, or when a bundle ends, and
never after the job.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache

from transforms.elements import StorageError
from transforms.storage import storage

from .events import Event, parsed

EVERY = 10.0
"""Seconds between two writes, and between two reads."""
_MAX_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)
_Key = tuple[str, str]


def _key(event: Event) -> _Key:
    return event.stage, event.what


class EventSums:
    """The sums of this process for one launch: one summed event for each stage and kind."""

    def __init__(self, folder: str) -> None:
        """Start with no events; `folder` is the location of the file, whose name is unique.

        The name is random, because processes of several hosts may have the same name and number.
        """
        self._path = storage.join(folder, f"{uuid.uuid4().hex}.json")
        self._sums: dict[_Key, Event] = {}
        self._adding, self._writing = threading.Lock(), threading.Lock()
        self._next = time.monotonic() + EVERY
        self._begun, self._new = False, True

    def begin(self) -> None:
        """Write the first time that this process runs, before it has any event."""
        with self._adding:
            first, self._begun = not self._begun, True
        if first:
            self.write()

    def add(self, event: Event) -> None:
        """Add an event; write the sums if the last write was long enough ago."""
        with self._adding:
            key = _key(event)
            before = self._sums.get(key)
            self._sums[key] = before.plus(event) if before else replace(event, tile="", block="")
            self._new = True
            due = time.monotonic() >= self._next
            if due:
                self._next = time.monotonic() + EVERY
        if due:
            self.write()

    def write(self) -> None:
        """Write the sums if they have changed; a storage that fails causes only a warning."""
        with self._writing:
            with self._adding:
                if not self._new:
                    return
                self._new = False
                lines = [json.dumps(asdict(event)) for event in self._sums.values()]
            try:
                storage.write_whole(self._path, "\n".join(lines).encode())
            except StorageError as error:
                self._new = True
                _LOG.warning("cannot write the progress: %s", error)


def sums_of_process(folder: str) -> EventSums:
    """The sums of this process for a folder; a process may serve several launches."""
    with _MAKING:  # otherwise threads at the same time would each make their own
        sums = _made(folder)
    sums.begin()
    return sums


_MAKING = threading.Lock()
_made = lru_cache(maxsize=8)(EventSums)


class SumsReader:
    """Reads the sums of all processes; each call continues after the last one."""

    def __init__(self, folder: str) -> None:
        """Keep the location of the folder, which need not exist yet."""
        self._folder = folder
        self._seen: dict[str, dict[_Key, Event]] = {}

    def has_any(self) -> bool:
        """Whether any process has begun.

        Raises:
            StorageError: the folder cannot be listed.
        """
        return bool(storage.listing(self._folder))

    def new(self) -> Iterator[Event]:
        """Events since the last call; a storage that fails adds nothing."""
        try:
            names = storage.listing(self._folder)
        except StorageError as error:
            _LOG.info("cannot read the progress: %s", error)
            return
        for name in names:
            path = storage.join(self._folder, name)
            try:
                lines = storage.read_bytes(path, _MAX_BYTES).splitlines()
            except StorageError as error:
                _LOG.info("cannot read the progress: %s", error)
                continue
            for line in lines:
                sums = parsed(line, path)
                if sums is not None:
                    yield from self._added(name, sums)

    def _added(self, name: str, sums: Event) -> Iterator[Event]:
        seen = self._seen.setdefault(name, {})
        before = seen.get(_key(sums))
        seen[_key(sums)] = sums
        added = sums.minus(before) if before else sums
        if added.number:
            yield added
