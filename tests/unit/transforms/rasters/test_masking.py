import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_dilation

from transforms.rasters.masking import grown, masked


@given(hnp.arrays(bool, (14, 17)), st.integers(0, 3))
def test_grown_is_the_dilation_by_a_square(mask, pixels):
    footprint = np.ones((2 * pixels + 1,) * 2)
    expected = binary_dilation(mask, footprint)[pixels : 14 - pixels, pixels : 17 - pixels]
    np.testing.assert_array_equal(grown(mask, pixels), expected)


def test_masked_keeps_the_dtype():
    array = np.ones((2, 2, 2), "int16")
    result = masked(array, np.array([[True, False], [False, True]]), -32768)
    assert result.dtype == np.int16
    assert (result[:, 0, 1] == -32768).all()
