"""How good probabilities are, against labels that the network has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)

from transforms.inference.training import BUILT_UP

BINS = 10
"""Bins of the reliability curve."""


def scores(fraction: NDArray[np.float32], probability: NDArray[np.float32]) -> dict[str, Any]:
    """Scores of pixels.

    Args:
        fraction: (n,), built-up fraction of the labels, 0..1; from `BUILT_UP` (0.5) on they count
            as built-up, and so do probabilities.
        probability: (n,), what the network predicts, 0..1.

    Returns:
        `pixels`, `built_up` (their number), `f1`, `balanced_accuracy` (at 0.5), `auc`,
        `average_precision`, `threshold` (with the best F1), `f1_at_threshold`, `brier` (mean
        squared difference of probability and fraction) and `reliability`. What needs both classes
        is None if there is only one.
    """
    truth = fraction >= BUILT_UP
    found: dict[str, Any] = {"pixels": len(truth), "built_up": int(truth.sum())}
    names = ("f1", "balanced_accuracy", "auc", "average_precision", "threshold", "f1_at_threshold")
    if not 0 < truth.sum() < len(truth):
        found |= dict.fromkeys(names)
    else:
        guess = probability >= BUILT_UP
        threshold, best = best_threshold(truth, probability)
        values = (
            f1_score(truth, guess),
            balanced_accuracy_score(truth, guess),
            roc_auc_score(truth, probability),
            average_precision_score(truth, probability),
            threshold,
            best,
        )
        found |= {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}
    difference = probability.astype(np.float64) - fraction
    found["brier"] = round(float((difference**2).mean()), 4) if len(truth) else None
    found["reliability"] = reliability(fraction, probability)
    return found


def best_threshold(
    truth: NDArray[np.bool_], probability: NDArray[np.float32]
) -> tuple[float, float]:
    """The probability from which on a pixel should count as built-up, and the F1 that it gives.

    Args:
        truth: (n,), with both values.
        probability: (n,), 0..1.
    """
    precision, recall, thresholds = precision_recall_curve(truth, probability)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    best = int(np.argmax(f1))
    return float(thresholds[best]), float(f1[best])


def reliability(
    fraction: NDArray[np.float32], probability: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Mean probability and mean fraction of the labels in bins of equal width that have pixels.

    If the probabilities are right, both are equal in every bin.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    curve = []
    for number in np.unique(bins):
        inside = bins == number
        curve.append(
            {
                "from": round(number / BINS, 4),
                "to": round((number + 1) / BINS, 4),
                "pixels": int(inside.sum()),
                "probability": round(float(probability[inside].mean(dtype=np.float64)), 4),
                "fraction": round(float(fraction[inside].mean(dtype=np.float64)), 4),
            }
        )
    return curve
