"""CleanBuiltUp's arithmetic: thresholds, order, rounding, nodata, and the law of windows."""

from fractions import Fraction

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString

from transforms.cleaning import CleaningParameters, Road, clean
from transforms.elements import Window, extent_of, part_of, utm_grid

OFF = CleaningParameters(None, None, None, streets=False, minimum_pixels=None)
GREY = (1000, 1000, 1000, 1000)  # NDVI and NDWI 0


def one(raw: int, bands=GREY, parameters=OFF, **more) -> int:
    s2 = np.array(bands, np.uint16).reshape(4, 1, 1)
    return int(clean(np.array([[raw]], np.uint16), s2, parameters, **more)[0, 0])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (0, 0),
        (49, 0),
        (50, 1),
        (149, 1),
        (150, 2),
        (999, 10),
        (9949, 99),
        (9950, 100),
        (10000, 100),
    ],
)
def test_rounds_to_percent_half_up(raw, expected):
    assert one(raw) == expected


def test_what_equals_the_minimum_stays():
    assert one(999, parameters=CleaningParameters(minimum_pixels=None)) == 0
    assert one(1000, parameters=CleaningParameters(minimum_pixels=None)) == 10


@given(raw=st.integers(0, 10000), hundredths=st.integers(1, 100), halved=st.booleans())
def test_with_a_minimum_of_a_percent_rounding_makes_nothing_zero(raw, hundredths, halved):
    parameters = CleaningParameters(hundredths / 100, None, None, minimum_pixels=None)
    roads = [Road(LineString([(-12, -100), (-12, 100)]), 10)] if halved else []
    # The street covers x from -17 to -7: pixel 0 of a grid from -10 is touched, not covered.
    result = one(raw, parameters=parameters, roads=roads, grid=utm_grid(32633, -10, 5, 1, 1))
    assert (result > 0) == (raw >= hundredths * 100)


def test_ndvi_threshold_is_exact():
    # (1300 - 700) / 2000 is 0.3 exactly, and stays; in floating point 0.3 is a little less.
    only = CleaningParameters(None, 0.3, None, minimum_pixels=None)
    assert one(5000, (700, 1000, 1000, 1300), only) == 50
    assert one(5000, (699, 1000, 1000, 1300), only) == 0


def test_ndwi_above_zero_is_water():
    only = CleaningParameters(None, None, 0.0, minimum_pixels=None)
    assert one(5000, (1, 1000, 1, 1000), only) == 50
    assert one(5000, (1, 1001, 1, 1000), only) == 0


@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(-1_000_000, 1_000_000))
def test_thresholds_agree_with_rational_arithmetic(red, nir, millionths):
    only = CleaningParameters(None, millionths / 1e6, None, minimum_pixels=None)
    above = Fraction(nir - red, nir + red) > Fraction(millionths, 1_000_000)
    assert (one(10000, (red, 9, 9, nir), only) == 0) == above


@pytest.mark.parametrize("band", range(4))
def test_nodata_is_masked_first(band):
    bands = list(GREY)
    bands[band] = 0
    assert one(9000, bands, CleaningParameters()) == 255
    assert one(65535, GREY, CleaningParameters()) == 255
    assert one(0, GREY, CleaningParameters()) == 0


def test_sieve_is_last():
    raw = np.array([[5000, 5000, 900, 5000]], np.uint16)
    s2 = np.full((4, 1, 4), 1000, np.uint16)
    # Without the minimum all four hang together; with it, they fall apart, and are too small.
    assert clean(raw, s2, CleaningParameters(minimum=None)).tolist() == [[50, 50, 9, 50]]
    assert clean(raw, s2, CleaningParameters()).tolist() == [[0, 0, 0, 0]]


def test_halved_streets_stay_below_the_minimum():
    parameters = CleaningParameters(minimum_pixels=None)
    street = {
        "roads": [Road(LineString([(-4, -50), (-4, 50)]), 10)],
        "grid": utm_grid(32633, 0, 0, 1, 1),
    }
    assert one(1000, parameters=parameters, **street) == 5
    off = CleaningParameters(streets=False, minimum_pixels=None)
    assert one(1000, parameters=off, **street) == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimum", -0.1),
        ("minimum", 1.1),
        ("minimum", float("nan")),
        ("ndvi_above", "0.3"),
        ("ndwi_above", True),
        ("streets", None),
        ("minimum_pixels", 0),
        ("minimum_pixels", 2.5),
        ("minimum_pixels", True),
    ],
)
def test_parameters_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        CleaningParameters(**{name: value})


