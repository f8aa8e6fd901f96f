"""A launch: plans, makes what is missing, publishes the record, the catalogue and the report."""

from __future__ import annotations

import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState, create_runner

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.observing.run_events import RunEvents
from ghsl_beam.outputs.record_schema import RunRecord
from ghsl_beam.outputs.run_record import new_record, stages_of, write_record
from ghsl_beam.planning.inventory import Inventory, read_inventory
from ghsl_beam.planning.plan import JobPlan, make_plan
from ghsl_beam.planning.scenes.access import check_cache
from ghsl_beam.process import status, stopping
from ghsl_beam.runners import beam_options, cluster, local_workers
from ghsl_beam.runners.worker import tell_workers
from ghsl_beam.running.completion import finish, finish_earlier_run, recorded_totals
from ghsl_beam.running.lock import check_work_area, only_launch
from ghsl_beam.running.outcome import complete_record, in_brief, record_failure
from ghsl_beam.running.pipeline import build, work_area
from ghsl_beam.running.product_sums import keep_recorded_sums, remove_changed
from ghsl_beam.running.shares import check_shares, divided, storage_record
from transforms.elements import (
    GhslBeamError,
    RequestError,
    StorageError,
    StrictError,
    request_error,
)
from transforms.observe.events import events_folder
from transforms.storage import services, storage
from transforms.storage.services import KeysError, Services
from transforms.work import work_files

_LOG = logging.getLogger(__name__)
_WORKER_GONE = (local_workers.LOST, "Channel closed prematurely", "SDK harness", "Socket closed")
"""Texts of runners after a worker process was killed."""


_REFUSAL = re.compile(r"KeysError: (.+?)(?: \[while running|\\n|\n|$)")
"""What a worker says whose storage service refuses its keys, in the error of any runner."""


class LaunchError(GhslBeamError):
    """The run broke off: exit code 1."""


class _Workers(NamedTuple):
    """What computes: a runner, its options, and the storage services as its workers share them."""

    runner: PipelineRunner
    options: PipelineOptions
    services: Services


Watch = Callable[[Inventory, RunEvents], AbstractContextManager[None]]
"""Observes a run by its events, while it makes what an inventory lacks."""


def run(
    job: Job,
    beam_options: Sequence[str] = (),
    watch: Watch = lambda inventory, events: nullcontext(),
    *,
    verify: bool = False,
) -> RunRecord:
    """Run a job and return its record, which is also written as run.json.

    Args:
        job: the configuration.
        beam_options: options of Beam, as on the command line.
        watch: observes the run, for example to show its progress.
        verify: whether to read every product that exists, and to make it again if its content is
            not what was published.

    Raises:
        RequestError: the request is wrong; nothing was written.
        UnavailableError: a storage does not answer, or another launch runs; nothing was written.
        StrictError: the job is strict, and something was lost.
        LaunchError: a worker process ended before its work was done, or a storage service refused
            its keys.
        ClusterError: the cluster does not exist, does not fit, or failed.
    """
    start = time.monotonic()
    runner, options = _runner(beam_options)
    services.use(job.services)
    check_shares(job, options)
    plan = make_plan(job, verify=verify)
    if job.strict and plan.losses:
        raise StrictError(f"strict: stopped before the run began: {plan.losses[0].summary}")
    _check_writable(job.output)
    check_work_area(job.output)
    record = new_record(plan)
    inventory = read_inventory(plan)
    shared = divided(inventory, options)
    record["storage"] = storage_record(job, shared)
    if inventory.has_work:
        cluster.check(options)
        for warning in check_cache(inventory):
            _LOG.warning(warning)
        if _make(plan, record, _Workers(runner, options, shared), watch, start):
            return record
        inventory = read_inventory(plan)  # another launch has just made everything
    products = inventory.products
    complete_record(record, plan, products, products, (), start)
    finish_earlier_run(plan, record, products)
    _LOG.info("run ended", extra=in_brief(record))
    return record


def _make(
    plan: JobPlan,
    record: RunRecord,
    workers: _Workers,
    watch: Watch,
    start: float,
) -> bool:
    """Make what is missing and complete the record; return False if nothing is missing."""
    output = plan.job.output
    with only_launch(output) as lock:
        inventory = read_inventory(plan)  # again, because another launch may have ended
        if not inventory.has_work:
            return False
        work_files.remove_unfinished(output)
        before = inventory.products
        try:
            remove_changed(plan)
            keep_recorded_sums(plan)
            earlier = recorded_totals(output)
            write_record(output, record)
            work = work_area(plan)
            work.reporter.forget()
            sums = None if isinstance(workers.runner, FnApiRunner) else work.reporter.sums
            with _events(output) as folder, watch(inventory, events := RunEvents(folder, sums)):
                _LOG.info("run started", extra={"tiles": len(plan.tiles), "output": output})
                try:
                    counters = _compute(inventory, workers, events)
                    record["stages"], record["counts"] = _stages(counters)
                    record["counts"]["scenes"] = sum(len(tile.scenes) for tile in plan.tiles)
                except BaseException:
                    record["stages"] = stages_of(RunEvents(folder, sums).new(last=True))
                    raise
            products = read_inventory(plan).products
            complete_record(record, plan, before, products, work.losses.recorded(), start)
            status.now("writing mosaics, catalogue and report")
            finish(plan, record, products, lock, earlier)
        except KeysError as error:
            failure = LaunchError(str(error))
            record_failure(record, plan, before, start, failure)
            raise failure from error
        except BaseException as error:
            record_failure(record, plan, before, start, error)
            raise
    _LOG.info("run ended", extra=in_brief(record))
    return True


