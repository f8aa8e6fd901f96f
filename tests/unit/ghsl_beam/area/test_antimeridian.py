"""Areas across 180 degrees: cut as the library `antimeridian` does, and where it does otherwise."""

import antimeridian
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from ghsl_beam.area.antimeridian import polygonal, unwrapped, within_180
from transforms.elements import RequestError


def by_library(geometry):
    return antimeridian.fix_multi_polygon(polygonal(geometry), fix_winding=True, great_circle=False)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-540, 440),
    st.floats(-80, 70),
    st.floats(0.1, 100),
    st.floats(0.1, 9),
    st.booleans(),
)
def test_one_shape_is_cut_as_the_library_cuts_it(west, south, width, height, is_round):
    shape = shapely.box(west, south, west + width, south + height)
    if is_round:
        shape = shapely.Point(west, south).buffer(height)
    # The library gives latitudes of the cut to seven decimals.
    difference = within_180(shape).symmetric_difference(by_library(shape))
    assert difference.area <= 1e-6 * shape.length


def test_polygons_that_overlap_after_the_cut_are_one():
    shape = shapely.union_all([shapely.box(175, 0, 195, 10), shapely.box(-179, 5, -165, 12)])
    assert not by_library(shape).is_valid
    assert within_180(shape).is_valid
    assert within_180(shape).area == pytest.approx(20 * 10 + 14 * 7 - 14 * 5, rel=1e-9)


@pytest.mark.parametrize(("west", "east"), [(-170, 30), (-30, 330), (10, 200)])
def test_a_box_of_more_than_half_the_globe_keeps_its_area(west, east):
    shape = shapely.box(west, -10, east, 10)
    assert within_180(shape).area == pytest.approx(20 * (east - west), rel=1e-9)
    try:
        area = by_library(shape).area
    except ValueError:
        area = 0
    assert area != pytest.approx(20 * (east - west), rel=0.01)


def test_an_edge_that_may_go_either_way_is_refused():
    polygon = shapely.Polygon([(-60, 0), (130, 0), (130, 10), (-60, 10)])
    taken = antimeridian.fix_polygon(polygon, fix_winding=True, great_circle=False)
    assert taken.area != pytest.approx(polygon.area)  # without a word
    with pytest.raises(
        RequestError, match="190 degrees wide and may go either way around the globe"
    ):
        unwrapped("area", polygon)


def test_a_ring_round_a_pole_is_refused():
    polygon = shapely.Polygon([(0, 80), (120, 80), (-120, 80)])
    taken = antimeridian.fix_polygon(polygon, fix_winding=True, great_circle=False)
    assert taken.bounds[3] == 90  # without a word
    with pytest.raises(RequestError, match="goes around a pole"):
        unwrapped("area", polygon)
