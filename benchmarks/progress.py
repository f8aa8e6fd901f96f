"""Measures the cost of progress and events: the same job runs with and without them, in turn.

One process makes a synthetic tile several times, in blocks of 256 px (16 times as many events for
its pixels as by default). With progress, events are written, read back and shown as live bars;
without it, none of this happens. Run times differ by chance more than the cost itself. So the time
of writing and of reading events is also added up during the run: this sum is the result.

    python benchmarks/progress.py
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from rich.live import Live
from synthetic import machine, synthetic_job

import transforms.work.metrics as metrics
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.observing.progress import follow
from ghsl_beam.observing.run_events import RunEvents
from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.running.launch import run
from transforms.observe.events import EventReader, emit

PAIRS, SIDE, BLOCK = 3, 768, 256


class Spent:
    """Adds up the seconds that calls of a function take, by a clock.

    Writing an event stops the thread of the block, so all of its time counts. Reading events
    happens in another thread, so only its processor time counts, not its waiting.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds = 0.0
        self.calls = 0

    def on(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time measured."""

        def watched(*arguments: Any, **named: Any) -> Any:
            start = self.clock()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += self.clock() - start
                self.calls += 1

        return watched


@contextmanager
def _unwatched(inventory: Inventory, events: RunEvents) -> Iterator[None]:
    yield


def _seconds(job_file: Path, *, shown: bool, write: Callable[..., Any]) -> float:
    with tempfile.TemporaryDirectory() as output:
        job = load_job(job_file, (f"block_size={BLOCK}",), str(Path(output, "output")))
        metrics.emit = write if shown else lambda event: True
        start = time.perf_counter()
        run(job, (), _shown if shown else _unwatched)
        return time.perf_counter() - start


def _shown(inventory: Inventory, events: RunEvents) -> Any:
    return follow(inventory, events, terminal=True)


def main() -> None:
    """Run the pairs; print the seconds of each."""
    print(machine())
    written, shown = Spent(time.perf_counter), Spent(time.thread_time)
    read = EventReader.new
    EventReader.new = shown.on(lambda reader: iter(list(read(reader))))  # type: ignore[method-assign]
    Live.refresh = shown.on(Live.refresh)  # type: ignore[method-assign]
    with redirect_stderr(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        job = synthetic_job(Path(folder), 1, SIDE)
        write = written.on(emit)
        _seconds(job, shown=False, write=write)  # imports, starts TensorFlow
        pairs = []
        for _ in range(PAIRS):
            with_it = _seconds(job, shown=True, write=write)
            without = _seconds(job, shown=False, write=write)
            pairs.append((with_it, without))
            print(f"with {with_it:.2f} s, without {without:.2f} s")
    total = sum(with_it for with_it, _ in pairs)
    paired = statistics.median(100 * (a / b - 1) for a, b in pairs)
    print(f"{written.calls} events written in {written.seconds:.3f} s of {total:.1f} s")
    print(f"{shown.calls} reads and displays took {shown.seconds:.3f} s")
    spent = written.seconds + shown.seconds
    print(
        f"result: overhead_percent={100 * spent / total:.3f} paired_difference_percent={paired:.2f}"
    )


if __name__ == "__main__":
    main()
