"""What happens on the way, as lines in files: for live progress, and for a run that is killed.

Every process of a run on this machine appends to a file of its own in the folder that the
environment names, one short write an event, so that nothing is locked and a line is whole or
absent. Where the environment names no folder (a cluster's workers), see `event_sums`.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from transforms.elements import Window
from transforms.storage.room import why_not_written

FOLDER = "GHSL_BEAM_EVENTS"
"""Environment variable with the folder of the run's events; worker processes inherit it."""
_LOG = logging.getLogger(__name__)
_PLACE: ContextVar[Mapping[str, str]] = ContextVar("place", default={})  # noqa: B039 - never changed


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, or a `number` of them: `what` is `done`, `reused` or `lost`.

    `time` is when it was over, in seconds since 1970, UTC; `tile` an MGRS tile or an output cell;
    `block` the window as `block_label` writes it, empty where the whole tile is meant; `seconds`
    what it took. Of several, `began` is when the first of them did, and `seconds` are their sum.
    """

    time: float
    stage: str
    what: str
    tile: str = ""
    block: str = ""
    seconds: float = 0.0
    number: int = 1
    began: float | None = None

    @property
    def start(self) -> float:
        """When it began, or the first of them did."""
        return self.time - self.seconds if self.began is None else self.began

    def plus(self, other: Event) -> Event:
        """Both as one, of the same stage and kind."""
        return replace(
            self,
            time=max(self.time, other.time),
            seconds=round(self.seconds + other.seconds, 3),
            number=self.number + other.number,
            began=min(self.start, other.start),
        )

    def minus(self, part: Event) -> Event:
        """What is left of a sum without a part that it had before."""
        seconds, number = round(self.seconds - part.seconds, 3), self.number - part.number
        return replace(self, seconds=seconds, number=number)


def block_label(window: Window | None) -> str:
    """A block as logs and events name it: first row and column, height and width."""
    if window is None:
        return ""
    return f"r{window.row}_c{window.col}_{window.height}x{window.width}"


@contextmanager
def at(tile: str, window: Window | None) -> Iterator[None]:
    """Within, log lines carry tile and block."""
    place = {"tile": tile, "block": block_label(window)}
    token = _PLACE.set({key: value for key, value in place.items() if value})
    try:
        yield
    finally:
        _PLACE.reset(token)


def place() -> Mapping[str, str]:
    """Tile and block that this thread is at work on, where known."""
    return _PLACE.get()


def happened(
    stage: str, what: str, tile: str = "", window: Window | None = None, seconds: float = 0.0
) -> Event:
    """What has happened now."""
    return Event(time.time(), stage, what, tile, block_label(window), round(seconds, 3))


def has_folder() -> bool:
    """Whether the run has a folder for events here, which its launcher reads."""
    return bool(os.environ.get(FOLDER))


def emit(event: Event) -> bool:
    """Append an event to this process's file; False where the run has no folder for them here."""
    return _append(json.dumps(asdict(event), separators=(",", ":")) + "\n")


def begin() -> bool:
    """Have a file for this process, before anything has happened; False as for `emit`."""
    return _append("")


def _append(line: str) -> bool:
    folder = os.environ.get(FOLDER)
    if not folder:
        return False
    path = Path(folder, f"{platform.node()}-{os.getpid()}.jsonl")
    try:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(target, line.encode())
        finally:
            os.close(target)
    except OSError as error:
        # No pixel depends on it; where the storage is at fault, the stages meet it themselves.
        _say_once(path, error.errno or 0)
    return True


@cache
def _say_once(path: Path, number: int) -> None:
    _LOG.warning("event not written: %s: %s", path, why_not_written(OSError(number, ""), path))


@contextmanager
def events_folder(parent: Path) -> Iterator[Path]:
    """A new folder for the events of one run; within, this process and those it starts append."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder = parent / f"{stamp}-{os.getpid()}"
    folder.mkdir(parents=True)
    os.environ[FOLDER] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[FOLDER]


class EventReader:
    """The events of a folder, read on from where the last look ended."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; it need not exist yet."""
        self._folder = folder
        self._read: dict[Path, int] = {}

    def has_any(self) -> bool:
        """Whether a process has begun."""
        return any(self._folder.glob("*.jsonl"))

    def new(self) -> Iterator[Event]:
        """Events since the last look, file by file; a line that is still being written waits."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as source:
                source.seek(self._read.get(path, 0))
                for line in source:
                    if not line.endswith(b"\n"):
                        break
                    self._read[path] = self._read.get(path, 0) + len(line)
                    event = parsed(line, str(path))
                    if event is not None:
                        yield event


def read_events(folder: Path) -> Iterator[Event]:
    """All events of a run's folder, file by file, in the order each process wrote them."""
    return EventReader(folder).new()


def parsed(line: bytes, path: str) -> Event | None:
    """The event of a line of a file; None, and a warning, where it is none."""
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError) as error:
        _LOG.warning("%s: not an event: %s", path, error)
        return None
