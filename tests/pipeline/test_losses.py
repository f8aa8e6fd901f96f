"""What fails is an element of its own: recorded, in the exit code, and made good by a rerun."""

import json
from datetime import date

import numpy as np
import pytest
import rasterio
import shapely

from tests.support.archive import Product, write_product
from tests.support.disturbed import finish, start
from tests.support.jobs import differing, layers, lonlat_box, make, write_job
from tests.support.scenes import town
from transforms.elements import RequestError
from transforms.work.losses import Losses

ULX, ULY = 330000, 5820000


def test_a_scene_that_cannot_be_read(tmp_path):
    dn = town(220, 260)
    days = [date(2020, 6, 10), date(2020, 6, 15)]
    products = [Product("33UUU", 32633, ULX, ULY, dn + 10 * i, day) for i, day in enumerate(days)]
    folders = [write_product(tmp_path / "archive", product) for product in products]
    (red,) = folders[1].glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    good = red.read_bytes()
    red.write_bytes(good[:200] + bytes(len(good) - 200))
    area = lonlat_box(32633, ULX, ULY - 2200, ULX + 2600, ULY)
    file = write_job(tmp_path, area, tmp_path / "archive", block_size=128)

    output, record = make(file)
    assert record["exit_code"] == 3
    assert record["losses"]
    for loss in record["losses"]:
        assert loss["tile"] == "33UUU"
        assert loss["scene"] == products[1].name
        assert loss["file"].endswith("_B04.jp2")
        assert loss["reason"]
    assert json.loads((output / "run.json").read_text())["exit_code"] == 3
    s2 = output / "utm/33UUU/S2_E2020_town_33UUU.tif"
    with rasterio.open(s2) as source:
        first = source.read()
    assert (output / "work").is_dir()
    for path in layers(output):
        with rasterio.open(output / path) as source:
            assert source.tags()["GHSL_FINGERPRINT"] == "incomplete", path
    assert not any(product["whole"] for product in record["products"])

    red.write_bytes(good)
    _, record = make(file)
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert not (output / "work").exists()
    with rasterio.open(s2) as source:
        second = source.read()
    valid = (products[0].dn > 0).all(axis=0)[None] & (products[1].dn > 0).all(axis=0) & (second > 0)
    expected = np.rint(np.percentile([p.dn for p in products], 30, axis=0)).astype("uint16")
    np.testing.assert_array_equal(second[valid], expected[valid])
    assert (first != second).any()
    undisturbed, _ = make(file, settings=(f"output={tmp_path / 'undisturbed'}",))
    assert set(differing(layers(undisturbed), layers(output)).values()) == {0}


def test_only_what_a_loss_reaches_is_made_again(tmp_path):
    """The second scene covers the east alone: blocks that it does not reach stay."""
    dn = town(256, 768)
    days = [date(2020, 6, 10), date(2020, 6, 15)]
    east = dn[:, :, 512:] + 10
    products = [
        Product("33UUU", 32633, ULX, ULY, dn, days[0]),
        Product("33UUU", 32633, ULX + 5120, ULY, east, days[1]),
    ]
    folders = [write_product(tmp_path / "archive", product) for product in products]
    (red,) = folders[1].glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    good = red.read_bytes()
    red.write_bytes(good[:200] + bytes(len(good) - 200))
    area = lonlat_box(32633, ULX - 100, ULY - 2700, ULX + 7800, ULY + 100)
    settings = {
        "block_size": 128,
        "cleaning": {"minimum_area_m2": 400},
        "greenness": {"radius_m": 20},
    }
    file = write_job(tmp_path, area, tmp_path / "archive", **settings)
    _, first = make(file)
    assert first["exit_code"] == 3
    red.write_bytes(good)
    output, second = make(file)
    assert second["exit_code"] == 0
    # 2 x 6 blocks, 2 x 2 of them in the east; a line's halo takes one more column each.
    assert first["stages"]["inference"]["blocks"] == 12
    assert second["stages"]["assembly"]["blocks"] == 4
    assert second["stages"]["inference"]["blocks"] == 6
    assert second["stages"]["cleaning"]["blocks"] == 8
    undisturbed, _ = make(file, settings=(f"output={tmp_path / 'undisturbed'}",))
    assert set(differing(layers(undisturbed), layers(output)).values()) == {0}


