"""Overviews of published rasters."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from transforms.elements import DTYPE, LAYERS, NODATA, Layer, Overviews, Window
from transforms.rasters.cog import cog_writer

KINDS = {"uint8": 255, "uint16": 65535, "uint32": 4294967295, "int16": -32768}


def published(path, values, nodata, spec, parts=256):
    """Write an array (bands, rows, columns) part by part; the overviews as masked arrays."""
    place = {"crs": "EPSG:32633", "transform": from_origin(0, 0, 10, 10)}
    bands, rows, cols = values.shape
    size = {"height": rows, "width": cols}
    kind = values.dtype.name
    with cog_writer(
        str(path), place | size, bands=bands, dtype=kind, nodata=nodata, tags={}, spec=spec
    ) as write:
        for row in range(0, rows, parts):
            part = values[:, row : row + parts]
            write(Window(row, 0, part.shape[1], cols), part)
    with rasterio.open(path) as source:
        assert np.array_equal(source.read(), values)
        factors = source.overviews(1)
    levels = []
    for level in range(len(factors)):
        with rasterio.open(path, overview_level=level) as source:
            levels.append((factors[level], source.read(masked=True)))
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing beside it
    return levels


def below(values, valid, factor):
    """Sum of the valid values below each pixel of an overview, and their number."""
    rows, cols = (-(-side // factor) for side in values.shape)
    padded = np.zeros((rows * factor, cols * factor))
    count = padded.copy()
    padded[: values.shape[0], : values.shape[1]] = np.where(valid, values, 0)
    count[: values.shape[0], : values.shape[1]] = valid
    squares = (rows, factor, cols, factor)
    return padded.reshape(squares).sum(axis=(1, 3)), count.reshape(squares).sum(axis=(1, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("share", "shape"), [(0.001, (1600, 1101)), (0.1, (2050, 600))])
def test_overviews_keep_the_sum_of_what_is_sparse(kind, share, shape, tmp_path):
    rng = np.random.default_rng(0)
    nodata, high = KINDS[kind], 1_000_000 if kind == "uint32" else 100
    values = np.where(rng.random(shape) < share, rng.integers(10, high, shape), 0).astype(kind)
    values[:300, :500] = values[-1] = nodata
    valid = values != nodata
    levels = published(tmp_path / "x.tif", values[np.newaxis], nodata, LAYERS["BUILT_S"])
    assert [factor for factor, _ in levels] == [2, 4, 8][: len(levels)]
    assert max(levels[-1][1].shape) <= 512
    for factor, (made,) in levels:
        total, count = below(values, valid, factor)
        assert np.array_equal(~np.ma.getmaskarray(made), count > 0)  # no valid pixel is lost
        mean = total / np.maximum(count, 1)
        assert (np.abs(made.filled(0) - np.where(count > 0, mean, 0)) < 1).all()
        drift = (made.filled(0) * count).sum() / values[valid].sum(dtype=float) - 1
        assert abs(drift) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_few_small_values_keep_their_sum_to_half_a_pixel(kind, tmp_path):
    """Scattered built-up in a small area of a large tile: a mean of an overview is below 1."""
    rng = np.random.default_rng(2)
    values = np.full((2600, 2700), KINDS[kind], kind)
    area = np.hypot(*np.ogrid[-900:900, -700:700]) < 690  # its edge is in no square of 2 x 2
    inside = np.where(rng.random(area.shape) < 0.002, rng.integers(1, 100, area.shape), 0)
    values[301:2101, 502:1902][area] = inside[area]
    valid = values != KINDS[kind]
    levels = published(tmp_path / "x.tif", values[np.newaxis], KINDS[kind], LAYERS["BUILT_S"])
    assert [factor for factor, _ in levels] == [2, 4, 8]
    for factor, (made,) in levels:
        total, count = below(values, valid, factor)
        kept = (made.filled(0).astype(float) * count).sum()
        assert abs(kept - total.sum()) <= max(factor**2 / 2, total.sum() / 1000)
        assert (np.abs(made.filled(0) - total / np.maximum(count, 1))[count > 0] < 1).all()


def test_a_lone_pixel_is_there_at_every_overview(tmp_path):
    values = np.full((1, 3000, 3000), -32768, "int16")
    values[0, 2000, 1001] = 4321
    levels = published(tmp_path / "x.tif", values, -32768, LAYERS["GREENNESS"])
    assert [made.compressed().tolist() for _, made in levels] == [[4321]] * 3


def test_large_equal_values_stay_as_they_are(tmp_path):
    """A pixel of 100 m has no more than 10 000 m², and float32 rounds 10 000.9999 up."""
    values = np.full((1, 1100, 1100), 10_000, "uint16")
    for _, made in published(tmp_path / "x.tif", values, 65535, LAYERS["BUILT_S"]):
        assert (made == 10_000).all()


@pytest.mark.parametrize("layer", ["GREENNESS", "RES_NRES"])
@pytest.mark.parametrize("setting", ["TRUE", "FALSE", "EMPTY_DIR"])
def test_overviews_do_not_depend_on_how_gdal_lists_folders(setting, layer, tmp_path):
    values = np.full((1, 1025, 30), 7, DTYPE[Layer(layer)])
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN=setting):
        levels = published(tmp_path / "x.tif", values, NODATA[Layer(layer)], LAYERS[layer])
    assert [factor for factor, _ in levels] == [2, 4]


def test_equal_values_stay_as_they_are(tmp_path):
    values = np.full((1, 1500, 1500), 7, "uint8")
    values[0, ::3, ::5] = 255
    for _, made in published(tmp_path / "x.tif", values, 255, LAYERS["BUFRAC"]):
        assert (made == 7).all()
        assert made.count() == made.size


@pytest.mark.parametrize("layer", ["RES_NRES", "BUILT_C_FUN"])
def test_classes_are_the_most_frequent_ones(layer, tmp_path):
    values = np.zeros((1, 1024, 1024), "uint8")
    values[0, ::2] = 2  # half of each square; then three of four
    values[0, 1::2, ::2] = 2
    values[0, :8] = 255
    ((_, made),) = published(tmp_path / "x.tif", values, 255, LAYERS[layer])
    assert set(made.compressed().tolist()) == {2}
    assert made.mask[0, :4].all()


def test_every_layer_has_overviews_that_leave_nothing_out():
    for name, spec in LAYERS.items():
        classes = name in ("RES_NRES", "BUILT_C_FUN", "S2_QUALITY")
        assert (spec.overviews is Overviews.MODE) == classes


def test_the_composites_bands_have_names_and_colours(tmp_path, caplog):
    values = np.full((4, 600, 600), 1000, "uint16")
    published(tmp_path / "x.tif", values, 0, LAYERS["S2"])
    with rasterio.open(tmp_path / "x.tif") as source:
        assert source.descriptions == ("red", "green", "blue", "nir")
        assert [colour.name for colour in source.colorinterp] == ["red", "green", "blue", "nir"]
        assert source.nodata == 0
        assert (source.dataset_mask() == 255).all()  # near infrared is no transparency
    assert not caplog.records, "GDAL has nothing to say"


@pytest.mark.parametrize("layer", [name for name, spec in LAYERS.items() if not spec.named_bands])
def test_a_single_band_has_the_layers_name(layer, tmp_path):
    published(tmp_path / "x.tif", np.ones((1, 20, 20), "uint8"), 255, LAYERS[layer])
    with rasterio.open(tmp_path / "x.tif") as source:
        assert source.descriptions == (layer,)
