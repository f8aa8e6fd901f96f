"""What could not be made: an element of its own, after more than one try; and its record."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

import stamina
from apache_beam.pvalue import TaggedOutput
from pydantic import TypeAdapter

from transforms.elements import (
    Loss,
    ModelError,
    RasterError,
    SceneError,
    StorageError,
    StrictError,
    Window,
    fingerprint,
)
from transforms.storage import storage
from transforms.storage.gdal_access import is_remote

from . import work_files
from .metrics import lost
from .reporter import Reporter

LOSSES = "losses"
"""Tag of the output that losses take."""
RECOVERABLE = (RasterError, SceneError, ModelError, MemoryError)
"""What a block may be lost by. Everything else is an error of the program and fails the job."""
_TRIES = 3
"""Of what fails on this machine alone."""
_LOG = logging.getLogger(__name__)
_LOSS = TypeAdapter(Loss)
_FOLDER = "losses"
_MAX_BYTES = 1 << 20
T = TypeVar("T")


def with_retries(action: Callable[[], T]) -> T:
    """What the action returns, at the second or third try if need be.

    What failed on object storage is not tried again here: it was, where it was asked for.

    Raises:
        RasterError, SceneError, ModelError, MemoryError: it failed each time.
    """
    again = stamina.RetryingCaller(attempts=_TRIES, timeout=None, wait_initial=0.1, wait_max=2.0)
    return again(_of_this_machine, action)


def _of_this_machine(error: Exception) -> bool:
    """Whether an error that a block may be lost by came up on this machine."""
    return isinstance(error, RECOVERABLE) and not is_remote(str(getattr(error, "file", "")))


def made_or_lost(
    reporter: Reporter, stage: str, tile: str, window: Window | None, action: Callable[[], T]
) -> Iterator[T | TaggedOutput]:
    """What the action returns, or a loss in its place.

    Args:
        reporter: who is told; where it is strict, the first loss ends the job.
        stage: who lost it.
        tile: MGRS tile or output cell.
        window: the block, None for the whole tile.
        action: makes the element.

    Raises:
        StrictError: the job is strict, and this is its first loss.
    """
    try:
        result = with_retries(action)
    except RECOVERABLE as error:
        yield loss_of(reporter, stage, tile, window, error)
    else:
        yield result


def loss_of(
    reporter: Reporter,
    stage: str,
    tile: str,
    window: Window | None,
    error: Exception,
    scene: str = "",
) -> TaggedOutput:
    """The loss of a block by an error, tagged; counted and logged.

    A file of a job's work area that it was lost by is removed if it is damaged: it is made anew.

    Raises:
        StrictError: the job is strict.
    """
    if isinstance(error, MemoryError):
        file, reason = "", f"not enough memory: {error}".rstrip(": ")
    else:
        file = str(getattr(error, "file", ""))
        reason = str(getattr(error, "reason", error))
    reason = " ".join(reason.split())
    lost(reporter, stage, tile, reason, window, scene)
    loss = Loss(stage, tile, reason, scene, file, window)
    if isinstance(error, StorageError) and not error.passing:
        reporter.discard(error.file)
    if reporter.strict:
        reporter.record(loss)
        raise StrictError(f"strict: stopped at the first loss, in {stage}: {loss.summary}")
    return TaggedOutput(LOSSES, loss)


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a launch below a work area, each in a small file of its own."""

    folder: str

    def record(self, loss: Loss) -> None:
        """Keep a loss: the same loss twice is one file.

        Where the disk has no room for it, the log alone says why; that something is lost is known
        all the same, by what is not there.
        """
        content = asdict(loss)
        path = storage.join(self.folder, _FOLDER, f"{fingerprint(content)}.json")
        try:
            storage.write_whole(path, json.dumps(content).encode())
        except StorageError as error:
            _LOG.warning("the reason of a loss is not recorded: %s: %s", loss.summary, error)

    def recorded(self) -> list[Loss]:
        """The losses of the last launch.

        Raises:
            StorageError: one cannot be read, or is not what was written.
        """
        folder = storage.join(self.folder, _FOLDER)
        names = [name for name in storage.listing(folder) if name.endswith(".json")]
        return [_read(storage.join(folder, name)) for name in names]

    def remove(self) -> None:
        """Remove the losses of the last launch."""
        work_files.clear(self.folder, _FOLDER)


def _read(path: str) -> Loss:
    try:
        return _LOSS.validate_json(storage.read_bytes(path, _MAX_BYTES))
    except ValueError as error:
        raise StorageError(path, "damaged: expected a loss as JSON") from error
