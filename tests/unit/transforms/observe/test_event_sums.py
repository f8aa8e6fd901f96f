"""Sums of events by process: written now and then, read as what was added since."""

import threading

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import StorageError
from transforms.observe import event_sums
from transforms.observe.event_sums import EventSums, SumsReader, sums_of_process
from transforms.observe.events import FOLDER, Event
from transforms.storage import storage
from transforms.work.job_reporter import JobReporter
from transforms.work.metrics import measured
from transforms.work.stage import TellAtBundleEnd

SECONDS = st.integers(0, 8000).map(lambda eighths: eighths / 8)
EVENTS = st.builds(
    Event,
    time=SECONDS.map(lambda seconds: 10_000 + seconds),
    stage=st.sampled_from(["assembly", "inference"]),
    what=st.sampled_from(["done", "reused", "lost"]),
    tile=st.sampled_from(["33UUU", "33UVU"]),
    seconds=SECONDS,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("sums")


def by_kind(events):
    """Number, seconds, begin and end by stage and what happened."""
    found = {}
    for event in events:
        number, seconds, start, end = found.get((event.stage, event.what), (0, 0.0, 1e9, 0.0))
        found[event.stage, event.what] = (
            number + event.number,
            seconds + event.seconds,
            min(start, event.start),
            max(end, event.time),
        )
    return found


@given(st.lists(st.tuples(st.integers(0, 2), EVENTS, st.booleans()), max_size=30))
def test_looks_add_up_to_all_that_happened(base, steps):
    folder = str(base / f"{len(list(base.iterdir()))}")
    processes = [EventSums(folder) for _ in range(3)]
    reader, seen = SumsReader(folder), []
    for process, event, look in steps:
        processes[process].add(event)
        if look:
            processes[process].write()
            seen += reader.new()
    for each in processes:
        each.write()
    seen += reader.new()
    assert by_kind(seen) == by_kind(event for _, event, _ in steps)
    assert by_kind(SumsReader(folder).new()) == by_kind(seen)
    assert list(reader.new()) == []


@pytest.fixture
def written(monkeypatch):
    """How often something was written, in a list that grows."""
    times, write = [], storage.write_whole

    def counted(location, data):
        times.append(location)
        write(location, data)

    monkeypatch.setattr(storage, "write_whole", counted)
    return times


def test_it_is_written_at_intervals_and_where_something_is_new(tmp_path, written, monkeypatch):
    sums = EventSums(str(tmp_path))
    for _ in range(100):
        sums.add(Event(1.0, "assembly", "done"))
    assert written == []
    sums.write()
    sums.write()
    assert len(written) == 1
    monkeypatch.setattr(event_sums, "EVERY", 0.0)
    sums = EventSums(str(tmp_path))
    for _ in range(3):
        sums.add(Event(1.0, "assembly", "done"))
    assert len(written) == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_threads_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(event_sums, "EVERY", 0.001)
    sums = EventSums(str(tmp_path))

    def many():
        for _ in range(300):
            sums.add(Event(1.0, "assembly", "done", seconds=1.0))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums.write()
    (found,) = SumsReader(str(tmp_path)).new()
    assert (found.number, found.seconds) == (1200, 1200.0)


def test_a_process_that_has_begun_is_seen_before_anything_has_happened(tmp_path, written):
    reader = SumsReader(str(tmp_path))
    assert not reader.has_any()
    for _ in range(3):
        sums_of_process(str(tmp_path))
    assert len(written) == 1
    assert reader.has_any()
    assert list(reader.new()) == []


def test_a_process_that_cannot_tell_that_it_has_begun_goes_on(tmp_path, monkeypatch, caplog):
    def fail(location, data):
        raise StorageError(location, "gone")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_whole", fail)
        sums = [sums_of_process(str(tmp_path)) for _ in range(3)]
    assert caplog.text.count("cannot write the progress") == 1
    sums[0].add(Event(1.0, "assembly", "done"))
    sums[0].write()
    assert [event.number for event in SumsReader(str(tmp_path)).new()] == [1]


def test_threads_that_come_together_have_one_file(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    together = threading.Barrier(4)

    def one(reporter):
        together.wait()
        for _ in range(4):
            with measured(reporter, "inference"):
                pass
        reporter.write_sums()

    for launch in range(50):
        reporter = JobReporter(str(tmp_path), launch=f"launch-{launch}")
        threads = [threading.Thread(target=one, args=(reporter,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(storage.listing(reporter.sums)) == 1
        assert sum(event.number for event in SumsReader(reporter.sums).new()) == 16


def test_one_file_that_cannot_be_read_hides_no_other(tmp_path, monkeypatch):
    for _ in range(3):
        sums = EventSums(str(tmp_path))
        sums.add(Event(1.0, "assembly", "done"))
        sums.write()
    bad, *_ = storage.listing(str(tmp_path))
    read = storage.read_bytes

    def failing(location, limit):
        if location.endswith(bad):
            raise StorageError(location, "gone")
        return read(location, limit)

    monkeypatch.setattr(storage, "read_bytes", failing)
    assert len(list(SumsReader(str(tmp_path)).new())) == 2


def test_a_storage_that_fails_costs_a_warning_and_is_tried_again(tmp_path, monkeypatch, caplog):
    def fail(location, data):
        raise StorageError(location, "gone")

    sums = EventSums(str(tmp_path))
    sums.add(Event(1.0, "assembly", "done"))
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_whole", fail)
        sums.write()
    assert "cannot write the progress" in caplog.text
    assert list(SumsReader(str(tmp_path)).new()) == []
    sums.write()
    assert [event.number for event in SumsReader(str(tmp_path)).new()] == [1]


def test_what_is_no_event_is_named(tmp_path, caplog):
    (tmp_path / "other.json").write_text('[1]\n{"stage": 1}\n')
    assert list(SumsReader(str(tmp_path)).new()) == []
    assert caplog.text.count("other.json") == 2


def test_a_bundle_s_end_tells_all_of_it(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    reporter = JobReporter(str(tmp_path), launch="one")

    def make(number):
        with measured(reporter, "inference", 1, "33UUU"):
            yield number

    with TestPipeline() as pipeline:
        _ = pipeline | beam.Create(range(20)) | beam.ParDo(TellAtBundleEnd(reporter, make))
    (found,) = reporter.last_sums()
    assert (found.stage, found.what, found.number) == ("inference", "done", 20)
    reporter.forget()
    assert list(tmp_path.iterdir()) == []


def test_without_a_launch_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    reporter = JobReporter(str(tmp_path))
    with measured(reporter, "inference"):
        pass
    reporter.write_sums()
    assert list(tmp_path.iterdir()) == []
