"""Time, shuffle and memory of a run by its number of tiles, with one and two worker processes.

A tile is a crop of 1024 x 1024 px in 16 blocks of 256 px. Only an eighth of its rows has data,
which saves the time of predicting the rest.

*Growth* is the cost of each further tile from four to eight tiles, divided by that up to four.
With one worker it is (t8 - t4) / 4 divided by (t4 - t1) / 3, with two (t8 - t4) / 4 divided by
(t4 - t2) / 2, because one tile cannot occupy two workers. t is the median time of a launch, from
the start of its process to the end; the start-up is in each t and cancels out. 1 is linear, above
1 is worse. *Off the line* is the largest distance of the times from a straight line. The result
line has the growth that is farther from 1 and the larger distance, of one worker and of two.

*Shuffle* is the data that goes into the GroupByKeys of the graph (a Reshuffle is one), by the
metrics of the runner: for each grouped collection the number of elements x the mean of the sampled
byte sizes. The bytes that reach the grouping buffers of the runner are also counted, because
sampling favours the first elements, which are blocks at the edge of a tile with fewer neighbours.
One more launch has a tile of 121 blocks, as many as a whole tile of 10 980 px has at the default
block size. The result line has the shuffle of that tile, by both counts.

    python benchmarks/scaling.py
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from synthetic import Outcome, machine, measured, synthetic_job

TILES = (1, 2, 4, 8)
BLOCK, SIDE, DATA_ROWS = 256, 1024, 128
WHOLE_BLOCK = 64
WHOLE_SIDE = 11 * WHOLE_BLOCK
GROUP_BY_KEY = "beam:transform:group_by_key:v1"


def options(workers: int) -> tuple[str, ...]:
    """Beam's options for a number of worker processes."""
    return "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"


@dataclass(frozen=True)
class Launch:
    """Result of a launch: time, memory, bytes by GroupByKey, bytes counted in the runner."""

    outcome: Outcome
    grouped: dict[str, float]
    counted: int
    graph_bytes: int

    @property
    def shuffle(self) -> float:
        """Bytes grouped, by the runner's metrics."""
        return sum(self.grouped.values())


