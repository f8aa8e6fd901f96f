import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import Window

windows = st.builds(
    Window, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 80), st.integers(1, 80)
)


def cells(window):
    return {
        (row, col)
        for row in range(window.row, window.bottom)
        for col in range(window.col, window.right)
    }


@given(windows, windows)
def test_intersection_is_that_of_the_sets_of_pixels(one, other):
    both = one.intersect(other)
    assert (cells(both) if both else set()) == cells(one) & cells(other)


@given(windows, st.integers(1, 40))
def test_parts_tile_the_window_and_follow_the_grid(window, size):
    parts = list(window.split(size))
    pixels = [pixel for part in parts for pixel in cells(part)]
    assert len(pixels) == len(set(pixels))
    assert set(pixels) == cells(window)
    assert all(part.row // size == (part.bottom - 1) // size for part in parts)


@given(windows, st.integers(0, 9))
def test_a_window_is_found_in_its_halo(window, halo):
    rows, cols = window.slices_in(window.expand(halo))
    assert (rows.start, cols.start) == (halo, halo)
    assert (rows.stop - rows.start, cols.stop - cols.start) == window.shape


def test_a_window_outside_is_an_error():
    with pytest.raises(ValueError, match="not inside"):
        Window(0, 0, 5, 5).slices_in(Window(1, 0, 9, 9))
