"""The features of several sizes against scipy.ndimage, and pixels of chosen places alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from transforms.classification import FEATURE_SETS, bands_of, feature_table, valid_pixels
from transforms.classification.features import feature_table_in_strips
from transforms.classification.multiscale.windows import highest, lowest
from transforms.elements import Layer

WINDOWS = (5, 9, 15, 31)
SQUARES = (3, 5, 9, 17, 31)


def window_moments(layer, valid, side):
    """Mean and standard deviation over the valid pixels of a window."""
    values = np.where(valid, layer, 0)
    number, total, squares = (
        ndimage.correlate(plane, np.ones((side, side)), mode="constant")
        for plane in (valid.astype(float), values, values**2)
    )
    number = np.maximum(number, 1)
    mean = total / number
    return mean, np.sqrt(np.maximum(squares / number - mean**2, 0))


def opened(layer, valid, side):
    """The opening by a flat square, in which pixels without data count nowhere."""
    low = {"size": side, "mode": "constant", "cval": np.inf}
    high = {"size": side, "mode": "constant", "cval": -np.inf}
    eroded = ndimage.minimum_filter(np.where(valid, layer, np.inf), **low)
    return ndimage.maximum_filter(np.where(valid, eroded, -np.inf), **high)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 40), cols=st.integers(1, 40))
def test_agrees_with_ndimage(block, seed, rows, cols):
    bufrac, s2 = block(seed, (rows, cols))
    valid = valid_pixels(bufrac, s2)
    found = dict(
        zip(
            FEATURE_SETS["multiscale_ten"],
            feature_table(bufrac, s2, valid, "multiscale_ten").T,
            strict=True,
        )
    )
    red, green, blue, nir, *further = s2 / 10000.0
    swir = further[4]
    bright = (red + green + blue) / 3
    ndvi = (nir - red) / np.maximum(nir + red, 1e-4)
    ndbi = (swir - nir) / np.maximum(swir + nir, 1e-4)
    layers = {"bufrac": bufrac / 100.0, "brightness": bright, "nir": nir, "ndvi": ndvi}
    layers |= {"swir16": swir, "ndbi": ndbi}
    expected = {}
    for side in WINDOWS:
        for name, layer in layers.items():
            mean, deviation = window_moments(layer, valid, side)
            expected |= {
                f"{name}_mean_{side}x{side}": mean,
                f"{name}_std_{side}x{side}": deviation,
            }
        filled = np.where(valid, bright, 0)
        cross = ndimage.binary_erosion(valid, border_value=0)
        slope = sum(
            np.abs(ndimage.correlate1d(filled, [-1, 0, 1], axis, mode="nearest")) for axis in (0, 1)
        )
        mean, _ = window_moments(slope, cross, side)
        expected[f"gradient_mean_{side}x{side}"] = mean
    for side in SQUARES:
        expected[f"brighter_{side}x{side}"] = bright - opened(bright, valid, side)
        expected[f"darker_{side}x{side}"] = -opened(-bright, valid, side) - bright
    for side in SQUARES[:2]:
        size = {"size": side, "mode": "constant", "cval": -np.inf}
        top, bottom = (
            ndimage.maximum_filter(np.where(valid, layer, -np.inf), **size)
            for layer in (bright, -bright)
        )
        expected[f"contrast_{side}x{side}"] = top + bottom
    for name, band in zip(Layer.S2_20M.spec.bands, further, strict=True):
        expected[name] = band
    expected["ndbi"] = ndbi
    assert set(found) - set(expected) == set(FEATURE_SETS["spectral_indices"])
    for name, layer in expected.items():
        # NDVI and NDBI are rounded to whole ten thousandths.
        near = 6e-5 if name.startswith(("ndvi", "ndbi")) else 2e-6
        np.testing.assert_allclose(found[name], layer[valid], rtol=1e-6, atol=near, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), rows=st.integers(1, 9), side=st.sampled_from((1, 3, 5, 7, 9, 31)))
def test_extremes_agree_with_ndimage(seed, rows, side):
    values = np.random.default_rng(seed).integers(1, 99, (rows, 7)).astype(np.int32)
    size = {"size": side, "mode": "constant"}
    np.testing.assert_array_equal(
        lowest(values, side, 100), ndimage.minimum_filter(values, cval=100, **size)
    )
    np.testing.assert_array_equal(
        highest(values, side, 0), ndimage.maximum_filter(values, cval=0, **size)
    )


def test_some_pixels_have_the_values_that_they_have_among_all(block):
    bufrac, s2 = block(4, (50, 60))
    valid = valid_pixels(bufrac, s2)
    some = valid & (np.random.default_rng(0).random(valid.shape) < 0.1)
    for name in (name for name in FEATURE_SETS if name.startswith("multiscale")):
        whole = feature_table(bufrac, s2, valid, name)[some[valid]]
        assert (whole == feature_table(bufrac, s2, some, name)).all()
        for rows in (1, 7, 49, 99):
            strips = feature_table_in_strips(bufrac, s2, some, name, rows)
            assert (whole == strips).all()
    nothing = feature_table_in_strips(bufrac, s2, ~valid & valid, "multiscale")
    assert nothing.shape == (0, len(FEATURE_SETS["multiscale"]))


def test_a_set_of_four_bands_does_not_see_the_others(block):
    bufrac, s2 = block(4, (40, 40))
    valid = valid_pixels(bufrac, s2)
    for name in FEATURE_SETS:
        whole = feature_table(bufrac, s2, valid, name)
        if bands_of(name) == 4:
            assert (whole == feature_table(bufrac, s2[:4], valid, name)).all()
            continue
        with pytest.raises(ValueError, match="s2 has 4 bands, expected 10"):
            feature_table(bufrac, s2[:4], valid, name)


def test_the_bands_alone_do_not_see_the_fraction(block):
    bufrac, s2 = block(4, (50, 60))
    valid = valid_pixels(bufrac, s2)
    other = np.where(bufrac == 255, bufrac, 7).astype(np.uint8)
    one, two = (feature_table(b, s2, valid, "multiscale_bands") for b in (bufrac, other))
    assert (one == two).all()
    for name in ("multiscale_bands", "multiscale_bands_ten"):
        assert not any("bufrac" in feature for feature in FEATURE_SETS[name])
    assert set(FEATURE_SETS["multiscale_bands"]) < set(FEATURE_SETS["multiscale"])


def test_extreme_values_stay_exact():
    bufrac = np.full((70, 70), 100, np.uint8)
    s2 = np.full((4, 70, 70), 65535, np.uint16)
    table = feature_table(bufrac, s2, np.ones((70, 70), bool), "multiscale")
    assert (table == table[0]).all()
    names = FEATURE_SETS["multiscale"]
    assert table[0, names.index("brightness_mean_31x31")] == np.float32(6.5535)
    assert table[0, names.index("brightness_std_31x31")] == 0
