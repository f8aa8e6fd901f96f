"""The progress of a launch that did not reach its end, from the events that it left."""

from __future__ import annotations

import math
from pathlib import Path

from ghsl_beam.outputs.run_record import stages_of
from ghsl_beam.planning.products import check_inside
from transforms.observe.events import Event, read_events
from transforms.storage import storage
from transforms.work.job_reporter import SUMS, JobReporter


def last_events(output: str) -> dict[str, dict[str, float]]:
    """The progress of the last launch by stage; empty if it left no events."""
    reporter = JobReporter(storage.join(output, "work"))
    launches = []
    if not storage.is_url(output):
        launches = sorted(Path(reporter.folder, "events").glob("*"))
        for kind in ("events", SUMS):
            for file in Path(reporter.folder, kind).glob("*/*"):
                check_inside(output, str(file))
    events = list(reporter.last_sums())
    if launches:
        events += read_events(launches[-1])
    return stages_of(event for event in events if _is_event(event))


def _is_event(event: Event) -> bool:
    """Whether the fields of a stored event have the right types."""
    numbers, texts = (event.number, event.seconds), (event.stage, event.what)
    return all(isinstance(n, int | float) and math.isfinite(n) for n in numbers) and all(
        isinstance(text, str) for text in texts
    )
