"""Preparation, encoding and reflection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import Window
from transforms.inference.predict import HALO, encode, pad_block, prepare, reflected, valid


def test_prepare() -> None:
    dn = np.array([0, 1, 10000, 65535], np.uint16).reshape(4, 1, 1) * np.ones((1, 2, 3), np.uint16)
    x = prepare(dn)
    assert x.shape == (2, 3, 4)
    assert x.dtype == np.float32
    assert x[1, 2].tolist() == [0.0, np.float32(0.0001), 1.0, 1.0]
    with pytest.raises(ValueError, match="expected"):
        prepare(dn[:3])


def test_valid_needs_all_four_bands() -> None:
    dn = np.ones((4, 2, 3), np.uint16)
    dn[2, 1, 1] = 0
    assert valid(dn).sum() == 5
    assert not valid(dn)[1, 1]


def test_encode() -> None:
    probability = np.array([[0.0, 0.00009, 0.99999, 1.0, 0.5, np.nan]], np.float32)
    inside = np.array([[True, True, True, True, False, False]])
    found = encode(probability, inside)
    assert found.dtype == np.uint16
    assert found.tolist() == [[0, 0, 9999, 10000, 65535, 65535]]


@given(st.integers(1, 9), st.integers(0, 6), st.integers(0, 6))
def test_reflection_is_numpys(size: int, before: int, after: int) -> None:
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    assert reflected(-before, size + after, size).tolist() == expected.tolist()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 400))
def test_blocks_agree_with_padding_the_whole(
    height: int, width: int, size: int, corner: int
) -> None:
    extent = Window(corner, 2 * corner, height, width)
    dn = np.random.default_rng(height * 9 + width).integers(0, 9999, (4, height, width), np.uint16)
    padded = np.pad(dn, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    frame = extent.expand(HALO)
    for block in extent.split(size):
        wanted = block.expand(HALO)
        inside = wanted.intersect(extent)
        assert inside is not None
        found = pad_block(dn[:, *inside.slices_in(extent)], inside, wanted, extent)
        assert np.array_equal(found, padded[:, *wanted.slices_in(frame)])


def test_nothing_is_mirrored_inside_the_tile() -> None:
    extent, block = Window(0, 0, 50, 50), Window(10, 10, 5, 5)
    with pytest.raises(ValueError, match="lacks"):
        pad_block(np.ones((4, 5, 5), np.uint16), block, block.expand(HALO), extent)
    with pytest.raises(ValueError, match="expected"):
        pad_block(np.ones((4, 5, 6), np.uint16), block, block, extent)
    with pytest.raises(ValueError, match="axis"):
        reflected(0, 3, 0)
