from functools import cache

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine, from_origin

from tests.support.grids import grid_at
from transforms.assembly import read_band, read_bands, reading, source_indices
from transforms.elements import SceneError, Window, utm_grid

ULX, ULY = 300000, 5800020
RESOLUTIONS = (10, 20, 60, 250.11389521640092)
windows = st.builds(
    Window, st.integers(-40, 130), st.integers(-40, 130), st.integers(1, 150), st.integers(1, 150)
)


def write(path, values, resolution, epsg=32633, transform=None, driver="GTiff", **extra):
    if values.ndim == 2:
        values = values[np.newaxis]
    profile = {
        "driver": driver,
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype,
        "crs": f"EPSG:{epsg}",
        "transform": transform or from_origin(ULX, ULY, resolution, resolution),
        **extra,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return str(path)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    made = {}
    for resolution in RESOLUTIONS:
        side = int(np.ceil(1200 / resolution))
        values = np.arange(1, side * side + 1, dtype=np.uint16).reshape(side, side)
        made[resolution] = (write(folder / f"{resolution}.tif", values, resolution), values)

    @cache
    def whole(resolution):
        return read_band(made[resolution][0], grid_at(32633, ULX, ULY, Window(-50, -50, 400, 400)))

    return made, whole


@settings(deadline=None, max_examples=60)
@given(window=windows, resolution=st.sampled_from(RESOLUTIONS))
def test_a_window_is_a_slice_of_the_whole(rasters, window, resolution):
    made, whole = rasters
    found = read_band(made[resolution][0], grid_at(32633, ULX, ULY, window))
    rows, cols = window.slices_in(Window(-50, -50, 400, 400))
    assert np.array_equal(found, whole(resolution)[rows, cols])


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_each_pixel_comes_from_under_its_centre(rasters, resolution):
    made, whole = rasters
    _, values = made[resolution]
    found = whole(resolution)
    for row, col in np.random.default_rng(1).integers(-50, 350, (200, 2)):
        r, c = int((row * 10 + 5) // resolution), int((col * 10 + 5) // resolution)
        inside = 0 <= r < len(values) and 0 <= c < len(values)
        assert found[row + 50, col + 50] == (values[r, c] if inside else 0)


def test_a_raster_with_another_origin(tmp_path):
    values = np.arange(1, 17, dtype=np.uint16).reshape(4, 4)
    path = write(tmp_path / "x.tif", values, 10, transform=from_origin(ULX - 20, ULY + 10, 10, 10))
    found = read_band(path, grid_at(32633, ULX, ULY, Window(0, 0, 4, 4)))
    assert found.tolist() == [[7, 8, 0, 0], [11, 12, 0, 0], [15, 16, 0, 0], [0, 0, 0, 0]]


@given(st.integers(-100, 100), st.integers(1, 100), st.integers(0, 99), st.floats(-500, 500))
def test_indices_do_not_depend_on_the_start(start, count, cut, shift):
    cut = min(cut, count - 1)
    whole = source_indices(start, count, 10, shift, 250.1139, 7)
    assert np.array_equal(
        whole[cut:], source_indices(start + cut, count - cut, 10, shift, 250.1139, 7)
    )


def test_several_bands(tmp_path):
    values = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    path = write(tmp_path / "mask.tif", values, 60)
    found = read_bands(path, grid_at(32633, ULX, ULY, Window(5, 5, 2, 2)), bands=(1, 2, 3))
    assert np.array_equal(found, values)


def test_what_is_refused(tmp_path):
    values = np.ones((4, 4), np.uint16)
    window = Window(0, 0, 4, 4)
    other = write(tmp_path / "crs.tif", values, 10, epsg=32632)
    turned = write(tmp_path / "turned.tif", values, 10, transform=Affine(10, 1, ULX, 1, -10, ULY))
    signed = write(tmp_path / "signed.tif", values.astype("int16"), 10)
    single = write(tmp_path / "single.tif", values, 10)
    for path, reason in ((other, "32632"), (turned, "north-up"), (signed, "int16")):
        with pytest.raises(SceneError, match=reason):
            read_band(path, grid_at(32633, ULX, ULY, window))
    with pytest.raises(SceneError, match="1 bands"):
        read_bands(single, grid_at(32633, ULX, ULY, window), bands=(1, 2, 3))
    with pytest.raises(SceneError, match="cannot be read"):
        read_band(str(tmp_path / "absent.jp2"), grid_at(32633, ULX, ULY, window))


def test_a_vrt_by_another_name_is_not_opened(tmp_path):
    real = write(tmp_path / "real.tif", np.ones((4, 4), np.uint16), 10)
    text = (
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>{ULX},10,0,{ULY},0,-10</GeoTransform><VRTRasterBand dataType='UInt16'"
        f' band="1"><SimpleSource><SourceFilename>{real}</SourceFilename></SimpleSource>'
        f"</VRTRasterBand></VRTDataset>"
    )
    for name in ("x.jp2", "x.tif", "x.vrt"):
        (tmp_path / name).write_text(text)
        with pytest.raises(SceneError):
            read_band(str(tmp_path / name), grid_at(32633, ULX, ULY, Window(0, 0, 4, 4)))


def test_a_truncated_image_is_an_error(tmp_path):
    noise = np.random.default_rng(2).integers(1, 9999, (256, 256)).astype(np.uint16)
    path = write(tmp_path / "b.jp2", noise, 10, driver="JP2OpenJPEG", quality=100, reversible="YES")
    assert np.array_equal(read_band(path, grid_at(32633, ULX, ULY, Window(0, 0, 256, 256))), noise)
    data = (tmp_path / "b.jp2").read_bytes()
    (tmp_path / "b.jp2").write_bytes(data[: len(data) // 2])
    with pytest.raises(SceneError, match="it is cut"):
        read_band(path, grid_at(32633, ULX, ULY, Window(0, 0, 256, 256)))


def test_pixels_that_are_too_fine_for_a_window(tmp_path, monkeypatch):
    place = Affine(0.01, 0, ULX, 0, -400, ULY)
    path = write(tmp_path / "fine.tif", np.ones((1, 40000), np.uint16), 0, transform=place)
    assert read_band(path, grid_at(32633, ULX, ULY, Window(0, 0, 40, 40))).all()
    monkeypatch.setattr(reading, "MAX_PIXELS", 1000)
    with pytest.raises(SceneError, match="too fine"):
        read_band(path, grid_at(32633, ULX, ULY, Window(0, 0, 40, 40)))


@pytest.mark.parametrize(
    ("resolution", "transform"),
    [
        (10, from_origin(ULX + 6, ULY, 10, 10)),
        (10, from_origin(ULX, ULY - 8, 10, 10)),
        (10, from_origin(ULX, ULY, 10.03, 10)),
        (10, from_origin(ULX, ULY, 10, 9.97)),
        (60, from_origin(ULX + 30, ULY, 60, 60)),
        (60, from_origin(ULX, ULY - 20, 60, 60)),
        (250, from_origin(ULX + 100, ULY, 250, 250)),
    ],
)
def test_a_raster_that_lies_beside_its_grid_is_refused(tmp_path, resolution, transform):
    """By less than a pixel of its own: its pixels would be those of other ground."""
    side = -(-1200 // resolution)
    values = np.ones((side, side), np.uint16)
    path = write(tmp_path / "moved.tif", values, resolution, transform=transform)
    with pytest.raises(SceneError, match=r"covers .* expected"):
        read_band(
            path, grid_at(32633, ULX, ULY, Window(0, 0, 9, 9)), utm_grid(32633, ULX, ULY, 120, 120)
        )


@pytest.mark.parametrize("resolution", [*RESOLUTIONS, 250, 1200 / 7])
def test_a_raster_on_its_grid_is_read(tmp_path, resolution):
    side = int(np.ceil(1200 / resolution - 1e-9))
    if resolution not in (10, 20, 60, 250):
        resolution = 1200 / side
    path = write(tmp_path / "whole.tif", np.full((side, side), 7, np.uint16), resolution)
    found = read_band(
        path, grid_at(32633, ULX, ULY, Window(0, 0, 120, 120)), utm_grid(32633, ULX, ULY, 120, 120)
    )
    assert (found == 7).all()