def launched(tiles: int, side: int, block: int, workers: int) -> Launch:
    """Launch a job over a number of tiles in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        job = synthetic_job(Path(folder), tiles, side, DATA_ROWS)
        command = (__file__, "--launch", job, "--block", block, *options(workers))
        outcome = measured(*command)
    return Launch(outcome, **json.loads(outcome.output.splitlines()[-1]))


def launch(job_file: Path, block: int, beam_options: list[str]) -> dict[str, Any]:
    """Run a job in this process; return the bytes that were grouped."""
    from apache_beam.runners.portability.fn_api_runner.execution import GroupingBuffer
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

    from ghsl_beam.jobfile.configuration import load_job
    from ghsl_beam.running.launch import run

    grouped: dict[str, float] = {}
    counted = Counter[str]()
    run_graph, append = FnApiRunner.run_via_runner_api, GroupingBuffer.append

    def watched_run(self: Any, graph: Any, given: Any) -> Any:
        result = run_graph(self, graph, given)
        grouped.update(grouped_bytes(graph, result.monitoring_infos()))
        counted["graph"] = len(graph.SerializeToString())
        return result

    def watched_append(self: Any, data: bytes) -> None:
        counted["grouped"] += len(data)
        append(self, data)

    FnApiRunner.run_via_runner_api = watched_run
    GroupingBuffer.append = watched_append
    record = run(load_job(job_file, (f"block_size={block}",)), beam_options)
    if record["exit_code"]:
        raise SystemExit(f"{job_file}: the run ended with {record['exit_code']}")
    return {
        "grouped": grouped,
        "counted": counted["grouped"],
        "graph_bytes": counted["graph"],
    }


def grouped_bytes(graph: Any, infos: Any) -> dict[str, float]:
    """Bytes that go into each GroupByKey of a graph, by the metrics of the runner."""
    from apache_beam.metrics.monitoring_infos import (
        ELEMENT_COUNT_URN,
        PCOLLECTION_LABEL,
        SAMPLED_BYTE_SIZE_URN,
        extract_counter_value,
        extract_distribution,
    )

    elements, size = Counter[str](), Counter[str]()
    samples = Counter[str]()
    for info in infos:
        collection = info.labels.get(PCOLLECTION_LABEL, "")
        if info.urn == ELEMENT_COUNT_URN:
            elements[collection] += extract_counter_value(info)
        elif info.urn == SAMPLED_BYTE_SIZE_URN:
            number, total, _, _ = extract_distribution(info)
            samples[collection] += number
            size[collection] += total
    sizes = {}
    for transform in graph.components.transforms.values():
        if transform.spec.urn == GROUP_BY_KEY:
            (source,) = transform.inputs.values()
            mean = size[source] / samples[source] if samples[source] else 0.0
            sizes[transform.unique_name] = elements[source] * mean
    return sizes


def growth(workers: int, rounds: int) -> tuple[float, float]:
    """Launch 1, 2, 4 and 8 tiles in turn; print time and memory of each.

    Returns the growth of the medians, and their largest relative distance from a straight line.
    """
    launches: dict[int, list[Launch]] = {tiles: [] for tiles in TILES}
    for _ in range(rounds):
        for tiles in TILES:
            launches[tiles].append(launched(tiles, SIDE, BLOCK, workers))
    seconds = {}
    for tiles, made in launches.items():
        times = [one.outcome.seconds for one in made]
        seconds[tiles] = median(times)
        print(
            f"{workers} workers, {tiles} tiles: {median(times):.1f} s "
            f"({min(times):.1f} to {max(times):.1f}), "
            f"{max(one.outcome.peak_bytes for one in made) / 1e6:.0f} MB at most, "
            f"shuffle {made[0].shuffle / tiles / 1e3:.1f} kB a tile "
            f"({made[0].counted / tiles / 1e3:.1f} counted), "
            f"graph {made[0].graph_bytes / 1e3:.0f} kB",
            flush=True,
        )
    early = (seconds[4] - seconds[workers]) / (4 - workers)
    late = (seconds[8] - seconds[4]) / 4
    slope, start = np.polyfit(TILES, [seconds[tiles] for tiles in TILES], 1)
    off = max(abs(seconds[tiles] / (start + slope * tiles) - 1) for tiles in TILES)
    print(f"{workers} workers: a further tile {early:.2f} s up to 4, {late:.2f} s up to 8;", end="")
    print(f" {start:.1f} s + {slope:.2f} s a tile is at most {off:.1%} off")
    return late / early, off


def main() -> None:
    """Run and print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--launch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--block", type=int, help=argparse.SUPPRESS)
    arguments, beam_options = parser.parse_known_args()
    if arguments.launch:
        print(json.dumps(launch(arguments.launch, arguments.block, beam_options)))
        return
    print(machine())
    whole = launched(1, WHOLE_SIDE, WHOLE_BLOCK, workers=1)
    for name, size in sorted(whole.grouped.items(), key=lambda item: -item[1]):
        print(f"  {name}: {size / 1e3:.1f} kB")
    growths = {workers: growth(workers, arguments.rounds) for workers in (1, 2)}
    grown, off = zip(*growths.values(), strict=True)
    farthest = max(grown, key=lambda growth: abs(growth - 1))
    print(
        f"result: growth={farthest:.3f} shuffle_kb_per_tile={whole.shuffle / 1e3:.0f} "
        f"off_line={max(off):.3f} counted_kb_per_tile={whole.counted / 1e3:.0f} "
        f"growth_1_worker={grown[0]:.3f} growth_2_workers={grown[1]:.3f}"
    )


if __name__ == "__main__":
    main()
