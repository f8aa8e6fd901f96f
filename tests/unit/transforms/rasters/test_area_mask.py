"""Pixels of the area of interest."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.grids import grid_at
from transforms.elements import Window, utm_grid
from transforms.rasters.area_mask import area_mask, pixel_bounds

ULX, ULY = 300000.0, 5900040.0


def star(seed: int, size: int) -> shapely.Geometry:
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 12))
    radius = random.uniform(0.1, 0.6, 12) * size * 10
    x = ULX + size * 5 + radius * np.cos(angles)
    y = ULY - size * 5 + radius * np.sin(angles)
    shape = shapely.make_valid(shapely.Polygon(np.column_stack([x, y])))
    return shape.difference(shapely.Point(ULX + size * 5, ULY - size * 5).buffer(size))


def brute(geometry: shapely.Geometry, window: Window) -> np.ndarray:
    x, y = np.meshgrid(
        ULX + 10 * (np.arange(window.col, window.right) + 0.5),
        ULY - 10 * (np.arange(window.row, window.bottom) + 0.5),
    )
    return np.asarray(shapely.contains(geometry, shapely.points(x, y)))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(-20, 150), st.integers(-20, 150), st.integers(1, 200))
def test_as_brute_force_in_any_window(seed: int, row: int, col: int, size: int) -> None:
    geometry, window = star(seed, 150), Window(row, col, size, max(1, size // 2))
    assert np.array_equal(
        area_mask(geometry, grid_at(32633, ULX, ULY, window)), brute(geometry, window)
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([1, 7, 64, 100, 333]))
def test_windows_agree(seed: int, block: int) -> None:
    geometry, whole = star(seed, 400), Window(-3, 5, 400, 300)
    expected = area_mask(geometry, grid_at(32633, ULX, ULY, whole))
    parts = np.zeros_like(expected)
    for window in whole.split(max(block, 20)):
        parts[window.slices_in(whole)] = area_mask(geometry, grid_at(32633, ULX, ULY, window))
    assert np.array_equal(parts, expected)


def test_centre_on_the_edge_is_outside_in_every_window() -> None:
    box = shapely.box(ULX + 5, ULY - 3005, ULX + 3005, ULY - 5)
    mask = area_mask(box, grid_at(32633, ULX, ULY, Window(0, 0, 400, 400)))
    assert mask.sum() == 299 * 299
    assert not mask[0].any()
    assert not area_mask(box, grid_at(32633, ULX, ULY, Window(0, 0, 1, 400))).any()


def test_empty_and_full() -> None:
    window = Window(0, 0, 10980, 10980)
    assert not area_mask(shapely.Polygon(), grid_at(32633, ULX, ULY, Window(0, 0, 3, 4))).any()
    assert area_mask(shapely.box(0, 0, 1e7, 1e7), grid_at(32633, ULX, ULY, window)).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000))
def test_bounds_hold_every_pixel(seed: int) -> None:
    geometry = star(seed, 120)
    found = pixel_bounds(geometry, utm_grid(32633, ULX, ULY, 150, 150))
    assert found is not None
    whole = Window(0, 0, 150, 150)
    mask = brute(geometry, whole)
    mask[found.slices_in(whole)] = False
    assert not mask.any()
    assert pixel_bounds(geometry, utm_grid(32633, ULX + 1e6, ULY, 150, 150)) is None
    assert pixel_bounds(shapely.Polygon(), utm_grid(32633, ULX, ULY, 150, 150)) is None


def test_bounds_touch_exactly() -> None:
    box = shapely.box(ULX + 20, ULY - 50, ULX + 40, ULY - 30)
    assert pixel_bounds(box, utm_grid(32633, ULX, ULY, 100, 100)) == Window(3, 2, 2, 2)
