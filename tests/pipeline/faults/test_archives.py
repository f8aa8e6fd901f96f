"""Archives that are arranged in any way, damaged, or try to reach what is not theirs."""

import json
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.faults.conftest import planned
from tests.pipeline.faults.table import fault
from transforms.elements import RequestError, StorageError
from transforms.storage import storage

REFUSED = "the product is refused with the name at fault, nothing is written outside; 3"


def packed(job, *entries, level=zipfile.ZIP_STORED, name=None):
    """The second product as a zip, with more entries of (name, bytes) in it."""
    target = job.spoiled.with_name(name or f"{job.spoiled.stem}.zip")
    with zipfile.ZipFile(target, "w", level) as archive:
        for path in sorted(job.spoiled.rglob("*")):
            inside = str(path.relative_to(job.spoiled.parent))
            if path.is_file() and inside not in {name for name, _ in entries}:
                archive.write(path, inside)
        for name, data in entries:
            archive.writestr(name, data)
    os.rename(job.spoiled, job.spoiled.parent.parent / "unpacked")
    return target


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


def moved(job, *parts):
    """Moves the second product to another place in the archive."""
    target = job.good.parent.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(job.spoiled, target)
    return target


def both_in_one_zip(job):
    target = packed(job, name="download.zip")
    with zipfile.ZipFile(target, "a") as archive:
        for path in sorted(job.good.rglob("*")):
            archive.write(path, str(path.relative_to(job.good.parent)))
    shutil.rmtree(job.good)


def linked(job):
    link = job.good.parent / job.spoiled.name
    link.symlink_to(moved(job, "..", "elsewhere.SAFE"), target_is_directory=True)


def twice(job):
    packed(job)
    shutil.copytree(job.spoiled.parent.parent / "unpacked", job.spoiled)


def back_to_itself(job):
    for folder in (job.good.parent, job.spoiled):
        (folder / "again").symlink_to(job.good.parent, target_is_directory=True)
        (folder / "again.SAFE").symlink_to(folder, target_is_directory=True)


def right_in_the_archive(job):
    for path in job.spoiled.iterdir():
        shutil.move(path, job.good.parent / path.name)
    job.spoiled.rmdir()


def another_granule(job):
    (granule,) = job.spoiled.glob("GRANULE/*")
    (granule.with_name(granule.name.replace("33UUU", "33UVU")) / "QI_DATA").mkdir(parents=True)
    (granule.parent / "@eaDir" / "x").mkdir(parents=True)
    (granule.parent / ".DS_Store").touch()


def beside_a_packed_one(job):
    (job.good.parent / f"{job.spoiled.stem}.tar.gz").touch()


def within_the_other(job):
    moved(job, job.good.name, job.spoiled.stem)


def beside_sentinel_2(job):
    moved(job, "downloads/batch1", job.spoiled.name)
    moved(replace(job, spoiled=job.good), "Sentinel-2/MSI/L1C/2020/06/10", job.good.name)


def root_and_folder_of_a_zip(job):
    with zipfile.ZipFile(job.good.parent / "download.zip", "w") as archive:
        for product, folder in ((job.good, ""), (job.spoiled, "other")):
            for path in sorted(product.rglob("*")):
                archive.write(path, os.path.join(folder, path.relative_to(product)))
            shutil.rmtree(product)


def with_a_manifest(job):
    for product in (job.good, job.spoiled):
        (product / "manifest.safe").write_text("<xfdu:XFDU/>")


