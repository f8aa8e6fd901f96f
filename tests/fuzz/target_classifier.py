"""Classifiers, zips with checksums: the classes are those of the sound one, or it is refused."""

import numpy as np

from tests.fuzz import mutators
from transforms.classification.classifier import ResidentialClassifier
from transforms.classification.training import default_estimator


def prepare(folder):
    path = folder / "classifier.skops"
    dice = np.random.default_rng(1)
    table = dice.uniform(0, 5000, (400, 5)).astype(np.float32)
    classes = np.where(table[:, 1] > 2500, 1, 2).astype(np.uint8)
    estimator = default_estimator().fit(table, classes)
    ResidentialClassifier(estimator, "spectral", "of random numbers").save(path)
    sound = ResidentialClassifier.load(path)
    return path.read_bytes(), table, sound.predict(table)


def case(state, dice, folder, tell):
    data, table, expected = state
    mutation = mutators.of_zip(data, dice)
    tell(mutation.what)
    if mutation.data == data:
        return "the same"
    path = folder / "classifier.skops"
    path.write_bytes(mutation.data)
    found = ResidentialClassifier.load(path).predict(table)
    if np.array_equal(found, expected):
        return "equal"
    assert mutation.what.startswith("member"), "other classes than the sound file's"
    assert found.shape == expected.shape
    assert set(np.unique(found)) <= {1, 2}
    return "other content"