def test_halo_is_the_size_limit():
    assert CleaningParameters(minimum_pixels=7).halo == 7
    assert CleaningParameters(minimum_pixels=None).halo == 0
    assert CleaningParameters(minimum_pixels=7, edge=2).halo == 9


def test_a_shore_is_not_built_up():
    raw, s2 = np.full((9, 12), 8000, np.uint16), np.full((4, 9, 12), 1000, np.uint16)
    s2[1, 4, 6] = 2000
    cleaned = clean(raw, s2, CleaningParameters(shore=2))
    rows, cols = np.indices(raw.shape)
    near = np.hypot(rows - 4, cols - 6) <= 2
    np.testing.assert_array_equal(cleaned == 0, near)
    assert near.sum() == 13
    assert (clean(raw, s2, CleaningParameters(shore=1.5)) == 0).sum() == 9
    assert (clean(raw, s2, CleaningParameters(ndwi_above=None, shore=2)) == 80).all()
    assert CleaningParameters(minimum_pixels=7, edge=1, shore=2).halo == 9


def test_a_pixel_beside_one_without_data_has_none():
    raw, s2 = np.full((9, 12), 8000, np.uint16), np.full((4, 9, 12), 1000, np.uint16)
    s2[2, 4, 6] = 0
    cleaned = clean(raw, s2, CleaningParameters(ndwi_above=None, edge=2))
    around = np.zeros((9, 12), bool)
    around[2:7, 4:9] = True
    np.testing.assert_array_equal(cleaned == 255, around)
    assert (cleaned[~around] == 80).all()


def test_wrong_arrays_are_refused():
    raw, s2 = np.zeros((2, 3), np.uint16), np.ones((4, 2, 3), np.uint16)
    for args in [(raw, s2[:3]), (raw[0], s2), (raw.astype(np.int32), s2)]:
        with pytest.raises(ValueError, match="expected"):
            clean(*args, OFF)
    with pytest.raises(ValueError, match="10001"):
        clean(raw + np.uint16(10001), s2, OFF)
    with pytest.raises(ValueError, match="grid"):
        clean(raw, s2, CleaningParameters(), roads=[Road(LineString([(0, 0), (1, 1)]), 1)])


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_window_with_its_halo_gives_the_same_pixels(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    share = data.draw(st.floats(0, 0.6))
    raw = np.where(rng.random(shape) < share, rng.integers(1000, 10001, shape), 0)
    raw = np.where(rng.random(shape) < 0.05, 65535, raw).astype(np.uint16)
    s2 = rng.integers(800, 1200, (4, *shape)).astype(np.uint16)
    s2[0][rng.random(shape) < 0.02] = 0
    roads = [
        Road(LineString(rng.uniform(-50, 450, (3, 2)) * [1, -1] + [600000, 5000000]), width)
        for width in rng.uniform(3, 40, data.draw(st.integers(0, 3)))
    ]
    parameters = CleaningParameters(
        ndwi_above=data.draw(st.none() | st.just(0.15)),
        minimum_pixels=data.draw(st.none() | st.integers(1, 12)),
        edge=data.draw(st.integers(0, 2)),
        shore=data.draw(st.floats(0, 3)),
    )
    grid = utm_grid(32633, 600000, 5000000, *shape)
    extent = extent_of(grid)
    whole = clean(raw, s2, parameters, roads=roads, grid=grid)

    row, col = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    core = Window(row, col, data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    core = core.intersect(extent)
    read = core.expand(parameters.halo).intersect(extent)
    part = read.slices_in(extent)
    place = part_of(grid, read)
    result = clean(raw[part], s2[(slice(None), *part)], parameters, roads=roads, grid=place)
    np.testing.assert_array_equal(result[core.slices_in(read)], whole[core.slices_in(extent)])


def test_real_pixels(shared_data):
    with rasterio.open(shared_data / "eurosat" / "Residential" / "Residential_1.tif") as file:
        s2 = file.read([4, 3, 2, 8])
    raw = np.full(s2.shape[1:], 5000, np.uint16)
    result = clean(raw, s2, CleaningParameters(ndvi_above=0.3, minimum_pixels=None))
    red, green, _, nir = s2.astype(float)
    kept = ((nir - red) / (nir + red) <= 0.3) & ((green - nir) / (green + nir) <= 0)
    np.testing.assert_array_equal(result, np.where(kept, 50, 0))
    assert 0 < kept.mean() < 1
