"""Trains the residential classifier, and measures it on pixels that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
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
from .linear import LinearFit
from .majority import NON_RESIDENTIAL, RESIDENTIAL

Table = NDArray[np.float32]
Labels = NDArray[np.uint8]
Groups = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Numbers of correct and wrong predictions, `counts[true][predicted]`, residential first."""

    counts: tuple[tuple[int, int], tuple[int, int]]

    @property
    def accuracy(self) -> float:
        """Share of all pixels that are predicted correctly, 0..1."""
        (right_1, wrong_1), (wrong_2, right_2) = self.counts
        return (right_1 + right_2) / (right_1 + wrong_1 + wrong_2 + right_2)

    @property
    def recalls(self) -> tuple[float, float]:
        """Share of residential and of non-residential pixels that are predicted so, 0..1."""
        (right_1, wrong_1), (wrong_2, right_2) = self.counts
        return right_1 / (right_1 + wrong_1), right_2 / (wrong_2 + right_2)

    @property
    def precisions(self) -> tuple[float, float]:
        """Share of the pixels predicted as a class that are of it, 0..1; 0 if there are none."""
        (right_1, wrong_1), (wrong_2, right_2) = self.counts
        return right_1 / max(right_1 + wrong_2, 1), right_2 / max(right_2 + wrong_1, 1)

    @property
    def f1(self) -> tuple[float, float]:
        """Harmonic mean of precision and recall of each class, 0..1."""
        one, two = (
            2 * p * r / (p + r) if p + r else 0.0
            for p, r in zip(self.precisions, self.recalls, strict=True)
        )
        return one, two

    def precisions_at(self, share: float) -> tuple[float, float]:
        """The precisions where non-residential pixels have a given share of the ground, 0..1.

        The recalls are kept, and the classes weigh as the share says. Precision depends on it:
        where a class is rare, even few errors of the other are many for it.
        """
        one, two = self.recalls
        of_1, of_2 = (1 - share) * one + share * (1 - two), share * two + (1 - share) * (1 - one)
        return (1 - share) * one / of_1 if of_1 else 0.0, share * two / of_2 if of_2 else 0.0

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the two recalls, 0..1."""
        return sum(self.recalls) / 2


def counted(labels: Labels, predicted: Labels) -> Scores:
    """The numbers of correct and wrong predictions of pixels with both classes."""
    counts = confusion_matrix(labels, predicted, labels=[RESIDENTIAL, NON_RESIDENTIAL])
    (a, b), (c, d) = counts.tolist()
    return Scores(((a, b), (c, d)))


def default_estimator(seed: int = 0) -> Any:
    """The default estimator: boosted trees, small and fast."""
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
    starter: bool = False,
    estimator: Any = None,
) -> ResidentialClassifier:
    """Train a classifier on labelled pixels.

    Args:
        features: (pixels, features), float32, as from `feature_table` for the set.
        labels: (pixels), uint8, 1 residential, 2 non-residential; both must occur.
        feature_set: a name of `FEATURE_SETS`.
        description: description of the pixels.
        demonstration: whether the result is only a demonstration.
        networks: SHA-256 of the networks that made the built-up fraction, if known.
        starter: whether the result is the starter classifier of this program.
        estimator: a `LinearFit`, or an unfitted estimator of `ESTIMATORS`, which is cloned. By
            default `default_estimator()`.

    Raises:
        ValueError: shapes, labels, set or estimator do not fit.
    """
    _check(features, labels, feature_set)
    unfitted = default_estimator() if estimator is None else estimator
    if not isinstance(unfitted, LinearFit):
        unfitted = clone(unfitted)
    fitted = unfitted.fit(features, labels)
    return ResidentialClassifier(
        fitted, feature_set, description, demonstration, networks, starter=starter
    )


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
    """Cross-validated scores; pixels of one group are never in training and test together.

    Neighbouring pixels are similar, so a split by pixel would give too good scores. With `places`,
    no pixel is used for training that is near a test pixel, whatever their groups. A part is not
    tested if too few pixels are left for its training.

    Args:
        features: as in `train`.
        labels: as in `train`.
        groups: (pixels), int64; one number for each image, or block of ground, that the pixels
            come from (`holding_out.choose_blocks`).
        feature_set: as in `train`.
        folds: number of parts, 2 or more, at most the number of groups of a class.
        seed: seed of the division into parts.
        places: (pixels, 2), float64, metres east and north; None if groups are far apart.
        apart: distance in metres between training and test pixels.
        estimator: as in `train`.

    Raises:
        ValueError: shapes, labels, set, estimator or folds do not fit, or no part can be tested.
    """
    _check(features, labels, feature_set)
    predicted = np.zeros_like(labels)
    for known, held in held_out_parts(
        labels, groups, folds=folds, seed=seed, places=places, apart=apart
    ):
        fitted = train(features[known], labels[known], feature_set, "", estimator=estimator)
        predicted[held] = fitted.predict(features[held])
    tested = predicted > 0
    if len(np.unique(labels[tested])) != 2:
        raise ValueError("too few pixels are far enough from the test pixels to train both classes")
    return counted(labels[tested], predicted[tested])


def held_out_parts(
    labels: Labels,
    groups: Groups,
    *,
    folds: int,
    seed: int = 0,
    places: Places | None = None,
    apart: float = APART,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Indices of the training pixels and of the held-out pixels of each part.

    A part without both classes among its training pixels is left out; see `held_out_scores`.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for known, held in splitter.split(labels, labels, groups):
        if places is not None:
            tested = np.zeros(len(labels), bool)
            tested[held] = True
            known = known[~near(places, tested, apart)[known]]
        if len(np.unique(labels[known])) == 2:
            yield known, held


def _check(features: Table, labels: Labels, feature_set: str) -> None:
    if feature_set not in FEATURE_SETS:
        raise ValueError(
            f"feature set is {feature_set!r}, expected one of {', '.join(FEATURE_SETS)}"
        )
    if features.shape != (len(labels), len(FEATURE_SETS[feature_set])):
        raise ValueError(
            f"features have shape {features.shape}, expected {len(labels)} rows as the labels, and "
            f"{len(FEATURE_SETS[feature_set])} columns"
        )
    if set(np.unique(labels).tolist()) != {RESIDENTIAL, NON_RESIDENTIAL}:
        raise ValueError(f"labels are {np.unique(labels).tolist()}, expected both 1 and 2")