ARRANGED = {
    "product folder without .SAFE": lambda job: moved(job, job.spoiled.stem),
    "folder around the product": lambda job: moved(job, job.spoiled.stem, job.spoiled.name),
    "product within its own name": lambda job: moved(job, "x.SAFE", job.spoiled.name),
    "products in folders by tile": lambda job: moved(job, "33UUU", job.spoiled.name),
    "folder of days beside products": lambda job: moved(job, "2020/06/15", job.spoiled.name),
    "month of one digit": lambda job: moved(job, "2020/6/15", job.spoiled.name),
    "year without days": lambda job: moved(job, "2020", job.spoiled.name),
    "L1C beside products": lambda job: moved(job, "L1C/2020/06/15", job.spoiled.name),
    "Sentinel-2 beside products": lambda job: moved(
        job, "Sentinel-2/MSI/L1C/2020/06/15", job.spoiled.name
    ),
    "folder of another year": lambda job: moved(job, "2019", job.spoiled.name),
    "folder of an order's number": lambda job: moved(job, "1957", job.spoiled.name),
    "month of another year, without days": lambda job: moved(job, "2019/01", job.spoiled.name),
    "grid zone within a year": lambda job: moved(job, "2020/33/U", job.spoiled.name),
    "folder of two tiles": lambda job: moved(job, "order_T32UME_T33UUU", job.spoiled.name),
    "folder of another tile": lambda job: moved(job, "33UVU/a", job.spoiled.name),
    "folder of another level": lambda job: moved(job, "L2A", job.spoiled.name),
    "folder that begins like another satellite": lambda job: moved(
        job, "S1A_S2_fusion/S2B_orders_AUX_data", job.spoiled.name
    ),
    "folders beside Sentinel-2": beside_sentinel_2,
    "product within another, without .SAFE": within_the_other,
    "folder within a product": lambda job: moved(job, job.good.name, "other", job.spoiled.name),
    "zip with a product at its root and one in a folder": root_and_folder_of_a_zip,
    "products with a manifest.safe": with_a_manifest,
    "product without a folder of its own": right_in_the_archive,
    "two products in one zip": both_in_one_zip,
    "zip in capitals": lambda job: packed(job, name=f"{job.spoiled.stem}.ZIP"),
    "product that is a link": linked,
    "product that is there twice": twice,
    "folders that link to themselves": back_to_itself,
    "granule of another tile incomplete": another_granule,
    "packed copy beside the product": beside_a_packed_one,
}
for name in ARRANGED:
    fault("archives", name, "the scene is found, and counts once; 0")


@pytest.mark.parametrize("name", ARRANGED)
def test_a_product_is_found_wherever_it_lies(job, name):
    ARRANGED[name](job)
    plan, days = planned(job)
    assert days == [10, 15]
    assert plan.losses == ()
    assert not [warning for warning in plan.warnings if "skipped" in warning]


def replaced_by_a_file(suffix, data=b"x"):
    def spoil(job):
        shutil.rmtree(job.spoiled)
        (job.spoiled.parent / f"{job.spoiled.stem}{suffix}").write_bytes(data)

    return spoil


def bands_alone(job):
    shutil.move(job.images, job.good.parent / "bands")
    shutil.rmtree(job.spoiled)
    return job.good.parent / "bands"


def aws_tile_without_metadata(job):
    tile = job.good.parent / "tiles/33/U/UU/2020/6/15/0"
    tile.mkdir(parents=True)
    for image in job.images.iterdir():
        shutil.move(image, tile / image.name[-7:])
    (tile / "tileInfo.json").write_text("{}")
    shutil.rmtree(job.spoiled)
    return tile


def granule_without_metadata(job):
    (granule,) = job.spoiled.glob("GRANULE/*")
    (granule / "MTD_TL.xml").unlink()
    shutil.move(granule, job.good.parent / granule.name)
    shutil.rmtree(job.spoiled)
    return job.good.parent / granule.name


PASSED_OVER = {
    "bands without a product": bands_alone,
    "AWS tile without its metadata": aws_tile_without_metadata,
    "granule without metadata, without its product": granule_without_metadata,
    "part of a split zip": replaced_by_a_file(".zip.001"),
    "file that is a copy of a product": replaced_by_a_file(" - Copy"),
    "zip without .zip": lambda job: packed(job, name="download"),
    "product as .tar": replaced_by_a_file(".tar"),
    "product as .tar.gz": replaced_by_a_file(".tar.gz"),
    "product as .tgz": replaced_by_a_file(".SAFE.tgz"),
    "product as .7z": replaced_by_a_file(".7z"),
    "unfinished download (.zip.part)": replaced_by_a_file(".zip.part"),
    "unfinished download (.incomplete)": lambda job: moved(job, f"{job.spoiled.name}.incomplete"),
    "unfinished download (hidden)": lambda job: (
        replaced_by_a_file("")(job)
        or (job.good.parent / job.spoiled.stem).rename(
            job.good.parent / f".{job.spoiled.name}.zip.a8Fe1"
        )
    ),
}
for name in PASSED_OVER:
    fault("archives", name, "a warning names it; the composite is that of the others; 0")


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_is_not_looked_into_is_named(job, name):
    place = PASSED_OVER[name](job)
    plan, days = planned(job)
    assert (days, plan.losses) == ([10], ())
    (warning,) = [warning for warning in plan.warnings if "skipped" in warning]
    assert str(place or job.spoiled.stem) in warning


