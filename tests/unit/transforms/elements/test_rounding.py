"""Rounding that keeps the mean."""

import numpy as np
import pytest

from transforms.elements import Window, thresholds


@pytest.mark.parametrize(("row", "col"), [(3185, 2831), (3539, 6783)])
def test_a_whole_number_stays_as_it_is(row, col):
    """Here the sum of the two spreads is so near to a whole number that float32 cannot show it."""
    (((threshold,),),) = [thresholds(Window(row, col, 1, 1))]
    assert 0.9999 < threshold < 1
    assert np.floor(np.float32(0) + threshold) == 0
