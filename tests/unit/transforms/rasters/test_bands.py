"""What a published raster says about its bands."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from transforms.elements import LAYERS, GridLayer, Window, utm_grid
from transforms.rasters.bands import Statistics
from transforms.rasters.cog import cog_writer
from transforms.rasters.geotiff import raster_profile

SPECS = {**LAYERS, **{f"grid {name}": spec for name, spec in ((str(g), g.spec) for g in GridLayer)}}
ROWS, COLS = 700, 600


@pytest.fixture(params=SPECS)
def made(request, tmp_path):
    """A raster of a layer: its path, its facts and its pixels."""
    spec = SPECS[request.param]
    dtype, nodata = (spec.dtype, spec.nodata) if spec.dtype else ("uint32", 4294967295)
    last = len(spec.picture.classes) or 100
    shape = (len(spec.bands), ROWS, COLS)
    values = np.random.default_rng(3).integers(1, last + 1, shape).astype(dtype) - (last < 100)
    values[:, :100] = nodata
    path, place = tmp_path / "x.tif", raster_profile(utm_grid(32633, 300000, 5900040, ROWS, COLS))
    asked = {"bands": shape[0], "dtype": dtype, "nodata": nodata, "tags": spec.tags}
    with cog_writer(str(path), place, spec=spec, **asked) as write:
        for window in Window(0, 0, ROWS, COLS).split(256):
            write(window, values[:, *window.slices_in(Window(0, 0, ROWS, COLS))])
    return path, spec, values


def test_a_layer_says_what_it_is(made):
    path, spec, values = made
    assert cog_validate(str(path), strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.descriptions == spec.bands
        assert set(source.scales) == {spec.scale}
        assert set(source.offsets) == {0}
        np.testing.assert_array_equal(source.read(), values)
        classes = spec.picture.classes
        assert set(source.units) == ({None} if classes else {spec.unit or "1"})
        if classes:
            assert source.colorinterp == (ColorInterp.palette,)
            table = source.colormap(1)
            for value, (name, colour) in enumerate(classes):
                assert "#{:02x}{:02x}{:02x}".format(*table[value][:3]) == colour
                assert f"{value} {name}" in source.tags()["CLASSES"].split("; ")
            assert table[spec.nodata][3] == 0, "nodata is transparent"
        elif source.count == 1:
            assert source.colorinterp == (ColorInterp.gray,)
        for band in source.indexes:
            stated = {k.removeprefix("STATISTICS_"): v for k, v in source.tags(band).items()}
            valid = values[band - 1][values[band - 1] != source.nodata].astype(float)
            expected = [valid.min(), valid.max(), valid.mean(), valid.std()]
            names = ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")
            assert [float(stated[name]) for name in names] == pytest.approx(expected, rel=1e-12)
            assert float(stated["VALID_PERCENT"]) == pytest.approx(100 * 600 / 700, rel=1e-3)
        assert source.tags(1).keys() == {f"STATISTICS_{n}" for n in (*names, "VALID_PERCENT")}


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32"])
def test_statistics_are_the_same_in_any_parts(dtype):
    limits = np.iinfo(dtype)
    values = np.random.default_rng(1).integers(limits.min, limits.max, (90, 70)).astype(dtype)
    whole, parts = Statistics(limits.max), Statistics(limits.max)
    whole.add(values)
    for row in range(90)[::-1]:
        parts.add(values[row])
    assert whole.tags(6300) == parts.tags(6300)
    exact = [int(value) for value in values[values != limits.max]]
    mean = sum(exact) / len(exact)
    spread = (sum((value - mean) ** 2 for value in exact) / len(exact)) ** 0.5
    assert float(whole.tags(6300)["STATISTICS_MEAN"]) == pytest.approx(mean, rel=1e-12)
    assert float(whole.tags(6300)["STATISTICS_STDDEV"]) == pytest.approx(spread, rel=1e-9)


def test_a_band_without_data_has_no_mean():
    empty = Statistics(255)
    empty.add(np.full((3, 3), 255, "uint8"))
    assert empty.tags(9) == {"STATISTICS_VALID_PERCENT": "0"}
