"""Temporal layers against numpy, pixel by pixel."""

import numpy as np
import pytest

from transforms.assembly import Composite
from transforms.assembly.temporal import Temporal, ndvi_percentiles, spread
from transforms.elements import DTYPE, NODATA

DAYS = [200, 20, 366, 120, 121, 60, 61]


@pytest.fixture(scope="module")
def observations():
    """Seven observations of 20 x 30 pixels, some masked, and a corner without any."""
    random = np.random.default_rng(2)
    dn = random.integers(1, 9000, (7, 4, 20, 30)).astype(np.uint16)
    masked = random.random((7, 20, 30)) < 0.4
    masked[:, :3, :4] = True
    dn[3, 2, 10, 10] = 0
    return dn, masked


@pytest.fixture(scope="module", params=[1 << 30, 20_000], ids=["one strip", "strips"])
def made(request, observations):
    dn, masked = observations
    with Composite((20, 30), 30, strip_bytes=request.param) as composite:
        for one, hidden, day in zip(dn, masked, DAYS, strict=True):
            composite.add(one, hidden, day)
        return composite.result(*Temporal)


def each(observations):
    dn, masked = observations
    for row in range(20):
        for col in range(30):
            counts = ~masked[:, row, col] & dn[:, :, row, col].all(axis=1)
            yield row, col, dn[counts, :, row, col].astype(float), np.array(DAYS)[counts]


def test_dtypes_and_nodata(made):
    assert list(made.temporal) == list(Temporal)
    for kind, layer in made.temporal.items():
        assert layer.dtype == DTYPE[kind.layer]
        assert (layer[..., :3, :4] == NODATA[kind.layer]).all()
        assert layer.shape[:-2] == ((len(kind.layer.spec.bands),) if layer.ndim == 3 else ())


def test_percentiles_of_ndvi(made, observations):
    for row, col, values, _ in each(observations):
        if len(values):
            red, nir = values[:, 0], values[:, 3]
            ndvi = np.rint((nir - red) / (nir + red) * 10000)
            expected = np.percentile(ndvi, [10, 50, 90])
            found = made.temporal[Temporal.NDVI][:, row, col]
            np.testing.assert_allclose(found, expected, atol=0.51)


def test_spread(made, observations):
    for row, col, values, _ in each(observations):
        if len(values):
            high, low = (np.maximum(np.rint(np.percentile(values, p, axis=0)), 1) for p in (75, 25))
            found = made.temporal[Temporal.SPREAD][:, row, col]
            np.testing.assert_array_equal(found, high - low)


def test_the_day_is_that_of_the_observation_most_like_the_composite(made, observations):
    for row, col, values, days in each(observations):
        if len(values):
            apart = np.abs(values - made.values[:, row, col]).sum(axis=1)
            expected = days[apart == apart.min()].min()
            assert made.temporal[Temporal.DAY][row, col] == expected


def test_without_observations_there_is_no_data():
    with Composite((2, 3), 30) as composite:
        made = composite.result(*Temporal)
    for kind, layer in made.temporal.items():
        assert (layer == NODATA[kind.layer]).all()


def test_extreme_reflectances():
    stack = np.array([[1, 1, 1, 65535], [65535, 1, 1, 1]], np.uint16).reshape(2, 4, 1, 1)
    valid = np.ones((2, 1, 1), np.bool_)
    assert ndvi_percentiles(stack, valid).ravel().tolist() == [-8000, 0, 8000]
    assert spread(stack, valid).ravel().tolist() == [32768, 0, 0, 32768]
