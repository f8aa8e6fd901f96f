"""Launches that end badly, or otherwise than they were planned."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from apache_beam.runners.runner import PipelineState

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.observing.run_events import RunEvents
from ghsl_beam.outputs.report import write_report
from ghsl_beam.outputs.run_record import new_record
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.plan import make_plan
from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.planning.products import utm_path
from ghsl_beam.runners.cluster import ClusterError
from ghsl_beam.running import launch, outcome
from ghsl_beam.running.pipeline import work_area
from tests.pipeline.faults.conftest import small_job
from tests.pipeline.faults.table import fault
from tests.support.jobs import differing, layers
from transforms.aggregation.transform import CellPlan
from transforms.elements import Layer, Loss, StorageError, utm_grid
from transforms.observe.event_sums import sums_of_process
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile, write_block
from transforms.storage import services
from transforms.work import work_files
from transforms.work.block_files import BlockFiles

EARLIER = Loss("inference", "33UUU", "of an earlier launch")


@pytest.fixture
def job(tmp_path):
    return load_job(small_job(tmp_path).file)


@pytest.fixture
def plan(job):
    return make_plan(job)


def record_of(job):
    return json.loads((output_of(job) / "run.json").read_text())


def output_of(job):
    return Path(job.output)


def put(job, path, mark):
    """A product that bears a mark."""
    place = raster_profile(utm_grid(32633, 330000, 5820000, 8, 8))
    pixels, tags = np.zeros((8, 8), "uint8"), {FINGERPRINT_TAG: mark}
    write_block(str(output_of(job) / path), pixels, place, 255, tags)


def put_all(job, plan):
    for tile in plan.tiles:
        for layer, mark in tile.fingerprints.items():
            put(job, utm_path(tile.tile, layer, job.epoch, job.name), mark)
    for grid in plan.grids:
        for level, layer, key, mark, _ in grid.products():
            put(job, grid.spec.path(level, layer, key), mark)


@contextmanager
def stopped_early(inventory, events):
    raise KeyboardInterrupt
    yield


fault(
    "launches",
    "it is stopped before anything is made",
    "the record does not list losses or products of the launch before as its own; 1",
)


def test_a_launch_that_made_nothing_tells_nothing_of_an_earlier_one(job, plan):
    work_files.claim(work_area(plan).folder)
    work_area(plan).losses.record(EARLIER)
    tile = plan.tiles[0]
    for layer, mark in zip(tile.fingerprints, ("stale", "incomplete"), strict=False):
        put(job, utm_path(tile.tile, layer, job.epoch, job.name), mark)
    with pytest.raises(KeyboardInterrupt):
        launch.run(job, watch=stopped_early)
    record = record_of(job)
    assert (record["exit_code"], record["losses"]) == (1, [])
    assert (record["computed"], record["reused"]) == (0, 0)


fault(
    "launches",
    "it is stopped after an earlier one was whole",
    "record and report say that it failed, and why; 1",
)


def test_the_report_of_a_failed_run_says_so(job):
    write_report(job.output, {"exit_code": 0})
    with pytest.raises(KeyboardInterrupt):
        launch.run(job, watch=stopped_early)
    report = (output_of(job) / "report" / "index.html").read_text()
    assert "Failed, exit code 1." in report
    assert record_of(job)["error"] in report


def test_a_report_that_cannot_be_written_is_a_warning(job, monkeypatch, caplog):
    def full(output, record):
        raise StorageError("report/index.html", "no space left")

    monkeypatch.setattr(outcome, "write_report", full)
    with pytest.raises(KeyboardInterrupt):
        launch.run(job, watch=stopped_early)
    assert record_of(job)["exit_code"] == 1
    assert "report/index.html: no space left" in caplog.text


fault(
    "launches",
    "the storage fails when it has to record a run that failed",
    "the error is the one that ended the run; the record has what is known; 1",
)


def test_the_first_error_is_told(job, monkeypatch):
    asked = []

    def failing(plan):
        asked.append(plan)
        raise StorageError("s3://bucket", "no connection", passing=True)

    monkeypatch.setattr(outcome, "read_inventory", failing)
    with pytest.raises(KeyboardInterrupt):
        launch.run(job, watch=stopped_early)
    assert len(asked) == 1
    record = record_of(job)
    assert record["exit_code"] == 1
    assert record["ended"]
    assert record["error"].startswith("KeyboardInterrupt")


fault(
    "launches",
    "what a worker recorded of a loss is damaged",
    "a warning names the file; the record is written, with the error that ended the run; 1",
)


def test_a_damaged_loss_does_not_keep_a_run_from_its_record(job, plan, caplog):
    @contextmanager
    def damaging(inventory, events):
        work = work_area(inventory.plan)
        work.losses.record(EARLIER)
        (file,) = Path(work.folder, "losses").iterdir()
        file.write_bytes(b"")
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        launch.run(job, watch=damaging)
    record = record_of(job)
    assert record["exit_code"] == 1
    assert record["ended"]
    assert record["error"].startswith("KeyboardInterrupt")
    assert "damaged, expected a loss" in caplog.text


fault(
    "launches",
    "another launch makes everything between plan and lock",
    "nothing is made and nothing counted as made; its record stays; 0",
)


def test_what_another_launch_has_just_made_is_not_counted(job, plan, monkeypatch):
    real = launch.only_launch

    @contextmanager
    def late(output):
        put_all(job, plan)
        with real(output) as lock:
            yield lock

    monkeypatch.setattr(launch, "only_launch", late)
    monkeypatch.setattr(launch, "finish_earlier_run", lambda plan, record, products: None)
    record = launch.run(job)
    assert (record["exit_code"], record["computed"]) == (0, 0)
    assert record["reused"] == len(record["products"]) > 0


fault(
    "launches",
    "a lost block is made after all, when the engine repeats its stage",
    "it is no loss; 0",
)


def test_a_loss_that_was_made_good_is_none(job, tmp_path, monkeypatch):
    compute = launch._compute

    def with_loss(inventory, workers, events):
        work_area(inventory.plan).losses.record(EARLIER)
        return compute(inventory, workers, events)

    monkeypatch.setattr(launch, "_compute", with_loss)
    record = launch.run(job)
    assert (record["exit_code"], record["losses"]) == (0, [])
    undisturbed, _ = small_job(tmp_path / "undisturbed").run()
    assert not any(differing(layers(output_of(job)), layers(undisturbed)).values())


fault(
    "launches",
    "a lost block is made in the end, and something else is missing without a reason",
    "the record lists what is missing, not what was made in the end; 3",
)


def losses_of(plan, products, *losses):
    record = new_record(plan)
    outcome.complete_record(record, plan, [], products, losses, 0.0)
    return [(loss["tile"], loss["stage"], loss["file"]) for loss in record["losses"]]


def test_losses_are_of_what_is_not_whole(job, plan):
    """33UUU is whole. 31TCJ, and a cell of it alone, are not: only losses that reach them count."""
    put_all(job, plan)
    there = read_inventory(plan).products
    (other,) = (replace(tile, tile="31TCJ") for tile in plan.tiles)
    (grid,) = plan.grids
    far = CellPlan("R4_C19_r01_c01", ("31TCJ",), "mark")
    spec = replace(grid.spec, cells=(*grid.cells, far), tiles=(*grid.spec.tiles, ("R4_C19", "m")))
    plan = replace(plan, tiles=(*plan.tiles, other), grids=(replace(grid, spec=spec),))
    products = [p for p in read_inventory(plan).products if p in there]
    made_good = Loss("assembly", "33UUU", "made good")

    missing = losses_of(plan, products, made_good)
    assert {key for key, _, _ in missing} == {"31TCJ", "R4_C19"}
    assert len(missing) == sum(1 for _ in planned_products(plan)) - len(there)
    assert losses_of(plan, products) == missing

    of_tile = Loss("inference", "31TCJ", "lost")
    assert losses_of(plan, products, made_good, of_tile) == [("31TCJ", "inference", "")]
    of_cell = losses_of(plan, products, Loss("aggregation", far.key, "lost"))
    assert {key for key, _, _ in of_cell} == {"31TCJ", far.key}


class Broken(grpc.RpcError):
    """What a job server's stream ends with when a proxy closes it."""

    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def details(self):
        return "connection reset"

    def __str__(self):
        return self.details()


