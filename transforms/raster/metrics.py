"""Counters of a stage: Beam's, and the run's events."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import Metrics

from transforms.elements import Window

from .events import at, emit

_LOG = logging.getLogger(__name__)


def count(stage: str, what: str, number: int = 1) -> None:
    """Add to a counter of the stage (`blocks`, `pixels`, `scenes`, `losses`, ...)."""
    Metrics.counter(stage, what).inc(int(number))


@contextmanager
def measured(
    stage: str, pixels: int = 0, tile: str = "", window: Window | None = None
) -> Iterator[None]:
    """Count one block, its pixels and the time spent on it; a block that fails is not counted.

    `tile` and `window` say which block it is, in the event and in log lines from within.
    """
    start = time.perf_counter()
    with at(tile, window):
        yield
        seconds = time.perf_counter() - start
        _LOG.debug("done", extra={"stage": stage, "seconds": round(seconds, 3)})
    count(stage, "milliseconds", round(1000 * seconds))
    count(stage, "blocks")
    count(stage, "pixels", pixels)
    emit(stage, "done", tile, window, seconds)


def reused(layer: str, tile: str, window: Window) -> None:
    """Count a block that was stored already, by the first layer of its line."""
    count("storage", "blocks_reused")
    emit(layer, "reused", tile, window)


def lost(stage: str, tile: str, reason: str, window: Window | None = None, scene: str = "") -> None:
    """Count a loss and log it."""
    count(stage, "losses")
    emit(stage, "lost", tile, window)
    with at(tile, window):
        extra = {"stage": stage, **({"scene": scene} if scene else {})}
        _LOG.warning("lost: %s", reason, extra=extra)
