"""The sorting network of the percentile."""

import numpy as np
import pytest

from transforms.assembly.percentile import comparators, percentile_of_stack


@pytest.mark.parametrize("n", range(1, 13))
def test_the_network_sorts_all_that_is_asked_for(n):
    """A network that sorts every list of zeros and ones sorts every list (Knuth, 5.3.4)."""
    ones = np.arange(2**n)[np.newaxis] >> np.arange(n)[:, np.newaxis] & 1
    for last in range(n):
        lanes = ones.copy()
        for low, high in comparators(n, last):
            assert low < high
            lanes[[low, high]] = lanes[[low, high]].min(axis=0), lanes[[low, high]].max(axis=0)
        assert np.array_equal(lanes[: last + 1], np.sort(ones, axis=0)[: last + 1])


def test_pairs_beyond_the_percentile_are_left_out():
    assert len(comparators(10, 3)) < len(comparators(10, 9))


@pytest.mark.parametrize(("n", "share"), [(2, 0.5), (10, 0.7), (31, 1.0), (300, 0.2)])
@pytest.mark.parametrize("percentile", [0, 30, 100])
def test_many_pixels_and_many_observations(n, share, percentile):
    dice = np.random.default_rng(n)
    stack = dice.integers(0, 65536, (n, 2, 83, 211), dtype=np.uint16)
    valid = dice.random((n, 83, 211)) < share
    found = percentile_of_stack(stack, valid, percentile)
    assert np.array_equal(found[0] > 0, valid.any(axis=0))
    for row, col in zip(dice.integers(0, 83, 200), dice.integers(0, 211, 200), strict=True):
        if (seen := valid[:, row, col]).any():
            values = np.percentile(stack[seen, :, row, col], percentile, axis=0)
            assert np.array_equal(found[:, row, col], np.maximum(np.rint(values), 1))
