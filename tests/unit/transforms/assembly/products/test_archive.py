import os
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from transforms.assembly import find_scenes, passes, read_scene, reduce_duplicates
from transforms.assembly.products import candidates
from transforms.assembly.products.passes import clear_enough
from transforms.elements import Level, SceneError

DN = np.ones((4, 16, 16), np.uint16)
DAY = date(2020, 6, 15)


def make(folder, tile="33UUU", day=DAY, **more):
    return write_product(folder, Product(tile, 32633, 300000, 5800020, DN, day=day, **more))


def eodata(root, collection, day):
    folder = root / "Sentinel-2" / "MSI" / collection / f"{day:%Y/%m/%d}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def names(found):
    return [os.path.basename(scene.path) for scene in found[0]]


def find(archive, tiles=("33UUU",), start=DAY, end=DAY, level=Level.L1C, max_cloud=100):
    return find_scenes(str(archive), tiles, start, end, level, max_cloud)


def test_flat_folder(tmp_path):
    wanted = make(tmp_path)
    make(tmp_path, tile="33UVU")
    make(tmp_path, day=date(2020, 6, 16))
    make(tmp_path, day=date(2020, 6, 14))
    assert find(tmp_path)[0] == [read_scene(str(wanted))]
    assert len(find(tmp_path, start=date(2020, 6, 14), end=date(2020, 6, 16))[0]) == 3
    assert len(find(tmp_path, tiles=["33UVU", "33UUU"])[0]) == 2
    assert find(tmp_path, level=Level.L2A) == ([], [], [])
    assert find(wanted)[0] == [read_scene(str(wanted))]


def test_cloud_cover_limit(tmp_path):
    make(tmp_path, cloud_cover=40)
    assert len(find(tmp_path, max_cloud=40)[0]) == 1
    assert find(tmp_path, max_cloud=39.9)[0] == []


def test_dated_tree_with_both_collections(tmp_path):
    strip = "20200615T102047"
    old = make(eodata(tmp_path, "L1C", DAY), datastrip=strip)
    new = make(
        eodata(tmp_path, "L1C_N0500", DAY), baseline="05.00", generation="T230000", datastrip=strip
    )
    other = make(eodata(tmp_path, "L1C", date(2020, 7, 1)), day=date(2020, 7, 1))
    found = find(tmp_path, end=date(2020, 7, 1))
    assert names(found) == [new.name, other.name]
    for root in (tmp_path / "Sentinel-2", tmp_path / "Sentinel-2/MSI"):
        assert find(root, end=date(2020, 7, 1)) == found
    assert names(find(tmp_path / "Sentinel-2/MSI/L1C")) == [old.name]


def test_only_the_days_of_the_period_are_visited(tmp_path, monkeypatch):
    for offset in (-400, -40, -1, 0, 1, 40, 400):
        day = DAY + timedelta(days=offset)
        make(eodata(tmp_path, "L1C", day), day=day)
    visited = []
    for name in ("listdir", "scandir"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda path, real=real: visited.append(str(path)) or real(path)
        )
    assert len(find(tmp_path, start=DAY, end=DAY + timedelta(days=1))[0]) == 2
    below = [path.split("/L1C/")[1].split("/") for path in visited if "/L1C/" in path]
    assert {"/".join(parts[:3]) for parts in below if len(parts) > 2} == {
        "2020/06/15",
        "2020/06/16",
    }


def test_names_out_of_the_request_are_not_opened(tmp_path):
    for name in (
        "S2A_MSIL1C_20200615T102101_N0209_R065_T33UVU_20200615T120000.SAFE",
        "S2A_MSIL2A_20200615T102101_N0209_R065_T33UUU_20200615T120000.SAFE",
        "S2A_MSIL1C_20200616T102101_N0209_R065_T33UUU_20200616T120000.zip",
    ):
        (tmp_path / name).touch()
    assert find(tmp_path) == ([], [], [])


def test_parts_out_of_the_request_are_not_named(tmp_path):
    for name in (
        "bands/T33UVU_20200615T102101_B04.jp2",
        "bands/T33UUU_20200616T102101_B04.jp2",
        "bands/T33UUU_20200615T102101_B04_10m.jp2",
        "L1C_T33UVU_A008640_20200615T102101/MTD_TL.xml",
        "L2A_T33UUU_A008640_20200615T102101/IMG_DATA/R10m/B04.jp2",
        "33UVU/tileInfo.json",
        "lost+found/S2A_MSIL1C_20200615T102101_N0209_R065_T33UUU_20200615T120000.zip",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "Sentinel-2").mkdir()
    assert find(tmp_path) == ([], [], [])


