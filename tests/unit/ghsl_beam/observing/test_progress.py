"""Counts, rates and the time left, from events; lines where there is no terminal."""

import logging
from pathlib import Path

import pytest

from ghsl_beam.observing import progress
from ghsl_beam.observing.progress import Count, Tally, duration, follow, totals
from ghsl_beam.observing.run_events import RunEvents
from ghsl_beam.planning.inventory import inventory_of
from ghsl_beam.planning.planned_products import planned_products
from tests.support.plans import job_in, plan_of, tile_plan
from transforms.elements import Layer, Window
from transforms.observe.event_sums import EventSums
from transforms.observe.events import Event, emit, events_folder, happened

WINDOW = Window(0, 0, 10, 10)
PLAN = plan_of(job_in(Path("nowhere")), tile_plan("33UUU"))
LINES = PLAN.lines
INVENTORY = inventory_of(PLAN, {})


def test_rate_and_time_left_are_those_of_what_was_made():
    tally = Tally(LINES, {"inference": Count(10)})
    tally.add(Event(100.0, "BUFRAC_RAW", "reused"))
    assert tally.counts["inference"].rate(200) is None
    for end in (104.0, 106.0, 108.0):
        tally.add(Event(end, "inference", "done", seconds=2.0))
    count = tally.counts["inference"]
    assert (count.done, count.made, count.reused) == (4, 3, 1)
    assert count.rate(108.0) == pytest.approx(3 / 6)
    assert count.left(108.0) == pytest.approx(12)
    assert count.left(120.0) == pytest.approx(6 / (3 / 18))


def test_a_stage_that_is_done_keeps_its_rate_and_has_nothing_left():
    tally = Tally(LINES, {"assembly": Count(1)})
    tally.add(Event(12.0, "assembly", "done", seconds=2.0))
    assert tally.counts["assembly"].rate(1000.0) == pytest.approx(0.5)
    assert tally.counts["assembly"].left(1000.0) is None


def test_losses_count_where_their_block_is_lost():
    stages = ("assembly", "inference", "cleaning", "classification", "greenness", "publish")
    tally = Tally(LINES, {stage: Count(5) for stage in stages})
    tally.add(Event(1.0, "assembly", "lost"))  # a scene: its block is made from the others
    tally.add(Event(1.0, "inference", "lost"))
    tally.add(Event(1.0, "read", "lost"))
    tally.add(Event(1.0, "store", "done"))
    tally.add(Event(1.0, "BUFRAC", "reused"))
    done = {stage: count.done for stage, count in tally.counts.items()}
    layers = dict.fromkeys(("cleaning", "classification", "greenness"), 2)
    assert done == {"assembly": 0, "inference": 1, "publish": 0, **layers}


def stored_but(*layers):
    """What is stored where only some layers of the tiles are missing."""
    return {p.path: p.fingerprint for p in planned_products(PLAN) if p.layer not in layers}


def test_totals_are_of_what_the_inventory_lacks():
    blocks = len(list(LINES.layers.blocks(PLAN.tiles[0], PLAN.job.block_size)))
    assert totals(inventory_of(PLAN, stored_but())) == {}
    lacking = inventory_of(PLAN, stored_but(Layer.RES_NRES))
    assert totals(lacking) == {"classification": blocks, "publish": 1}
    everything = totals(INVENTORY)
    stages = [stage for line in LINES for stage in line.stages]
    assert list(everything) == [*stages, "aggregation", "publish"]


@pytest.mark.parametrize("layer", [Layer.S2, Layer.S2_COUNT])
def test_either_layer_of_the_assembly_lets_its_blocks_be_shown(layer):
    blocks = len(list(LINES.assembly.blocks(PLAN.tiles[0], PLAN.job.block_size)))
    found = totals(inventory_of(PLAN, stored_but(layer)))
    assert found == {"assembly": blocks, "publish": 1}


def test_a_bundle_that_is_retried_does_not_count_past_the_total():
    tally = Tally(LINES, {"inference": Count(1)})
    for _ in range(3):
        tally.add(Event(5.0, "inference", "done", seconds=1.0))
    assert tally.counts["inference"].done == 1


def test_a_cluster_s_sums_are_looked_at_at_intervals_and_at_the_end(tmp_path):
    there = EventSums(str(tmp_path / "sums"))
    events, tally = (
        RunEvents(tmp_path, str(tmp_path / "sums")),
        Tally(LINES, {"inference": Count(9)}),
    )

    def done_after(number, *, last=False):
        for _ in range(number):
            there.add(Event(104.0, "inference", "done", seconds=2.0))
        there.write()
        for event in events.new(last=last):
            tally.add(event)
        return tally.counts["inference"].done

    assert done_after(3) == 3
    assert done_after(2) == 3
    assert done_after(0, last=True) == 5
    assert tally.counts["inference"].start == 102.0


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A folder for events, and a plan of 4 blocks to predict."""
    monkeypatch.setattr(progress, "totals", lambda inventory: {"inference": 4})
    with events_folder(tmp_path) as folder:
        yield RunEvents(folder)


def test_lines_at_intervals_where_there_is_no_terminal(watched, caplog):
    caplog.set_level(logging.INFO)
    with follow(INVENTORY, watched, terminal=False, line_every=0.0):
        emit(happened("inference", "done", "33UUU", WINDOW, 0.5))
    (record,) = [r for r in caplog.records if r.name == "ghsl_beam.observing.progress"]
    assert (record.stage, record.done, record.total) == ("inference", 1, 4)
    assert record.rate.endswith("/s")
    assert record.left


def test_a_quick_run_writes_no_line(watched, caplog, capsys):
    caplog.set_level(logging.INFO)
    with follow(INVENTORY, watched, terminal=False):
        emit(happened("inference", "done", "33UUU", WINDOW, 0.5))
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_the_end_is_shown_though_the_run_fails(watched, caplog):
    caplog.set_level(logging.INFO)

    def failing():
        with follow(INVENTORY, watched, terminal=False, line_every=0.0):
            emit(happened("inference", "done", "33UUU", WINDOW, 0.5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert [record.done for record in caplog.records] == [1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (7200, "2.0 h")]
)
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text
