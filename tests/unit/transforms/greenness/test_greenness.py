"""NDVI in the closed domain, nodata, and the law of windows."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.elements import Window
from transforms.greenness import GreennessParameters, built_up_domain, greenness


def test_halo_is_twice_the_radius_and_the_size_of_a_component():
    assert GreennessParameters().halo == 60 + 100
    assert GreennessParameters(radius=0, minimum_pixels=None).halo == 0
    assert GreennessParameters(radius=25, minimum_pixels=7).halo == 4 + 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("radius", -1.0),
        ("radius", float("nan")),
        ("resolution", 0.0),
        ("minimum", 0),
        ("minimum", 101),
        ("minimum_pixels", 0),
        ("ndwi_above", 1.5),
    ],
)
def test_parameters_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        GreennessParameters(**{name: value})


def test_gaps_are_filled_and_nodata_stays():
    bufrac = np.zeros((17, 9), np.uint8)
    bufrac[4:13, [2, 6]] = 60
    bufrac[:, 4] = 255
    s2 = np.full((4, 17, 9), 1000, np.uint16)
    s2[3] = 3000
    s2[3, :, 5] = 0
    no = -32768
    result = greenness(bufrac, s2, GreennessParameters(radius=30, minimum_pixels=9))
    assert result[8].tolist() == [no, no, 5000, 5000, no, no, 5000, no, no]
    assert (result[0] == no).all()


def test_the_domain_leaves_out_thin_small_and_wet_built_up():
    """A dense village counts; a hedge, a single farm and a pond in the village do not."""
    bufrac = np.zeros((40, 60), np.uint8)
    bufrac[5:17, 5:17] = 80  # 144 pixels
    bufrac[25, :] = 40
    bufrac[30:35, 40:45] = 90  # 25 pixels
    s2 = np.full((4, 40, 60), 1000, np.uint16)
    s2[1, 8:10, 8:10] = 1200
    domain = built_up_domain(bufrac, s2, GreennessParameters(radius=20))
    expected = np.zeros_like(domain)
    expected[5:17, 5:17] = True
    expected[8:10, 8:10] = False
    np.testing.assert_array_equal(domain, expected)
    former = GreennessParameters(radius=20, minimum=1, minimum_pixels=None, ndwi_above=None)
    assert (built_up_domain(bufrac, s2, former) >= (bufrac > 0)).all()


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_ndvi_is_rounded_and_in_range(red, nir):
    s2 = np.array([red, 1, 1, nir], np.uint16).reshape(4, 1, 1)
    everything = GreennessParameters(minimum=1, minimum_pixels=None, ndwi_above=None)
    value = int(greenness(np.full((1, 1), 1, np.uint8), s2, everything)[0, 0])
    assert -10000 <= value <= 10000
    assert abs(value * (nir + red) - 10000 * (nir - red)) <= (nir + red) / 2 + 1e-6


def test_wrong_arrays_are_refused():
    bufrac, s2 = np.zeros((2, 3), np.uint8), np.ones((4, 2, 3), np.uint16)
    for args in [(bufrac, s2[:3]), (bufrac[0], s2), (bufrac.astype(int), s2)]:
        with pytest.raises(ValueError, match="expected"):
            greenness(*args, GreennessParameters())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_every_window_with_its_halo_gives_the_same_pixels(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = data.draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    share = data.draw(st.sampled_from([0.01, 0.05, 0.2, 0.6]))
    bufrac = np.where(rng.random(shape) < share, rng.integers(1, 101, shape), 0).astype(np.uint8)
    bufrac[rng.random(shape) < 0.05] = 255
    s2 = rng.integers(1, 5000, (4, *shape)).astype(np.uint16)
    s2[0][rng.random(shape) < 0.02] = 0
    parameters = GreennessParameters(
        radius=10.0 * data.draw(st.integers(0, 6)),
        minimum=data.draw(st.sampled_from([1, 50])),
        minimum_pixels=data.draw(st.sampled_from([None, 1, 2, 5])),
        ndwi_above=data.draw(st.sampled_from([None, 0.0])),
    )
    whole = greenness(bufrac, s2, parameters)
    extent = Window(0, 0, *shape)
    row, col = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    core = Window(row, col, data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    core = core.intersect(extent)
    read = core.expand(parameters.halo).intersect(extent)
    part = read.slices_in(extent)
    result = greenness(bufrac[part], s2[(slice(None), *part)], parameters)
    np.testing.assert_array_equal(result[core.slices_in(read)], whole[core.slices_in(extent)])


def test_real_pixels(shared_data):
    with rasterio.open(shared_data / "eurosat" / "Residential" / "Residential_2.tif") as file:
        s2 = file.read([4, 3, 2, 8])
    result = greenness(
        np.full(s2.shape[1:], 60, np.uint8), s2, GreennessParameters(ndwi_above=None)
    )
    red, nir = s2[0].astype(float), s2[3].astype(float)
    np.testing.assert_allclose(result / 1e4, (nir - red) / (nir + red), atol=5.1e-5)
