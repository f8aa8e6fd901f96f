"""Beam counters of a stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import Metrics


def count(stage: str, what: str, number: int = 1) -> None:
    """Add to a counter of the stage (`blocks`, `pixels`, `scenes`, `losses`, ...)."""
    Metrics.counter(stage, what).inc(int(number))


@contextmanager
def measured(stage: str, pixels: int = 0) -> Iterator[None]:
    """Count one block, its pixels and the time spent on it; a block that fails is not counted."""
    start = time.perf_counter()
    yield
    count(stage, "milliseconds", round(1000 * (time.perf_counter() - start)))
    count(stage, "blocks")
    count(stage, "pixels", pixels)
