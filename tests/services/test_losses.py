"""What a loss does to the file it came by: damaged ones of the work area go, all others stay."""

import logging
import resource
from contextlib import contextmanager

import numpy as np
import pytest

from tests.support.damage import damaged
from tests.support.object_storage import Front
from transforms.elements import (
    Layer,
    Loss,
    RasterError,
    RasterRef,
    StorageError,
    StrictError,
    Window,
    utm_grid,
)
from transforms.rasters.fingerprints import stored_fingerprint
from transforms.rasters.geotiff import raster_profile, read_window, write_block
from transforms.storage import storage
from transforms.work.losses import loss_of
from transforms.work.work_area import WorkArea

WHOLE = Window(0, 0, 300, 280)
PLACE = raster_profile(utm_grid(32633, 300000, 5900040, *WHOLE.shape))
BLOCK = ("blocks", "S2", "33UUU", "r0_c0_300x280.tif")
PART = ("grid", "54009_100", "BUILT_S", "54009_r1_c2.tif")


def file_in(work, *parts):
    """A good raster somewhere in the work area."""
    path = storage.join(work.folder, *parts)
    values = np.random.default_rng(1).integers(1, 9000, WHOLE.shape).astype("uint16")
    write_block(path, values, PLACE, 0, {"GHSL_FINGERPRINT": "f"})
    return path


def spoil(path, spoilt=damaged):
    storage.write_whole(path, spoilt(storage.read_bytes(path, 1 << 24)))


def read(path):
    return read_window([RasterRef("33UUU", Layer.S2, WHOLE, path)], WHOLE, 1, "uint16", 0)


def lose(work, action, path):
    """The loss by the error that an action on a file raises."""
    with pytest.raises(RasterError) as caught:
        action(path)
    return loss_of(work.reporter, "publish", "33UUU", None, caught.value).value


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.name.endswith(".block_files")]


@pytest.mark.parametrize("parts", [BLOCK, PART])
@pytest.mark.parametrize("spoilt", [damaged, lambda raster: raster[:300], lambda raster: b""])
def test_a_damaged_file_of_the_work_area_is_removed(folder, parts, spoilt):
    work = WorkArea(folder)
    path = file_in(work, *parts)
    spoil(path, spoilt)
    loss = lose(work, read, path)
    assert loss.file == path
    assert loss.reason.startswith("cannot be read")
    assert not storage.is_file(path)


def test_an_object_without_a_header_is_removed(bucket, front):
    work = WorkArea(f"{bucket}/header")
    path = file_in(work, *BLOCK)
    spoil(path, lambda raster: bytes(len(raster)))
    loss = lose(work, stored_fingerprint, path)
    assert loss.file == path
    assert loss.reason.startswith("cannot be opened")
    assert not storage.is_file(path)


def test_a_strict_job_removes_it_before_it_stops(tmp_path):
    work = WorkArea(str(tmp_path), strict=True)
    path = file_in(work, *BLOCK)
    spoil(path)
    with pytest.raises(StrictError, match="cannot be read"):
        lose(work, read, path)
    assert not storage.is_file(path)
    assert [loss.file for loss in work.losses.recorded()] == [path]


@pytest.mark.parametrize("parts", [("blocks_of_mine", "a.tif"), ("kept", "a.tif"), ("..", "a.tif")])
def test_nothing_else_is_removed(tmp_path, parts):
    work = WorkArea(str(tmp_path / "work"))
    path = file_in(work, *parts)
    spoil(path)
    lose(work, read, path)
    assert storage.is_file(path)


@contextmanager
def no_more_files():
    """This process may open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_good_file_stays_where_too_many_are_open(tmp_path, caplog):
    work = WorkArea(str(tmp_path))
    path = file_in(work, *BLOCK)
    read(path)
    with no_more_files():
        assert lose(work, read, path).reason.startswith("cannot be read")
    read(path)
    (warning,) = warnings(caplog)
    assert warning.endswith(f"{path}: cannot be opened now: Too many open files")


def test_a_good_file_stays_where_its_storage_answers_again(tmp_path, caplog):
    work = WorkArea(str(tmp_path))
    path = file_in(work, *BLOCK)

    def fails(path):
        raise StorageError(path, "cannot be read: Too many open files")

    assert lose(work, fails, path).file == path
    read(path)
    assert not warnings(caplog)


def test_a_good_object_stays_where_the_storage_refuses(bucket, front, caplog):
    work = WorkArea(f"{bucket}/refused")
    path = file_in(work, *BLOCK)
    front.denied = BLOCK[-1]
    lose(work, read, path)
    front.denied = ""
    read(path)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("short", [1, 100])
def test_a_good_object_stays_where_answers_come_short(bucket, front, short):
    """Once, and each time."""
    work = WorkArea(f"{bucket}/short")
    path = file_in(work, *BLOCK)
    front.faults += [("GET", Front.SHORT, {}, "")] * short
    loss_of(
        work.reporter, "publish", "33UUU", None, StorageError(path, "cannot be read: Read failed")
    )
    assert len(front.faults) < short
    front.faults.clear()
    read(path)


def test_a_storage_that_does_not_answer_is_not_asked_once_more(bucket, front):
    work = WorkArea(f"{bucket}/away")
    path = file_in(work, *BLOCK)
    front.every, front.fault = 1, (0, {}, "")
    with pytest.raises(StorageError) as caught:
        read(path)
    front.asked.clear()
    loss_of(work.reporter, "publish", "33UUU", None, caught.value)
    assert caught.value.passing
    assert front.asked == []
    front.every = 0
    read(path)


def test_what_is_gone_is_a_loss_without_a_warning(folder, caplog):
    work = WorkArea(folder)
    assert "cannot be read" in lose(work, read, storage.join(folder, *BLOCK)).reason
    assert not warnings(caplog)


def test_a_removal_that_fails_is_a_warning(tmp_path, caplog, monkeypatch):
    work = WorkArea(str(tmp_path))
    path = file_in(work, *BLOCK)
    spoil(path)

    def refused(location):
        raise StorageError(location, "Read-only file system")

    monkeypatch.setattr(storage, "remove", refused)
    with caplog.at_level(logging.WARNING):
        assert lose(work, read, path).file == path
    (warning,) = warnings(caplog)
    assert warning.endswith(f"{path}: Read-only file system")


@pytest.mark.parametrize("content", [b"", b'{"stage": "read"', b"[]", b"\xff"])
def test_a_loss_that_is_damaged_is_named(tmp_path, content):
    work = WorkArea(str(tmp_path))
    work.losses.record(Loss("read", "33UUU", "gone"))
    (name,) = storage.listing(str(tmp_path / "losses"))
    (tmp_path / "losses" / name).write_bytes(content)
    with pytest.raises(StorageError, match=f"{name}: is damaged"):
        work.losses.recorded()
