"""A file that cannot be written: one line with the disk and its room, nothing under its name."""

import errno
import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from ghsl_beam.outputs import stac
from ghsl_beam.outputs.run_record import write_record
from ghsl_beam.planning.mosaic import write_vrt
from transforms.elements import LAYERS, Layer, Loss, StorageError, Window, utm_grid
from transforms.rasters.cog import cog_writer
from transforms.rasters.geotiff import raster_profile, write_block
from transforms.storage import storage, temporary
from transforms.storage.room import in_words, why_not_written
from transforms.work.losses import Losses
from transforms.work.notes import Note, Notes

SIDE = 700
PLACE = raster_profile(utm_grid(32633, 300000, 5900040, SIDE, SIDE))


@contextmanager
def largest_file(size: int):
    """Within, no file may be larger (`ulimit -f`)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(3).integers(1, 9000, (SIDE, SIDE)).astype("uint16")


def block(path: Path, pixels) -> None:
    write_block(str(path), pixels, PLACE, 0, {})


def product(path: Path, pixels) -> None:
    with cog_writer(
        str(path), PLACE, bands=1, dtype="uint16", nodata=0, tags={}, spec=LAYERS["BUFRAC"]
    ) as write:
        write(Window(0, 0, SIDE, SIDE), pixels)


def mosaic(path: Path, pixels) -> None:
    with largest_file(resource.RLIM_INFINITY):
        block(path.with_name("part.tif"), pixels)
    write_vrt(str(path.parent), path.name, ["part.tif"] * 40)


def record(path: Path, pixels) -> None:
    write_record(str(path.parent), {"warnings": ["some text"] * 900})


def item(path: Path, pixels) -> None:
    import pystac

    about = pystac.Catalog("name", "text " * 2000)
    about.set_self_href(f"/output/{path.name}")
    stac._write(str(path.parent), about)


def notes(path: Path, pixels) -> None:
    Notes(str(path.parents[1])).write("all", [Note("utm/x.tif", "f", 1, "0" * 64)] * 90)


# name -> what writes, the name of its file, and limits on the size of a file
WRITERS = {
    "block": (block, "x.tif", range(0, 900_000, 110_000)),
    "product": (product, "x.tif", range(0, 900_000, 110_000)),
    "mosaic": (mosaic, "x.vrt", (0, 5000)),
    "record": (record, "run.json", (0, 5000)),
    "catalogue": (item, "catalog.json", (0, 5000)),
    "notes": (notes, "products/*.json", (0, 5000)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_on_the_size_of_a_file(name, pixels, tmp_path):
    write, file, limits = WRITERS[name]
    for limit in limits:
        with pytest.raises(StorageError) as failed, largest_file(limit):
            write(tmp_path / file, pixels)
        text = str(failed.value)
        assert "\n" not in text
        assert f"no file may be larger than {in_words(limit)} here (ulimit -f)" in text
        assert " free, up to " in text
        assert {p.name for p in tmp_path.rglob("*") if p.is_file()} <= {"part.tif"}
    write(tmp_path / file, pixels)
    assert len(list(tmp_path.glob(file))) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", ["write_bytes", "fsync", "replace"])
def test_a_disk_that_fails_at_any_step(number, step, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "x.json").write_text("before")
    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "write_bytes" else os, step, fail)
        with pytest.raises(StorageError) as failed:
            storage.write_whole(f"{tmp_path}/x.json", b"12345")
    assert failed.value.file == f"{tmp_path}/x.json"
    assert failed.value.reason.startswith(f"cannot be written: {os.strerror(number)} (disk /")
    assert "up to 5 bytes needed" in failed.value.reason
    assert (tmp_path / "x.json").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "x.json"]


def test_no_room_for_temporary_files(tmp_path, monkeypatch):
    """What goes to object storage lies there first."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary.process_folder, "cache_clear", lambda: None, raising=False)
    with pytest.raises(StorageError, match=r"ulimit -f.*disk /") as failed, largest_file(4):
        storage.write_whole("s3://bucket/x.json", b"12345")
    assert failed.value.file == "s3://bucket/x.json"


def test_gdal_names_the_first_error_not_the_last():
    outer = RasterioIOError("Write failed. See previous exception for details.")
    outer.__cause__ = ValueError("x.tif: Free disk space available is 12 bytes")
    text = why_not_written(outer, Path("/tmp/x.tif"), 10)  # noqa: S108 - nothing is written there
    assert text.startswith("x.tif: Free disk space available is 12 bytes (disk /")


def test_words_of_libtiff_go_to_the_log(tmp_path, caplog):
    caplog.set_level("INFO", "transforms.storage.room")
    error = RasterioIOError("TIFFAppendToStrip:Write error at scanline 4294967295")
    told = why_not_written(error, tmp_path / "a.tif", 1000)
    assert told.startswith("a write failed, and the system gives no reason (disk /")
    assert told.endswith("free, up to 1.0 kB needed)")
    assert "TIFFAppendToStrip" in caplog.text


def test_a_loss_that_cannot_be_recorded_is_told_by_the_log(tmp_path, caplog):
    loss = Loss("store", "33UUU", "no room", file="x.tif")
    with largest_file(3):
        Losses(str(tmp_path)).record(loss)
    assert Losses(str(tmp_path)).recorded() == []
    assert "33UUU x.tif: no room" in caplog.text
    assert Layer.S2 not in caplog.text


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes_in_words(size, words):
    assert in_words(int(size)) == words
