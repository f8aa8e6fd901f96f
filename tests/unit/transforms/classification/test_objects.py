"""The vote of built-up objects, against a walk from each pixel."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.classification import object_majority


def walked(classes, bufrac, reach):
    """Each pixel asks the pixels that a walk over built pixels reaches, found breadth-first."""
    built = {
        (int(r), int(c))
        for r, c in np.argwhere((bufrac > 0) & (bufrac < 255) & np.isin(classes, (1, 2)))
    }
    result = classes.copy()
    for start in built:
        steps, waiting = {start: 0}, deque([start])
        while waiting:
            here = waiting.popleft()
            if steps[here] == reach:
                continue
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    there = here[0] + down, here[1] + right
                    if there in built and there not in steps:
                        steps[there] = steps[here] + 1
                        waiting.append(there)
        votes = [int(classes[voter]) for voter in steps]
        if votes.count(1) != votes.count(2):
            result[start] = 1 if votes.count(1) > votes.count(2) else 2
    return result


shapes = st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), key="shape")
all_classes = hnp.arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 1, 2, 255]))
fractions = hnp.arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 60, 255]))


@settings(max_examples=80, deadline=None)
@given(all_classes, fractions, st.sampled_from([0, 1, 2, 4, 10, 15]))
def test_votes_agree_with_walks(classes, bufrac, reach):
    np.testing.assert_array_equal(
        object_majority(classes, bufrac, reach), walked(classes, bufrac, reach)
    )


@settings(max_examples=80, deadline=None)
@given(all_classes, fractions, st.sampled_from([0, 1, 3]), st.data())
def test_a_cut_does_not_show(classes, bufrac, reach, data):
    whole = object_majority(classes, bufrac, reach)
    top, left = (data.draw(st.integers(0, side - 1)) for side in classes.shape)
    bottom = data.draw(st.integers(top + 1, classes.shape[0]))
    right = data.draw(st.integers(left + 1, classes.shape[1]))
    up, before = max(0, top - reach), max(0, left - reach)
    read = np.s_[up : bottom + reach, before : right + reach]
    part = object_majority(classes[read], bufrac[read], reach)
    core = part[top - up : bottom - up, left - before : right - before]
    np.testing.assert_array_equal(core, whole[top:bottom, left:right])


def test_a_gap_divides_the_vote_and_a_way_round_is_counted_in_steps():
    classes = np.full((5, 9), 2, np.uint8)
    classes[:, :4] = 1
    bufrac = np.full((5, 9), 80, np.uint8)
    bufrac[:, 4] = 0
    classes[2, 3] = 2  # beside the gap; all others of its object are residential
    assert object_majority(classes, bufrac, 3)[2].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    ring = np.array([[1, 1, 1], [2, 0, 1], [2, 2, 1]], np.uint8)
    assert object_majority(ring, np.uint8(90) * (ring > 0), 15)[1, 0] == 1


def test_wrong_input_is_named():
    small = np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="expected one"):
        object_majority(small, np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="reach is 16, expected 0 to 15"):
        object_majority(small, small, 16)
