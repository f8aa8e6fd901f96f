"""Training of the residential classifier, and an honest measure of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold

from .classifier import ResidentialClassifier
from .features import FEATURE_SETS
from .holding_out import APART, Places, near
from .majority import NON_RESIDENTIAL, RESIDENTIAL

Table = NDArray[np.float32]
Labels = NDArray[np.uint8]
Groups = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """How predictions fared against labels; `counts[true][predicted]`, residential first."""

    counts: tuple[tuple[int, int], tuple[int, int]]

    @property
    def accuracy(self) -> float:
        """Part of all pixels that is right, 0..1."""
        (right_1, wrong_1), (wrong_2, right_2) = self.counts
        return (right_1 + right_2) / (right_1 + wrong_1 + wrong_2 + right_2)

    @property
    def recalls(self) -> tuple[float, float]:
        """Part of residential, and of non-residential pixels, that is found, 0..1."""
        (right_1, wrong_1), (wrong_2, right_2) = self.counts
        return right_1 / (right_1 + wrong_1), right_2 / (wrong_2 + right_2)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the two recalls, 0..1."""
        return sum(self.recalls) / 2


def default_estimator(seed: int = 0) -> Any:
    """The estimator that is trained where none is given: boosted trees, small and quick."""
    return HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=15,
        min_samples_leaf=50,
        learning_rate=0.1,
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )


def train(
    features: Table,
    labels: Labels,
    feature_set: str,
    description: str,
    *,
    demonstration: bool = False,
    networks: tuple[str, ...] = (),
    estimator: Any = None,
) -> ResidentialClassifier:
    """A classifier fitted to labelled pixels.

    Args:
        features: (pixels, features), float32, as `feature_table` gives it for the set.
        labels: (pixels), uint8, 1 residential, 2 non-residential; both must occur.
        feature_set: a name of `FEATURE_SETS`.
        description: what the pixels are.
        demonstration: whether the result is for showing only.
        networks: SHA-256 of the networks that the built-up fraction is of, where known.
        estimator: an unfitted estimator of `ESTIMATORS`; it is cloned. By default
            `default_estimator()`.

    Raises:
        ValueError: shapes, labels, set or estimator do not fit.
    """
    _check(features, labels, feature_set)
    fitted = clone(default_estimator() if estimator is None else estimator).fit(features, labels)
    return ResidentialClassifier(fitted, feature_set, description, demonstration, networks)


def held_out_scores(
    features: Table,
    labels: Labels,
    groups: Groups,
    feature_set: str,
    *,
    folds: int = 5,
    seed: int = 0,
    places: Places | None = None,
    apart: float = APART,
    estimator: Any = None,
) -> Scores:
    """Cross-validated scores where pixels of one group are never on both sides.

    Neighbouring pixels resemble each other: scores of a split by pixel would flatter. With
    `places` no pixel is learnt that lies near one that is judged, whatever their groups; a part
    for which too little is left to learn is not judged.

    Args:
        features: as of `train`.
        labels: as of `train`.
        groups: (pixels), int64; one number for each image, or block of ground, that the pixels
            come from (`holding_out.choose_blocks`).
        feature_set: as of `train`.
        folds: number of parts, 2 or more, at most the number of groups of a class.
        seed: of the division into parts.
        places: (pixels, 2), float64, metres east and north; None where groups lie apart.
        apart: metres between what is learnt and what is judged.
        estimator: as of `train`.

    Raises:
        ValueError: shapes, labels, set, estimator or folds do not fit, or nothing can be judged.
    """
    _check(features, labels, feature_set)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    predicted = np.zeros_like(labels)
    for known, held in splitter.split(features, labels, groups):
        if places is not None:
            judged = np.zeros(len(labels), bool)
            judged[held] = True
            known = known[~near(places, judged, apart)[known]]
        if len(np.unique(labels[known])) != 2:
            continue
        fitted = train(features[known], labels[known], feature_set, "", estimator=estimator)
        predicted[held] = fitted.predict(features[held])
    judged = predicted > 0
    if len(np.unique(labels[judged])) != 2:
        raise ValueError("too few pixels lie apart from those held out to learn both classes")
    counts = confusion_matrix(
        labels[judged], predicted[judged], labels=[RESIDENTIAL, NON_RESIDENTIAL]
    )
    (a, b), (c, d) = counts.tolist()
    return Scores(((a, b), (c, d)))


def _check(features: Table, labels: Labels, feature_set: str) -> None:
    if feature_set not in FEATURE_SETS:
        raise ValueError(f"feature set {feature_set!r} is none of {', '.join(FEATURE_SETS)}")
    if features.shape != (len(labels), len(FEATURE_SETS[feature_set])):
        raise ValueError(f"features {features.shape} do not fit {len(labels)} labels and the set")
    if set(np.unique(labels).tolist()) != {RESIDENTIAL, NON_RESIDENTIAL}:
        raise ValueError(f"labels are {np.unique(labels).tolist()}; 1 and 2 must both occur")
