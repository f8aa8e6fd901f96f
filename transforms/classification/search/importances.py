"""How much each feature matters, by the loss when its values are exchanged among pixels."""

from __future__ import annotations

import numpy as np

from transforms.classification.training import Labels, Table, counted

from .nested import Found, Labelled, Part

MOST_PIXELS = 5_000
"""Held-out pixels of a part that are used; more are drawn by chance."""


def importances(found: Found, labelled: Labelled) -> dict[str, float]:
    """Permutation importances of the chosen model, on held-out pixels, highest first.

    In each part a feature's values are exchanged among the held-out pixels, and the model that was
    fitted without the part predicts them. The importance is the loss of balanced accuracy, the mean
    of the parts that have both classes. Features that resemble others get small numbers, even if
    they matter together.
    """
    names = found.parts[0].classifier.features
    losses = []
    for part in found.parts:
        dice = np.random.default_rng(labelled.seed)
        held = dice.permutation(part.held)[:MOST_PIXELS]
        labels = labelled.labels[held]
        if len(np.unique(labels)) != 2:
            continue
        table = labelled.tables[found.chosen.feature_set][held]

        whole, loss = _accuracy(part, table, labels), []
        for column in range(len(names)):
            mixed = table.copy()
            mixed[:, column] = dice.permutation(mixed[:, column])
            loss.append(whole - _accuracy(part, mixed, labels))
        losses.append(loss)
    if not losses:
        return {}
    means = np.mean(losses, axis=0)
    return {names[i]: float(means[i]) for i in np.argsort(-means, kind="stable")}


def _accuracy(part: Part, table: Table, labels: Labels) -> float:
    return counted(labels, part.classifier.predict(table)).balanced_accuracy
