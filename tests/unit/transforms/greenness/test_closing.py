"""The closing against scipy's own with the disk's footprint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from transforms.greenness import close_support, disk_reach


def disk(radius):
    reach = int(radius)
    rows, cols = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return rows**2 + cols**2 <= radius**2


def reference(support, radius):
    reach = int(radius)
    padded = np.pad(support, reach)
    closed = ndimage.binary_closing(padded, structure=disk(radius))
    return closed[reach : reach + support.shape[0], reach : reach + support.shape[1]]


masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=18))
radii = st.integers(0, 7) | st.sampled_from([1.5, 2.5, 3.7, 0.5])


@settings(max_examples=150, deadline=None)
@given(masks, radii)
def test_equals_binary_closing_of_the_padded_array(support, radius):
    np.testing.assert_array_equal(close_support(support, radius), reference(support, radius))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.001, 0.05), st.integers(3, 9))
def test_equals_it_where_little_is_built(seed, share, radius):
    support = np.random.default_rng(seed).random((50, 60)) < share
    np.testing.assert_array_equal(close_support(support, radius), reference(support, radius))


@settings(max_examples=40, deadline=None)
@given(masks, st.integers(1, 5))
def test_is_the_support_of_the_grey_closing(support, radius):
    grey = np.pad(
        np.where(support, np.arange(support.size).reshape(support.shape) + 1, 0), 2 * radius
    )
    closed = ndimage.grey_closing(grey, footprint=disk(radius), mode="constant")
    inner = closed[2 * radius : -2 * radius, 2 * radius : -2 * radius]
    np.testing.assert_array_equal(close_support(support, radius), inner > 0)


@settings(max_examples=60, deadline=None)
@given(masks, radii)
def test_contains_the_support_and_is_idempotent(support, radius):
    closed = close_support(support, radius)
    assert closed[support].all()
    unbounded = close_support(np.pad(support, 8), radius)
    np.testing.assert_array_equal(close_support(unbounded, radius), unbounded)


def test_the_real_disk():
    support = np.random.default_rng(4).random((90, 100)) < 0.004
    np.testing.assert_array_equal(close_support(support, 30), reference(support, 30))


def test_all_and_nothing():
    assert close_support(np.ones((5, 6), bool), 30).all()
    assert not close_support(np.zeros((5, 6), bool), 30).any()


def test_reach():
    assert [disk_reach(radius) for radius in (0, 0.9, 1, 2.5, 30)] == [0, 0, 1, 2, 30]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="axes"):
        close_support(np.zeros(4, bool), 1)
    for radius in (-1, float("nan")):
        with pytest.raises(ValueError, match="radius"):
            close_support(np.zeros((4, 4), bool), radius)
