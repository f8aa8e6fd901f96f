"""Archives and folders that try to reach what is not theirs."""

import os
import zipfile

import numpy as np
import pytest

from tests.pipeline.faults.table import fault

REFUSED = "the product is refused with the name at fault, nothing is written outside; 3"


def packed(job, *entries, level=zipfile.ZIP_STORED):
    """The second product as a zip, with more entries of (name, bytes) in it."""
    target = job.spoiled.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", level) as archive:
        for path in sorted(job.spoiled.rglob("*")):
            inside = str(path.relative_to(job.spoiled.parent))
            if path.is_file() and inside not in {name for name, _ in entries}:
                archive.write(path, inside)
        for name, data in entries:
            archive.writestr(name, data)
    os.rename(job.spoiled, job.spoiled.parent.parent / "unpacked")


def zip_slip(job):
    packed(job, ("../../evil.txt", b"evil"))


def zip_bomb(job):
    bomb = b"<a>" + bytes(70 * 2**20)
    packed(job, (f"{job.spoiled.name}/MTD_MSIL1C.xml", bomb), level=zipfile.ZIP_DEFLATED)
    assert job.spoiled.with_suffix(".zip").stat().st_size < 2**20


def symlink(job):
    outside = job.file.parent / "outside.jp2"
    outside.write_bytes(job.red.read_bytes())
    red = job.red
    red.unlink()
    red.symlink_to(outside)


def newline(job):
    packed(job, (f"{job.spoiled.name}/GRANULE/a\nb.xml", b"x"))


def dots(job):
    packed(job, (f"{job.spoiled.name}/GRANULE/../../../x.xml", b"x"))


SPOILED = {
    "zip slip": zip_slip,
    "zip bomb": zip_bomb,
    "symlink out of the tree": symlink,
    "name with ..": dots,
    "name with a newline": newline,
}
for name in SPOILED:
    fault("archives", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_an_unsafe_archive_is_refused(job, name):
    SPOILED[name](job)
    before = {path for path in job.file.parent.rglob("*") if "output" not in path.parts}
    output, record = job.run()
    assert record["exit_code"] == 3
    (aside,) = record["scenes_set_aside"]
    assert job.spoiled.stem in aside["file"]
    assert aside["reason"].isprintable()
    np.testing.assert_array_equal(job.s2(output), job.first)
    after = {path for path in job.file.parent.rglob("*") if "output" not in path.parts}
    assert after == before
