"""Features by hand, and their halo."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.classification import FEATURE_SETS, feature_halo, feature_table, valid_pixels


def test_each_set_begins_with_the_one_before():
    sets = [FEATURE_SETS[name] for name in FEATURE_SETS if "multiscale" not in name]
    assert sets[0] == ("bufrac", "red", "green", "blue", "nir")
    for smaller, larger in pairwise(sets):
        assert larger[: len(smaller)] == smaller


def test_halos():
    halos = {name: feature_halo(name) for name in FEATURE_SETS}
    small = {"spectral": 0, "spectral_indices": 0, "spectral_texture": 2}
    assert halos == {name: small.get(name, 30) for name in FEATURE_SETS}


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 9), cols=st.integers(1, 9))
def test_agrees_with_plain_formulas(block, seed, rows, cols):
    bufrac, s2 = block(seed, (rows, cols))
    valid = valid_pixels(bufrac, s2)
    np.testing.assert_array_equal(valid, (bufrac != 255) & (s2.min(axis=0) > 0))
    table = feature_table(bufrac, s2, valid, "spectral_texture")
    assert table.dtype == np.float32
    for row, (r, c) in zip(table, np.argwhere(valid), strict=True):
        red, green, blue, nir, *_ = s2[:, r, c] / 10000
        near = np.s_[max(0, r - 2) : r + 3, max(0, c - 2) : c + 3]
        built = bufrac[near][valid[near]] / 100
        infrared = s2[3][near][valid[near]] / 10000
        expected = [
            *(bufrac[r, c] / 100, red, green, blue, nir),
            *((nir - red) / (nir + red), (green - nir) / (green + nir), (red + green + blue) / 3),
            *(built.mean(), built.std(), infrared.mean(), infrared.std()),
        ]
        np.testing.assert_allclose(row, expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", FEATURE_SETS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), row=st.integers(0, 12), col=st.integers(0, 12))
def test_do_not_depend_on_the_window(block, name, seed, row, col):
    side = 16 + 2 * feature_halo(name)
    bufrac, s2 = block(seed, (side, side + 1))
    row, col = row + feature_halo(name), col + feature_halo(name)
    where = np.zeros(bufrac.shape, bool)
    where[row : row + 4, col : col + 4] = True
    where &= valid_pixels(bufrac, s2)
    halo = feature_halo(name)
    part = np.s_[max(0, row - halo) : row + 4 + halo, max(0, col - halo) : col + 4 + halo]
    whole = feature_table(bufrac, s2, where, name)
    cut = feature_table(bufrac[part], s2[(slice(None), *part)], where[part], name)
    np.testing.assert_array_equal(cut.view(np.uint32), whole.view(np.uint32))


def test_extremes_are_exact():
    bufrac = np.full((5, 5), 100, np.uint8)
    s2 = np.full((4, 5, 5), 65535, np.uint16)
    table = feature_table(bufrac, s2, np.ones((5, 5), bool), "spectral_texture")
    assert (table[:, [9, 11]] == 0).all()
    assert (table[:, 10] == np.float32(6.5535)).all()


def test_wrong_requests_are_refused():
    bufrac, s2 = np.ones((2, 2), np.uint8), np.ones((4, 2, 2), np.uint16)
    everywhere = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="expected one of spectral"):
        feature_table(bufrac, s2, everywhere, "magic")
    with pytest.raises(ValueError, match="expected one of spectral"):
        feature_halo("magic")
    with pytest.raises(ValueError, match="without data"):
        feature_table(bufrac * np.uint8(255), s2, everywhere, "spectral")
    with pytest.raises(ValueError, match="expected"):
        feature_table(bufrac.astype(int), s2, everywhere, "spectral")
    with pytest.raises(ValueError, match="expected"):
        feature_table(bufrac, s2[:3], everywhere, "spectral")
