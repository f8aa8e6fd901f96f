"""Storage that fails: in passing it costs time alone, for good it is a loss or ends the launch."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from ghsl_beam.running import completion
from tests.pipeline.faults import conftest
from tests.pipeline.faults.table import fault
from tests.support.damage import damage
from tests.support.disturbed import finish, start
from tests.support.jobs import differing, layers, make
from tests.support.object_storage import (
    Front,
    get_folder,
    make_bucket,
    put_folder,
    s3_service,
    using,
)
from transforms.elements import StorageError, StrictError
from transforms.storage import object_store, storage
from transforms.work import work_files

PASSING = "the request is tried again, at growing intervals; the same pixels; 0"


def small_job(folder, **over):
    """The small job, with a grid whose tiles are large files with overviews."""
    grids = [{"crs": "ESRI:54009", "resolutions": [100], "extent": "tile"}]
    return conftest.small_job(folder, **{"grids": grids, **over})


@pytest.fixture(scope="module")
def service():
    with s3_service() as address:
        yield address


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    job = small_job(tmp_path_factory.mktemp("undisturbed"))
    return layers(job.run()[0])


IN_PASSING = {
    "500": (500, {}, ""),
    "503": (503, {}, ""),
    "429 with Retry-After": (429, {"Retry-After": "1"}, ""),
    "connection reset": (0, {}, ""),
    "wrong length": (Front.SHORT, {}, ""),
}
STALL = {"stall": (Front.STALL, {}, "")}
for name in (*IN_PASSING, *STALL):
    fault("storage", name, PASSING)


class InTurn(Front):
    """A proxy that gives some faults in turn."""

    def __init__(self, service, kinds):
        super().__init__(service)
        self.kinds = tuple(kinds)

    def fits(self, method):
        self.fault = self.kinds[self.given % len(self.kinds)]
        return super().fits(method)


@pytest.mark.parametrize(("kinds", "every"), [(IN_PASSING, 9), (STALL, 31)], ids=["quick", "stall"])
def test_what_fails_in_passing(kinds, every, service, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "STALL", 3)
    job = small_job(tmp_path)
    front = InTurn(service, kinds.values())
    with using(front.address):
        bucket = make_bucket(f"passing-{every}")
        archive = put_folder(tmp_path / "archive", f"{bucket}/archive")
        front.every = every
        settings = (f"output={bucket}/run", f"input.archive={archive}")
        _, record = make(job.file, settings=settings)
        front.every = 0
        found = layers(get_folder(f"{bucket}/run", tmp_path / "copy"))
    front.close()
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert front.given > 5 * len(kinds)
    assert not any(differing(found, undisturbed).values())


fault("storage", "permission denied (archive)", "the scene is set aside; 3")


def test_a_band_that_may_not_be_read(service, tmp_path):
    """The bucket gives everything but one band of the second scene."""
    job = small_job(tmp_path)
    front = Front(service)
    with using(front.address):
        bucket = make_bucket("denied")
        archive = put_folder(tmp_path / "archive", f"{bucket}/archive")
        front.denied = job.red.name
        settings = (f"output={tmp_path / 'run'}", f"input.archive={archive}")
        output, record = make(job.file, settings=settings)
    front.close()
    assert record["exit_code"] == 3
    (aside,) = record["scenes_set_aside"]
    assert aside["file"].endswith("_B04.jp2")
    np.testing.assert_array_equal(job.s2(output), job.first)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


NO_ROOM = (
    "what does not fit is lost and named, with the disk and its free room; no file is half-written "
    "under its final name; a rerun with room makes the rest; 3, "
    "or 1 if there is no room for the record"
)
fault("storage", "disk full", NO_ROOM)


def check_no_room(code, out, err, output, undisturbed):
    """What a person reads is short and names the disk; what is published is whole."""
    assert code in (1, 3), err
    lines = (out + err).splitlines()
    assert not [line for line in lines if "Traceback" in line or "TIFF" in line], err
    assert any("(disk /" in line and " free, up to " in line for line in lines), err
    for path, values in layers(output).items():
        assert (values == undisturbed[path]).all(), path


def test_a_full_disk(small_disk, undisturbed, tmp_path):
    job = small_job(tmp_path)
    process = start(job.file, "--output", str(small_disk / "run"))
    check_no_room(*finish(process), small_disk / "run", undisturbed)
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    output, record = make(job.file, settings=(f"output={small_disk / 'run'}",))
    assert record["exit_code"] == 0
    assert not any(differing(layers(output), undisturbed).values())


# name -> bytes of the largest file: of the first, not even plans fit; of the last, all but products
LIMITS = {
    "limit on the size of a file (ulimit -f): the plan does not fit": 1 << 10,
    "limit on the size of a file (ulimit -f): blocks do not fit": 16 << 10,
    "limit on the size of a file (ulimit -f): a product does not fit": 48 << 10,
}
for name in LIMITS:
    fault("storage", name, NO_ROOM)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_on_the_size_of_a_file(name, undisturbed, tmp_path):
    job, output = small_job(tmp_path), tmp_path / "output"
    limit = ["prlimit", f"--fsize={LIMITS[name]}"]
    check_no_room(*finish(start(job.file, before=limit)), output, undisturbed)
    _, record = job.run()
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not any(differing(layers(output), undisturbed).values())


fault("storage", "read-only output", "one line, nothing written; 2")


def test_a_read_only_disk(small_disk, tmp_path):
    job = small_job(tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, _, err = finish(start(job.file, "--output", str(small_disk / "run")))
    assert code == 2
    assert "is not writable: Read-only file system" in err.splitlines()[-1]


fault("storage", "the work area cannot be removed at the end", "a warning; the run is whole; 0")


def test_a_work_area_that_stays(tmp_path, monkeypatch, caplog):
    def refused(work):
        raise StorageError(work, "refused")

    monkeypatch.setattr(work_files, "remove", refused)
    output, record = small_job(tmp_path).run()
    assert record["exit_code"] == 0
    assert (output / "work").exists()
    assert [r.getMessage() for r in caplog.records if "refused" in r.getMessage()] == [
        f"the work area is no longer needed but cannot be removed: {output}/work: refused"
    ]


fault("storage", "no answer at the launch", "one line, nothing is written; 1: try again")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("output=s3://bucket/folder", "output: s3://bucket/folder is not writable"),
        ("input.archive=s3://bucket/folder", "input.archive: s3://bucket/folder"),
        ("area={file: s3://bucket/area.geojson}", "s3://bucket/area.geojson"),
    ],
)
def test_a_storage_that_is_away_is_no_wrong_request(setting, named, tmp_path):
    file = small_job(tmp_path).file
    with using("http://127.0.0.1:9"):
        code, out, err = finish(start(file, "--set", setting))
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith(f"ghsl-beam: {named}")
    assert not (tmp_path / "output").exists()


fault(
    "storage",
    "the report cannot be written",
    "the record says so; the next launch makes only the report; 1",
)


def test_a_report_that_cannot_be_written(tmp_path, monkeypatch):
    job, write = small_job(tmp_path), storage.write_whole

    def refused(location, data):
        if location.endswith("index.html"):
            raise StorageError(location, "refused")
        write(location, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_whole", refused)
        with pytest.raises(StorageError, match="refused"):
            job.run()
    output = tmp_path / "output"
    record = json.loads((output / "run.json").read_text())
    assert (record["exit_code"], record["losses"]) == (1, [])
    assert "index.html: refused" in record["error"]
    assert (output / "work").exists()
    _, record = job.run()
    assert (record["exit_code"], record["computed"]) == (0, 0)
    assert json.loads((output / "run.json").read_text())["exit_code"] == 0
    assert (output / "report" / "index.html").is_file()
    assert not (output / "work").exists()


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """A job, and an output of it that has its work area still."""
    job = small_job(tmp_path_factory.mktemp("cut off"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "_remove_work_area", lambda output: None)
        return job, job.run()[0]


def flip_unnoticed(file):
    """Flip a bit that GDAL's decoder takes for data: it gives other pixels, and no error."""

    def content():
        with MemoryFile(bytes(data)) as memory, memory.open() as source:
            return source.read(), (source.tags(), source.profile)

    data = bytearray(file.read_bytes())
    right, labels = content()
    for place in range(len(data)):
        data[place] ^= 1
        try:
            found, others = content()
        except RasterioError:
            found, others = right, labels
        if others == labels and not np.array_equal(found, right):
            file.write_bytes(data)
            return
        data[place] ^= 1
    raise AssertionError("every flip is noticed")


