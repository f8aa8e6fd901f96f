"""Events of a run, as lines in files: for live progress, and for the record of a killed run.

Every process of a run on this machine appends to its own file, in a folder that an environment
variable names. Each event is one short write, so nothing is locked, and a line is complete or
absent. On a cluster's workers the variable is not set; see `event_sums`.
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
"""Environment variable that names the folder of the run's events; worker processes inherit it."""
_LOG = logging.getLogger(__name__)
_PLACE: ContextVar[Mapping[str, str]] = ContextVar("place", default={})  # noqa: B039 - never changed


@dataclass(frozen=True, slots=True)
class Event:
    """One event, or the sum of `number` events: `what` is `done`, `reused` or `lost`.

    `time` is the end, in seconds since 1970, UTC. `tile` is an MGRS tile or an output cell.
    `block` is the window as `block_label` writes it, empty for the whole tile. `seconds` is the
    duration. In a sum, `began` is the start of the first event, and `seconds` is the sum.
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
        """The start of the event, or of the first event of a sum."""
        return self.time - self.seconds if self.began is None else self.began

    def plus(self, other: Event) -> Event:
        """The sum of two events of the same stage and kind."""
        return replace(
            self,
            time=max(self.time, other.time),
            seconds=round(self.seconds + other.seconds, 3),
            number=self.number + other.number,
            began=min(self.start, other.start),
        )

    def minus(self, part: Event) -> Event:
        """A sum without a part that was in it before."""
        seconds, number = round(self.seconds - part.seconds, 3), self.number - part.number
        return replace(self, seconds=seconds, number=number)


def block_label(window: Window | None) -> str:
    """The name of a block in logs and events: first row and column, height and width."""
    if window is None:
        return ""
    return f"r{window.row}_c{window.col}_{window.height}x{window.width}"


@contextmanager
def at(tile: str, window: Window | None) -> Iterator[None]:
    """Within the context, log lines carry this tile and block."""
    place = {"tile": tile, "block": block_label(window)}
    token = _PLACE.set({key: value for key, value in place.items() if value})
    try:
        yield
    finally:
        _PLACE.reset(token)


def place() -> Mapping[str, str]:
    """The tile and the block that this thread works on, as far as known."""
    return _PLACE.get()


def happened(
    stage: str, what: str, tile: str = "", window: Window | None = None, seconds: float = 0.0
) -> Event:
    """An event that ends now."""
    return Event(time.time(), stage, what, tile, block_label(window), round(seconds, 3))


def has_folder() -> bool:
    """Whether the run has a folder for events on this machine, which its launcher reads."""
    return bool(os.environ.get(FOLDER))


def emit(event: Event) -> bool:
    """Append an event to the file of this process; return False if the run has no folder here."""
    return _append(json.dumps(asdict(event), separators=(",", ":")) + "\n")


def begin() -> bool:
    """Create the file of this process before its first event; return False as `emit` does."""
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
        # No pixel depends on it. If the storage fails, the stages meet the error themselves.
        _say_once(path, error.errno or 0)
    return True


@cache
def _say_once(path: Path, number: int) -> None:
    _LOG.warning("cannot write an event: %s: %s", path, why_not_written(OSError(number, ""), path))


@contextmanager
def events_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for the events of one run; this process and its children append there."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder = parent / f"{stamp}-{os.getpid()}"
    folder.mkdir(parents=True)
    os.environ[FOLDER] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[FOLDER]


class EventReader:
    """Reads the events of a folder; each call continues after the last one."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder, which need not exist yet."""
        self._folder = folder
        self._read: dict[Path, int] = {}

    def has_any(self) -> bool:
        """Whether any process has begun."""
        return any(self._folder.glob("*.jsonl"))

    def new(self) -> Iterator[Event]:
        """Events since the last call, file by file; incomplete lines are left for the next call."""
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
    """All events of a run's folder, file by file, in the order in which each process wrote them."""
    return EventReader(folder).new()


def parsed(line: bytes, path: str) -> Event | None:
    """The event of a line of a file; None, with a warning, if the line is not an event."""
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError) as error:
        _LOG.warning("%s: a line is not an event: %s", path, error)
        return None
