"""Scores, curves, levels and intervals against scikit-learn and slow counts."""

import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pyproj import Transformer
from rasterio.windows import Window
from sklearn import metrics

from ghsl_beam.tools.area_mean import Grid
from ghsl_beam.tools.validation import blocks, curves
from ghsl_beam.tools.validation.blocks import BlockTable
from ghsl_beam.tools.validation.levels import (
    Nesting,
    cell_sums,
    error_sums,
    larger_cells,
    level_measures,
    nested_windows,
)
from ghsl_beam.tools.validation.pictures import error_picture
from ghsl_beam.tools.validation.pieces import Canvas, Piece
from ghsl_beam.tools.validation.scores import as_numbers, measures, sums_of
from ghsl_beam.tools.validation.tally import Tally

OF_SKLEARN = {
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "f1": metrics.f1_score,
    "iou": metrics.jaccard_score,
    "kappa": metrics.cohen_kappa_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
}


def fractions(seed: int, shape: tuple[int, ...] = (40, 50)) -> tuple[np.ndarray, np.ndarray]:
    """A product in whole percents and a reference that go together, both with gaps."""
    random = np.random.default_rng(seed)
    theirs = random.random(shape)
    ours = np.clip(theirs + random.normal(0, 0.3, shape), 0, 1).round(2)
    ours[3] = np.nan
    theirs[..., 4] = np.nan
    return ours, theirs


def test_scores_agree_with_sklearn() -> None:
    ours, theirs = fractions(0)
    got = as_numbers(measures(sums_of(ours, theirs, 0.3, 100, reference_threshold=0.6)[0]))
    valid = np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[valid], theirs[valid]
    assert got["pixels"] == valid.sum()
    assert got["rmse"] == pytest.approx(metrics.root_mean_squared_error(b, a))
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(b, a))
    assert got["bias"] == pytest.approx((a - b).mean())
    for name, function in OF_SKLEARN.items():
        assert got[name] == pytest.approx(function(b >= 0.6, a >= 0.3))
    assert got["product_m2"] == pytest.approx(a.sum() * 100)


def test_sums_of_parts_and_of_groups_are_those_of_the_whole() -> None:
    ours, theirs = fractions(1)
    areas = np.linspace(50, 100, 40)[:, np.newaxis]
    whole = sums_of(ours, theirs, 0.3, areas)
    parts = sum(sums_of(ours[i : i + 7], theirs[i : i + 7], 0.3, areas[i : i + 7])
                for i in range(0, 40, 7))  # fmt: skip
    np.testing.assert_allclose(parts, whole)
    groups = np.random.default_rng(2).integers(0, 5, ours.shape)
    found = sums_of(ours, theirs, 0.3, areas, groups=groups, number=5)
    for number in range(5):
        alone = sums_of(np.where(groups == number, ours, np.nan), theirs, 0.3, areas)
        np.testing.assert_allclose(found[number], alone[0])


def test_undefined_is_none() -> None:
    assert as_numbers(measures(sums_of(np.array([np.nan]), np.zeros(1))[0]))["rmse"] is None
    empty = as_numbers(measures(sums_of(np.zeros(3), np.zeros(3))[0]))
    assert (empty["f1"], empty["kappa"], empty["balanced_accuracy"]) == (None, None, None)
    assert (empty["rmse"], empty["pixels"]) == (0, 3)


fraction_maps = hnp.arrays(
    np.float64, (12, 15), elements=st.floats(0, 1) | st.just(float("nan")), fill=st.nothing()
)


@settings(max_examples=40)
@given(fraction_maps)
def test_a_perfect_prediction_has_perfect_scores(values: np.ndarray) -> None:
    got = as_numbers(measures(sums_of(values, values)[0]))
    built = values[np.isfinite(values)].round(9) >= 0.5
    assert got["rmse"] in (0, None)
    expected = 1 if 0 < built.sum() < built.size else None
    assert (got["kappa"], got["balanced_accuracy"]) == (expected, expected)


