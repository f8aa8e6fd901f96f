"""A town with known footprints: the calibrated area of ground that was held out is right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ghsl_beam.tools.calibration.fit import fit, rises
from ghsl_beam.tools.calibration.sums import FOLDS, SIDES, Ground, Sums, errors_of
from transforms.cleaning import CleaningParameters, Curve, calibrate, clean
from transforms.cleaning.calibration import ONE
from transforms.elements import RequestError

STEPS = CleaningParameters()


def footprints(random, rows, cols):
    """Exact fractions of pixels of 10 m: houses with walls along the axes, denser in the middle."""
    fine = np.zeros((rows * 10, cols * 10), bool)  # 1 m
    for _ in range(rows * cols // 60):
        row, col = (int(random.normal(n / 2, n / 5)) for n in fine.shape)
        if 0 <= row < fine.shape[0] - 40 and 0 <= col < fine.shape[1] - 40:
            fine[row : row + random.integers(6, 40), col : col + random.integers(6, 30)] = True
    return fine.reshape(rows, 10, cols, 10).mean(axis=(1, 3))


def predicted(random, known):
    """What a network makes of it: blurred, too sure of itself, and wrong in places."""
    near = gaussian_filter(known, 1.2) + 0.05 * gaussian_filter(random.normal(size=known.shape), 3)
    odds = 9 * (near - 0.18) + random.normal(0, 0.8, known.shape)
    return (ONE / (1 + np.exp(-odds))).round().astype(np.uint16)


def town(seed, rows=600, cols=600):
    random = np.random.default_rng(seed)
    known = footprints(random, rows, cols)
    s2 = np.full((4, rows, cols), 1000, np.uint16)
    s2[3] = np.where(random.random(known.shape) < 0.06, 6000, 1500)  # some gardens are green
    return predicted(random, known), s2, known


def add(ground, raw, percent, known):
    rows, cols = np.indices(raw.shape)
    valid = percent != 255
    places = (10.0 * cols[valid] + 5, -10.0 * rows[valid] - 5)
    halved = np.zeros(valid.sum(), bool)
    ground.add(32633, places, raw[valid], percent[valid] > 0, halved, known[valid])
    return ground


def area_of(raw, percent, curve):
    """Calibrated built-up in pixels."""
    made, _ = calibrate(raw, percent, curve)
    return made[made < 255].sum() / 100


@pytest.fixture(scope="module")
def fitted():
    raw, s2, known = town(1)
    return fit(add(Ground(), raw, clean(raw, s2, STEPS), known), "m.h5", omitted=True)


def test_the_area_of_held_out_ground_is_right_within_three_percent(fitted):
    assert fitted.form == "isotonic"
    assert abs(fitted.held_out.bias_percent) <= 3
    raw, s2, known = town(2)  # another town of the same kind
    curve = Curve(tuple(fitted.knots))
    area = area_of(raw, clean(raw, s2, STEPS), curve)
    assert abs(area / known.sum() - 1) <= 0.03
    plain = clean(raw, s2, STEPS).sum() / 100
    assert abs(plain / known.sum() - 1) > 0.2, "without it, the sum is far from the area"


def test_the_error_of_each_part_stands_beside_its_pixels(fitted):
    assert rises(fitted.parts)
    assert sum(part.pixels for part in fitted.parts) == fitted.pixels
    assert [part.lowest for part in fitted.parts[1:]] == [p.highest + 1 for p in fitted.parts[:-1]]
    assert all(part.pixels >= 200 for part in fitted.parts)
    rmse = np.average([p.sd**2 for p in fitted.parts], weights=[p.pixels for p in fitted.parts])
    assert 0.02 < rmse**0.5 < 0.3
    assert fitted.held_out.mae < fitted.held_out.rmse < 0.2
    assert fitted.held_out.bias_percent_lowest <= fitted.held_out.bias_percent
    assert fitted.held_out.bias_percent <= fitted.held_out.bias_percent_highest


def test_without_the_omitted_the_kept_pixels_are_right():
    raw, s2, known = town(3)
    percent = clean(raw, s2, STEPS)
    ground = add(Ground(), raw, percent, known)
    made = fit(ground, "m.h5", omitted=False)
    kept = known[(percent > 0) & (percent < 255)].sum()
    assert made.omitted_percent == pytest.approx(100 * (1 - kept / known.sum()), abs=0.01)
    assert abs(made.held_out.bias_percent_kept) <= 3
    assert made.held_out.bias_percent < -0.5 * made.omitted_percent
    area = area_of(raw, percent, Curve(tuple(made.knots)))
    assert area == pytest.approx(kept, rel=0.005)


def test_few_pixels_give_a_smooth_curve():
    raw, s2, known = town(4, 60, 70)
    made = fit(add(Ground(), raw, clean(raw, s2, STEPS), known), "m.h5", omitted=True)
    assert made.form == "logistic"
    assert made.why.endswith("an isotonic curve needs 5000 pixels in 20 blocks")
    assert made.held_out.block_m == SIDES[-1]
    slopes = np.diff([knot[1] for knot in made.knots])
    assert slopes.min() >= 0
    assert np.abs(np.diff(slopes[:-3])).max() < 60, "no steps"


def test_a_network_that_knows_nothing_gets_the_mean():
    raw, s2, known = town(5, 120, 120)
    made = fit(add(Ground(), ONE - raw, clean(ONE - raw, s2, STEPS), known), "m.h5", omitted=False)
    assert np.ptp([knot[1] for knot in made.knots]) <= 1
    assert not rises(made.parts)


def test_a_level_curve_is_right_in_whole_percents():
    """Of pixels with 8.5 %, one half gets 8 % and the other 9 %."""
    random = np.random.default_rng(0)
    raw = random.integers(5000, ONE, (100, 100)).astype(np.uint16)
    known = np.full(raw.shape, 0.085)
    percent = ((raw.astype(int) + 50) // 100).astype(np.uint8)
    made = fit(add(Ground(), raw, percent, known), "m.h5", omitted=True)
    assert abs(made.held_out.bias_percent) < 1
    values = Curve(tuple(made.knots)).fractions(raw)
    assert ((values + 50) // 100).mean() == pytest.approx(8.5, abs=0.01)


@pytest.mark.parametrize(("side", "form"), [(70, "logistic"), (160, "isotonic")])
def test_a_network_that_is_nearly_certain_everywhere_is_fitted_and_judged_right(side, form):
    """Most probabilities are above 99 %, and there the fraction rises from a quarter to all."""
    random = np.random.default_rng(0)
    odds = random.normal(5, 3, (side, side))
    raw = (ONE / (1 + np.exp(-odds))).round().astype(np.uint16)
    known = 1 / (1 + np.exp(6 - odds))
    percent = ((raw.astype(int) + 50) // 100).astype(np.uint8)
    ground = add(Ground(), raw, percent, known)
    made = fit(ground, "m.h5", omitted=True)
    curve = Curve(tuple(made.knots))
    got = calibrate(raw, percent, curve)[0] / 100
    assert made.form == form
    for lowest, highest in ((9900, 9950), (9950, 9980), (9980, 9995), (9995, ONE)):
        part = (raw >= lowest) & (raw < highest)
        assert got[part].mean() == pytest.approx(known[part].mean(), abs=0.03)
    whole = sum(ground.groups(ground.side()), Sums())
    absolute = errors_of(curve, whole).absolute / known.size
    assert absolute == pytest.approx(np.abs(got - known).mean(), abs=0.005)
    assert made.held_out.mae <= made.held_out.rmse


def test_halved_pixels_count_with_half_their_value():
    raw, s2, known = town(6)
    percent = clean(raw, s2, STEPS)
    random = np.random.default_rng(0)
    halved = random.random(raw.shape) < 0.3
    there = np.where(halved, known / 2, known)  # streets took the other half
    rows, cols = np.indices(raw.shape)
    ground = Ground()
    places = (10.0 * cols.ravel(), 10.0 * rows.ravel())
    kept = (percent > 0).ravel()
    ground.add(32633, places, raw.ravel(), kept, halved.ravel(), there.ravel())
    plain = fit(add(Ground(), raw, percent, known), "m.h5", omitted=False)
    made = fit(ground, "m.h5", omitted=False)
    every = np.arange(ONE + 1)
    both = (Curve(tuple(m.knots)).fractions(every) for m in (plain, made))
    assert np.abs(np.subtract(*both)).max() < 1500
    assert abs(made.held_out.bias_percent_kept) <= 3


def test_what_cannot_be_fitted_is_refused_in_one_line():
    raw, s2, known = town(7, 120, 120)
    percent = clean(raw, s2, STEPS)
    with pytest.raises(RequestError, match="expected at least 200 in 5; give a reference of more"):
        fit(add(Ground(), raw[:20, :20], percent[:20, :20], known[:20, :20]), "m", omitted=True)
    with pytest.raises(RequestError, match="has built-up in 0 of"):
        fit(add(Ground(), raw, percent, 0 * known), "m", omitted=True)
    away = np.where(known > 0, np.uint8(0), percent)
    away[40:60] = percent[40:60]
    with pytest.raises(RequestError, match=r"the cleaning removes .* expected at most 50%"):
        fit(add(Ground(), raw, away, known), "m", omitted=True)


def test_a_curve_that_cannot_give_the_area_is_refused():
    """Pixels that are full already cannot hold what the cleaning removes; 0.1 % is no percent."""
    random = np.random.default_rng(0)
    raw = random.integers(8500, 9500, (120, 120)).astype(np.uint16)
    percent = (raw // 100).astype(np.uint8)
    removed = np.where(random.random(raw.shape) < 0.4, np.uint8(0), percent)
    full = add(Ground(), raw, removed, np.ones(raw.shape))
    with pytest.raises(RequestError, match=r"gives 8\d\d\d built-up .* give --omitted left-out$"):
        fit(full, "m", omitted=True)
    assert fit(full, "m", omitted=False).held_out.bias_percent_kept == 0
    with pytest.raises(RequestError, match=r"gives 0 built-up .* check the unit and the place"):
        fit(add(Ground(), raw, percent, np.full(raw.shape, 0.001)), "m", omitted=True)


def test_large_ground_keeps_only_the_blocks_that_are_used():
    raw = np.full((100, 100), 9000, np.uint16)
    many = np.ones(raw.shape, bool)
    rows, cols = 100.0 * np.indices(raw.shape)
    ground = Ground()
    for number, side in ((10, 250), (40, 500), (100, 2000)):
        part = (slice(number), slice(number))
        pixels = (raw[part], many[part], ~many[part], many[part].astype(float))
        places = (cols[part].ravel(), rows[part].ravel())
        ground.add(32633, places, *(each.ravel() for each in pixels))
        assert ground.side() == side
        assert (
            {of for of, _ in ground.sums} == set(ground.blocks) == {s for s in SIDES if s >= side}
        )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_sums_of_parts_are_the_sums_of_the_whole(seed):
    random = np.random.default_rng(seed)
    number = 500
    raw = random.integers(0, ONE + 1, number)
    kept, halved = random.random((2, number)) < 0.5
    known = random.integers(0, 101, number) / 100
    whole = Sums.of(raw, kept, halved, known)
    parts = sum(
        (Sums.of(raw[p], kept[p], halved[p], known[p]) for p in (slice(0, 99), slice(99, None))),
        Sums(),
    )
    for name in Sums.__slots__:
        assert np.allclose(getattr(whole, name), getattr(parts, name))
    curve = Curve(((0, 100, 0), (ONE, 9000, 0)))
    errors = errors_of(curve, whole)
    halves = np.where(halved, 1, 2)
    made = np.where(kept, (curve.fractions(raw) * halves + 100) // 200, 0) / 100
    assert errors.predicted == pytest.approx(made.sum())
    assert errors.squared == pytest.approx(((made - known) ** 2).sum())
    assert errors.absolute == pytest.approx(np.abs(made - known).sum(), abs=0.011 * number)


def test_neighbouring_blocks_are_in_different_groups():
    east, north = np.meshgrid(np.arange(5), np.arange(5))
    fold = (east + 2 * north) % FOLDS
    assert all(np.diff(fold, axis=axis).all() for axis in (0, 1))
    assert np.bincount(fold.ravel()).tolist() == [5] * 5
