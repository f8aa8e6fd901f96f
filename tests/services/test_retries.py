"""What one read of a block asks of a storage that always fails: few requests, a bounded time."""

import time

import numpy as np
import pytest
import stamina
from rasterio.errors import RasterioIOError

from tests.support.grids import grid_at
from tests.support.jpeg2000 import EPSG, land, write_band
from tests.support.object_storage import Front, fronted, make_bucket, s3_service
from transforms.assembly import raster_file
from transforms.assembly.reading import read_band
from transforms.elements import Layer, RasterRef, SceneError, StorageError, Window
from transforms.rasters.geotiff import read_window, write_block
from transforms.storage import gdal_access, object_store, storage
from transforms.work.losses import with_retries

MOST_REQUESTS, MOST_SECONDS = 10, 180
ULX, ULY = 330000, 5820000
WINDOW = Window(0, 0, 300, 300)
STALLS = (Front.STALL, {}, "")
WAYS = {
    "500": (500, {}, ""),
    "503": (503, {}, ""),
    "429 with Retry-After": (429, {"Retry-After": "3600"}, ""),
    "connection reset": (0, {}, ""),
    "stall": STALLS,
    "short answer": (Front.SHORT, {}, ""),
}


@pytest.fixture(scope="module")
def front():
    with s3_service() as address, fronted(address) as front:
        yield front


@pytest.fixture(scope="module")
def files(front, tmp_path_factory):
    """A band of a product and a block file, in a bucket."""
    bucket = make_bucket("worst-case")
    band = write_band(
        tmp_path_factory.mktemp("band") / "x.jp2", land(600, 600), 256, corner=(ULX, ULY)
    )
    storage.write_whole(f"{bucket}/band.jp2", band)
    block = np.ones(WINDOW.shape, np.uint16)
    write_block(f"{bucket}/block.tif", block, {"height": 300, "width": 300}, 0, {})
    return bucket


def read_scene_band(bucket):
    path = gdal_access.gdal_path(f"{bucket}/band.jp2")
    return read_band(path, grid_at(EPSG, ULX, ULY, WINDOW))


def read_block_file(bucket):
    reference = RasterRef("33UUU", Layer.S2, WINDOW, f"{bucket}/block.tif")
    return read_window([reference], WINDOW, 1, "uint16", 0)


READS = {
    "band": read_scene_band,
    "band that was looked at": read_scene_band,
    "block file": read_block_file,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("read", READS)
def test_a_storage_that_always_fails(front, files, monkeypatch, read, way):
    stall, real_stall = 1, object_store.STALL
    monkeypatch.setattr(object_store, "STALL", stall)
    raster_file._look_elsewhere.cache_clear()
    if read != "band":
        READS[read](files)
    no_waits = stamina.set_testing(True, attempts=100, cap=True)  # whose time is summed up below
    front.asked.clear()
    front.every, front.fault = 1, WAYS[way]
    begun = time.monotonic()
    try:
        with no_waits, pytest.raises((SceneError, StorageError)) as caught:
            with_retries(lambda: READS[read](files))
    finally:
        front.every = 0
    took = time.monotonic() - begun
    assert isinstance(caught.value, StorageError)
    assert caught.value.passing
    assert 3 <= len(front.asked) <= MOST_REQUESTS, front.asked
    if WAYS[way] == STALLS:
        took += len(front.asked) * (real_stall - stall)
    assert took + 4 * object_store.LONGEST_WAIT * ("Retry" in way) <= MOST_SECONDS
    np.testing.assert_array_equal(READS[read](files) > 0, True)


class Clock:
    """A clock that nobody waits for."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Silent:
    """A file system that gives nothing: it stalls, or asks to wait, so many times."""

    def __init__(self, clock, stall, retry_after, times=1 << 30):
        self.clock, self.stall, self.retry_after, self.left = clock, stall, retry_after, times

    def cat_file(self, path, start, end):
        if self.left == 0:
            self.left = -1
            return b"x"
        self.left -= 1
        self.clock.sleep(self.stall)
        error = TimeoutError("stalled")
        if self.retry_after:
            error.status, error.headers = 503, {"Retry-After": str(self.retry_after)}
        raise error


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


def silent(monkeypatch, *arguments):
    system = Silent(*arguments)
    monkeypatch.setattr(object_store, "_system", lambda location: (system, "bucket/x"))
    return system


@pytest.mark.parametrize("retry_after", [0, 3600])
@pytest.mark.parametrize("stall", [0.1, 10, object_store.STALL])
def test_the_longest_operation(clock, monkeypatch, stall, retry_after):
    silent(monkeypatch, clock, stall, retry_after)
    begun = clock.now
    with pytest.raises(StorageError):
        object_store.call("s3://bucket/x", lambda system, path: system.cat_file(path, 0, 1))
    assert clock.now - begun <= MOST_SECONDS
    assert clock.now - begun >= min(4 * stall, 60)


@pytest.mark.parametrize("times", [0, 1, 2, 1 << 30])
@pytest.mark.parametrize("retry_after", [0, 3600])
@pytest.mark.parametrize("stall", [0.1, 10, object_store.STALL])
@pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.65, 0.98, 1])
def test_the_longest_read(clock, monkeypatch, part, stall, retry_after, times):
    """Each read stalls for a part of the longest; the storage answers after so many failures."""
    system = silent(monkeypatch, clock, stall, retry_after, times)
    reads = []

    def read():
        reads.append(clock.now)
        system.left = times
        clock.sleep(part * gdal_access.longest_read())
        raise RasterioIOError("CURL error: Operation too slow")

    begun = clock.now
    with pytest.raises((RasterioIOError, StorageError)):
        gdal_access.read_again("/vsis3/bucket/x", read)
    assert clock.now - begun <= MOST_SECONDS
    assert len(reads) <= 8
    assert part > 0 or times > 0 or len(reads) == 8


def test_a_damaged_file_costs_seconds(front, files):
    bucket = files
    data = bytearray(storage.read_bytes(f"{bucket}/block.tif", 1 << 24))
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    storage.write_whole(f"{bucket}/damaged.tif", bytes(data))
    reference = RasterRef("33UUU", Layer.S2, WINDOW, f"{bucket}/damaged.tif")
    begun = time.monotonic()
    with pytest.raises(StorageError) as caught:
        with_retries(lambda: read_window([reference], WINDOW, 1, "uint16", 0))
    assert not caught.value.passing
    assert time.monotonic() - begun < 10


def test_what_is_not_there_is_asked_for_once_more_alone(front, files):
    front.asked.clear()
    reference = RasterRef("33UUU", Layer.S2, WINDOW, f"{files}/none.tif")
    with pytest.raises(StorageError):
        with_retries(lambda: read_window([reference], WINDOW, 1, "uint16", 0))
    assert len(front.asked) <= 4


def test_what_fails_on_this_machine_is_tried_again():
    calls = []

    def action():
        calls.append(True)
        raise StorageError("/disk/a.tif" if len(calls) < 3 else "s3://bucket/a.tif", "away")

    with pytest.raises(StorageError, match="s3"):
        with_retries(action)
    assert len(calls) == 3