def zip_in_a_zip(job):
    inner = packed(job)
    with zipfile.ZipFile(job.good.parent / "outer.zip", "w") as archive:
        archive.write(inner, inner.name)
    inner.unlink()


def beside_the_other_in_a_zip(entry):
    """The first product as a zip, with an entry of the second in it."""

    def spoil(job):
        data = next(job.images.iterdir()).read_bytes()
        shutil.rmtree(job.spoiled)
        target = packed(replace(job, spoiled=job.good))
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr(entry.format(job.spoiled.stem), data)

    return spoil


def half_of_a_zip(job):
    both_in_one_zip(job)
    whole = job.good.parent / "download.zip"
    kept = job.good.parent / "half.zip"
    name = f"{job.spoiled.name}/MTD_MSIL1C.xml"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(kept, "w") as target:
        for entry in source.namelist():
            if entry != name:
                target.writestr(entry, source.read(entry))
    whole.unlink()


def two_entries(job):
    target = packed(job)
    with zipfile.ZipFile(target, "a") as archive:
        entry = next(name for name in archive.namelist() if name.endswith("_B04.jp2"))
        data = archive.read(entry)[:-1]
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(entry, data)


def damaged_lzma(job):
    target = packed(job, level=zipfile.ZIP_LZMA)
    with zipfile.ZipFile(target) as archive:
        (entry,) = [e for e in archive.infolist() if e.filename.endswith("MTD_MSIL1C.xml")]
    data = bytearray(target.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename) + 40
    data[start : start + 64] = b"\xff" * 64
    target.write_bytes(data)


def central_field(at, value):
    """Writes two bytes into the central directory's entries, and into the local headers."""

    def spoil(job):
        target = packed(job)
        data = bytearray(target.read_bytes())
        for start, shift in ((b"PK\x01\x02", 0), (b"PK\x03\x04", -2)):
            for found in re.finditer(re.escape(start), bytes(data)):
                place = found.start() + at + shift
                data[place : place + 2] = value
        target.write_bytes(data)

    return spoil


def empty_granule(job):
    (granule,) = job.spoiled.glob("GRANULE/*")
    shutil.rmtree(granule)
    granule.mkdir()


def empty_granule_in_a_zip(job):
    empty_granule(job)
    (granule,) = job.spoiled.glob("GRANULE/*")
    packed(job, (f"{granule.relative_to(job.good.parent)}/", b""))


def odd_name(inner):
    def spoil(job):
        (granule,) = job.spoiled.glob("GRANULE/*")
        empty_granule(job)
        os.rename(granule, os.fsencode(granule) + inner)

    return spoil


def renamed(old, new):
    return lambda job: moved(job, job.spoiled.name.replace(old, new))


def emptied(job):
    shutil.rmtree(job.spoiled)
    job.spoiled.with_suffix("").mkdir()


def dangling(job):
    shutil.rmtree(job.spoiled)
    job.spoiled.symlink_to(job.good.parent / "absent")


def granule_alone(job):
    (granule,) = job.spoiled.glob("GRANULE/*")
    shutil.move(granule, job.good.parent / granule.name)
    shutil.rmtree(job.spoiled)


def not_utf8(job):
    folder, name = os.fsencode(job.spoiled.parent), os.fsencode(job.spoiled.stem)
    os.rename(job.spoiled, os.path.join(folder, name + b"\xff\xfe.SAFE"))


