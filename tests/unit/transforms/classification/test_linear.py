"""The linear model: its scores by hand, in every batch, and from its file."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import skops.io

from transforms.classification import (
    FEATURE_SETS,
    LinearClassifier,
    LinearFit,
    ResidentialClassifier,
    train,
)
from transforms.classification.classifier_file import plain_content
from transforms.elements import ModelError


@pytest.fixture(scope="module")
def fitted():
    dice = np.random.default_rng(0)
    names = FEATURE_SETS["multiscale"]
    table = dice.normal(0.3, 0.2, (800, len(names))).astype(np.float32)
    labels = (1 + (table[:, 3] - 2 * table[:, 40] > -0.3)).astype(np.uint8)
    return train(table, labels, "multiscale", "made up", estimator=LinearFit(1.0)), table, labels


def test_it_finds_a_rule_and_keeps_its_bits_in_every_batch(fitted):
    classifier, table, labels = fitted
    assert (classifier.predict(table) == labels).mean() > 0.9
    model = classifier.estimator
    whole = model.score(table)
    for size in (1, 7, 64, 801):
        parts = [model.score(table[start : start + size]) for start in range(0, len(table), size)]
        assert (np.concatenate(parts).view(np.uint64) == whole.view(np.uint64)).all()
    again = model.score(np.asfortranarray(table[::-1]))[::-1]
    assert (again.view(np.uint64) == whole.view(np.uint64)).all()
    assert classifier.predict(table[:0]).shape == (0,)
    assert classifier.other_version is None


def test_scores_agree_with_exact_sums(fitted):
    model, table = fitted[0].estimator, fitted[1]
    for row in table[:20]:
        exact = Fraction(model.intercept)
        for x, mean, scale, weight in zip(
            row, model.means, model.scales, model.weights, strict=True
        ):
            standard = (Fraction(float(x)) - Fraction(mean)) / Fraction(scale)
            exact += max(min(standard, 3), -3) * Fraction(weight)
        assert abs(model.score(row[None])[0] - float(exact)) < 1e-12


def test_comes_back_from_its_file(fitted, tmp_path):
    classifier, table, _ = fitted
    classifier.save(tmp_path / "m.skops")
    loaded = ResidentialClassifier.load(tmp_path / "m.skops")
    assert isinstance(loaded.estimator, LinearClassifier)
    one, other = (made.estimator.score(table) for made in (classifier, loaded))
    assert (one.view(np.uint64) == other.view(np.uint64)).all()
    assert (tmp_path / "m.skops").stat().st_size < 20_000


NAN, HUGE = np.full(5, np.nan), np.full(5, 1e300)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": NAN}, "weights of the linear model are not finite"),
        ({"means": HUGE}, "means of the linear model are not finite, or too large"),
        ({"scales": np.zeros(5)}, "scales of the linear model are not above 0"),
        ({"weights": np.ones(4)}, "differ in length"),
        ({"weights": np.ones((5, 1))}, "not a list of float64"),
        ({"weights": np.ones(5, np.float32)}, "not a list of float64"),
        ({"weights": [1.0] * 5}, "not a list of float64"),
        ({"intercept": float("nan")}, "intercept"),
        ({"intercept": "1"}, "intercept"),
        ({"kind": "other"}, "for a linear model"),
        ({"more": 1}, "for a linear model"),
        ({name: np.ones(6) for name in ("weights", "means", "scales")}, "has 6 features"),
    ],
)
def test_hostile_files_are_refused(tmp_path, changes, reason):
    ones = np.ones(5)
    sound = {"kind": "linear", "means": ones, "scales": ones, "weights": ones, "intercept": 0.0}
    content = {
        "format": "ghsl-beam residential classifier 1",
        "feature_set": "spectral",
        "features": list(FEATURE_SETS["spectral"]),
        "description": "",
        "demonstration": False,
        "versions": {},
    }
    path = tmp_path / "m.skops"
    skops.io.dump(content | {"estimator": sound}, path)
    assert ResidentialClassifier.load(path).predict(np.ones((1, 5), np.float32)) == [1]
    skops.io.dump(content | {"estimator": sound | changes}, path)
    with pytest.raises(ModelError, match=reason):
        ResidentialClassifier.load(path)


def test_its_file_is_read_without_skops_as_skops_reads_it(fitted, tmp_path):
    classifier, _, _ = fitted
    file = tmp_path / "linear.skops"
    classifier.save(file)
    read, expected = plain_content(file.read_bytes()), skops.io.load(file)
    vectors = {name: expected["estimator"].pop(name) for name in ("means", "scales", "weights")}
    for name, vector in vectors.items():
        made = read["estimator"].pop(name)
        assert (made.dtype, made.tobytes()) == (vector.dtype, vector.tobytes())
    assert read == expected
    assert [type(value) for value in read.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    "content", [{1: "a"}, {"a": np.float64(1)}, {"a": (1, 2)}, {"a": {"b": {2: np.zeros(3)}}}]
)
def test_what_is_not_plain_is_left_to_skops(content):
    assert plain_content(skops.io.dumps(content)) is None


def test_prediction_with_it_imports_no_scikit_learn():
    """skops and scikit-learn take two seconds of every process of a job."""
    code = (
        "import sys\n"
        "from transforms.classification import ResidentialClassifier\n"
        "from transforms.classification.starter import STARTER_CLASSIFIER\n"
        "import transforms.classification.transform\n"
        "ResidentialClassifier.load(STARTER_CLASSIFIER)\n"
        "heavy = {'skops', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
