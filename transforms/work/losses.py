"""Losses: what could not be made after several tries, as elements and as records."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
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
    cause_of,
    fingerprint,
)
from transforms.storage import storage
from transforms.storage.gdal_access import is_remote
from transforms.storage.services import Services, current, refused

from . import work_files
from .metrics import lost
from .reporter import Reporter

LOSSES = "losses"
"""Tag of the output for losses."""
RECOVERABLE = (RasterError, SceneError, ModelError, MemoryError)
"""Errors that cost a block. Every other error is a mistake in the program and fails the job."""
_TRIES = 3
"""Tries of an operation that fails on this machine."""
_LOG = logging.getLogger(__name__)
_LOSS = TypeAdapter(Loss)
_FOLDER = "losses"
_MAX_BYTES = 1 << 20
T = TypeVar("T")


def with_retries(action: Callable[[], T]) -> T:
    """Run an action; repeat it up to two times if it fails on this machine.

    An error of object storage is not repeated here; `object_store` has repeated it already.

    Raises:
        RasterError, SceneError, ModelError, MemoryError: the last try failed.
    """
    again = stamina.RetryingCaller(attempts=_TRIES, timeout=None, wait_initial=0.1, wait_max=2.0)
    return again(_of_this_machine, action)


def _of_this_machine(error: Exception) -> bool:
    """Whether an error that costs a block comes from this machine, not from object storage."""
    return isinstance(error, RECOVERABLE) and not is_remote(str(getattr(error, "file", "")))


def made_or_lost(
    reporter: Reporter,
    stage: str,
    tile: str,
    window: Window | None,
    action: Callable[[], T],
    scene: str = "",
) -> Iterator[T | TaggedOutput]:
    """Yield the result of an action, or a loss if it fails.

    Args:
        reporter: receives the loss; if it is strict, the first loss ends the job.
        stage: the stage to name in the loss.
        tile: MGRS tile or output cell.
        window: the block, None for the whole tile.
        action: makes the element.
        scene: the scene to name in the loss.

    Raises:
        StrictError: the job is strict, and this is its first loss.
    """
    try:
        result = with_retries(action)
    except RECOVERABLE as error:
        yield loss_of(reporter, stage, tile, window, error, scene)
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
    """Turn an error into a tagged loss; count it and log it.

    If the error names a file of the job's work area and the file is damaged, the file is removed,
    so that it is made again.

    Raises:
        StrictError: the job is strict.
        KeysError: a storage service refuses its keys, or has none: everything else would be lost
            too.
    """
    if keys_error := refused(error):
        raise keys_error
    if isinstance(error, MemoryError):
        file, reason = "", f"not enough memory: {error}".rstrip(": ")
    else:
        file = str(getattr(error, "file", ""))
        reason = str(getattr(error, "reason", error))
    reason = " ".join(reason.split())
    lost(reporter, stage, tile, reason, window, scene)
    loss = Loss(stage, tile, reason, scene, file, window, cause_of(error))
    if isinstance(error, StorageError) and not error.passing:
        reporter.discard(error.file)
    if reporter.strict:
        reporter.record(loss)
        raise StrictError(f"strict: stopped at the first loss, in {stage}: {loss.summary}")
    return TaggedOutput(LOSSES, loss)


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of a launch in a work area, each in a small file."""

    folder: str
    services: Services = field(default_factory=current)

    def record(self, loss: Loss) -> None:
        """Record a loss; the same loss twice is one file.

        If the disk is full, only the log has the reason. The job still knows that something is
        missing, because the product does not exist.
        """
        content = asdict(loss)
        path = storage.join(self.folder, _FOLDER, f"{fingerprint(content)}.json")
        try:
            storage.write_whole(path, json.dumps(content).encode())
        except StorageError as error:
            _LOG.warning("cannot record the reason of a loss: %s: %s", loss.summary, error)

    def recorded(self) -> list[Loss]:
        """The losses of the last launch.

        Raises:
            StorageError: one cannot be read, or is damaged.
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
        raise StorageError(path, "is damaged, expected a loss as JSON") from error
