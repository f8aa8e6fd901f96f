"""Fits the curve of one network, and judges it on held-out blocks of ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from ghsl_beam.models.calibration import HeldOut, ModelCurve, Part
from ghsl_beam.tools.calibration.sums import (
    MANY_BLOCKS,
    RANGES,
    SHARES,
    Errors,
    Floats,
    Ground,
    Sums,
    errors_of,
    log_odds,
    values_of,
)
from transforms.cleaning.calibration import ONE, Curve, Knot
from transforms.elements import RequestError

MANY_PIXELS = 5000
"""With at least as many pixels and enough blocks, the curve may have any rising form."""
_FEW_PIXELS, _FEW_BLOCKS, _FEW_GROUPS = 200, 5, 3
"""With fewer pixels, blocks or groups of blocks there is no curve."""
_PART, _PARTS = 200, 40
"""Smallest number of pixels of a part of the curve, and largest number of parts."""
_MOST_OMITTED = 0.5
"""Share of the built-up in removed pixels from which the curve cannot make up for it."""
_MOST_MISSED = 0.05
"""Share of the built-up by which the sum of a curve may be wrong in the pixels of the fit."""
_STEPS, _HIGHEST = 40, 4.0
"""Steps of the search for the factor of a curve, and the largest factor."""

Form = Literal["isotonic", "logistic"]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Ranges of probability, with the sums of their pixels.

    `edges` has the first BUFRAC_RAW of each part, and 10 001.
    """

    edges: NDArray[np.int64]

    def sum(self, values: Floats) -> Floats:
        """The sum of values by BUFRAC_RAW in each part; the last axis is BUFRAC_RAW."""
        return np.asarray(np.add.reduceat(values, self.edges[:-1], axis=-1))


def fit(ground: Ground, file: str, *, omitted: bool) -> ModelCurve:
    """Fit the curve of a network, and judge it on held-out blocks.

    Args:
        ground: the sums of its pixels.
        file: the name of its file.
        omitted: whether the curve makes up for the built-up in pixels that the cleaning removes, so
            that the total area is right. Otherwise the fraction of each kept pixel is right.

    Raises:
        RequestError: there are too few pixels, or the cleaning removes most of the built-up.
    """
    side = ground.side()
    groups, blocks = ground.groups(side), len(ground.blocks.get(side, ()))
    whole = sum(groups, Sums())
    _check(whole, groups, blocks, file, omitted=omitted)
    many = whole.kept_pixels >= MANY_PIXELS and blocks >= MANY_BLOCKS
    form: Form = "isotonic" if many else "logistic"
    why = (
        f"{whole.kept_pixels} pixels in {blocks} blocks of {side:g} m; "
        f"an isotonic curve needs {MANY_PIXELS} pixels in {MANY_BLOCKS} blocks"
    )
    parts = _parts_of(whole)
    others = [
        _curve(sum((o for o in groups if o is not held), Sums()), form, omitted=omitted)
        for held in groups
    ]
    judged = _judged_parts(parts, groups, others)
    sd = np.array([part.sd for part in judged])
    curve = _curve(whole, form, omitted=omitted, sd=(_means(whole, parts), sd))
    _check_sum(curve, whole, file, omitted=omitted)
    return ModelCurve(
        file=file,
        form=form,
        why=why,
        pixels=whole.kept_pixels,
        omitted_percent=round(100 * whole.omitted, 3),
        omitted="included" if omitted else "left out",
        knots=list(curve.knots),
        held_out=_held_out(groups, others, side, blocks),
        parts=judged,
    )


def rises(parts: Sequence[Part]) -> bool:
    """Whether the fraction of the reference rises with the probability, on the whole."""
    if len(parts) < 2:
        return True  # nothing is known about it
    middles = [(part.lowest + part.highest) / 2 for part in parts]
    pixels, known = [part.pixels for part in parts], [part.reference for part in parts]
    away = np.subtract(middles, np.average(middles, weights=pixels))
    return bool((away * pixels * known).sum() > 0)


def _check(whole: Sums, groups: Sequence[Sums], blocks: int, file: str, *, omitted: bool) -> None:
    usable = [group for group in groups if group.kept_pixels and group.built > 0]
    few = f"network {file}: "
    if whole.kept_pixels < _FEW_PIXELS or blocks < _FEW_BLOCKS:
        raise RequestError(
            f"{few}{whole.kept_pixels} built-up pixels in {blocks} blocks have a reference, "
            f"expected at least {_FEW_PIXELS} in {_FEW_BLOCKS}; give a reference of more ground"
        )
    if len(usable) < _FEW_GROUPS or whole.kept <= 0:
        raise RequestError(
            f"{few}the reference has built-up in {len(usable)} of {len(groups)} groups of blocks, "
            f"expected at least {_FEW_GROUPS}; give a reference of more ground, or check its place"
        )
    if omitted and whole.omitted > _MOST_OMITTED:
        raise RequestError(
            f"{few}the cleaning removes {whole.omitted:.0%} of the reference's built-up, expected "
            f"at most {_MOST_OMITTED:.0%}; check that the reference has only built-up, make the "
            "cleaning of the job less strict, or give --omitted left-out"
        )


