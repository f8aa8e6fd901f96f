"""What happened on a cluster's workers, while it runs: sums of events, beside the block files.

Runners hand out their metrics when a job has ended, so each worker process keeps sums of its own
and writes them every few seconds to a small file in the job's work area, always the same one.
There is nothing in the background: a file is written when a process begins, when something
happened or a bundle ended, never after the job.
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
"""Seconds between two writings, and between two looks at what was written."""
_MAX_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)
_Key = tuple[str, str]


def _key(event: Event) -> _Key:
    return event.stage, event.what


class EventSums:
    """The sums of this process for one launch: an event for each stage and what happened."""

    def __init__(self, folder: str) -> None:
        """Begin at nothing; the file will lie in `folder`, a location, and has a name of its own.

        Processes of several hosts may have one name and number.
        """
        self._path = storage.join(folder, f"{uuid.uuid4().hex}.json")
        self._sums: dict[_Key, Event] = {}
        self._adding, self._writing = threading.Lock(), threading.Lock()
        self._next = time.monotonic() + EVERY
        self._begun, self._new = False, True

    def begin(self) -> None:
        """Write, the first time, that there is a process, before anything has happened in it."""
        with self._adding:
            first, self._begun = not self._begun, True
        if first:
            self.write()

    def add(self, event: Event) -> None:
        """Count an event; what is known by then is written when its time has come."""
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
        """Write the sums, where something is new; a storage that fails costs a warning alone."""
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
                _LOG.warning("progress not written: %s", error)


def sums_of_process(folder: str) -> EventSums:
    """This process's sums for a folder, begun; a process may serve several launches."""
    with _MAKING:  # else threads that come together would each have their own
        sums = _made(folder)
    sums.begin()
    return sums


_MAKING = threading.Lock()
_made = lru_cache(maxsize=8)(EventSums)


class SumsReader:
    """The sums of all processes, read on from where the last look ended."""

    def __init__(self, folder: str) -> None:
        """Keep the folder, a location; it need not exist yet."""
        self._folder = folder
        self._seen: dict[str, dict[_Key, Event]] = {}

    def has_any(self) -> bool:
        """Whether a process has begun.

        Raises:
            StorageError: the folder cannot be listed.
        """
        return bool(storage.listing(self._folder))

    def new(self) -> Iterator[Event]:
        """What has been added since the last look; a storage that fails adds nothing."""
        try:
            names = storage.listing(self._folder)
        except StorageError as error:
            _LOG.info("progress not read: %s", error)
            return
        for name in names:
            path = storage.join(self._folder, name)
            try:
                lines = storage.read_bytes(path, _MAX_BYTES).splitlines()
            except StorageError as error:
                _LOG.info("progress not read: %s", error)
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
