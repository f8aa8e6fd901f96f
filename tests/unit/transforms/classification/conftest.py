"""Small classifiers and made-up blocks."""

import numpy as np
import pytest

from transforms.classification import FEATURE_SETS, train


def _block(seed, shape):
    """BUFRAC and ten bands with gaps in both."""
    rng = np.random.default_rng(seed)
    bufrac = np.where(rng.random(shape) < 0.6, rng.integers(0, 101, shape), 0).astype(np.uint8)
    bufrac[rng.random(shape) < 0.05] = 255
    s2 = rng.integers(1, 6000, (10, *shape)).astype(np.uint16)
    s2[2][rng.random(shape) < 0.03] = 0
    return bufrac, s2


@pytest.fixture(scope="session")
def classifiers():
    """A small forest for each set of features, trained on noise with a rule in it."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = {}
    for name, features in FEATURE_SETS.items():
        rng = np.random.default_rng(1)
        table = rng.random((600, len(features)), dtype=np.float32)
        labels = (1 + (table[:, 0] + table[:, 3] > 0.8)).astype(np.uint8)
        estimator = HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=6, random_state=0)
        made[name] = train(table, labels, name, "noise", estimator=estimator)
    return made


@pytest.fixture(scope="session")
def block():
    """block(seed, shape): BUFRAC and ten bands with gaps in both."""
    return _block
