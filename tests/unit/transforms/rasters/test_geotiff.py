import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.elements import LAYERS, Layer, RasterError, RasterRef, Window, utm_grid
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import stored_fingerprint
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile, read_window, write_block
from transforms.storage.storage import published

PLACE = raster_profile(utm_grid(32633, 300000, 5900040, 300, 200))


@pytest.fixture(scope="module")
def scene():
    return np.random.default_rng(1).integers(1, 9000, (300, 200)).astype("uint16")


@pytest.fixture(scope="module")
def stored(scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    references = []
    for window in Window(0, 0, 300, 200).split(128):
        path = folder / f"{window.row}_{window.col}.tif"
        part = scene[window.slices_in(Window(0, 0, 300, 200))]
        place = raster_profile(utm_grid(32633, 0, 0, *window.shape))
        write_block(str(path), part, place, 0, {FINGERPRINT_TAG: "f"})
        references.append(RasterRef("33UUU", Layer.S2, window, str(path)))
    return references


@given(st.integers(-9, 310), st.integers(-9, 210), st.integers(1, 300), st.integers(1, 200))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_window_is_that_of_the_whole(stored, scene, row, col, height, width):
    window = Window(row, col, height, width)
    whole = np.zeros((1000, 1000), "uint16")
    whole[100:400, 100:300] = scene
    expected = whole[100 + row : 100 + row + height, 100 + col : 100 + col + width]
    np.testing.assert_array_equal(read_window(stored, window, 1, "uint16", 0), expected)


def test_a_cog_holds_the_parts_and_nodata_elsewhere(tmp_path):
    path = tmp_path / "deep" / "layer.tif"
    part = np.full((20, 30), 7, "uint8")
    tags = {FINGERPRINT_TAG: "abc"}
    with cog_writer(
        str(path), PLACE, bands=1, dtype="uint8", nodata=255, tags=tags, spec=LAYERS["BUFRAC"]
    ) as write:
        write(Window(100, 50, 20, 30), part)
    with rasterio.open(path) as source:
        values = source.read(1)
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.nodata == 255
        assert source.tags()["VALID_PIXELS"] == str(part.size)
        assert "CLASS_PIXELS" not in source.tags()
    assert (values[100:120, 50:80] == 7).all()
    assert (values == 7).sum() == part.size
    assert (values == 255).sum() == values.size - part.size
    assert stored_fingerprint(str(path)) == "abc"
    assert [file.name for file in path.parent.iterdir()] == ["layer.tif"]


def test_a_layer_of_classes_states_the_pixels_of_each(tmp_path):
    path, part = tmp_path / "layer.tif", np.zeros((20, 30), "uint8")
    part[:2], part[2, :5], part[3] = 2, 1, 255
    kind = {"bands": 1, "dtype": "uint8", "nodata": 255, "tags": {}}
    with cog_writer(str(path), PLACE, **kind, spec=LAYERS["S2_QUALITY"]) as write:
        for row in (0, 10):
            write(Window(100 + row, 50, 10, 30), part[row : row + 10])
    with rasterio.open(path) as source:
        assert source.tags()["CLASS_PIXELS"] == "505 5 60"
        assert source.tags()["VALID_PIXELS"] == "570"


def test_what_fails_half_way_leaves_nothing_and_keeps_what_was(tmp_path):
    path = tmp_path / "layer.tif"
    path.write_text("before")

    def fail_half_way():
        with cog_writer(
            str(path), PLACE, bands=1, dtype="uint8", nodata=255, tags={}, spec=LAYERS["BUFRAC"]
        ) as write:
            write(Window(0, 0, 5, 5), np.zeros((5, 5), "uint8"))
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail_half_way()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_published_moves_whole_files_only(tmp_path):
    with published(str(tmp_path / "a.json")) as partial:
        partial.write_text("{}")
        assert not (tmp_path / "a.json").exists()
    assert (tmp_path / "a.json").read_text() == "{}"


def test_no_raster_has_no_fingerprint(tmp_path):
    (tmp_path / "x.tif").write_text("not a raster")
    assert stored_fingerprint(f"{tmp_path}/x.tif") is None
    assert stored_fingerprint(f"{tmp_path}/absent.tif") is None


def test_a_broken_block_is_named(tmp_path):
    (tmp_path / "x.tif").write_text("not a raster")
    reference = RasterRef("33UUU", Layer.S2, Window(0, 0, 5, 5), str(tmp_path / "x.tif"))
    with pytest.raises(RasterError, match=r"x\.tif: cannot be read"):
        read_window([reference], Window(0, 0, 5, 5), 1, "uint16", 0)
