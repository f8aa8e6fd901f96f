"""Writes the classifier of the tests' jobs: linear, with the features of the demonstration's.

It learns from that one on a synthetic town. A process reads it without scikit-learn, whose import
takes two seconds in each process of a job.

    python -m tests.support.linear_classifier
"""

from pathlib import Path

import numpy as np

from tests.support.scenes import town
from transforms.classification import LinearFit, ResidentialClassifier, train
from transforms.classification.features import feature_table

ROOT = Path(__file__).resolve().parents[2]
DEMONSTRATION = ROOT / "examples" / "models" / "DEMONSTRATION_residential.skops"
WRITTEN = Path(__file__).parent / "models" / DEMONSTRATION.name
"""Of the same name, so that what is said of the one is said of the other."""


def linear_classifier() -> ResidentialClassifier:
    """Like the demonstration's classifier in all but the model."""
    trees = ResidentialClassifier.load(DEMONSTRATION)
    s2 = town(512, 512)
    percent = np.random.default_rng(0).integers(20, 101, s2[0].shape, np.uint8)
    table = feature_table(percent, s2, (s2 > 0).all(axis=0), trees.feature_set)
    labels = trees.predict(table)
    return train(
        *(table, labels, trees.feature_set, trees.description),
        demonstration=True,
        networks=trees.networks,
        estimator=LinearFit(1.0),
    )


if __name__ == "__main__":
    WRITTEN.parent.mkdir(exist_ok=True)
    linear_classifier().save(WRITTEN)
