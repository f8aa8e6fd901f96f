"""The models among which a search chooses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier

from transforms.classification.linear import LinearFit

SEARCHED_SETS = ("spectral_texture", "multiscale", "multiscale_bands")
"""The feature sets of a search that is not told which."""
TREES = ((100, 15), (40, 5))
"""Number of the trees, and of the leaves of each."""
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
    models: dict[str, Any] = {
        f"trees, {number} of {leaves} leaves": _trees(number, leaves, seed)
        for number, leaves in TREES
    }
    models |= {f"linear, strength {strength:g}": LinearFit(strength) for strength in STRENGTHS}
    return tuple(
        Candidate(f"{feature_set}: {name}", feature_set, estimator)
        for feature_set in feature_sets
        for name, estimator in models.items()
    )


def _trees(number: int, leaves: int, seed: int) -> HistGradientBoostingClassifier:
    """Boosted trees for equally many pixels of each class.

    They have no weights of classes: with weights scikit-learn needs many times as long.
    """
    return HistGradientBoostingClassifier(
        max_iter=number,
        max_leaf_nodes=leaves,
        min_samples_leaf=50,
        learning_rate=0.1,
        max_bins=64,
        early_stopping=False,
        random_state=seed,
    )
