"""`ghsl-beam scenes`: every product that a job looks at stands in the list, with the reason."""

import json
from datetime import date

import numpy as np
import pytest
import shapely

from tests.support.archive import Product, write_product
from tests.support.command import call
from tests.support.jobs import lonlat_box, write_job

EPSG, ULX, ULY = 32633, 330000, 5820000
DAY = Product.day


def product(**over):
    dn = np.full((4, 64, 64), 1500)
    strip = f"{over.get('day', DAY):%Y%m%d}T102101"
    place = {"tile": "33UUU", "epsg": EPSG, "ulx": ULX, "uly": ULY}
    return Product(**place, dn=dn, datastrip=strip, **over)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    archive = folder / "archive"
    write_product(archive, product())
    write_product(archive, product(generation="T130000", baseline="05.00"))
    write_product(archive, product(day=date(2020, 6, 17), cloud_cover=95))
    broken = write_product(archive, product(day=date(2020, 6, 20)))
    (broken / "MTD_MSIL1C.xml").write_text("<cut")
    (archive / "S2A_MSIL1C_20200622T102101_N0209_R065_T33UUU_20200622T120000.tar").touch()
    wkt = lonlat_box(EPSG, ULX, ULY - 640, ULX + 640, ULY)
    return write_job(folder, wkt, archive, models={"folder": str(folder / "none")})


@pytest.fixture
def listed(job, monkeypatch, capfd):
    def listed(*options):
        code, said, errors = call(monkeypatch, capfd, "scenes", job, *options)
        assert (code, errors) == (0, ""), errors
        return said

    return listed


def test_a_table(listed):
    text = listed()
    assert text.endswith("33UUU_20200622T120000.tar\n")
    assert "1 used, 1 lost, 2 left out" in text
    assert "warning: skipped, packed in a form that" in text
    assert "masks: product; clouds grow by 0 m, cloud shadows by 0 m" in text
    assert "given" not in text  # there is no run yet


def test_json_names_each_with_its_reason(listed):
    content = json.loads(listed("--format", "json"))
    rows = {(row["status"], row["reason"]) for row in content["scenes"]}
    assert {status for status, _ in rows} == {"used", "left out", "lost"}
    assert ("left out", "another processing or copy is used") in rows
    assert ("left out", "cloud cover 95 %, at most 90 %") in rows
    assert all(row["sensing"] for row in content["scenes"])
    (used,) = (row for row in content["scenes"] if row["status"] == "used")
    assert used["baseline"] == "05.00"
    assert used["bytes"] > 0
    assert len(content["warnings"]) == 1


def test_geojson_shows_the_square_of_the_tile(listed):
    content = json.loads(listed("--format", "geojson"))
    assert content["type"] == "FeatureCollection"
    assert len(content["features"]) == 4
    for feature in content["features"]:
        square = shapely.geometry.shape(feature["geometry"])
        assert square.is_valid
        assert square.contains(shapely.Point(13.0, 52.5))
        assert feature["properties"]["tile"] == "33UUU"