def test_so_many_folders_of_other_tiles_are_looked_into(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "MAX_UNLIKELY", 2)
    wanted = make(tmp_path / "33UUU" / "2020")
    for tile in ("31UDQ", "32UME", "33UVU", "34UCA"):
        (tmp_path / tile).mkdir()
    found = find(tmp_path)
    assert names(found) == [wanted.name]
    (warning,) = found.warnings
    assert f"{tmp_path / '33UVU'}, {tmp_path / '34UCA'}" in warning


def test_unreadable_product_is_reported(tmp_path):
    good = make(tmp_path)
    (tmp_path / "S2A_MSIL1C_20200615T102101_N0209_R065_T33UUU_20200615T130000.zip").touch()
    (tmp_path / "anything.zip").write_bytes(b"no zip")
    bad = make(tmp_path, generation="T140000")
    (bad / "MTD_MSIL1C.xml").write_text("<broken")
    found, losses, _ = find(tmp_path)
    assert [scene.path for scene in found] == [str(good)]
    assert [os.path.basename(error.file) for error in losses] == [
        "S2A_MSIL1C_20200615T102101_N0209_R065_T33UUU_20200615T130000.zip",
        "MTD_MSIL1C.xml",
        "anything.zip",
    ]


def test_product_without_a_telling_name_is_opened(tmp_path):
    safe = make(tmp_path / "in")
    shutil.move(safe, tmp_path / "renamed.SAFE")
    assert names(find(tmp_path)) == ["renamed.SAFE"]
    assert find(tmp_path, tiles=["33UVU"]) == ([], [], [])


def test_older_product_gives_each_wanted_tile(shared_data):
    folder = shared_data / "gdal_fake_safe/fake_l1c"
    day = date(2015, 12, 31)
    found, losses, warnings = find(folder, ["32TQR", "32TRQ", "33UUU"], day, day)
    assert [scene.tile for scene in found] == ["32TQR", "32TRQ"]
    assert losses == warnings == []


def test_missing_archive(tmp_path):
    with pytest.raises(SceneError, match="cannot be read as an archive"):
        find(tmp_path / "absent")


def test_duplicates(tmp_path):
    base = read_scene(str(make(tmp_path, datastrip="20200615T102047")))
    newer = replace(base, baseline="05.00", id=base.id.replace("N0209", "N0500"))
    later = replace(newer, id=newer.id.replace("T120000", "T130000"))
    shifted = replace(base, baseline="04.00", sensing=base.sensing + timedelta(seconds=3))
    other_satellite = replace(base, id=base.id.replace("S2A", "S2B"))
    other_tile = replace(base, tile="33UVU")
    next_pass = replace(base, sensing=base.sensing + timedelta(minutes=100))
    scenes = [base, newer, later, shifted, other_satellite, other_tile, next_pass]
    expected = [later, other_satellite, next_pass, other_tile]
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(scenes))
        assert reduce_duplicates(scenes[i] for i in order) == expected


def test_both_datastrips_of_a_pass_are_kept(tmp_path):
    """A pass over a tile may come as two products, each with a part of the tile."""
    north = replace(read_scene(str(make(tmp_path))), datastrip="20200615T102047")
    south = replace(north, datastrip="20200615T102103", id=north.id.replace("T120000", "T120001"))
    again = replace(south, id=north.id.replace("T120000", "T150000"))
    assert reduce_duplicates([north, south, again]) == [north, again]
    reprocessed = replace(north, baseline="05.00", datastrip="20200615T102046")
    assert reduce_duplicates([north, south, again, reprocessed]) == [reprocessed, again]
    both = [reprocessed, replace(again, baseline="05.00")]
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(5)
        scenes = [north, south, again, *both]
        assert reduce_duplicates(scenes[i] for i in order) == both


def test_a_datastrip_that_was_not_reprocessed_is_kept(tmp_path):
    """Else its part of the tile would be gone with nothing said."""
    base = read_scene(str(make(tmp_path)))
    old = replace(base, datastrip="20200615T102500", id=base.id.replace("T120000", "T120001"))
    new = replace(old, baseline="05.00", id=old.id.replace("N0209", "N0500"))
    other = replace(base, datastrip="20200615T102900")
    assert reduce_duplicates([old, new, other]) == [other, new]
    assert reduce_duplicates([other, new, old]) == [other, new]