def _check_sum(curve: Curve, whole: Sums, file: str, *, omitted: bool) -> None:
    """Refuse a curve that misses the area: full pixels hold no more, and percents are whole."""
    target = whole.built if omitted else whole.kept
    made = float((whole.count * values_of(curve)).sum())
    if abs(made / target - 1) <= _MOST_MISSED:
        return
    remedy = (
        "make the cleaning of the job less strict, or give --omitted left-out"
        if omitted and made < target and whole.omitted > _MOST_MISSED
        else "check the unit and the place of the reference"
    )
    raise RequestError(
        f"network {file}: the nearest curve gives {made:.0f} built-up pixels of 10 m, the "
        f"reference has {target:.0f} (the cleaning keeps {whole.kept_pixels} pixels); {remedy}"
    )


def _parts_of(sums: Sums) -> _Parts:
    """Ranges of probability with enough pixels in each."""
    counts = sums.count.sum(axis=0)
    least = max(_PART, int(np.ceil(counts.sum() / _PARTS)))
    edges, inside = [0], 0.0
    for level, count in enumerate(counts):
        if inside >= least:
            edges.append(level)
            inside = 0.0
        inside += count
    if inside < least and len(edges) > 1:
        edges.pop()  # the last part is too small by itself
    return _Parts(np.array([*edges, ONE + 1]))


def _means(sums: Sums, parts: _Parts) -> Floats:
    """The mean probability of each part, x 10 000; the middle of its range without pixels."""
    counts = sums.count.sum(axis=0)
    number = parts.sum(counts)
    middle = (parts.edges[:-1] + parts.edges[1:] - 1) / 2
    total = parts.sum(counts * np.arange(ONE + 1))
    return np.where(number > 0, total / np.maximum(number, 1), middle)


def _curve(
    sums: Sums, form: Form, *, omitted: bool, sd: tuple[Floats, Floats] | None = None
) -> Curve:
    """A curve whose sum over the kept pixels is the built-up of the reference."""
    places, fractions = (_isotonic if form == "isotonic" else _logistic)(sums)
    deviations = np.zeros(len(places)) if sd is None else np.interp(places, *sd)
    target = sums.built if omitted else sums.kept
    low, high = 0.0, _HIGHEST
    for _ in range(_STEPS):
        factor = (low + high) / 2
        made = (sums.count * values_of(_with(places, fractions * factor, deviations))).sum()
        low, high = (factor, high) if made < target else (low, factor)
    under, over = (_with(places, fractions * factor, deviations) for factor in (low, high))
    return _joined(under, over, sums, target)


def _joined(under: Curve, over: Curve, sums: Sums, target: float) -> Curve:
    """The curve between two that differ by a rounding, whose sum over the kept pixels is right.

    BUFRAC has whole percents. Where a curve is level, all of its pixels are rounded in the same
    direction, 8.5 % to 9 %. So low probabilities take the lower curve, and high ones the upper.
    """
    less, more = ((sums.count * values_of(curve)).sum(axis=0) for curve in (under, over))
    # the sum if probabilities from 0, 1, 2 ... on take the upper curve
    totals = less.sum() + np.append(np.cumsum((more - less)[::-1])[::-1], 0)
    first = int(np.argmin(np.abs(totals - target)))
    if first == 0:
        return over
    if first > ONE:
        return under
    raw = np.array([first - 1, first])
    below = (first - 1, int(under.fractions(raw)[0]), int(under.deviations(raw)[0]))
    above = (first, int(over.fractions(raw)[1]), int(over.deviations(raw)[1]))
    before = [knot for knot in under.knots if knot[0] < first - 1]
    after = [knot for knot in over.knots if knot[0] > first]
    return Curve((*before, below, above, *after))