SET_ASIDE = {
    "zip in a zip": zip_in_a_zip,
    "tar in a zip": beside_the_other_in_a_zip("{}.tar"),
    "bands alone in a zip": beside_the_other_in_a_zip("bands/T33UUU_20200615T102101_B04.jp2"),
    "granule alone in a zip": beside_the_other_in_a_zip(
        "L1C_T33UUU_A008640_20200615T102101/IMG_DATA/B04.jp2"
    ),
    "zip of two, one incomplete": half_of_a_zip,
    "zip with two entries of one name": two_entries,
    "zip with a damaged LZMA stream": damaged_lzma,
    "zip of an unknown method": central_field(10, b"\x63\x00"),
    "encrypted zip": central_field(8, b"\x01\x00"),
    "cut zip": lambda job: os.truncate(packed(job), 20_000),
    "file named as a product (.SAFE)": replaced_by_a_file(".SAFE"),
    "file named as a product (no ending)": replaced_by_a_file(""),
    "empty product folder": emptied,
    "link to a missing file": dangling,
    "granule without its product": granule_alone,
    "empty granule": empty_granule,
    "empty granule in a zip": empty_granule_in_a_zip,
    "granule whose name is not UTF-8": odd_name(b"\xff"),
    "granule with a name that cannot be printed": odd_name("\u200b".encode()),
    "product whose name is not UTF-8": not_utf8,
    "product with a name that cannot be printed": renamed(".SAFE", "\u200b.SAFE"),
    "product named for another day": renamed("20200615T", "20200616T"),
}
for name in SET_ASIDE:
    fault("archives", name, "the product is set aside and named; the others are used; 3")


@pytest.mark.parametrize("name", SET_ASIDE)
def test_an_odd_product_is_set_aside(job, name):
    SET_ASIDE[name](job)
    plan, days = planned(job)
    assert days == [10]
    (loss,) = plan.losses
    assert loss.stage == "catalogue"
    assert Path(loss.file).is_relative_to(job.good.parent)


fault("archives", "a folder that cannot be listed", "it is named as a loss; the others are used; 3")


def test_a_folder_that_cannot_be_listed(job, monkeypatch):
    moved(job, "closed", job.spoiled.name)
    listed = storage.contents

    def contents(folder):
        if folder.endswith("closed"):
            raise StorageError(folder, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(storage, "contents", contents)
    plan, days = planned(job)
    assert days == [10]
    (loss,) = plan.losses
    assert (loss.file, loss.reason) == (
        str(job.good.parent / "closed"),
        "cannot be listed: Permission denied",
    )


def test_an_odd_product_is_recorded_by_a_run(job):
    empty_granule(job)
    odd_name(b"\xff")(job)
    output, record = job.run()
    assert record["exit_code"] == 3
    (aside,) = json.loads((output / "run.json").read_text())["scenes_set_aside"]
    assert aside["file"].endswith("\\udcff")
    np.testing.assert_array_equal(job.s2(output), job.first)


FLIPPED = "zip member with flipped bits"
fault(
    "archives", FLIPPED, "the checksum shows it; the scene is set aside, no pixel of it is used; 3"
)


def test_flipped_bits_in_a_zip_are_noticed(job):
    target = packed(job)
    with zipfile.ZipFile(target) as archive:
        (entry,) = [e for e in archive.infolist() if e.filename.endswith("_B04.jp2")]
    data = bytearray(target.read_bytes())
    data[entry.header_offset + 30 + len(entry.filename) + entry.file_size * 3 // 4] ^= 0x10
    target.write_bytes(data)
    output, record = job.run()
    assert record["exit_code"] == 3
    (aside,) = record["scenes_set_aside"]
    assert aside["file"] == f"{target}/{entry.filename}"
    assert "CRC" in aside["reason"]
    np.testing.assert_array_equal(job.s2(output), job.first)


def test_no_scene_names_what_is_passed_over(job):
    for folder in (job.good, job.spoiled):
        replaced_by_a_file(".tar")(replace(job, spoiled=folder))
    with pytest.raises(RequestError, match=r"no L1C scene .*\.tar"):
        planned(job)