# name -> the file to damage, and the products that lack and are to be made from it
DAMAGED = {
    "block file damaged": ("work/blocks/S2/*/*.tif", ["utm/*/*.tif", "grid/*/*.tif"]),
    "bit of a block file flipped, which its compression does not notice": (
        "work/blocks/S2/*/*.tif",
        ["utm/*/*.tif", "grid/*/*.tif"],
        flip_unnoticed,
    ),
    "bit of a part of the grid flipped, which its compression does not notice": (
        "work/grid/*/BUILT_S/*.tif",
        ["grid/*/*.tif"],
        flip_unnoticed,
    ),
    "block file damaged that only a product is made from": (
        "work/blocks/BUFRAC/*/*.tif",
        ["utm/*/BUFRAC_E*.tif", "grid/*/*.tif"],
    ),
    "part of the grid damaged": ("work/grid/*/BUILT_S/*.tif", ["grid/*/*.tif"]),
}
for name in DAMAGED:
    fault(
        "storage",
        name,
        "a loss, and the file is removed; the next launch makes it again, with the same bytes; 3",
    )
fault(
    "storage",
    "block file damaged, in a strict job",
    "the job stops, and the file is removed; the next launch makes it, with the same bytes; 1",
)


def half_made(folder, output, pattern, products, spoil=damage):
    """A copy of an output without some products, one file of its work area damaged."""
    copy = shutil.copytree(output, folder / "output")
    for pattern_of_products in products:
        for path in copy.glob(pattern_of_products):
            path.unlink()
    file = next(copy.glob(pattern))
    spoil(file)
    return copy, file


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_of_the_work_area(name, cut_off, undisturbed, tmp_path):
    job, output = cut_off
    copy, file = half_made(tmp_path, output, *DAMAGED[name])
    setting = f"output={copy}"
    _, record = job.run(setting)
    assert record["exit_code"] == 3
    assert str(file) in {loss["file"] for loss in record["losses"]}
    assert not file.exists()
    _, record = job.run(setting)
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not any(differing(layers(copy), undisturbed).values())