def _with(places: Floats, fractions: Floats, deviations: Floats) -> Curve:
    """The curve through these points, level beyond them; fractions and deviations are 0..1."""
    rows = np.stack([places / ONE, np.minimum(fractions, 1), np.minimum(deviations, 1)], -1)
    whole = np.rint(rows * ONE).astype(int)
    knots: list[Knot] = [(int(p), int(f), int(d)) for p, f, d in whole]
    if knots[0][0] > 0:
        knots.insert(0, (0, *knots[0][1:]))
    if knots[-1][0] < ONE:
        knots.append((ONE, *knots[-1][1:]))
    return Curve(tuple(knots))


def _isotonic(sums: Sums) -> tuple[Floats, Floats]:
    """Any rising form: the isotonic regression of the means of the parts."""
    parts = _parts_of(sums)
    weights = parts.sum(_exposure(sums))
    known = parts.sum(sums.total.sum(axis=0)) / weights
    places = _means(sums, parts)
    model = IsotonicRegression(y_min=0.0, y_max=1.0)
    return places, np.asarray(model.fit_transform(places, known, sample_weight=weights))


def _logistic(sums: Sums) -> tuple[Floats, Floats]:
    """A smooth form with two parameters: a logistic function of the log-odds of the probability."""
    weights = _exposure(sums)
    some = weights > 0
    share = np.clip(sums.total.sum(axis=0)[some] / weights[some], 0, 1)
    odds = log_odds(np.arange(ONE + 1))
    places = RANGES.astype(float)
    mean = float(np.average(share, weights=weights[some]))
    if not 0 < mean < 1 or some.sum() < 2:
        return places, np.full(len(places), mean)
    model: Any = LogisticRegression(C=1e6, max_iter=1000)
    inputs = np.tile(odds[some], 2)[:, np.newaxis]
    labels = np.repeat([1, 0], int(some.sum()))
    cases = np.concatenate([weights[some] * share, weights[some] * (1 - share)])
    model.fit(inputs, labels, sample_weight=cases)
    if model.coef_[0, 0] < 0:  # the probability says nothing: the mean is the best that is known
        return places, np.full(len(places), mean)
    return places, np.asarray(model.predict_proba(log_odds(places)[:, np.newaxis])[:, 1])


def _exposure(sums: Sums) -> Floats:
    """Number of pixels by BUFRAC_RAW; one that a street halves counts as a half."""
    return np.asarray(sums.count[0] + sums.count[1] * SHARES[1] / SHARES[0])


def _held_out(groups: Sequence[Sums], others: Sequence[Curve], side: float, blocks: int) -> HeldOut:
    """The errors of each group of blocks with the curve of the others."""
    errors = [errors_of(curve, held) for held, curve in zip(groups, others, strict=True)]
    total, whole = sum(errors, Errors(0, 0, 0)), sum(groups, Sums())
    biases = [
        100 * (error.predicted / held.built - 1)
        for error, held in zip(errors, groups, strict=True)
        if held.built > 0
    ]
    pixels = whole.kept_pixels + whole.removed[0]
    return HeldOut(
        block_m=side,
        blocks=blocks,
        bias_percent=round(100 * (total.predicted / whole.built - 1), 3),
        bias_percent_lowest=round(min(biases), 3),
        bias_percent_highest=round(max(biases), 3),
        bias_percent_kept=round(100 * (total.predicted / whole.kept - 1), 3),
        mae=round(total.absolute / pixels, 6),
        rmse=round((total.squared / pixels) ** 0.5, 6),
        predicted=round(total.predicted, 3),
        reference=round(whole.built, 3),
        reference_kept=round(whole.kept, 3),
    )


def _judged_parts(parts: _Parts, groups: Sequence[Sums], others: Sequence[Curve]) -> list[Part]:
    """The errors of held-out pixels in each part of the curve."""
    count, predicted, known, squared = (np.zeros(len(parts.edges) - 1) for _ in range(4))
    for held, curve in zip(groups, others, strict=True):
        values = values_of(curve)
        square = held.count * values**2 - 2 * values * held.total + held.square
        count += parts.sum(held.count.sum(axis=0))
        predicted += parts.sum((held.count * values).sum(axis=0))
        known += parts.sum(held.total.sum(axis=0))
        squared += parts.sum(square.sum(axis=0))
    number = np.maximum(count, 1)
    return [
        Part(
            lowest=int(lowest),
            highest=int(after) - 1,
            pixels=int(pixels),
            fraction=round(float(ours), 6),
            reference=round(float(theirs), 6),
            error=round(float(ours - theirs), 6),
            sd=round(float(spread), 6),
        )
        for lowest, after, pixels, ours, theirs, spread in zip(
            parts.edges[:-1],
            parts.edges[1:],
            count,
            predicted / number,
            known / number,
            np.sqrt(np.maximum(squared, 0) / number),
            strict=True,
        )
    ]
