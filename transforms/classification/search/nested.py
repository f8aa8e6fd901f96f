"""Nested search: the pixels that judge a model took no part in its choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.classification.classifier import ResidentialClassifier
from transforms.classification.holding_out import APART, Places
from transforms.classification.majority import NON_RESIDENTIAL, RESIDENTIAL
from transforms.classification.training import (
    Groups,
    Labels,
    Scores,
    Table,
    counted,
    held_out_parts,
    train,
)

from .candidates import Candidate

INNER_FOLDS = 3
MOST_PIXELS = 20_000
"""Pixels that a model of the search is fitted to."""
MOST_PIXELS_AT_LAST = 200_000
"""Pixels that the chosen model is fitted to at last."""

Pixels = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part that was held out, and the chosen model, fitted to the other parts."""

    held: Pixels
    scores: Scores
    of_search: str
    """Name of the model that the search chose without this part."""
    classifier: ResidentialClassifier
    """The model that was chosen with all parts, fitted without this part."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The result of a search."""

    chosen: Candidate
    scores: Scores
    """Of all held-out pixels, each predicted by the model that was chosen without its part."""
    parts: tuple[Part, ...]
    compared: dict[str, float]
    """Balanced accuracy of each candidate, by which the last choice was made: too high for it."""
    nested: bool
    """Whether each part was predicted by a model that was chosen without it."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Labelled pixels, with the features of each set."""

    tables: Mapping[str, Table]
    labels: Labels
    groups: Groups
    places: Places | None = None
    apart: float = APART
    seed: int = 0

    def parts(self, among: Pixels, folds: int) -> Iterator[tuple[Pixels, Pixels]]:
        """Training and held-out pixels of each part of some pixels."""
        for known, held in held_out_parts(
            self.labels[among],
            self.groups[among],
            folds=folds,
            seed=self.seed,
            places=None if self.places is None else self.places[among],
            apart=self.apart,
        ):
            yield among[known], among[held]

    def balanced(self, among: Pixels, most: int) -> Pixels:
        """Equally many pixels of each class, at most `most`.

        Of the class with more pixels than that they are drawn by chance; pixels of the rarer class
        occur several times.
        """
        dice = np.random.default_rng(self.seed)
        by_class = [
            dice.permutation(among[self.labels[among] == label])
            for label in (RESIDENTIAL, NON_RESIDENTIAL)
        ]
        number = min(most // 2, max(map(len, by_class)))
        return np.sort(np.concatenate([np.resize(pixels, number) for pixels in by_class]))

    def fit(self, candidate: Candidate, known: Pixels) -> ResidentialClassifier:
        """A candidate, fitted to some of the pixels."""
        return self._fitted(candidate, self.balanced(known, MOST_PIXELS), "", ())

    def fit_at_last(
        self, candidate: Candidate, description: str, networks: tuple[str, ...]
    ) -> ResidentialClassifier:
        """A candidate, fitted to all pixels; see `ResidentialClassifier`."""
        everything = self.balanced(np.arange(len(self.labels)), MOST_PIXELS_AT_LAST)
        return self._fitted(candidate, everything, description, networks)

    def _fitted(
        self, candidate: Candidate, pixels: Pixels, description: str, networks: tuple[str, ...]
    ) -> ResidentialClassifier:
        return train(
            self.tables[candidate.feature_set][pixels],
            self.labels[pixels],
            candidate.feature_set,
            description,
            networks=networks,
            estimator=candidate.estimator,
        )

    def predict(self, classifier: ResidentialClassifier, held: Pixels) -> NDArray[np.uint8]:
        """Classes of some of the pixels."""
        return classifier.predict(self.tables[classifier.feature_set][held])

    def folds(self, among: Pixels, most: int) -> int:
        """Number of parts that are possible: at most the groups of the rarer class."""
        labels, groups = self.labels[among], self.groups[among]
        fewer = min(
            len(np.unique(groups[labels == label])) for label in (RESIDENTIAL, NON_RESIDENTIAL)
        )
        return min(most, fewer)


def search(
    labelled: Labelled,
    models: Sequence[Candidate],
    *,
    folds: int = 5,
    progress: Callable[[str], None] = lambda text: None,
) -> Found:
    """Choose a model, and judge the way of choosing by pixels that took no part in it.

    For each part that is held out, the best model is chosen by cross-validation within the others,
    and predicts the part. The last choice compares the models over all parts. If a part has too few
    others for that, there is no choice: the first model is taken, and predicts every part.

    Args:
        labelled: the pixels.
        models: at least one; see `candidates`.
        folds: number of parts.
        progress: gets a line about each part.

    Raises:
        ValueError: no part can be tested.
    """
    everything = np.arange(len(labelled.labels))
    predicted = np.zeros_like(labelled.labels)
    by_model = {model.name: np.zeros_like(labelled.labels) for model in models}
    nested, parts = True, []
    for known, held in labelled.parts(everything, folds):
        inside = labelled.folds(known, INNER_FOLDS)
        choice, compared = _best(labelled, models, known, inside)
        nested &= compared
        for model in models:
            by_model[model.name][held] = labelled.predict(labelled.fit(model, known), held)
        predicted[held] = by_model[choice.name][held]
        parts.append((known, held, choice))
        progress(f"part {len(parts)} of {folds}: {choice.name}")
    if not nested:
        predicted = by_model[models[0].name]
        parts = [(known, held, models[0]) for known, held, _ in parts]
    tested = predicted > 0
    if len(np.unique(labelled.labels[tested])) != 2:
        raise ValueError("too few pixels are far enough from the test pixels to train both classes")
    accuracies = {
        name: counted(labelled.labels[tested], guess[tested]).balanced_accuracy
        for name, guess in by_model.items()
    }
    chosen = max(models, key=lambda model: accuracies[model.name]) if nested else models[0]
    return Found(
        chosen,
        counted(labelled.labels[tested], predicted[tested]),
        tuple(
            Part(
                held,
                counted(labelled.labels[held], predicted[held]),
                choice.name,
                labelled.fit(chosen, known),
            )
            for known, held, choice in parts
        ),
        accuracies,
        nested,
    )


def _best(
    labelled: Labelled, models: Sequence[Candidate], among: Pixels, folds: int
) -> tuple[Candidate, bool]:
    """The model with the highest balanced accuracy, and whether they could be compared."""
    if len(models) == 1:
        return models[0], True
    if folds < 2:
        return models[0], False
    predicted = {model.name: np.zeros_like(labelled.labels) for model in models}
    for known, held in labelled.parts(among, folds):
        for model in models:
            predicted[model.name][held] = labelled.predict(labelled.fit(model, known), held)
    tested = predicted[models[0].name] > 0
    if len(np.unique(labelled.labels[tested])) != 2:
        return models[0], False
    accuracies = {
        name: counted(labelled.labels[tested], guess[tested]).balanced_accuracy
        for name, guess in predicted.items()
    }
    return max(models, key=lambda model: accuracies[model.name]), True
