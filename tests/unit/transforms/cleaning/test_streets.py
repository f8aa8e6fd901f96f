"""Street masks against GDAL's rasterised buffers, and by hand."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import from_origin
from shapely import LineString, MultiLineString, Point

from tests.support.grids import grid_at
from transforms.cleaning import Road, street_masks
from transforms.elements import Window

ULX, ULY = 300000.0, 5700000.0
GDAL_TOUCH = 0.05
"""Metres. GDAL's all_touched misses corners cut by less, and burns pixels 2 cm beside a polygon."""


def roads_of(seed, number, extent=400):
    rng = np.random.default_rng(seed)
    lines = rng.uniform(-60, extent + 60, (number, 4, 2)) * [1, -1] + [ULX, ULY]
    return [
        Road(LineString(line), width)
        for line, width in zip(lines, rng.uniform(2, 50, number), strict=True)
    ]


def centres(window):
    cols, rows = np.meshgrid(
        np.arange(window.col, window.right), np.arange(window.row, window.bottom)
    )
    return ULX + 10 * (cols + 0.5), ULY - 10 * (rows + 0.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_agrees_with_gdal_and_with_geometry_on_finely_drawn_buffers(seed, number):
    roads, window = roads_of(seed, number), Window(3, 5, 31, 37)
    covered, touched = street_masks(roads, grid_at(32633, ULX, ULY, window))
    buffers = [road.line.buffer(road.width / 2, quad_segs=512) for road in roads]
    grid = {
        "out_shape": window.shape,
        "transform": from_origin(ULX + 10 * window.col, ULY - 10 * window.row, 10, 10),
    }
    by_centre = rasterize(buffers, **grid, all_touched=False).astype(bool)
    by_touch = rasterize(buffers, **grid, all_touched=True).astype(bool)
    x, y = centres(window)
    points, boxes = shapely.points(x, y), shapely.box(x - 5, y - 5, x + 5, y + 5)
    at_border, at_edge, near_edge = (np.zeros(window.shape, bool) for _ in range(3))
    by_area = np.zeros(window.shape, bool)
    for road, buffer in zip(roads, buffers, strict=True):
        # The drawn buffer lies inside the round one by up to radius * (1 - cos(pi / 2048)).
        slack = 1e-6 + road.width / 2 * 1.2e-6
        at_border |= abs(shapely.distance(points, road.line) - road.width / 2) < slack
        from_edge = abs(shapely.distance(boxes, road.line) - road.width / 2)
        at_edge |= from_edge < slack
        near_edge |= from_edge < GDAL_TOUCH
        shapely.prepare(buffer)
        by_area |= shapely.intersects(boxes, buffer)
    np.testing.assert_array_equal(covered | at_border, by_centre | at_border)
    uncertain = at_border | at_edge
    np.testing.assert_array_equal(covered | touched | uncertain, by_area | uncertain)
    uncertain = at_border | near_edge
    np.testing.assert_array_equal(covered | touched | uncertain, by_touch | uncertain)
    assert near_edge.mean() < 0.05


def test_a_street_that_fills_a_column_touches_no_other():
    road = Road(LineString([(ULX + 15, ULY + 99), (ULX + 15, ULY - 99)]), 10)
    covered, touched = street_masks([road], grid_at(32633, ULX, ULY, Window(0, 0, 2, 4)))
    assert covered.tolist() == [[False, True, False, False]] * 2
    assert not touched.any()


def test_a_centre_on_the_border_is_covered():
    road = Road(LineString([(ULX, ULY + 99), (ULX, ULY - 99)]), 10)
    covered, touched = street_masks([road], grid_at(32633, ULX, ULY, Window(0, -2, 1, 4)))
    assert covered.tolist() == [[False, True, True, False]]
    assert not touched.any()


def test_covered_by_one_wins_over_touched_by_another():
    first = Road(LineString([(ULX + 5, ULY + 99), (ULX + 5, ULY - 99)]), 12)
    second = Road(LineString([(ULX + 15, ULY + 99), (ULX + 15, ULY - 99)]), 12)
    covered, touched = street_masks([first, second], grid_at(32633, ULX, ULY, Window(0, 0, 1, 4)))
    assert covered.tolist() == [[True, True, False, False]]
    assert touched.tolist() == [[False, False, True, False]]


def test_multilines_and_lines_of_no_length():
    lines = MultiLineString([[(ULX + 5, ULY - 5), (ULX + 5, ULY - 5)], [(0, 0), (1, 1)]])
    covered, touched = street_masks([Road(lines, 11)], grid_at(32633, ULX, ULY, Window(0, 0, 2, 2)))
    assert covered.tolist() == [[True, False], [False, False]]
    assert touched.tolist() == [[False, True], [True, False]]


def test_no_roads():
    covered, touched = street_masks([], grid_at(32633, ULX, ULY, Window(0, 0, 2, 3)))
    assert covered.shape == touched.shape == (2, 3)
    assert not (covered | touched).any()
    empty = Road(LineString(), 5)
    assert not street_masks([empty], grid_at(32633, ULX, ULY, Window(0, 0, 2, 3)))[0].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, 30), st.randoms())
def test_neither_window_nor_order_nor_portions_matter(seed, row, col, random):
    roads = roads_of(seed, 4)
    whole = street_masks(roads, grid_at(32633, ULX, ULY, Window(0, 0, 40, 40)))
    random.shuffle(roads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.cleaning.streets._AT_ONCE", 97)
        part = street_masks(roads, grid_at(32633, ULX, ULY, Window(row, col, 9, 10)))
    for mask, cut in zip(whole, part, strict=True):
        np.testing.assert_array_equal(cut, mask[row : row + 9, col : col + 10])


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf")])
def test_widths_are_checked(width):
    with pytest.raises(ValueError, match="width"):
        Road(LineString([(0, 0), (1, 1)]), width)


def test_lines_are_checked():
    for geometry in (Point(0, 0), None):
        with pytest.raises(ValueError, match="expected a line"):
            Road(geometry, 5)
    with pytest.raises(ValueError, match="finite"):
        Road(LineString([(0, 0), (np.inf, 1)]), 5)
