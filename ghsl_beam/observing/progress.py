"""Progress of a run: live bars on a terminal, log lines at intervals elsewhere.

The totals come from the plan, and the counts from the events of every process of the run
(`ghsl_beam.observing.run_events`). So all runners and running modes look the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn

from ghsl_beam.observing.run_events import RunEvents
from ghsl_beam.planning.inventory import Inventory
from ghsl_beam.planning.lines import Lines
from ghsl_beam.process import status
from ghsl_beam.process.terminal import stderr, stderr_through
from transforms.observe.events import Event

LOOK_EVERY = 1.0
"""Seconds between two reads of the events."""
LINE_EVERY = 30.0
"""Seconds between two lines about a stage, if there is no terminal."""
_LOG = logging.getLogger(__name__)


def totals(inventory: Inventory) -> dict[str, int]:
    """Numbers of blocks, output cells and products that a run will make, by stage in work order."""
    plan = inventory.plan
    numbers: Counter[str] = Counter()
    products = 0
    numbers["masks"] = sum(len(tile.scenes) for tile in inventory.tiles_to_do(plan.lines.assembly))
    for line in plan.lines:
        for tile in inventory.tiles_to_do(line):
            blocks = sum(1 for _ in line.blocks(tile, plan.job.block_size))
            missing = inventory.missing(tile, line)
            numbers.update(dict.fromkeys([layer.spec.stage for layer in missing], blocks))
            products += len(missing)
    for grid_plan in plan.grids:
        cells = inventory.missing_cells[grid_plan.name]
        numbers["aggregation"] += len(cells)
        products += grid_plan.files_of(cells)
    return {stage: number for stage, number in {**numbers, "publish": products}.items() if number}


@dataclass
class Count:
    """Progress of one stage."""

    total: int
    made: int = 0
    reused: int = 0
    lost: int = 0
    start: float = 0.0
    end: float = 0.0

    @property
    def done(self) -> int:
        """Finished items, at most the total: a bundle that is retried counts twice."""
        return min(self.made + self.reused + self.lost, self.total)

    def rate(self, now: float) -> float | None:
        """Blocks made per second, from the start of the stage to now or its end; None before."""
        until = self.end if self.done == self.total else now
        return self.made / (until - self.start) if self.made and until > self.start else None

    def left(self, now: float) -> float | None:
        """Seconds left at the present rate; None if unknown or if nothing is left."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.done < self.total else None


@dataclass
class Tally:
    """The counts of all stages of a job's lines."""

    lines: Lines
    counts: dict[str, Count] = field(default_factory=dict)

    @classmethod
    def of(cls, inventory: Inventory) -> Tally:
        """The tally before anything is done."""
        counts = {stage: Count(total) for stage, total in totals(inventory).items()}
        return cls(inventory.plan.lines, counts)

    def add(self, event: Event) -> None:
        """Count an event; events of stages that are not displayed are ignored."""
        for stage in _stages(event, self.lines):
            count = self.counts.get(stage)
            if count is None:
                continue
            if event.what == "done":
                count.start = min(count.start or event.start, event.start)
                count.end = max(count.end, event.time)
                count.made += event.number
            elif event.what == "reused":
                count.reused += event.number
            else:
                count.lost += event.number


def _stages(event: Event, lines: Lines) -> Iterable[str]:
    """The stages that an event advances."""
    if event.what == "reused":
        of_line = {str(line.makes[0]): line.stages for line in lines}
        return of_line.get(event.stage, (event.stage,))
    if event.what == "lost":
        # If the assembly loses a scene, the block is still made from the other scenes.
        lost: dict[str, tuple[str, ...]] = {
            "assembly": (),
            "scenes": (),
            "read": lines.layers.stages,
        }
        return lost.get(event.stage, (event.stage,))
    return (event.stage,)


@contextmanager
def follow(
    inventory: Inventory,
    events: RunEvents,
    *,
    terminal: bool | None = None,
    line_every: float = LINE_EVERY,
) -> Iterator[None]:
    """Show progress on stderr within the context.

    Args:
        inventory: what exists; the rest is what the run will make.
        events: the events of the run's processes.
        terminal: bars (True) or log lines (False); None detects a terminal.
        line_every: seconds between log lines; a run that ends before the first line writes none.
    """
    tally = Tally.of(inventory)

    def look(last: bool) -> None:
        for event in events.new(last=last):
            tally.add(event)

    with display(tally.counts, look, terminal=terminal, line_every=line_every):
        yield


@contextmanager
def display(
    counts: Mapping[str, Count],
    look: Callable[[bool], None] = lambda last: None,
    *,
    terminal: bool | None = None,
    line_every: float = LINE_EVERY,
) -> Iterator[None]:
    """Within, counts are shown on stderr.

    Args:
        counts: by stage; they change while they are shown.
        look: brings the counts up to date; its argument says whether it is the last time.
        terminal: bars (True) or log lines (False); what it is, where None.
        line_every: seconds between log lines.
    """
    console = Console(file=stderr(), force_terminal=terminal)
    if not console.is_terminal:
        with status.hidden(), _polled(_Lines(line_every), counts, look):
            yield
        return
    around = cast(TextIO, FileProxy(console, stderr()))
    with (
        status.hidden(),
        _bars(console) as bars,
        stderr_through(around),
        _polled(_Bars(bars), counts, look),
    ):
        yield


@contextmanager
def _polled(
    show: Callable[[Mapping[str, Count]], None],
    counts: Mapping[str, Count],
    look: Callable[[bool], None],
) -> Iterator[None]:
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(LOOK_EVERY):
            look(False)
            show(counts)

    thread = threading.Thread(target=loop, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        look(True)
        show(counts)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
        refresh_per_second=1 / LOOK_EVERY,
        redirect_stderr=False,  # the log prints around the bars
    )


class _Bars:
    """One bar for each stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, int] = {}

    def __call__(self, counts: Mapping[str, Count]) -> None:
        now = time.time()
        for stage, count in counts.items():
            if stage not in self._tasks:
                task = self._bars.add_task(stage, total=count.total, rate="", left="")
                self._tasks[stage] = task
            rate, left = count.rate(now), count.left(now)
            self._bars.update(
                self._tasks[stage],  # type: ignore[arg-type]
                completed=count.done,
                total=count.total,
                rate="" if rate is None else f"{rate:.2g}/s",
                left="" if left is None else f"{duration(left)} left",
            )


class _Lines:
    """A log line at intervals for each stage that has advanced."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next = time.monotonic() + every
        self._shown: dict[str, int] = {}

    def __call__(self, counts: Mapping[str, Count]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        now = time.time()
        for stage, count in counts.items():
            if count.done == self._shown.get(stage, 0):
                continue
            self._shown[stage] = count.done
            rate, left = count.rate(now), count.left(now)
            extra: dict[str, object] = {"stage": stage, "done": count.done, "total": count.total}
            if rate is not None:
                extra["rate"] = f"{rate:.3g}/s"
            if left is not None:
                extra["left"] = duration(left)
            _LOG.info("progress", extra=extra)


def duration(seconds: float) -> str:
    """A duration for people: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
