"""The nested search: what it chooses, and that its score is not better than chance on chance."""

import numpy as np

from transforms.classification import FEATURE_SETS, LinearFit
from transforms.classification.search import Candidate, Labelled, candidates, importances, search


def labelled(seed, groups=20, signal=0.0):
    """Pixels of groups with one class each; only column 3 of `spectral_indices` follows it."""
    dice = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), 30)
    labels = (1 + dice.permutation(np.arange(groups) % 2)[group]).astype(np.uint8)
    tables = {}
    for name in ("spectral", "spectral_indices"):
        columns = len(FEATURE_SETS[name])
        values = dice.normal(size=(groups, columns))[group] + dice.normal(
            size=(len(group), columns)
        )
        if name == "spectral_indices":
            values[:, 3] += signal * labels
        tables[name] = values.astype(np.float32)
    return Labelled(tables, labels, group)


def linear(*strengths):
    return [
        Candidate(f"{name} {strength}", name, LinearFit(strength))
        for name in ("spectral", "spectral_indices")
        for strength in strengths
    ]


def test_it_finds_where_the_signal_is():
    pixels = labelled(0, signal=8)
    told = []
    found = search(pixels, linear(0.1), progress=told.append)
    assert found.chosen.feature_set == "spectral_indices"
    assert found.scores.balanced_accuracy > 0.95
    assert found.nested
    assert told == [f"part {n} of 5: spectral_indices 0.1" for n in range(1, 6)]
    held = np.concatenate([part.held for part in found.parts])
    assert sorted(held) == list(range(600))
    losses = importances(found, pixels)
    assert next(iter(losses)) == FEATURE_SETS["spectral_indices"][3]
    assert set(losses) == set(FEATURE_SETS["spectral_indices"])
    assert losses == importances(found, pixels)


def test_a_choice_among_many_does_not_raise_the_score_of_chance():
    """The best of six is above chance on the data that chose it, but the stated score is not."""
    results = [search(labelled(seed), linear(1e-3, 0.1, 10), folds=3) for seed in range(5)]
    best = np.mean([max(found.compared.values()) for found in results])
    stated = np.mean([found.scores.balanced_accuracy for found in results])
    assert stated < 0.6
    assert stated < best


def test_with_few_groups_the_first_model_is_taken():
    """Though another is better: the scores are those of the model that is taken."""
    found = search(labelled(3, groups=4, signal=8), linear(0.1), folds=2)
    assert not found.nested
    assert {part.of_search for part in found.parts} == {found.chosen.name} == {"spectral 0.1"}
    assert found.scores.balanced_accuracy == found.compared["spectral 0.1"]
    assert found.compared["spectral 0.1"] < found.compared["spectral_indices 0.1"]


def test_models_are_fitted_to_equally_many_pixels_of_each_class():
    labels = np.repeat([1, 2], [900, 100]).astype(np.uint8)
    pixels = Labelled({}, labels, np.zeros(1000, int))
    for most, expected in ((400, 200), (5000, 900)):
        drawn = pixels.balanced(np.arange(1000), most)
        assert np.bincount(labels[drawn]).tolist() == [0, expected, expected]
    assert set(drawn) == set(range(1000))


def test_the_usual_models():
    models = candidates()
    assert {model.feature_set for model in models} == {
        "spectral_texture",
        "multiscale",
        "multiscale_bands",
    }
    assert len({model.name for model in models}) == len(models) == 12
