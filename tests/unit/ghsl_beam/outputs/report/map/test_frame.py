"""The frame of the pictures: where it lies, and which pixels of it something covers."""

import pytest
import shapely
from pyproj import Transformer

from ghsl_beam.outputs.report.map.frame import LONGEST, frame_around

BOXES = {
    "a town": (12.53, 52.455, 12.72, 52.515),
    "Fiji": (176.8, -19.3, -178.2, -16.0),
    "Svalbard": (10.0, 76.5, 34.0, 80.9),
    "the end of the tiles": (-40.0, 82.9, -20.0, 84.0),
    "a continent": (-18.0, -35.0, 52.0, 38.0),
    "a house": (12.6, 52.4, 12.60001, 52.40001),
    "the world": (-180.0, -60.0, 180.0, 84.0),
}


@pytest.mark.parametrize("name", BOXES)
def test_a_frame_holds_its_box(name):
    west, south, east, north = BOXES[name]
    east += 360 * (east < west)
    frame = frame_around([BOXES[name]])
    left, bottom, right, top = frame.degrees
    assert bottom <= south
    assert top >= north
    assert left <= west + 1e-9
    assert right >= east - 1e-9
    assert max(frame.rows, frame.cols) <= LONGEST
    assert frame.ground >= 9.9


def test_positions_are_those_of_proj():
    frame = frame_around([BOXES["a town"]])
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    for place in ((12.6, 52.5), (12.72, 52.455)):
        assert frame.transform * frame.place(*place) == pytest.approx(to_mercator.transform(*place))


def test_the_part_of_a_frame_across_180_degrees():
    frame = frame_around([BOXES["Fiji"]])
    east = frame.part(shapely.box(-180, -18, -179, -17))
    west = frame.part(shapely.box(179, -18, 180, -17))
    both = frame.part(shapely.MultiPolygon([shapely.box(-180, -18, -179, -17),
                                            shapely.box(179, -18, 180, -17)]))  # fmt: skip
    assert west.col_off + west.width == pytest.approx(east.col_off, abs=1)
    assert (both.col_off, both.width) == (west.col_off, east.col_off + east.width - west.col_off)
    assert frame.part(shapely.box(10, 50, 11, 51)) is None


def test_without_a_box_the_frame_is_the_world():
    west, _, east, _ = frame_around([]).degrees
    assert east - west == pytest.approx(360, abs=1)
