"""What a launcher sees of the processes of its run."""

from ghsl_beam.observing.run_events import RunEvents
from tests.support.tile_plans import tile_plan
from transforms.observe.events import FOLDER
from transforms.storage import storage
from transforms.work.work_area import WorkArea

PLAN = tile_plan()


def test_a_worker_tells_that_it_has_begun_and_not_by_asking_for_a_plan(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    work = WorkArea(str(tmp_path / "work"), launch="one")
    reporter = work.reporter
    events = RunEvents(tmp_path, reporter.sums)
    work.plans.write(PLAN)
    assert work.plans.stored("33UUU") == work.plans.read("33UUU") == PLAN
    assert not events.worker_has_begun()
    reporter.begin()
    assert events.worker_has_begun()
    assert list(events.new()) == []
    reporter.forget()
    assert not events.worker_has_begun()
    monkeypatch.setenv(FOLDER, str(tmp_path))
    work.plans.read("33UUU")
    assert not events.worker_has_begun()
    reporter.begin()
    assert events.worker_has_begun()
    assert list(events.new()) == []
    assert storage.listing(reporter.sums) == []
