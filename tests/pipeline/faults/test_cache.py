"""The cache of archive files: what lies in it or around it is not as it should be."""

import os
import subprocess
from pathlib import Path

import pytest

from ghsl_beam.running import launch
from tests.pipeline.faults.conftest import small_job
from tests.pipeline.faults.table import fault
from tests.support.jobs import differing, layers, make
from tests.support.object_storage import fronted, make_bucket, put_folder, s3_service
from transforms.elements import RequestError
from transforms.storage import storage

ANEW = "it is fetched again, once; the same pixels; 0"
REFUSED = "refused before anything is computed, nothing in it is touched; 2"


@pytest.fixture(scope="module")
def front():
    with s3_service() as address, fronted(address) as front:
        yield front


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return layers(small_job(tmp_path_factory.mktemp("undisturbed")).run()[0])


@pytest.fixture
def cached(front, tmp_path):
    """The small job with its archive in a bucket, and the settings of a run through a cache."""
    job = small_job(tmp_path)
    bucket = make_bucket(f"cache-{abs(hash(str(tmp_path)))}")
    archive = put_folder(tmp_path / "archive", f"{bucket}/archive")
    folder = tmp_path / "cache"

    def settings(run, *more):
        own = (f"input.archive={archive}", f"input.cache.folder={folder}")
        return (f"output={tmp_path / run}", *own, *more)

    return job, folder, settings


def bands_asked(front):
    return [line for line in front.asked if line.startswith("GET") and line.endswith(".jp2")]


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def zeroed(path):
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] + bytes(size - size // 2))


DAMAGES = {
    "kept file cut": (cut, ()),
    "kept file overwritten, the decoder notices": (zeroed, ()),
    "note of a kept file damaged": (lambda p: p.with_suffix(".note").write_text("{"), ()),
}
for name in DAMAGES:
    fault("cache", name, ANEW)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_entry(name, front, cached, undisturbed):
    job, folder, settings = cached
    spoil, more = DAMAGES[name]
    assert make(job.file, settings=settings("first"))[1]["exit_code"] == 0
    spoilt = max(folder.glob("*.file"), key=lambda path: path.stat().st_size)
    spoil(spoilt)
    front.asked.clear()
    output, record = make(job.file, settings=settings("second", *more))
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not any(differing(layers(output), undisturbed).values())
    assert len(bands_asked(front)) == 1


fault("cache", "folder with other files in it", REFUSED)


def test_a_folder_with_other_files(front, cached, tmp_path):
    job, folder, settings = cached
    folder.mkdir()
    (folder / "thesis.doc").write_text("mine")
    with pytest.raises(RequestError, match=r"input\.cache\.folder: .*not a cache of ghsl-beam"):
        make(job.file, settings=settings("first"))
    assert [path.name for path in folder.iterdir()] == ["thesis.doc"]
    assert not (tmp_path / "first").exists()


fault("cache", "too small for the scenes of a tile", REFUSED)


def test_a_cache_too_small_for_a_tile(front, cached, tmp_path):
    job, folder, settings = cached
    front.asked.clear()
    with pytest.raises(RequestError) as caught:
        make(job.file, settings=settings("first", "input.cache.gigabytes=0.0001"))
    line = str(caught.value)
    assert line.startswith("input.cache.gigabytes: the cache holds 100.0 kB, but the scenes of")
    assert "tile 33UUU have" in line
    assert not folder.exists()
    assert not (tmp_path / "first").exists()
    assert not bands_asked(front)


fault("cache", "folder that cannot be written", "refused before anything is computed; 2")


def test_a_folder_that_cannot_be_made(front, cached, tmp_path):
    job, folder, settings = cached
    folder.write_text("a file")
    with pytest.raises(RequestError, match=r"input\.cache\.folder: .*is not a folder"):
        make(job.file, settings=settings("first"))
    assert not (tmp_path / "first").exists()


fault(
    "cache",
    "disk full",
    "its blocks are lost, the disk is named, no part of a file stays; a rerun with room makes "
    "them; 3",
)


@pytest.fixture
def small_disk(cached):
    """The folder of the cache is a disk of 40 kB, which holds a band or two."""
    folder = cached[1]
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(front, cached, small_disk, undisturbed):
    job, folder, settings = cached
    _, record = make(job.file, settings=settings("run"))
    assert record["exit_code"] == 3
    reason = record["losses"][0]["reason"]
    assert reason.startswith(f"cannot be written: No space left on device (disk {folder}: ")
    assert not list(folder.glob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=50m", str(folder)], check=True)
    output, record = make(job.file, settings=settings("run"))
    assert record["exit_code"] == 0
    assert not any(differing(layers(output), undisturbed).values())


fault(
    "cache",
    "file of the archive that is another one than was listed",
    "the scene is set aside; 3",
)


def test_a_file_that_has_changed_since_the_plan(front, cached, monkeypatch):
    job, _, settings = cached
    real = launch.read_inventory
    archive = settings("first")[1].partition("=")[2]
    red = f"{archive}/{job.red.relative_to(job.file.parent / 'archive')}"

    def change(plan):
        storage.write_whole(red, Path(job.red).read_bytes() + b"\0")
        return real(plan)

    monkeypatch.setattr(launch, "read_inventory", change)
    _, record = make(job.file, settings=settings("first"))
    assert record["exit_code"] == 3
    (aside,) = record["scenes_set_aside"]
    assert aside["file"].endswith("_B04.jp2")
    assert "not what the archive listed" in record["losses"][0]["reason"]