def test_without_a_datastrip_nothing_of_a_pass_is_left_out(tmp_path):
    """Nothing tells which part of the tile a product covers: the first with data counts."""
    base = read_scene(str(make(tmp_path)))
    half = replace(base, id=base.id.replace("T120000", "T130000"))
    new = replace(
        base, baseline="05.00", datastrip="20200615T102500", id=base.id.replace("N0209", "N0500")
    )
    scenes = [base, half, new]
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(3)
        assert {*reduce_duplicates(scenes[i] for i in order)} == {*scenes}
        assert passes(scenes[i] for i in order) == [[new, half, base]]
    copy = replace(base, path=base.path.replace("archive", "copy") + "x")
    assert reduce_duplicates([base, copy]) == [copy]


def test_an_unknown_satellite_is_that_of_the_same_moment(tmp_path):
    """Two satellites that fly one behind the other stay two passes."""
    base = read_scene(str(make(tmp_path)))
    behind = replace(
        base, id=base.id.replace("S2A", "S2C"), sensing=base.sensing + timedelta(seconds=30)
    )
    copy = replace(base, id="other", satellite="", path="/other")
    late = replace(copy, id="late", path="/late", sensing=behind.sensing)
    later = replace(copy, id="later", path="/later", sensing=base.sensing + timedelta(hours=2))
    scenes = [base, behind, copy, late, later]
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(scenes))
        found = {frozenset(scene.id for scene in one) for one in passes(scenes[i] for i in order)}
        assert found == {
            frozenset((base.id, "other")),
            frozenset((behind.id, "late")),
            frozenset(("later",)),
        }
    assert clear_enough([replace(copy, baseline="01.00"), replace(base, cloud_cover=50)], 40) == []


def test_a_satellite_is_read_however_it_is_spelled(tmp_path):
    safe = make(tmp_path)
    metadata = safe / "MTD_MSIL1C.xml"
    text = metadata.read_text()
    for spelled in ("SENTINEL-2A", "sentinel-2a", "Sentinel 2A", "S2A"):
        metadata.write_text(text.replace(">Sentinel-2A<", f">{spelled}<"))
        assert read_scene(str(safe)).satellite == "S2A"


def test_what_is_too_cloudy_is_not_replaced_by_its_older_processing(tmp_path):
    old = read_scene(str(make(tmp_path)))
    new = replace(old, baseline="05.00", cloud_cover=50.0, id=old.id.replace("N0209", "N0500"))
    assert clear_enough([old, new], 60) == [old, new]
    assert clear_enough([old, new], 40) == []
    half = replace(new, cloud_cover=10.0)
    assert clear_enough([old, new, half], 40) == [half]
    other = replace(old, sensing=old.sensing + timedelta(hours=2))
    assert clear_enough([other, new], 40) == [other]
    strips = [
        replace(one, datastrip=start)
        for one, start in ((old, "20200615T102500"), (new, "20200615T102900"))
    ]
    assert clear_enough(strips, 40) == strips[:1]


def test_one_datastrip_made_twice_with_starts_a_second_apart(tmp_path):
    first = replace(read_scene(str(make(tmp_path))), datastrip="20200615T102101")
    again = replace(
        first, datastrip="20200615T102102", id=first.id.replace("T120000", "T130000"), path="/b"
    )
    assert reduce_duplicates([first, again]) == reduce_duplicates([again, first]) == [again]


def test_no_start_of_a_datastrip_is_an_empty_one(tmp_path):
    """What looks like a start and is no moment is none."""
    safe = make(tmp_path)
    (metadata,) = safe.glob("GRANULE/*/MTD_TL.xml")
    strip = "<DATASTRIP_ID>S2A_OPER_MSI_L1C_DS_SGS__20200615T120000_S{}_N02.09</DATASTRIP_ID>"
    text = metadata.read_text()
    for start, found in (("20200615T102047", "20200615T102047"), ("20209915T102047", "")):
        named = f"{strip.format(start)}<SENSING_TIME"
        metadata.write_text(text.replace("<SENSING_TIME", named))
        assert read_scene(str(safe)).datastrip == found
