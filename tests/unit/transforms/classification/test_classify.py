"""Classes, the majority filter, and the law of windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.classification import (
    FEATURE_SETS,
    classification_halo,
    classify,
    majority,
    object_majority,
    predict_classes,
    smooth,
    smoothing_halo,
)
from transforms.elements import Window

SMOOTHINGS = ("none", "majority", "objects")


def counted(classes, bufrac):
    result = classes.copy()
    for r, c in np.argwhere((bufrac > 0) & (bufrac < 255) & np.isin(classes, (1, 2))):
        near = np.s_[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2]
        votes = classes[near][(bufrac[near] > 0) & (bufrac[near] < 255)]
        first, second = (votes == 1).sum(), (votes == 2).sum()
        if first != second:
            result[r, c] = 1 if first > second else 2
    return result


shapes = st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), key="shape")


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 255])),
    hnp.arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 60, 255])),
)
def test_majority_agrees_with_counting(classes, bufrac):
    np.testing.assert_array_equal(majority(classes, bufrac), counted(classes, bufrac))


def test_a_tie_keeps_the_own_class():
    assert majority(np.array([[1, 2]], np.uint8), np.full((1, 2), 9, np.uint8)).tolist() == [[1, 2]]


def test_only_built_pixels_vote():
    classes = np.array([[2, 2, 2], [2, 1, 1], [2, 2, 2]], np.uint8)
    bufrac = np.array([[0, 0, 0], [5, 5, 5], [0, 0, 0]], np.uint8)
    assert majority(classes, bufrac)[1].tolist() == [2, 1, 1]


def test_majority_wants_one_shape():
    with pytest.raises(ValueError, match="expected one"):
        majority(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_each_smoothing_has_its_own_vote(block, classifiers):
    bufrac, s2 = block(7, (40, 40))
    classifier = classifiers["spectral"]
    classes = predict_classes(bufrac, s2, classifier)
    votes = {"none": classes, "majority": majority(classes, bufrac)}
    votes["objects"] = object_majority(classes, bufrac)
    for smoothing in SMOOTHINGS:
        smoothed = classify(bufrac, s2, classifier, smoothing)
        np.testing.assert_array_equal(smoothed, votes[smoothing])
        # The halo is as wide as needed, and not wider: a vote at this distance can count.
        line = np.full((1, 2 * smoothing_halo(smoothing) + 1), 90, np.uint8)
        far = np.ones_like(line)
        far[0, far.size // 2 + 1 :] = 2
        far[0, far.size // 2] = 1
        assert smooth(far, line, smoothing)[0, far.size // 2] == 1
        far[0, 0] = 2
        assert smooth(far, line, smoothing)[0, far.size // 2] == 2
    assert len({votes[smoothing].tobytes() for smoothing in SMOOTHINGS}) == 3
    np.testing.assert_array_equal(classify(bufrac, s2, classifier), votes["objects"])
    with pytest.raises(ValueError, match="smoothing is 'mode', expected one of none, maj"):
        classify(bufrac, s2, classifier, "mode")


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_classes_are_where_something_is_built(block, classifiers, name):
    bufrac, s2 = block(5, (30, 31))
    classes = classify(bufrac, s2, classifiers[name], "majority")
    nodata = (bufrac == 255) | (s2 == 0).any(axis=0)
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes == 255, nodata)
    np.testing.assert_array_equal(classes == 0, (bufrac == 0) & ~nodata)
    assert set(np.unique(classes)) == {0, 1, 2, 255}


def test_nothing_built_asks_nothing(classifiers):
    classes = classify(
        np.zeros((3, 4), np.uint8), np.ones((4, 3, 4), np.uint16), classifiers["spectral"]
    )
    assert not classes.any()


@pytest.mark.parametrize("name", FEATURE_SETS)
def test_strips_do_not_show(block, classifiers, name):
    bufrac, s2 = block(6, (23, 19))
    whole = predict_classes(bufrac, s2, classifiers[name])
    for pixels in (1, 19 * 3, 19 * 7 + 4):
        np.testing.assert_array_equal(
            predict_classes(bufrac, s2, classifiers[name], chunk_pixels=pixels), whole
        )


@pytest.mark.parametrize("name", FEATURE_SETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_window_with_its_halo_gives_the_same_pixels(block, classifiers, name, data):
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    bufrac, s2 = block(data.draw(st.integers(0, 2**32)), shape)
    classifier, smoothing = classifiers[name], data.draw(st.sampled_from(SMOOTHINGS))
    whole = classify(bufrac, s2, classifier, smoothing)
    extent = Window(0, 0, *shape)
    row, col = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    core = Window(row, col, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    core = core.intersect(extent)
    read = core.expand(classification_halo(classifier, smoothing)).intersect(extent)
    part = read.slices_in(extent)
    result = classify(bufrac[part], s2[(slice(None), *part)], classifier, smoothing)
    np.testing.assert_array_equal(result[core.slices_in(read)], whole[core.slices_in(extent)])