def test_the_last_lines_name_what_was_lost_and_the_command(tmp_path):
    dn = town(128, 128)
    products = [
        Product("33UUU", 32633, ULX, ULY, dn + 10 * i, date(2020, 6, 10 + i)) for i in range(2)
    ]
    folders = [write_product(tmp_path / "archive", product) for product in products]
    (red,) = folders[1].glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    red.write_bytes(red.read_bytes()[:300])
    area = lonlat_box(32633, ULX, ULY - 1280, ULX + 1280, ULY)
    file = write_job(tmp_path, area, tmp_path / "archive", block_size=64)
    code, out, err = finish(start(file, "--set", "epoch=2021"))
    assert code == 3, err
    *_, lost, remedy, command = out.splitlines()
    assert lost.startswith(f"lost in assembly: 33UUU {products[1].name} ")
    assert lost.endswith("(4 blocks)")
    assert "_B04.jp2: " in lost
    assert remedy.startswith("A product of Sentinel-2 is damaged or cannot be used: ")
    words = f"ghsl-beam run {file} --quiet --set epoch=2021"
    assert command == f"to make only what was lost, run again: {words}"
    code, out, err = finish(start(file, "--set", "epoch=2021"))
    assert code == 3, err
    assert "nothing to do" not in out
    assert out.splitlines()[-3:] == [lost, remedy, command]


def polygons(*boxes):
    return shapely.MultiPolygon([shapely.from_wkt(lonlat_box(32633, *box)) for box in boxes]).wkt


def test_an_area_on_both_sides_of_the_data_is_a_bad_request(tmp_path):
    """Its bounding box meets the data, and it does not."""
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX, ULY, town(128, 128)))
    west = (ULX - 3000, ULY - 1000, ULX - 2000, ULY)
    east = (ULX + 3000, ULY - 1000, ULX + 4000, ULY)
    with pytest.raises(RequestError, match="area: the scenes have data only outside the area"):
        make(write_job(tmp_path, polygons(west, east), tmp_path / "archive"))
    assert not (tmp_path / "output").exists()


def test_a_tile_whose_data_the_area_misses_is_as_one_without_scenes(tmp_path):
    """The other tile's files, in the same cells, are whole; the ground not seen is the loss."""
    dn, other = town(128, 128), ULX + 90_000
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX + 60_000, ULY, dn))
    write_product(tmp_path / "archive", Product("33UVU", 32633, other, ULY, dn))
    sides = [(ULX + x, ULY - 1000, ULX + x + 1000, ULY) for x in (60_000 - 3000, 60_000 + 3000)]
    area = polygons(*sides, (other, ULY - 1280, other + 1280, ULY))
    file = write_job(tmp_path, area, tmp_path / "archive", block_size=64)
    _, first = make(file)
    assert [tile["tile"] for tile in first["tiles"]] == ["33UVU"]
    assert {loss["tile"] for loss in first["losses"]} == {"33UUU"}
    (reason,) = {loss["reason"] for loss in first["losses"]}
    assert reason == "no L1C scene from 2020-06-01 to 2020-06-30 with data in the area"
    assert first["exit_code"] == 3
    assert all(product["whole"] for product in first["products"])
    _, second = make(file)
    assert (second["exit_code"], second["losses"]) == (3, first["losses"])
    assert (second["computed"], second["reused"]) == (0, first["computed"])


def test_what_is_not_whole_is_a_loss_even_where_no_stage_says_so(tmp_path, monkeypatch):
    archive = tmp_path / "archive"
    product = write_product(archive, Product("33UUU", 32633, ULX, ULY, town(64, 64)))
    (red,) = product.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    red.write_bytes(red.read_bytes()[:300])
    area = lonlat_box(32633, ULX, ULY - 640, ULX + 640, ULY)
    monkeypatch.setattr(Losses, "recorded", lambda self: [])
    _, record = make(write_job(tmp_path, area, archive, block_size=64))
    assert record["exit_code"] == 3
    assert {loss["file"] for loss in record["losses"]} >= {p["path"] for p in record["products"]}
    assert "no stage gave a reason" in record["losses"][0]["reason"]