def test_the_curve_is_that_of_each_threshold() -> None:
    ours, theirs = fractions(3)
    counts = curves.counts_of(ours, theirs, 0.6)[0]
    line = curves.curve(counts)
    for place in (0, 28, 56, 99):  # 0.29 and 0.57 are not exact in binary
        threshold = curves.THRESHOLDS[place]
        got = measures(sums_of(ours, theirs, threshold, reference_threshold=0.6)[0])
        for name in OF_SKLEARN:
            assert line[name][place] == pytest.approx(float(got[name]), nan_ok=True)
    best = int(curves.best_places(line["f1"]))
    valid = np.isfinite(ours) & np.isfinite(theirs)
    truth = theirs[valid] >= 0.6
    slow = [metrics.f1_score(truth, ours[valid] >= t - 1e-9) for t in curves.THRESHOLDS]
    assert slow[best] == pytest.approx(max(slow))
    assert line["f1"][best] == pytest.approx(max(slow))


def test_of_equal_thresholds_the_highest_is_best() -> None:
    """A cleaned layer has nothing between 0 and 0.5."""
    counts = curves.counts_of(np.array([0.0, 0.0, 0.5, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))[0]
    assert curves.THRESHOLDS[curves.best_places(curves.curve(counts)["f1"])] == 0.5


def test_a_threshold_is_judged_where_it_was_not_chosen() -> None:
    """In noise, the best threshold of many small blocks is worse elsewhere."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 30)
    ours, theirs = random.random((2, 300))
    counts = curves.counts_of(ours, theirs, groups=groups, number=10)
    best = np.nanmax(curves.curve(counts.sum(0))["f1"])
    assert 0 < curves.held_out_f1(counts, 1) <= best
    assert curves.held_out_f1(counts, 1) == curves.held_out_f1(counts, 1)
    assert np.isnan(curves.held_out_f1(counts[:4], 1))
    counts[1:, curves.BINS : 2 * curves.BINS] = 0  # only one block has a threshold to choose
    assert np.isnan(curves.held_out_f1(counts, 1))


def test_reliability_is_the_mean_of_each_tenth() -> None:
    ours, theirs = fractions(4)
    valid = np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[valid], theirs[valid]
    parts = curves.reliability(curves.counts_of(ours, theirs)[0])
    assert sum(part["pixels"] for part in parts) == valid.sum()
    for part in parts:
        last = part["to"] == 1
        inside = (a >= part["from"] - 1e-9) & ((a < part["to"] - 1e-9) | last)
        assert part["pixels"] == inside.sum()
        assert part["product"] == pytest.approx(a[inside].mean())
        assert part["reference"] == pytest.approx(b[inside].mean())


def level_sums(
    product: np.ndarray, reference: np.ndarray, areas: float | np.ndarray, nesting: Nesting
) -> np.ndarray:
    return error_sums(cell_sums(product, reference, areas, nesting), nesting)


def utm(left: float, top: float, shape: tuple[int, int], size: float = 10) -> Grid:
    return Grid("EPSG:32633", Affine(size, 0, left, 0, -size, top), shape)


def test_cells_begin_at_multiples_of_their_side() -> None:
    """Against a slow count that asks each pixel's centre for its cell."""
    grid = utm(399_960, 5_900_040, (137, 245))
    ours, theirs = fractions(5, grid.shape)
    nesting = Nesting.of(grid, 100)
    assert nesting == Nesting(10, 6, 6)
    got = as_numbers(level_measures(level_sums(ours, theirs, 100.0, nesting).sum((0, 1))))
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for row, col in zip(*np.nonzero(np.isfinite(ours) & np.isfinite(theirs)), strict=True):
        x, y = 399_960 + 10 * col + 5, 5_900_040 - 10 * row - 5
        pair = (ours[row, col], theirs[row, col])
        cells.setdefault((x // 100, y // 100), []).append(pair)
    errors = np.array([np.mean([a - b for a, b in pairs]) for pairs in cells.values()])
    weights = np.array([len(pairs) for pairs in cells.values()])
    assert got["cells"] == len(cells)
    assert got["whole_cells"] == (weights == 100).sum()
    assert got["rmse"] == pytest.approx(np.sqrt(np.average(errors**2, weights=weights)))
    assert got["mae"] == pytest.approx(np.average(np.abs(errors), weights=weights))


@settings(max_examples=40)
@given(fraction_maps, st.integers(0, 9), st.integers(0, 9), st.integers(2, 10))
def test_cells_keep_area_and_bias(reference: np.ndarray, rows: int, cols: int, pixels: int) -> None:
    product = np.random.default_rng(0).random(reference.shape)
    areas = np.linspace(80, 100, 12)[:, np.newaxis]
    fine = level_sums(product, reference, areas, Nesting(1, 0, 0)).sum((0, 1))
    nesting = Nesting(pixels, rows % pixels, cols % pixels)
    coarse = level_sums(product, reference, areas, nesting).sum((0, 1))
    np.testing.assert_allclose(coarse[:2], fine[:2], rtol=1e-9, atol=1e-6)
    assert coarse[2] <= fine[2] + 1e-6  # errors cancel in a cell, and never grow
    assert coarse[3] <= fine[3] + 1e-6


def test_larger_cells_from_smaller_ones() -> None:
    grid = utm(399_960, 5_900_040, (237, 345))
    ours, theirs = fractions(6, grid.shape)
    small, large = Nesting.of(grid, 100), Nesting.of(grid, 1000)
    direct = cell_sums(ours, theirs, 100.0, large)
    by_steps = larger_cells(cell_sums(ours, theirs, 100.0, small), small, large)
    np.testing.assert_allclose(by_steps, direct)
    assert larger_cells(direct, large, Nesting(150, 0, 0)) is None


@pytest.mark.parametrize("side", [100, 250])
def test_windows_cut_no_cell(side: int) -> None:
    grid = utm(399_960, 5_900_040, (470, 333))
    seen = np.zeros(grid.shape, int)
    nesting = Nesting.of(grid, 1000)
    for window in nested_windows(grid, side):
        rows, cols = int(window.row_off), int(window.col_off)
        seen[rows : rows + int(window.height), cols : cols + int(window.width)] += 1
        part = nesting.part(window)
        assert rows == 0 or part.rows == 0
        assert cols == 0 or part.cols == 0
        assert max(window.height, window.width) <= side
    assert (seen == 1).all()


def test_pixels_that_do_not_nest_have_no_cells() -> None:
    assert Nesting.of(utm(400_000, 5_900_000, (9, 9), 30), 100) is None
    assert Nesting.of(utm(400_003, 5_900_000, (9, 9)), 100) is None
    degrees = Grid("EPSG:4326", Affine(0.001, 0, 12, 0, -0.001, 53), (9, 9))
    assert Nesting.of(degrees, 100) is None
    stretched = Grid("EPSG:3857", Affine(10, 0, 1_400_000, 0, -10, 6_900_000), (9, 9))
    assert Nesting.of(stretched, 100) is None  # its 100 m are 60 m on the ground
    south_up = Grid("EPSG:32633", Affine(10, 0, 400_000, 0, 10, 5_900_030), (9, 9))
    assert Nesting.of(south_up, 100) == Nesting(10, 3, 0)


def test_intervals_cover_the_truth_and_repeat() -> None:
    """Of 60 samples of blocks, most intervals contain the mean that all samples come from."""
    hits = 0
    for sample in range(60):
        random = np.random.default_rng(sample)
        error = np.repeat(random.normal(0.1, 0.2, 40), 25)  # neighbours are equal
        ours, theirs = np.clip(0.5 + error, 0, 1), np.full(1000, 0.5)
        rows = sums_of(ours, theirs, groups=np.repeat(np.arange(40), 25), number=40)
        found = blocks.intervals(rows, measures, 7)
        assert found == blocks.intervals(rows, measures, 7)
        low, high = found["bias"]
        hits += low <= 0.1 <= high
    assert hits >= 50
    assert blocks.intervals(rows[:9], measures, 7) == {}


def test_intervals_of_few_blocks_are_wide_enough() -> None:
    """With 10 blocks, plain percentiles of the draws contain the truth 87 % of the time."""
    random = np.random.default_rng(0)
    hits = 0
    for error in random.normal(0.1, 0.05, (400, 10)):
        mean = lambda drawn: {"bias": drawn[:, 0] / 10}  # noqa: E731
        low, high = blocks.intervals(error[:, np.newaxis], mean, 7)["bias"]
        hits += low <= 0.1 <= high
    assert 0.93 <= hits / 400 <= 0.97


def test_blocks_are_squares_of_ground() -> None:
    x, y = np.array([999.0, 1000, -1]), np.array([0.0, 2500, 10])
    across, down = blocks.block_places(x, y, "EPSG:32633", 1000)
    assert (across.tolist(), down.tolist()) == ([0, 1, -1], [0, 2, 0])
    lon, lat = np.meshgrid(np.linspace(12, 13, 500), np.linspace(60, 61, 500))
    across, down = blocks.block_places(lon, lat, "EPSG:4326", 5000)
    number = len(set(zip(across.ravel().tolist(), down.ravel().tolist(), strict=True)))
    # A degree at 60.5 north is 55 x 111 km; blocks at its edges are cut.
    assert number == pytest.approx((55 / 5 + 1) * (111 / 5 + 1), rel=0.05)
    groups, places = blocks.numbered(across, down)
    for at in (0, 777, 249_999):
        assert places[groups.ravel()[at]] == (across.ravel()[at], down.ravel()[at])
    far, places = blocks.numbered(np.array([0, 10**9, 0]), np.array([5, -(10**9), 5]))
    assert (far.tolist(), places) == ([0, 1, 0], [(0, 5), (10**9, -(10**9))])


def test_blocks_of_a_stretched_projection_follow_degrees() -> None:
    lon, lat = np.array([12.0, 12.01]), np.array([52.0, 52.01])
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    assert blocks.stretches(x, y, "EPSG:3857")
    assert not blocks.stretches(x, y, "EPSG:4326")
    assert not blocks.stretches(np.array([400_000.0]), np.array([5_900_000.0]), "EPSG:32633")
    got = blocks.block_places(x, y, "EPSG:3857", 100, in_degrees=True)
    expected = blocks.block_places(lon, lat, "EPSG:4326", 100)
    np.testing.assert_array_equal(got, expected)


def test_tiny_blocks_need_little_memory() -> None:
    """90 000 blocks in one window would need 290 MB."""
    ours, theirs = fractions(7, (300, 300))
    grid = utm(400_000, 5_900_000, (300, 300))
    window = Window(0, 0, 300, 300)
    piece = Piece(ours, theirs, np.full((300, 1), 100.0), grid, Canvas("a", grid), window, "a")
    tally = Tally(0.3, 0.6, 10, 1)
    halves = ["west", "east"], np.indices((300, 300))[1] // 150
    tracemalloc.start()
    tally.add(piece, halves)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5e8
    assert (tally.ground.doublings, len(tally.ground)) == (3, 38 * 38)  # blocks of 80 m
    assert [len(table) for table in tally.strata.values()] == [38 * 19, 38 * 20]
    expected = sums_of(ours, theirs, 0.3, 100, reference_threshold=0.6)[0]
    np.testing.assert_allclose(tally.total, expected)


def test_the_interval_of_the_threshold_is_of_draws_that_have_one() -> None:
    """All built-up ground is in one of 20 blocks; a third of the draws lack it."""
    ours, theirs = np.zeros((2, 10, 200))
    ours[:, :10], theirs[:, :10] = 0.6, 1
    grid = utm(400_000, 5_900_000, (10, 200))
    window = Window(0, 0, 200, 10)
    tally = Tally(0.5, 0.5, 100, 1)
    tally.add(Piece(ours, theirs, np.full((10, 1), 100.0), grid, Canvas("a", grid), window, "a"))
    best = tally.results()["best"]
    assert (best["threshold"], best["threshold_interval"]) == (0.6, [0.6, 0.6])
    assert best["held_out_f1"] is None


def test_the_picture_of_a_narrow_map_is_small() -> None:
    for shape in ((900, 1), (1, 900), (3, 3)):
        size = Image.open(BytesIO(error_picture(np.zeros(shape), "x"))).size
        assert max(size) < 1100


def test_many_blocks_are_joined() -> None:
    table = BlockTable()
    for across in range(80):
        for down in range(-40, 40):
            table.add(0, (across, down), np.array([1.0, across]))
    assert table.doublings == 1
    assert len(table) == 1600
    assert table.rows().sum(0).tolist() == [6400, 80 * 79 / 2 * 80]