def test_a_strict_job_gets_past_a_damaged_file(cut_off, undisturbed, tmp_path):
    job, output = cut_off
    copy, file = half_made(tmp_path, output, *DAMAGED["block file damaged"])
    settings = (f"output={copy}", "strict=true")
    with pytest.raises(StrictError, match=file.name):
        job.run(*settings)
    assert not file.exists()
    _, record = job.run(*settings)
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not any(differing(layers(copy), undisturbed).values())


# name -> overview, -1 for full resolution
UNWRITTEN = {
    "write of a product lost without an error": -1,
    "write of a product's overview lost without an error": 0,
}
for name in UNWRITTEN:
    fault(
        "storage",
        name,
        "noticed before the product gets its name: a loss, and a rerun makes it; 3",
    )


@pytest.mark.parametrize("name", UNWRITTEN)
def test_a_write_that_is_lost(name, undisturbed, tmp_path, monkeypatch):
    """As where the disk fails when GDAL closes a file: it tells nobody."""
    job, copy, level = small_job(tmp_path), rasterio.shutil.copy, UNWRITTEN[name]
    lost = []

    def copy_badly(source, target, **options):
        copy(source, target, **options)
        of_grid = options["driver"] == "COG" and target.parent.name == "54009_100"
        if of_grid and lose_a_tile(target, {"ovr": level} if level >= 0 else {}):
            lost.append(target.name.split("_E2020")[0].lstrip("."))

    with monkeypatch.context() as patch:
        patch.setattr(rasterio.shutil, "copy", copy_badly)
        output, record = job.run()
    assert record["exit_code"] == 3
    assert {loss["stage"] for loss in record["losses"]} == {"aggregation"}
    assert all("cannot be written: " in loss["reason"] for loss in record["losses"])
    assert {"BUILT_S", "BUILT_S_NRES"} <= set(lost)
    there = {path.name.split("_E2020")[0] for path in output.glob("grid/54009_100/*.tif")}
    assert there.isdisjoint(lost)
    _, record = job.run()
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not any(differing(layers(output), undisturbed).values())


def lose_a_tile(path, asked):
    """Overwrite the first tile that holds anything with zeros; return whether there is one."""
    with rasterio.open(path) as source:
        for number in range(400):
            tile = f"{number % 20}_{number // 20}"
            first, size = (
                int(source.get_tag_item(f"BLOCK_{what}_{tile}", "TIFF", bidx=1, **asked) or 0)
                for what in ("OFFSET", "SIZE")
            )
            if size:
                break
    data = bytearray(path.read_bytes())
    data[first : first + size] = bytes(size)
    path.write_bytes(data)
    return size > 0