class Running:
    """A job on a cluster whose launcher loses the connection."""

    def __init__(self, cancels):
        self.state, self.cancels, self.cancelled = PipelineState.RUNNING, cancels, False

    def wait_until_finish(self):
        raise Broken

    def cancel(self):
        if not self.cancels:
            raise Broken
        self.cancelled = True


fault(
    "launches",
    "the connection to the job server breaks",
    "the job is cancelled; where that fails too, a warning says that it may still run; 1",
)


def compute_on(running, plan, monkeypatch, sums, *arguments):
    """Hand a plan to a cluster on which it becomes `running`."""

    class Pipeline:
        def __init__(self, **options):
            pass

        def run(self):
            return running

    monkeypatch.setattr(launch.beam, "Pipeline", Pipeline)
    monkeypatch.setattr(launch, "build", lambda pipeline, plan: None)
    workers = launch._Workers(
        *launch._runner(["--runner=FlinkRunner", *arguments]), services.current()
    )
    launch._compute(read_inventory(plan), workers, RunEvents(Path(sums, "none here"), str(sums)))


@pytest.mark.parametrize("cancels", [True, False])
def test_a_job_whose_launcher_loses_it_is_cancelled(plan, monkeypatch, caplog, tmp_path, cancels):
    running = Running(cancels)
    sums_of_process(str(tmp_path / "sums"))
    with pytest.raises(Exception, match="connection reset"):
        compute_on(running, plan, monkeypatch, tmp_path / "sums")
    assert running.cancelled is cancels
    assert ("may still run" in caplog.text) is not cancels


