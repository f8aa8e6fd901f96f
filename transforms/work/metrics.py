"""The counters of a stage: those of Beam, and the events of the run.

Events are appended to the folder that the run has on this machine. If it has none there, they go to
the reporter of the stage.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import Metrics

from transforms.elements import Window
from transforms.observe.events import at, emit, happened

from .reporter import Reporter

_LOG = logging.getLogger(__name__)


def count(stage: str, what: str, number: int = 1) -> None:
    """Add a number to a counter of the stage (`blocks`, `pixels`, `scenes`, `losses`, ...)."""
    Metrics.counter(stage, what).inc(int(number))


def _tell(
    reporter: Reporter,
    stage: str,
    what: str,
    tile: str,
    window: Window | None,
    seconds: float = 0.0,
) -> None:
    event = happened(stage, what, tile, window, seconds)
    if not emit(event):
        reporter.add(event)


@contextmanager
def measured(
    reporter: Reporter,
    stage: str,
    pixels: int = 0,
    tile: str = "",
    window: Window | None = None,
) -> Iterator[None]:
    """Count one block, its pixels and the time spent on it; a block that fails is not counted.

    `tile` and `window` name the block in the event and in the log lines from within.
    """
    start = time.perf_counter()
    with at(tile, window):
        yield
        seconds = time.perf_counter() - start
        _LOG.debug("done", extra={"stage": stage, "seconds": round(seconds, 3)})
    count(stage, "milliseconds", round(1000 * seconds))
    count(stage, "blocks")
    count(stage, "pixels", pixels)
    _tell(reporter, stage, "done", tile, window, seconds)


def block_reused(reporter: Reporter, layer: str, tile: str, window: Window) -> None:
    """Count a block that was stored already, under the first layer of its line."""
    count("storage", "blocks_reused")
    _tell(reporter, layer, "reused", tile, window)


def reused(reporter: Reporter, stage: str, tile: str) -> None:
    """Count a product or an output cell that existed already."""
    _tell(reporter, stage, "reused", tile, None)


def lost(
    reporter: Reporter,
    stage: str,
    tile: str,
    reason: str,
    window: Window | None = None,
    scene: str = "",
) -> None:
    """Count a loss and log it."""
    count(stage, "losses")
    _tell(reporter, stage, "lost", tile, window)
    with at(tile, window):
        extra = {"stage": stage, **({"scene": scene} if scene else {})}
        _LOG.warning("lost: %s", reason, extra=extra)
