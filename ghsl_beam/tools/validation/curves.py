"""Scores at every threshold, the best threshold, and the reliability of the fraction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghsl_beam.tools.validation.scores import DIGITS, Floats, of_classes, ratio

BINS = 101
"""Whole percents of the product, 0 to 100, in which pixels are counted."""
WIDTH = 4 * BINS
"""Length of a row of `counts_of`."""
THRESHOLDS: Floats = np.arange(1, BINS) / 100
"""The thresholds of a curve."""
FOLDS = 5
"""Parts into which the blocks are divided to choose a threshold and judge it elsewhere."""
_TENTHS = 10


def counts_of(
    product: NDArray[np.floating[Any]],
    reference: NDArray[np.floating[Any]],
    reference_threshold: float = 0.5,
    *,
    groups: NDArray[np.integer[Any]] | None = None,
    number: int = 1,
) -> Floats:
    """Pixels by whole percent of the product, from which curve and reliability follow.

    Args:
        product: fraction 0..1, any shape, NaN without data.
        reference: the same shape and unit.
        reference_threshold: a pixel of the reference is built-up from this fraction on.
        groups: the group of each pixel, 0 to `number` - 1, the same shape; None for one group.
        number: number of groups.

    Returns:
        (number, WIDTH), float64. Each row has four parts of length `BINS`: pixels that are not
        built-up in the reference, pixels that are, the sum of the product, the sum of the
        reference.
    """
    valid = np.isfinite(product) & np.isfinite(reference)
    ours, theirs = (a[valid].astype(np.float64).round(DIGITS) for a in (product, reference))
    group = 0 if groups is None else groups[valid]
    # A fraction of exactly some percent may be slightly below it in binary.
    percent = np.clip(np.floor(ours * 100 + 1e-6), 0, BINS - 1).astype(np.int64)
    place = np.asarray(group * BINS + percent)
    built = theirs >= reference_threshold
    parts = [
        np.bincount(place, weights, minlength=number * BINS).reshape(number, BINS)
        for weights in (~built, built, ours, theirs)
    ]
    return np.concatenate(parts, axis=1).astype(np.float64)


def curve(counts: Floats) -> dict[str, Floats]:
    """Scores with each of `THRESHOLDS` for the product.

    Args:
        counts: (..., WIDTH), as of `counts_of`.

    Returns:
        The scores of `of_classes` by name, each (..., 100); NaN if undefined.
    """
    rest, built = counts[..., :BINS], counts[..., BINS : 2 * BINS]
    above, wrongly = (np.cumsum(part[..., ::-1], axis=-1)[..., ::-1] for part in (built, rest))
    both, product_only = above[..., 1:], wrongly[..., 1:]
    return of_classes(both, product_only, above[..., :1] - both, wrongly[..., :1] - product_only)


def best_places(f1: Floats) -> NDArray[np.int64]:
    """The place of the highest F1 along the last axis, the last of equal ones.

    Thresholds have equal scores if no pixel lies between them.

    Args:
        f1: (..., 100), NaN if undefined, which counts as 0.
    """
    last: NDArray[np.int64] = np.argmax(np.nan_to_num(f1)[..., ::-1], axis=-1)
    return f1.shape[-1] - 1 - last


def held_out_f1(counts: Floats, seed: int) -> float:
    """F1 if the threshold for each fifth of the blocks is chosen on the others.

    Args:
        counts: (blocks, WIDTH), as of `counts_of`.
        seed: seed of the division.

    Returns:
        F1 over all blocks; NaN if there are fewer blocks than folds, or if some fifth cannot have a
        threshold, because F1 is 0 or undefined at every one on the others.
    """
    if len(counts) < FOLDS:
        return float("nan")
    fold = np.random.default_rng(seed).permutation(len(counts)) % FOLDS
    sums = np.stack([counts[fold == number].sum(axis=0) for number in range(FOLDS)])
    f1 = curve(sums.sum(axis=0) - sums)["f1"]
    if not np.nan_to_num(f1).any(axis=-1).all():
        return float("nan")
    chosen = best_places(f1)
    both = product_only = reference_only = 0.0
    for own, place in zip(sums, chosen, strict=True):
        rest, built = own[:BINS], own[BINS : 2 * BINS]
        both += built[place + 1 :].sum()
        product_only += rest[place + 1 :].sum()
        reference_only += built[: place + 1].sum()
    return float(ratio(np.array(2 * both), np.array(2 * both + product_only + reference_only)))


def reliability(counts: Floats) -> list[dict[str, Any]]:
    """Mean of product and of reference by tenths of the product that have pixels.

    Args:
        counts: (WIDTH,), as of `counts_of`.
    """
    parts = counts.reshape(4, BINS)
    tenth = np.minimum(np.arange(BINS) // (BINS // _TENTHS), _TENTHS - 1)
    rest, built, ours, theirs = (np.bincount(tenth, part) for part in parts)
    pixels = rest + built
    return [
        {
            "from": number / _TENTHS,
            "to": (number + 1) / _TENTHS,
            "pixels": int(pixels[number]),
            "product": float(ours[number] / pixels[number]),
            "reference": float(theirs[number] / pixels[number]),
        }
        for number in range(_TENTHS)
        if pixels[number]
    ]
