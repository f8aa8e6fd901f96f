"""Bright targets are found by how often their masks and those of their surroundings say cloud."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.assembly.masks.bright import (
    CLEAR_AROUND,
    REACH,
    SCENES,
    bright_targets,
    clear_around,
)

SIDE = 120


def counts(share, scenes=20):
    """Numbers of masked and seen scenes for a share that is masked."""
    masked = np.full((SIDE, SIDE), round(share * scenes), np.uint16)
    return masked, np.full((SIDE, SIDE), scenes, np.uint16)


def test_a_roof_that_is_always_masked_is_found():
    masked, seen = counts(0.4)
    masked[50:55, 60:66] = 20
    found = bright_targets(masked, seen)
    assert found[50:55, 60:66].all()
    assert found.sum() == 30


def test_a_cloudy_season_is_no_bright_target():
    masked, seen = counts(0.9)
    assert not bright_targets(masked, seen).any()
    masked[50:55, 60:66] = 20
    assert not bright_targets(masked, seen).any(), "hardly more often than the ground around it"


def test_few_scenes_tell_nothing():
    masked, seen = counts(0.0, SCENES - 1)
    masked[50:55, 60:66] = SCENES - 1
    assert not bright_targets(masked, seen).any()


def test_a_place_without_ground_around_it_is_not_found():
    masked, seen = counts(1.0)
    assert not bright_targets(masked, seen).any()


def test_the_ground_of_a_roof_is_clear_where_few_of_its_cells_are_masked():
    masked, seen = np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)
    bright = np.zeros((SIDE, SIDE), bool)
    bright[50:55, 60:66] = masked[50:55, 60:66] = True
    assert clear_around(masked, seen, bright).all()
    masked[:, :60] = True
    clear = clear_around(masked, seen, bright)
    assert not clear[:, :60].any()
    assert clear[:, 60 + REACH :].all()
    assert not clear_around(masked, np.zeros_like(seen), bright).any(), "nothing is seen"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(0, 30))
def test_a_cell_depends_on_its_reach_alone(seed, top, left):
    random = np.random.default_rng(seed)
    masked = random.random((SIDE, SIDE)) < CLEAR_AROUND
    seen, bright = random.random((2, SIDE, SIDE)) < [[[0.9]], [[0.1]]]
    whole = clear_around(masked, seen, bright)
    part = np.s_[top : top + 2 * REACH + 9, left : left + 2 * REACH + 9]
    inner = clear_around(masked[part], seen[part], bright[part])[REACH:-REACH, REACH:-REACH]
    rows, cols = top + REACH, left + REACH
    np.testing.assert_array_equal(inner, whole[rows : rows + 9, cols : cols + 9])
