"""Training, and scores held out by group."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from transforms.classification import Scores, held_out_scores, train


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 60)
    labels = (1 + groups % 2).astype(np.uint8)
    table = rng.random((720, 5), dtype=np.float32)
    return table, labels, groups


def test_finds_what_there_is(pixels):
    table, labels, groups = pixels
    table[:, 2] += 2 * labels
    classifier = train(table, labels, "spectral", "made up", demonstration=True)
    np.testing.assert_array_equal(classifier.predict(table), labels)
    assert (classifier.description, classifier.demonstration) == ("made up", True)
    assert held_out_scores(table, labels, groups, "spectral", folds=3).accuracy > 0.99


def test_what_only_tells_images_apart_does_not_score(pixels):
    table, labels, groups = pixels
    table[:, 0] = np.random.default_rng(1).permutation(12)[groups]
    tree = DecisionTreeClassifier(random_state=0)
    scores = held_out_scores(table, labels, groups, "spectral", folds=3, estimator=tree)
    by_pixel = held_out_scores(table, labels, np.arange(720), "spectral", folds=3, estimator=tree)
    assert by_pixel.accuracy > 0.99
    assert scores.accuracy < 0.8
    assert sum(map(sum, scores.counts)) == 720


def test_the_same_again(pixels):
    table, labels, _ = pixels
    twice = [train(table, labels, "spectral", "").predict(table) for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_scores_by_hand():
    scores = Scores(((6, 2), (1, 3)))
    assert scores.accuracy == 0.75
    assert scores.recalls == (0.75, 0.75)
    assert Scores(((8, 0), (2, 2))).balanced_accuracy == 0.75
    assert scores.precisions == (6 / 7, 3 / 5)
    assert scores.f1 == pytest.approx((0.8, 2 / 3))
    assert Scores(((5, 0), (5, 0))).f1 == (pytest.approx(2 / 3), 0)


def test_precision_at_a_share_of_the_ground():
    scores = Scores(((90, 10), (8, 32)))  # 90 % of residential and 80 % of the others are found
    assert scores.precisions_at(0.07)[1] == pytest.approx(0.07 * 0.8 / (0.07 * 0.8 + 0.93 * 0.1))
    assert scores.precisions_at(40 / 140) == pytest.approx(scores.precisions)


def test_wrong_pixels_are_refused(pixels):
    table, labels, _ = pixels
    for arguments, reason in [
        ((table, labels, "magic"), "magic"),
        ((table, labels, "spectral_indices"), "features have shape"),
        ((table[1:], labels, "spectral"), "features have shape"),
        ((table, np.ones_like(labels), "spectral"), "both"),
        ((table, labels - np.uint8(1), "spectral"), "both"),
    ]:
        with pytest.raises(ValueError, match=reason):
            train(*arguments, "")
