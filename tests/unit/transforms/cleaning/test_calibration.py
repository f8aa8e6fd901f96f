"""The laws of a calibration: monotone, exact, pixel by pixel, and blind to what is removed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.cleaning import CleaningParameters, Curve, clean, uncertainty
from transforms.cleaning.calibration import ONE

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
    random = np.random.default_rng(seed)
    raw = random.integers(0, ONE + 1, shape).astype(np.uint16)
    raw[random.random(shape) < 0.1] = 65535
    return raw, random.integers(0, 4000, (4, *shape)).astype(np.uint16)


def test_the_identity_changes_nothing():
    raw, s2 = scene()
    plain = clean(raw, s2, CleaningParameters())
    assert np.array_equal(plain, clean(raw, s2, CleaningParameters(), curve=IDENTITY))


@given(curves(), st.integers(0, 3))
def test_a_curve_gives_values_only_to_what_the_cleaning_keeps(curve, seed):
    raw, s2 = scene(seed, (12, 14))
    steps = CleaningParameters()
    plain, made = clean(raw, s2, steps), clean(raw, s2, steps, curve=curve)
    kept = (plain > 0) & (plain < 255)
    assert np.array_equal(made[~kept], plain[~kept])
    assert np.array_equal(made[kept], (curve.fractions(raw[kept]) + 50) // 100)


@given(curves())
def test_a_block_is_the_same_as_its_part_of_the_whole(curve):
    raw, s2 = scene()
    steps = CleaningParameters(minimum_pixels=None)
    whole, part = clean(raw, s2, steps, curve=curve), (slice(3, 20), slice(7, 31))
    block = clean(raw[part], s2[:, *part], steps, curve=curve)
    assert np.array_equal(block, whole[part])
    sd = uncertainty(raw, whole, curve)
    assert np.array_equal(uncertainty(raw[part], block, curve), sd[part])


def test_the_uncertainty_is_known_where_something_is_built_up():
    curve = Curve(((0, 0, 0), (5000, 3000, 2000), (ONE, 9000, 450)))
    raw = np.array([[2500, 5000, ONE, 5000, 65535]], np.uint16)
    bufrac = np.array([[15, 30, 90, 0, 255]], np.uint8)
    sd = uncertainty(raw, bufrac, curve)
    assert sd.dtype == np.uint8
    assert sd.tolist() == [[10, 20, 5, 255, 255]]
