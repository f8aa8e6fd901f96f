"""The starter classifier is in the package, and says what it is."""

import hashlib

from transforms.classification import ResidentialClassifier
from transforms.classification.starter import STARTER_CLASSIFIER, starter_classifier_file
from transforms.inference.starter import starter_file


def test_the_starter_classifier(tmp_path):
    starter = ResidentialClassifier.load(STARTER_CLASSIFIER)
    assert starter.starter
    assert not starter.demonstration
    assert "EuroSAT" in starter.description
    assert starter.feature_set == "multiscale_bands"
    network = hashlib.sha256(starter_file().read_bytes()).hexdigest()
    assert starter.networks == (network,)
    assert starter_classifier_file().stat().st_size < 10_000
    starter.save(tmp_path / "copy.skops")
    assert ResidentialClassifier.load(tmp_path / "copy.skops").starter


def test_others_are_not_the_starter_classifier(classifiers, tmp_path):
    classifiers["spectral"].save(tmp_path / "own.skops")
    assert not ResidentialClassifier.load(tmp_path / "own.skops").starter
