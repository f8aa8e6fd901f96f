"""Scores of two arrays of built-up fraction, from sums that can be added."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COLUMNS = (
    "count",
    "error",
    "absolute",
    "squared",
    "product_m2",
    "reference_m2",
    "compared_m2",
    "both",
    "product_only",
    "reference_only",
    "neither",
)
"""The sums over pixels from which all scores are computed. Sums of parts can be added."""
WIDTH = len(COLUMNS)
DIGITS = 9
"""Fractions are rounded to this many decimals, because in sums of parts a fraction exactly at the
threshold may be slightly off."""


def sums_of(
    product: NDArray[np.floating[Any]],
    reference: NDArray[np.floating[Any]],
    threshold: float = 0.5,
    pixel_m2: float | Floats = 1.0,
    *,
    reference_threshold: float | None = None,
    groups: NDArray[np.integer[Any]] | None = None,
    number: int = 1,
) -> Floats:
    """Sums over the pixels that both arrays have.

    Args:
        product: fraction 0..1, any shape, NaN without data.
        reference: the same shape and unit.
        threshold: a pixel of the product is built-up if its fraction is at least this.
        pixel_m2: area of a pixel in m², of the same shape or broadcastable to it.
        reference_threshold: the threshold of the reference; None for `threshold`.
        groups: the group of each pixel, 0 to `number` - 1, the same shape; None for one group.
        number: number of groups.

    Returns:
        (number, WIDTH), float64, with the sums of `COLUMNS` by group.

    Examples:
        >>> float(sums_of(np.array([0.9, np.nan]), np.array([1.0, 1.0]))[0, 0])
        1.0
    """
    valid = np.isfinite(product) & np.isfinite(reference)
    ours, theirs = (a[valid].astype(np.float64).round(DIGITS) for a in (product, reference))
    area = np.broadcast_to(np.asarray(pixel_m2, np.float64), valid.shape)[valid]
    error = ours - theirs
    built = ours >= threshold
    expected = theirs >= (threshold if reference_threshold is None else reference_threshold)
    columns = (
        np.ones(len(ours)),
        error,
        np.abs(error),
        error**2,
        ours * area,
        theirs * area,
        area,
        built & expected,
        built & ~expected,
        ~built & expected,
        ~built & ~expected,
    )
    if groups is None:
        return np.array([[column.sum() for column in columns]], np.float64)
    chosen = groups[valid]
    counted = [np.bincount(chosen, column, minlength=number) for column in columns]
    return np.stack(counted, axis=1).astype(np.float64)


def measures(sums: Floats) -> dict[str, Floats]:
    """Scores of the fraction and of the classes, from sums.

    Args:
        sums: (..., WIDTH), float64, as of `sums_of`.

    Returns:
        By name, each (...), float64; NaN if a score is undefined (nothing built-up, no pixels).
    """
    at = {name: sums[..., place] for place, name in enumerate(COLUMNS)}
    count = at["count"]
    return {
        "pixels": count,
        "rmse": np.sqrt(ratio(at["squared"], count)),
        "mae": ratio(at["absolute"], count),
        "bias": ratio(at["error"], count),
        **of_classes(at["both"], at["product_only"], at["reference_only"], at["neither"]),
        "product_m2": at["product_m2"],
        "reference_m2": at["reference_m2"],
    }


def of_classes(
    both: Floats, product_only: Floats, reference_only: Floats, neither: Floats
) -> dict[str, Floats]:
    """Scores of built-up against the rest, from the four counts of a confusion matrix.

    Args:
        both: pixels that are built-up in product and reference, any shape.
        product_only: built-up only in the product, the same shape.
        reference_only: built-up only in the reference, the same shape.
        neither: built-up in none of the two, the same shape.

    Returns:
        `precision`, `recall`, `f1`, `iou`, `kappa` (Cohen's) and `balanced_accuracy` (the mean of
        the recalls of both classes), each of the same shape; NaN if undefined.
    """
    count = both + product_only + reference_only + neither
    recall = ratio(both, both + reference_only)
    agreed = ratio(both + neither, count)
    by_chance = ratio(
        (both + product_only) * (both + reference_only)
        + (neither + product_only) * (neither + reference_only),
        count**2,
    )
    return {
        "precision": ratio(both, both + product_only),
        "recall": recall,
        "f1": ratio(2 * both, 2 * both + product_only + reference_only),
        "iou": ratio(both, both + product_only + reference_only),
        "kappa": ratio(agreed - by_chance, 1 - by_chance),
        "balanced_accuracy": (recall + ratio(neither, neither + product_only)) / 2,
    }


def ratio(part: Floats, whole: Floats) -> Floats:
    """Part divided by whole; NaN where the whole is 0."""
    known = np.asarray(whole) != 0
    return np.where(known, part / np.where(known, whole, 1), np.nan)


def as_numbers(scores: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Scores of one group as numbers for JSON; None for an undefined one, whole numbers of pixels.

    Examples:
        >>> as_numbers({"pixels": 3.0, "f1": float("nan")})
        {'pixels': 3, 'f1': None}
    """
    numbers: dict[str, float | int | None] = {}
    for name, value in scores.items():
        number = float(value)
        if not math.isfinite(number):
            numbers[name] = None
        else:
            numbers[name] = int(number) if name in _WHOLE else number
    return numbers


_WHOLE = {"pixels", "cells", "whole_cells"}
