"""What could not be made: an element of its own, after more than one try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import stamina
from apache_beam.pvalue import TaggedOutput

from transforms.elements import (
    Loss,
    ModelError,
    RasterError,
    SceneError,
    StorageError,
    StrictError,
    Window,
)
from transforms.storage.gdal_access import is_remote

from .metrics import lost
from .reporter import Reporter

LOSSES = "losses"
"""Tag of the output that losses take."""
RECOVERABLE = (RasterError, SceneError, ModelError, MemoryError)
"""What a block may be lost by. Everything else is an error of the program and fails the job."""
_TRIES = 3
"""Of what fails on this machine alone."""
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
