import numpy as np
import pyogrio
import pytest
import shapely

from transforms.cleaning.clean import clean
from transforms.cleaning.parameters import CleaningParameters
from transforms.cleaning.road_file import RoadSource
from transforms.elements import RasterError, TilePlan, Window

PLAN = TilePlan(
    "33UUU", "33U", 32633, 330000, 5820000, 60, 60, 12.7, 52.4, Window(0, 0, 60, 60), ""
)


def write(path, lines, widths, name="width"):
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(lines, dtype=object)),
        [np.array(widths)],
        [name],
        crs="EPSG:32633",
        geometry_type="LineString",
        driver="GPKG",
    )
    return RoadSource(str(path), "width")


@pytest.fixture
def two_roads():
    across = shapely.LineString([(330000, 5819755), (330600, 5819755)])
    far = shapely.LineString([(340000, 5819755), (340600, 5819755)])
    return [across, far]


def test_roads_near_a_window_take_its_pixels_out(tmp_path, two_roads):
    source = write(tmp_path / "roads.gpkg", two_roads, [12.0, 12.0])
    roads = source.near(PLAN, PLAN.extent)
    assert [road.width for road in roads] == [12.0]
    raw, s2 = np.full((60, 60), 6000, "uint16"), np.full((4, 60, 60), 1000, "uint16")
    parameters = CleaningParameters(ndvi_above=None, ndwi_above=None, minimum_pixels=None)
    result = clean(raw, s2, parameters, roads=roads, window=PLAN.extent, ulx=330000, uly=5820000)
    assert (result[24] == 0).all()  # the centre line runs through this row's centres
    assert (result[[23, 25]] == 30).all()  # 1 m of the road lies in these
    assert (result[[22, 26]] == 60).all()


def test_a_file_without_the_field_is_named(tmp_path, two_roads):
    source = write(tmp_path / "roads.gpkg", two_roads, [12.0, 12.0], name="breadth")
    with pytest.raises(RasterError, match=r"roads\.gpkg.*width"):
        source.near(PLAN, PLAN.extent)


def test_a_width_beyond_reach_is_refused(tmp_path, two_roads):
    source = write(tmp_path / "roads.gpkg", two_roads, [12.0, 900.0])
    with pytest.raises(RasterError, match="900"):
        source.near(PLAN, Window(0, 0, 2000, 2000))
