"""The sieve against a flood fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.rasters.sieve import small_components


def flood_fill(support, minimum):
    small, seen = np.zeros_like(support), set()
    for start in map(tuple, np.argwhere(support)):
        if start in seen:
            continue
        component, queue = {start}, [start]
        while queue:
            row, col = queue.pop()
            for place in [(row + r, col + c) for r in (-1, 0, 1) for c in (-1, 0, 1)]:
                inside = 0 <= place[0] < support.shape[0] and 0 <= place[1] < support.shape[1]
                if inside and support[place] and place not in component:
                    component.add(place)
                    queue.append(place)
        seen |= component
        if len(component) < minimum:
            for place in component:
                small[place] = True
    return small


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=14)),
    st.integers(1, 12),
)
def test_agrees_with_a_flood_fill(support, minimum):
    np.testing.assert_array_equal(small_components(support, minimum), flood_fill(support, minimum))


def test_diagonal_neighbours_hang_together():
    assert not small_components(np.eye(4, dtype=bool), 4).any()
    assert small_components(np.eye(4, dtype=bool), 5).sum() == 4


def test_only_two_axes():
    with pytest.raises(ValueError, match="axes"):
        small_components(np.zeros(3, bool), 2)
