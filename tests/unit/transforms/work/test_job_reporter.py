from transforms.elements import Loss
from transforms.observe.events import FOLDER, Event
from transforms.storage import storage
from transforms.work.job_reporter import JobReporter
from transforms.work.losses import Losses
from transforms.work.reporter import SILENT, Reporter


def test_a_job_keeps_what_it_is_told_until_the_next_launch(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    reporter: Reporter = JobReporter(str(tmp_path), "one")
    reporter.begin()
    (file,) = storage.listing(reporter.sums)
    loss = Loss("read", "33UUU", "gone")
    reporter.record(loss)
    reporter.add(Event(1.0, "inference", "done"))
    reporter.write_sums()
    assert storage.listing(reporter.sums) == [file]
    later = JobReporter(str(tmp_path), "two")
    assert [event.stage for event in later.last_sums()] == ["inference"]
    assert Losses(str(tmp_path)).recorded() == [loss]
    later.forget()
    assert list(tmp_path.iterdir()) == []


def test_without_a_job_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    reporter: Reporter = SILENT
    reporter.begin()
    reporter.record(Loss("read", "33UUU", "gone"))
    assert not reporter.strict
    assert list(tmp_path.iterdir()) == []