fault(
    "launches",
    "a cluster takes the job and no worker begins (no free slot; Spark of another version)",
    "after 10 minutes, or `--worker_start_timeout`, the job is cancelled; one line, 1",
)


def test_a_job_that_no_worker_begins_is_cancelled(plan, monkeypatch, tmp_path):
    running = Running(cancels=True)
    with pytest.raises(ClusterError, match="no worker began within 1 s"):
        compute_on(running, plan, monkeypatch, tmp_path / "sums", "--worker_start_timeout=1")
    assert running.cancelled


def test_a_strict_job_does_not_begin_with_a_loss_in_its_plan(tmp_path, plan, job, monkeypatch):
    put_all(job, plan)
    spoiled = make_plan(job.model_copy(update={"strict": True}))
    object.__setattr__(spoiled, "losses", (EARLIER,))
    monkeypatch.setattr(launch, "make_plan", lambda job, verify: spoiled)
    with pytest.raises(launch.StrictError, match="before the run began"):
        launch.run(spoiled.job)


fault(
    "launches",
    "the storage fails while blocks are looked up",
    "the block is a loss with the storage's reason; the rest is made, a rerun makes it; 3",
)


def test_a_storage_that_fails_while_blocks_are_looked_up(job, monkeypatch):
    real = BlockFiles.find

    def failing(blocks, layer, block):
        if layer == Layer.BUFRAC:
            raise StorageError("s3://bucket/work", "no connection", passing=True)
        return real(blocks, layer, block)

    monkeypatch.setattr(BlockFiles, "find", failing)
    record = launch.run(job)
    assert record["exit_code"] == 3
    (loss,) = record["losses"]
    assert (loss["stage"], loss["tile"]) == ("storage", "33UUU")
    assert (loss["file"], loss["reason"]) == ("s3://bucket/work", "no connection")
    assert record_of(job)["losses"] == [loss]
    monkeypatch.undo()
    assert launch.run(job)["exit_code"] == 0
