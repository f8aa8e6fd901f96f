"""Events of several processes, read back whole, on the way and after a kill."""

import multiprocessing
import os

import pytest

from transforms.elements import Window
from transforms.observe.events import (
    FOLDER,
    EventReader,
    at,
    emit,
    events_folder,
    happened,
    place,
    read_events,
)


@pytest.fixture
def folder(tmp_path):
    with events_folder(tmp_path / "events") as folder:
        yield folder


def _many(number):
    for index in range(200):
        emit(happened("assembly", "done", f"T{number}", Window(index, 0, 1, 1), 0.5))


def test_events_of_several_processes_are_all_there(folder):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_many, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = list(read_events(folder))
    assert len(list(folder.iterdir())) == 3
    assert {(e.tile, e.block) for e in found} == {
        (f"T{n}", f"r{i}_c0_1x1") for n in range(3) for i in range(200)
    }
    assert len(found) == 600
    assert {(e.stage, e.what, e.seconds) for e in found} == {("assembly", "done", 0.5)}


def test_a_reader_goes_on_where_it_was(folder):
    reader = EventReader(folder)
    assert list(reader.new()) == []
    emit(happened("inference", "done", "33UUU"))
    assert [event.stage for event in reader.new()] == ["inference"]
    assert list(reader.new()) == []
    emit(happened("cleaning", "lost", "33UUU"))
    assert [(event.stage, event.what) for event in reader.new()] == [("cleaning", "lost")]


def test_a_line_cut_off_by_a_kill_is_left_out(folder, caplog):
    emit(happened("inference", "done", "33UUU"))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert len(list(read_events(folder))) == 1
    assert not caplog.records


def test_what_is_no_event_is_named(folder, caplog):
    (folder / "other.jsonl").write_text('[1]\n{"stage": 1}\nnothing\n')
    assert list(read_events(folder)) == []
    assert len([r for r in caplog.records if "other.jsonl" in r.getMessage()]) == 3


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.chdir(tmp_path)
    emit(happened("inference", "done", "33UUU"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_costs_a_warning_not_the_block(folder, caplog):
    folder.rmdir()
    emit(happened("inference", "done", "33UUU"))
    assert "cannot write an event" in caplog.text


def test_each_run_has_a_folder_of_its_own_and_leaves_none_set(tmp_path):
    with events_folder(tmp_path) as first:
        assert os.environ[FOLDER] == str(first)
    assert FOLDER not in os.environ
    with events_folder(tmp_path) as second:
        assert first != second


def test_the_place_holds_within_alone():
    assert place() == {}
    with at("33UUU", Window(1, 2, 3, 4)):
        assert place() == {"tile": "33UUU", "block": "r1_c2_3x4"}
        with at("33UUV", None):
            assert place() == {"tile": "33UUV"}
        assert place()["tile"] == "33UUU"
    assert place() == {}
