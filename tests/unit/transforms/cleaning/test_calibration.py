"""The laws of a calibration: monotone, exact, pixel by pixel, and blind to what is removed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.cleaning import (
    CalibrateBuiltUp,
    CleanBuiltUp,
    CleaningParameters,
    Curve,
    calibrate,
    clean,
)
from transforms.cleaning.calibration import ONE
from transforms.elements import Layer, Pixels, utm_grid

IDENTITY = Curve(((0, 0, 0), (ONE, ONE, 0)))


@st.composite
def curves(draw):
    inner = draw(st.lists(st.integers(1, ONE - 1), unique=True, max_size=8).map(sorted))
    probabilities = [0, *inner, ONE]
    values = st.lists(st.integers(0, ONE), min_size=len(probabilities), max_size=len(probabilities))
    return Curve(tuple(zip(probabilities, sorted(draw(values)), draw(values), strict=True)))


@given(curves())
def test_a_curve_is_monotone_and_passes_through_its_knots(curve):
    every = np.arange(ONE + 1)
    made = curve.fractions(every)
    assert (np.diff(made) >= 0).all()
    assert 0 <= made[0] <= made[-1] <= ONE
    for probability, fraction, deviation in curve.knots:
        assert made[probability] == fraction
        assert curve.deviations(every)[probability] == deviation


@given(curves())
def test_a_curve_is_the_straight_line_between_knots_half_up(curve):
    probabilities, fractions, deviations = map(np.array, zip(*curve.knots, strict=True))
    every = np.arange(ONE + 1)
    for values, made in ((fractions, curve.fractions), (deviations, curve.deviations)):
        assert np.abs(made(every) - np.interp(every, probabilities, values)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("knots", "said"),
    [
        ((), "from probability 0 to 10000"),
        (((0, 0, 0),), "from probability 0 to 10000"),
        (((1, 0, 0), (ONE, 0, 0)), "from probability 0 to 10000"),
        (((0, 0, 0), (50, 1, 0), (50, 2, 0), (ONE, 3, 0)), "knot 2: its probability"),
        (((0, 5, 0), (ONE, 4, 0)), "knot 1: its fraction is below"),
        (((0, 0, 0), (ONE, ONE + 1, 0)), "knot 1 is out of range"),
        (((0, 0, -1), (ONE, ONE, 0)), "knot 0 is out of range"),
    ],
)
def test_what_is_no_curve_is_refused(knots, said):
    with pytest.raises(ValueError, match=said):
        Curve(knots)


def scene(seed=0, shape=(40, 50)):
    """A prediction and its cleaned probability; some pixels are halved by a street."""
    random = np.random.default_rng(seed)
    raw = random.integers(0, ONE + 1, shape).astype(np.uint16)
    raw[random.random(shape) < 0.1] = 65535
    s2 = random.integers(0, 4000, (4, *shape)).astype(np.uint16)
    percent = clean(raw, s2, CleaningParameters())
    halved = (random.random(shape) < 0.1) & (percent > 0) & (percent < 255)
    return raw, np.where(halved, (raw + 100) // 200, percent).astype(np.uint8), halved


def test_the_identity_changes_nothing():
    raw, percent, halved = scene()
    assert halved.any()
    made, sd = calibrate(raw, percent, IDENTITY)
    assert np.array_equal(made, percent)
    built = (percent > 0) & (percent < 255)
    assert np.array_equal(sd, np.where(built, 0, 255))


@given(curves(), st.integers(0, 3))
def test_a_curve_gives_values_only_to_what_the_cleaning_keeps(curve, seed):
    raw, percent, halved = scene(seed, (12, 14))
    made, sd = calibrate(raw, percent, curve)
    assert (made.dtype, sd.dtype) == (np.uint8, np.uint8)
    kept = (percent > 0) & (percent < 255)
    assert np.array_equal(made[~kept], percent[~kept])
    fractions, deviations = curve.fractions(raw[kept]), curve.deviations(raw[kept])
    expected = np.where(halved[kept], (fractions + 100) // 200, (fractions + 50) // 100)
    assert np.array_equal(made[kept], expected)
    known = np.where(made[kept] > 0, (deviations + 50) // 100, 255)
    assert np.array_equal(sd[kept], known)
    assert (sd[~kept] == 255).all()


@given(curves())
def test_a_block_is_the_same_as_its_part_of_the_whole(curve):
    raw, percent, _ = scene()
    part = (slice(3, 20), slice(7, 31))
    whole, block = calibrate(raw, percent, curve), calibrate(raw[part], percent[part], curve)
    for one, other in zip(whole, block, strict=True):
        assert np.array_equal(one[part], other)


def test_a_prediction_out_of_range_is_refused():
    with pytest.raises(ValueError, match="BUFRAC_RAW is 10001, expected at most 10000"):
        calibrate(np.full((1, 1), 10001, np.uint16), np.ones((1, 1), np.uint8), IDENTITY)
    none = calibrate(np.full((1, 1), 10001, np.uint16), np.full((1, 1), 255, np.uint8), IDENTITY)
    assert [layer.tolist() for layer in none] == [[[255]], [[255]]]


def test_only_the_last_step_on_a_block_calibrates():
    """Classes and greenness judge the probability, also if the published BUFRAC is calibrated."""
    raw, _, _ = scene()
    s2 = np.random.default_rng(9).integers(1, 4000, (4, *raw.shape)).astype(np.uint16)
    grid = utm_grid(32633, 300000, 5900040, *raw.shape)
    published = np.full(raw.shape, 7, np.uint8)
    pixels = Pixels.of("33UUU", grid, BUFRAC_RAW=raw, S2=s2, BUFRAC=published)
    steps = CleaningParameters()
    (kept,) = CleanBuiltUp(steps).clean(pixels)
    assert np.array_equal(kept[Layer.BUFRAC], published)
    (cleaned,) = CleanBuiltUp(steps, calibrated=True).clean(pixels)
    probability = clean(raw, s2, steps)
    assert np.array_equal(cleaned[Layer.BUFRAC], probability)

    curve = Curve(((0, 0, 500), (ONE, 5000, 2500)))
    (made,) = CalibrateBuiltUp((("32T", IDENTITY), ("33U", curve))).calibrate(cleaned)
    bufrac, sd = calibrate(raw, probability, curve)
    assert np.array_equal(made[Layer.BUFRAC], bufrac)
    assert np.array_equal(made[Layer.BUFRAC_SD], sd)
