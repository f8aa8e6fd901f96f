import numpy as np
import pyogrio
import pytest
import shapely

from transforms.cleaning.clean import clean
from transforms.cleaning.parameters import CleaningParameters
from transforms.cleaning.road_file import RoadSource
from transforms.elements import RasterError, Window, part_of, utm_grid

GRID = utm_grid(32633, 330000, 5820000, 60, 60)


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
    roads = source.near(GRID)
    assert [road.width for road in roads] == [12.0]
    raw, s2 = np.full((60, 60), 6000, "uint16"), np.full((4, 60, 60), 1000, "uint16")
    parameters = CleaningParameters(ndvi_above=None, ndwi_above=None, minimum_pixels=None)
    result = clean(raw, s2, parameters, roads=roads, grid=GRID)
    assert (result[24] == 0).all()  # the centre line runs through this row's centres
    assert (result[[23, 25]] == 30).all()  # 1 m of the road lies in these
    assert (result[[22, 26]] == 60).all()


def test_a_file_without_the_field_is_named(tmp_path, two_roads):
    source = write(tmp_path / "roads.gpkg", two_roads, [12.0, 12.0], name="breadth")
    with pytest.raises(RasterError, match=r"roads\.gpkg.*width"):
        source.near(GRID)


def test_a_width_beyond_reach_is_refused(tmp_path, two_roads):
    source = write(tmp_path / "roads.gpkg", two_roads, [12.0, 900.0])
    with pytest.raises(RasterError, match="900"):
        source.near(part_of(GRID, Window(0, 0, 2000, 2000)))


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize(("wrong", "said"), [(np.nan, "no width"), (500.0, "500"), (-1.0, "-1")])
def test_a_wrong_width_is_refused_in_any_order(tmp_path, two_roads, order, wrong, said):
    widths = np.array([12.0, wrong])[order]
    source = write(tmp_path / "roads.gpkg", two_roads, widths)
    with pytest.raises(RasterError, match=said):
        source.near(part_of(GRID, Window(0, 0, 2000, 2000)))
    with pytest.raises(RasterError, match=rf"roads\.gpkg: feature \d+: .*{said}"):
        source.check()


def test_a_nan_does_not_hide_a_width_beyond_reach(tmp_path, two_roads):
    source = RoadSource(str(tmp_path / "roads.gpkg"), "width")
    for widths in ([np.nan, 500.0], [500.0, np.nan]):
        with pytest.raises(RasterError):
            source._widths(widths)


SQUARE = shapely.box(330000, 5819000, 330100, 5819100)


@pytest.mark.parametrize(
    ("values", "geometries", "kind", "said"),
    [
        ([12.0, 3.0], [SQUARE, SQUARE], "Polygon", "type Polygon, expected lines"),
        ([12.0, 3.0], [None, SQUARE], "Unknown", "feature 2 is not a line"),
        ([12.0, 3.0], [None, None], None, "no geometries"),
        (np.array(["12", "wide"], object), None, "LineString", "'wide', not a number"),
        (np.array(["12", None], object), None, "LineString", "no width"),
        ([True, False], None, "LineString", "bool, expected metres"),
        ([], [], "LineString", "empty"),
    ],
)
def test_what_is_no_roads_file(tmp_path, two_roads, values, geometries, kind, said):
    lines = two_roads if geometries is None else geometries
    file = tmp_path / "roads.gpkg"
    pyogrio.raw.write(
        file,
        shapely.to_wkb(np.array(lines, dtype=object)) if kind else None,
        [np.array(values, float if not len(values) else None)],
        ["width"],
        crs="EPSG:32633" if kind else None,
        geometry_type=kind,
        driver="GPKG",
    )
    with pytest.raises(RasterError, match=said) as caught:
        RoadSource(str(file), "width").check()
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb"])
def test_what_is_one(tmp_path, two_roads, suffix):
    """Widths at both ends of the range, whole numbers or text, a line of several parts."""
    lines = [shapely.force_3d(two_roads[0]), shapely.force_3d(two_roads[1])]
    for number, widths in enumerate(([0.0, 200.0], [0, 200], np.array(["0", "20.5"], object))):
        file = tmp_path / f"roads{number}.{suffix}"
        pyogrio.raw.write(
            file,
            shapely.to_wkb(np.array(lines, dtype=object), output_dimension=3),
            [np.array(widths)],
            ['wi"dth' if suffix != "shp" else "width"],
            crs="EPSG:32633",
            geometry_type="LineString Z",
        )
        RoadSource(str(file), 'wi"dth' if suffix != "shp" else "width").check()


@pytest.mark.parametrize("name", ["roads.vrt", "other.gpkg"])
def test_a_file_that_names_others_is_refused(tmp_path, two_roads, name):
    write(tmp_path / "roads.gpkg", two_roads, [12.0, 12.0])
    virtual = tmp_path / name
    virtual.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="roads"><SrcDataSource relativeToVRT="1">roads.gpkg'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    with pytest.raises(RasterError, match=rf"{name}: .*(without a known extension|but XML)"):
        RoadSource(str(virtual), "width").check()