@contextmanager
def _events(output: str) -> Iterator[Path]:
    """A folder for the run's events; it is on this machine, because the events are."""
    if storage.is_url(output):
        with (
            tempfile.TemporaryDirectory(prefix="ghsl-beam-") as folder,
            events_folder(Path(folder)) as events,
        ):
            yield events
    else:
        with events_folder(Path(output, "work", "events")) as events:
            yield events


def _runner(arguments: Sequence[str]) -> tuple[PipelineRunner, PipelineOptions]:
    """Beam's runner and options.

    DirectRunner means the portable runner in this process. Beam's own alias would choose the same
    runner after an attempt to download another engine.
    """
    options = beam_options.parsed(arguments)
    name = options.view_as(StandardOptions).runner
    unknown = [a for a in arguments if a.startswith("--") and not beam_options.is_known(a)]
    if unknown:
        taken = cluster.server_options(options)
        unknown = [a for a in unknown if beam_options.option_name(a) not in taken]
    if unknown:
        raise RequestError(f"{unknown[0]} is not an option of ghsl-beam or of Beam")
    provision = tell_workers(options)
    try:
        direct = name == "DirectRunner"
        runner = FnApiRunner(provision_info=provision) if direct else create_runner(name)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise RequestError(f"--runner {name}: {error}") from error
    if not isinstance(runner, PipelineRunner):
        raise RequestError(f"--runner {name}: is not a runner of Beam")
    wrong = PipelineOptionsValidator(options, runner).validate()
    if wrong:
        raise RequestError(f"options of Beam: {' '.join(wrong)}")
    return runner, options


def _check_writable(output: str) -> None:
    """Check that the output, or the nearest folder above it that exists, is a writable folder."""
    if storage.is_url(output):
        probe = storage.join(output, f".ghsl-beam-probe-{uuid4().hex}")
        try:
            with stopping.in_order():
                storage.write_whole(probe, b"")
                storage.remove(probe)
        except StorageError as error:
            text = f"output: {output} is not writable: {error.reason}"
            raise request_error(text, error) from error
        return
    existing = Path(output)
    try:
        while not existing.exists():  # it fails for a name that is too long
            existing = existing.parent
        if not existing.is_dir():
            raise RequestError(f"output: {existing} is not a folder")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise RequestError(f"output: {existing} is not writable: {error.strerror}") from error


def _compute(inventory: Inventory, workers: _Workers, events: RunEvents) -> Any:
    """Run the graph for what an inventory lacks; return Beam's counters.

    Raises:
        StrictError: the job is strict, and something was lost.
        LaunchError: a worker process ended before its work was done, or a storage service refused
            its keys.
    """
    plan = inventory.plan
    work = work_area(plan)
    for tile in plan.tiles:
        work.plans.write(tile)
    pipeline = beam.Pipeline(runner=workers.runner, options=workers.options)
    try:
        # The graph takes them to the workers. On one machine this process is one of them.
        with services.known(workers.services):
            build(pipeline, inventory)
            return _result(pipeline, workers.options, events)
    except Exception as error:
        if refusal := _REFUSAL.search(str(error)):
            raise LaunchError(refusal[1]) from error
        if plan.job.strict and (losses := work.losses.recorded()):
            raise StrictError(f"strict: stopped at the first loss: {losses[0].summary}") from error
        if any(text in str(error) for text in _WORKER_GONE):
            raise LaunchError(
                "a worker process ended before its work was done (killed, or out of memory?): "
                "run the same command again; it continues from here"
            ) from error
        raise


def _result(pipeline: beam.Pipeline, options: PipelineOptions, events: RunEvents) -> Any:
    """Run a pipeline to its end; returns Beam's counters."""
    with cluster.failures_in_one_line(options):
        result: PipelineResult = pipeline.run()
        try:
            cluster.await_worker(result, options, events.worker_has_begun)
            result.wait_until_finish()
        except BaseException:
            _cancel(result)
            raise
        return result.metrics().query()["counters"]


def _cancel(result: PipelineResult) -> None:
    """Cancel a job that has not ended; otherwise it would continue without a launcher."""
    try:
        if not PipelineState.is_terminal(result.state):
            result.cancel()
    except (grpc.RpcError, RuntimeError, OSError) as error:
        _LOG.warning("cannot cancel the job, which may still run: %s", error)


def _stages(counters: Any) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Counters by stage, and sums over stages where a sum has a meaning."""
    stages: dict[str, dict[str, float]] = {}
    for counter in counters:
        key = counter.key.metric
        if key.namespace.startswith(("apache_beam", "beam")) or "." in key.namespace:
            continue
        stage = stages.setdefault(key.namespace, {})
        stage[key.name] = stage.get(key.name, 0) + (counter.result or 0)
    for stage in stages.values():
        if "milliseconds" in stage:
            stage["seconds"] = round(stage.pop("milliseconds") / 1000, 3)
    counts = {
        "blocks": int(stages.get("inference", {}).get("blocks", 0)),
        "pixels": int(stages.get("inference", {}).get("pixels", 0)),
    }
    return stages, counts
