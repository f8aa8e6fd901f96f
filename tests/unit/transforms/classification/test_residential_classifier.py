"""The classifier's file: what comes back, and what is refused."""

import os
import zipfile
from contextlib import suppress

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from transforms.classification import FEATURE_SETS, ResidentialClassifier, train
from transforms.elements import ModelError


@pytest.fixture
def saved(classifiers, tmp_path):
    path = tmp_path / "model.skops"
    classifiers["spectral_texture"].save(path)
    return path


def content_of(classifier, **changes):
    return {
        "format": "ghsl-beam residential classifier 1",
        "estimator": classifier.estimator,
        "feature_set": classifier.feature_set,
        "features": list(classifier.features),
        "description": "made here",
        "demonstration": True,
        "versions": {},
    } | changes


def test_comes_back_as_it_was(classifiers, saved):
    before, after = classifiers["spectral_texture"], ResidentialClassifier.load(str(saved))
    table = np.random.default_rng(2).random((5000, 12), dtype=np.float32)
    np.testing.assert_array_equal(before.predict(table), after.predict(table))
    assert (after.feature_set, after.description) == ("spectral_texture", "noise")
    assert after.features == FEATURE_SETS["spectral_texture"]
    assert after.demonstration is False
    assert set(after.versions) == {"scikit-learn", "numpy", "skops"}
    assert after.halo == 2
    assert [path.name for path in saved.parent.iterdir()] == ["model.skops"]


def test_a_forest_predicts_on_one_thread(tmp_path):
    table = np.random.default_rng(0).random((200, 5), dtype=np.float32)
    labels = (1 + (table[:, 0] > 0.5)).astype(np.uint8)
    forest = RandomForestClassifier(4, n_jobs=2, random_state=0)
    made = train(table, labels, "spectral", "noise", demonstration=True, estimator=forest)
    made.save(tmp_path / "forest.skops")
    loaded = ResidentialClassifier.load(tmp_path / "forest.skops")
    assert made.estimator.n_jobs == loaded.estimator.n_jobs == 1
    assert loaded.demonstration
    np.testing.assert_array_equal(made.predict(table), loaded.predict(table))
    assert made.predict(table[:0]).shape == (0,)
    with pytest.raises(ValueError, match="columns"):
        made.predict(table[:, :4])


def test_every_cut_is_refused(saved, tmp_path):
    data = saved.read_bytes()
    for size in [0, 1, 10, *range(100, len(data), 997), len(data) - 1]:
        short = tmp_path / "short.skops"
        short.write_bytes(data[:size])
        with pytest.raises(ModelError, match=r"short\.skops: "):
            ResidentialClassifier.load(short)


def test_damage_is_refused_or_harmless(saved, tmp_path):
    data = saved.read_bytes()
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(data), 60):
        broken = tmp_path / "broken.skops"
        broken.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with suppress(ModelError):
            ResidentialClassifier.load(broken)


def test_absent_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        ResidentialClassifier.load(tmp_path / "none.skops")
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(ModelError, match="not a skops file"):
        ResidentialClassifier.load(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a.txt", "a")
    with pytest.raises(ModelError, match="damaged"):
        ResidentialClassifier.load(tmp_path / "other.zip")
    skops.io.dump([1, 2], tmp_path / "list.skops")
    with pytest.raises(ModelError, match="not a residential classifier"):
        ResidentialClassifier.load(tmp_path / "list.skops")


class Foreign:
    """A type no file may hold."""


def test_foreign_types_are_refused(classifiers, tmp_path):
    content = content_of(classifiers["spectral"], description=Foreign())
    skops.io.dump(content, tmp_path / "m.skops")
    with pytest.raises(ModelError, match=r"not allowed: .*Foreign"):
        ResidentialClassifier.load(tmp_path / "m.skops")


def test_contents_that_do_not_fit_are_refused(classifiers, tmp_path):
    spectral = classifiers["spectral"]
    table = np.random.default_rng(0).random((50, 5), dtype=np.float32)
    labels = np.arange(50) % 2
    for changes, reason in [
        ({"features": ["red", "bufrac", "green", "blue", "nir"]}, "was trained on"),
        ({"feature_set": "spectral_indices"}, "5 features"),
        ({"feature_set": "magic"}, "magic"),
        ({"estimator": LogisticRegression().fit(table, labels)}, "LogisticRegression"),
        ({"estimator": DecisionTreeClassifier().fit(table, labels)}, "classes"),
        ({"estimator": DecisionTreeClassifier()}, "not fitted"),
        ({"format": "another"}, "not a residential classifier"),
    ]:
        skops.io.dump(content_of(spectral, **changes), tmp_path / "m.skops")
        with pytest.raises(ModelError, match=reason):
            ResidentialClassifier.load(tmp_path / "m.skops")


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


def test_pickles_only_on_request(classifiers, tmp_path, monkeypatch):
    path, mark = tmp_path / "m.joblib", tmp_path / "mark"
    joblib.dump(content_of(classifiers["spectral"]), path)
    with pytest.raises(ModelError, match="a pickle is read only if you allow it"):
        ResidentialClassifier.load(path)
    assert ResidentialClassifier.load(path, allow_pickle=True).description == "made here"
    monkeypatch.setenv("EVIL", str(mark))
    joblib.dump(Evil(), path)
    with pytest.raises(ModelError):
        ResidentialClassifier.load(path)
    assert not mark.exists()
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(ModelError, match="damaged"):
        ResidentialClassifier.load(path, allow_pickle=True)
