"""Lines of the map: outline, coast and graticule."""

import pytest
import shapely

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.outputs.outline import outline_of, recorded_outline
from ghsl_beam.outputs.report.map.backdrop import backdrop_of, graticule, in_words, scale_bar
from ghsl_beam.outputs.report.map.frame import frame_around
from ghsl_beam.outputs.report.map.land import land

FIJI = (176.8, -19.3, -178.2, -16.0)


@pytest.mark.parametrize(
    ("place", "on_land"),
    [((178.0, -17.8), True), ((179.3, -16.5), True), ((175.0, -18.0), False), ((12.5, 42), True)],
)
def test_land_is_where_it_is(place, on_land):
    lon, lat = place
    around = (lon - 3, lat - 3, lon + 3, lat + 3)
    assert land(around).contains(shapely.Point(place)) == on_land


def test_coasts_do_not_run_along_180_degrees():
    lines = backdrop_of(frame_around([(178.0, 62.0, -170.0, 70.0)]), None).coast
    at_180 = lines.intersection(shapely.LineString([(180, 60), (180, 72)]).buffer(0.01))
    assert at_180.length < 0.1
    assert lines.length > 1


def test_land_alone_is_no_coast():
    lines = backdrop_of(frame_around([(12.53, 52.455, 12.72, 52.515)]), None)
    assert lines.coast.is_empty
    assert lines.land.is_empty


def test_an_outline_across_180_degrees_lies_in_its_frame():
    area = read_area(FIJI, ".").geometry
    outline = recorded_outline({"outline": outline_of(area)})
    frame = frame_around([part.bounds for part in outline.geoms])
    drawn = backdrop_of(frame, outline).outline
    assert drawn.bounds == pytest.approx((176.8, -19.3, 181.8, -16.0))
    assert drawn.geom_type == "Polygon"


def test_an_outline_is_small_and_near():
    angles = shapely.Point(0, 0).buffer(1, quad_segs=20_000)
    outline = recorded_outline({"outline": outline_of(angles)})
    assert shapely.get_num_coordinates(outline) <= 3000
    assert outline.symmetric_difference(angles).area < 0.01


@pytest.mark.parametrize(
    "outline", [None, [], [[]], [[[[0, 0], [1, 1]]]], [[[[0, 0], [1e9, 0], [1, 1], [0, 0]]]],
                [[[[0, 0], [float("nan"), 0], [1, 1], [0, 0]]]], [[[[0], [1], [2], [0]]]]],
)  # fmt: skip
def test_outlines_that_are_none(outline):
    assert recorded_outline({"outline": outline}) is None


@pytest.mark.parametrize(
    "box", [FIJI, (12.53, 52.455, 12.72, 52.515), (-18, -35, 52, 38), (20, 80, 30, 84)]
)
def test_a_graticule_has_some_lines(box):
    frame = frame_around([box])
    lines = list(graticule(frame))
    assert 2 <= len(lines) <= 12
    for axis, _, place in lines:
        assert 0 <= place <= (frame.cols if axis == "lon" else frame.rows)


def test_degrees_in_words():
    assert in_words("lon", 12.55) == "12.55° E"
    assert in_words("lon", 180.0) == "180°"
    assert in_words("lat", -17.5) == "17.5° S"


def test_a_scale_bar_has_the_length_it_states():
    frame = frame_around([(12.53, 52.455, 12.72, 52.515)])
    pixels, words = scale_bar(frame)
    assert words == "2 km"
    assert pixels * frame.ground == pytest.approx(2000)
