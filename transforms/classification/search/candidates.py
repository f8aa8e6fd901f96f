"""The models among which a search chooses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier

from transforms.classification.linear import LinearFit
from transforms.classification.training import default_estimator

SEARCHED_SETS = ("spectral_texture", "multiscale", "multiscale_bands")
"""The feature sets of a search that is not told which."""
STRENGTHS = (0.01, 0.1)
"""The strengths of the linear models; see `LinearFit`."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that is not fitted, and the features that it sees."""

    name: str
    feature_set: str
    estimator: Any


def candidates(feature_sets: Iterable[str] = SEARCHED_SETS, seed: int = 0) -> tuple[Candidate, ...]:
    """For each feature set: boosted trees of two sizes, and linear models of two strengths.

    The first one is taken where there are too few labels to compare them.

    Args:
        feature_sets: names of `FEATURE_SETS`.
        seed: seed of the trees.
    """
    small = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=5,
        min_samples_leaf=100,
        learning_rate=0.1,
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )
    models = {
        "trees, 100 of 15 leaves": default_estimator(seed),
        "trees, 40 of 5 leaves": small,
    } | {f"linear, strength {strength:g}": LinearFit(strength) for strength in STRENGTHS}
    return tuple(
        Candidate(f"{feature_set}: {name}", feature_set, estimator)
        for feature_set in feature_sets
        for name, estimator in models.items()
    )
