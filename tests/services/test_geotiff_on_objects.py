"""Rasters on object storage: read by window through GDAL, their fingerprints at little cost."""

import numpy as np
import pytest
import rasterio

from tests.support.object_storage import put_folder
from transforms.elements import LAYERS, Layer, RasterError, RasterRef, Window, utm_grid
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import stored_fingerprint, stored_fingerprints
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    opened,
    raster_profile,
    read_window,
    write_block,
)
from transforms.storage import storage
from transforms.storage.storage import join

WHOLE = Window(0, 0, 300, 200)
PLACE = raster_profile(utm_grid(32633, 300000, 5900040, *WHOLE.shape))


def block(file, values, mark="f"):
    write_block(file, values, PLACE, 0, {FINGERPRINT_TAG: mark})
    return RasterRef("33UUU", Layer.S2, WHOLE, file)


@pytest.fixture
def scene():
    return np.random.default_rng(1).integers(1, 9000, WHOLE.shape).astype("uint16")


def test_a_block_comes_back(folder, scene):
    reference = block(join(folder, "a.tif"), scene)
    window = Window(-3, 5, 100, 70)
    found = read_window([reference], window, 1, "uint16", 0)
    assert (found[:3] == 0).all()
    np.testing.assert_array_equal(found[3:], scene[:97, 5:75])
    assert stored_fingerprint(reference.path) == "f"


def test_a_block_written_anew_is_not_read_from_memory(folder, scene):
    for number in range(3):
        reference = block(join(folder, "a.tif"), scene + number, f"mark {number}")
        found = read_window([reference], WHOLE, 1, "uint16", 0)
        np.testing.assert_array_equal(found, scene + number)
        assert stored_fingerprint(reference.path) == f"mark {number}"


def test_a_cog_is_the_same_bytes_on_both(tmp_path, bucket, front, scene):
    for base in (str(tmp_path), f"{bucket}/same"):
        with cog_writer(
            join(base, "a.tif"),
            PLACE,
            bands=1,
            dtype="uint16",
            nodata=0,
            tags={"A": "b"},
            spec=LAYERS["BUFRAC"],
        ) as write:
            write(Window(0, 0, 128, 200), scene[:128])
    local = (tmp_path / "a.tif").read_bytes()
    assert storage.read_bytes(f"{bucket}/same/a.tif", 1 << 24) == local


def test_a_cog_whose_parts_fail_is_not_there(folder, scene):
    def fail():
        with cog_writer(
            join(folder, "a.tif"),
            PLACE,
            bands=1,
            dtype="uint16",
            nodata=0,
            tags={},
            spec=LAYERS["BUFRAC"],
        ) as write:
            write(Window(0, 0, 128, 200), scene[:128])
            raise RasterError("a part is gone")

    with pytest.raises(RasterError, match="a part is gone"):
        fail()
    assert storage.listing(folder) == []


def test_what_is_not_there_has_no_fingerprint(folder):
    assert stored_fingerprint(join(folder, "a.tif")) is None
    assert stored_fingerprints(folder, ["x/a.tif"]) == {}


def test_a_raster_that_cannot_be_reached_is_not_taken_for_absent(bucket, front, scene):
    reference = block(f"{bucket}/reached/a.tif", scene)
    front.faults += [("GET", 403, {}, "")] * 100
    with pytest.raises(RasterError, match=r"reached/a\.tif: cannot be opened"):
        stored_fingerprint(reference.path)
    with pytest.raises(RasterError, match=r"reached/a\.tif: cannot be read: .* 403"):
        read_window([reference], WHOLE, 1, "uint16", 0)
    front.faults.clear()


def test_gdal_tries_again_what_fails_in_passing(bucket, front, scene):
    reference = block(f"{bucket}/again/a.tif", scene)
    front.faults += [("GET", 503, {}, "")] * 2
    np.testing.assert_array_equal(read_window([reference], WHOLE, 1, "uint16", 0), scene)


def test_fingerprints_of_many_are_asked_for_once(bucket, front, tmp_path, scene):
    for number in range(12):
        block(str(tmp_path / "utm" / str(number) / "a.tif"), scene, f"mark {number}")
    url = put_folder(tmp_path, f"{bucket}/many")
    paths = [f"utm/{number}/a.tif" for number in range(24)]
    front.asked.clear()
    expected = {f"utm/{number}/a.tif": f"mark {number}" for number in range(12)}
    assert stored_fingerprints(str(tmp_path), paths) == expected
    assert front.asked == []
    assert stored_fingerprints(url, paths) == expected
    assert len(front.asked) < 4 * 12
    front.asked.clear()
    assert stored_fingerprints(url, paths) == expected
    assert len(front.asked) <= 2, "headers are read again"
    block(f"{url}/utm/3/a.tif", scene, "another")
    assert stored_fingerprints(url, paths) == {**expected, "utm/3/a.tif": "another"}


def test_what_the_caller_told_gdal_stays(folder, scene):
    reference = block(join(folder, "a.tif"), scene)
    with rasterio.Env(GDAL_CACHEMAX=64), opened(reference.path) as source:
        np.testing.assert_array_equal(source.read(1), scene)
        assert rasterio.env.getenv()["GDAL_CACHEMAX"] == 64
