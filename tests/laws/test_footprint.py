"""Footprints hold the data, wherever it lies."""

import json

import antimeridian
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ghsl_beam.outputs import footprint as module
from ghsl_beam.outputs.footprint import footprint, narrowest_box


def check(crs, bounds, size=150):
    """Every pixel centre that is on the globe lies in the footprint and its box; returns both."""
    left, bottom, right, top = bounds
    x, y = np.meshgrid(
        left + (right - left) * (np.arange(size) + 0.5) / size,
        bottom + (top - bottom) * (np.arange(size) + 0.5) / size,
    )
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(x.ravel(), y.ravel())
    here = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = (lon[here] + 180) % 360 - 180, lat[here]
    made = footprint(crs, bounds)
    west, south, east, north = box = narrowest_box(p.bounds for p in shapely.get_parts(made))
    assert made.is_valid
    assert shapely.covers(made, shapely.points(lon, lat)).all()
    in_box = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    assert (in_box & (lat >= south) & (lat <= north)).all()
    for part in shapely.get_parts(made):
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)
        assert part.bounds[0] >= -180
        assert part.bounds[2] <= 180
        assert part.bounds[1] >= -90
        assert part.bounds[3] <= 90
    assert len(json.dumps(shapely.to_geojson(made))) < 60_000
    return made, box


def around(crs, lon, lat, side):
    """A square about a place, to the 1000 m."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    x, y = round(x, -3), round(y, -3)
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


@pytest.mark.parametrize(
    ("crs", "lon", "lat", "side"),
    [
        ("EPSG:32760", 179.9, -17.8, 109_800),  # Fiji
        ("EPSG:32701", -179.9, -17.8, 109_800),
        ("EPSG:32633", 15, 70, 109_800),
        ("EPSG:32635", 27, 83.9, 109_800),
        ("EPSG:32601", -179.9, 83.5, 109_800),
        ("EPSG:32719", -70, -79.9, 109_800),
        ("EPSG:3413", 0, 89.9, 1_000_000),  # the pole within
        ("EPSG:3413", -45, 80, 1_000_000),
        ("EPSG:3413", 180, 75, 1_000_000),
        ("EPSG:3031", 100, -85, 2_000_000),
        ("EPSG:3035", 10, 52, 1_000_000),
        ("EPSG:3857", 179.9, 60, 1_000_000),
        ("EPSG:6933", 179.9, 10, 1_000_000),
        ("ESRI:54009", 10, 52, 1_000_000),
        ("ESRI:54009", 179.9, 0, 1_000_000),
        ("ESRI:54009", -179.9, 65, 1_000_000),
        ("ESRI:54009", 150, 70, 1_000_000),
        ("ESRI:54009", 0, 84, 1_000_000),
        ("ESRI:54009", 0, -89, 1_000_000),
        ("ESRI:54030", 179, 40, 1_000_000),
    ],
)
def test_every_place_of_a_raster_lies_in_its_footprint(crs, lon, lat, side):
    check(crs, around(crs, lon, lat, side))


@pytest.mark.parametrize("row", [1, 2, 3, 6, 9, 10, 16, 18])
def test_ghsls_tiles_at_mollweides_edge(row):
    """The tiles at both edges of the world, in each row where one reaches over it."""
    top = 9_000_000 - (row - 1) * 1e6
    to_degrees = pyproj.Transformer.from_crs("ESRI:54009", "EPSG:4326", always_xy=True)
    seen = 0
    for col in range(1, 38):
        left = -18_041_000 + (col - 1) * 1e6
        x, y = np.meshgrid(np.linspace(left, left + 1e6, 30), np.linspace(top - 1e6, top, 30))
        finite = np.isfinite(to_degrees.transform(x, y)[0])
        if finite.any() and not finite.all():
            check("ESRI:54009", (left, top - 1e6, left + 1e6, top))
            seen += 1
    assert seen >= 2


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["ESRI:54009", "EPSG:3413", "EPSG:3031", "ESRI:54030"]),
    st.integers(-180, 179),
    st.integers(-90, 89),
    st.sampled_from([1, 4, 10]),
)
def test_any_cell_of_a_grid(crs, col, row, cells):
    bounds = (1e5 * col, 1e5 * row, 1e5 * (col + cells), 1e5 * (row + cells))
    x, y = np.meshgrid(np.linspace(*bounds[::2], 20), np.linspace(*bounds[1::2], 20))
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    if np.isfinite(to_degrees.transform(x, y)[0]).any():
        check(crs, bounds, 60)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.booleans(), st.integers(10, 89), st.integers(0, 92))
def test_any_mgrs_tile(zone, south, east, north):
    ulx, uly = 1e4 * east, 1e5 * north + 109_800
    check(f"EPSG:{32600 + 100 * south + zone}", (ulx, uly - 109_800, ulx + 109_800, uly), 60)


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("ESRI:54009", (11_459_000, 6_900_000, 11_559_000, 7_000_000)),
        ("ESRI:54009", (12_759_000, 6_300_000, 12_859_000, 6_400_000)),
        ("EPSG:6933", (-13_000_000, 7_000_000, -12_000_000, 8_000_000)),  # up to the pole
    ],
)
def test_the_outermost_pixels_at_the_edge_of_the_world(crs, bounds):
    """Pixels of 10 m along the four edges of a raster that reaches over the edge."""
    left, bottom, right, top = bounds
    across = np.linspace(left + 5, right - 5, 10_000)
    down = np.linspace(bottom + 5, top - 5, 10_000)
    x = np.concatenate([across, across, np.full(10_000, left + 5), np.full(10_000, right - 5)])
    y = np.concatenate([np.full(10_000, bottom + 5), np.full(10_000, top - 5), down, down])
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    here = np.isfinite(lon) & np.isfinite(lat)
    assert here.any()
    assert shapely.intersects_xy(footprint(crs, bounds), lon[here], lat[here]).all()


def test_a_footprint_is_hardly_larger_than_the_raster():
    bounds = around("EPSG:32633", 15, 52, 109_800)
    made, _ = check("EPSG:32633", bounds)
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(made)
    assert area == pytest.approx(109_800**2, rel=2e-3)  # UTM itself is off by up to 0.08 %
    cell = around("ESRI:54009", 10, 52, 1_000_000)
    made, _ = check("ESRI:54009", cell)
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(made)
    assert area == pytest.approx(1e12, rel=1e-2)


def test_across_the_antimeridian_it_is_two_and_the_box_runs_over_it():
    made, (west, _, east, _) = check("EPSG:32760", around("EPSG:32760", 179.9, -17.8, 109_800))
    assert made.geom_type == "MultiPolygon"
    assert west > east
    assert east + 360 - west < 2
    made, (west, _, east, _) = check("EPSG:4326", (-180.0079166667, 49.09958, -170.00791, 59.09958))
    assert made.geom_type == "MultiPolygon"
    assert (west, east) == (pytest.approx(179.99208, abs=1e-4), pytest.approx(-170.0079, abs=1e-4))


def test_around_a_pole_it_has_all_longitudes():
    _, (west, south, east, north) = check("EPSG:3413", (-5e5, -5e5, 5e5, 5e5))
    assert (west, east, north) == (-180, 180, 90)
    assert south == pytest.approx(83.5, abs=0.5)


def by_strips(geometry):
    """Each turn of the globe cut out and moved, without a library."""
    turns = [
        shapely.transform(
            geometry.intersection(shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)),
            lambda points, turn=turn: points - np.array([360.0 * turn, 0.0]),
        )
        for turn in (-2, -1, 0, 1, 2)
    ]
    return shapely.union_all([part for part in turns if part.area > 0])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["EPSG:4326", "EPSG:32601", "EPSG:32660", "EPSG:32701", "EPSG:32760"]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0.01, 1),
)
@example("EPSG:32701", 0.25, 0.0, 1.0)  # which the library's version 0.4.0 gets wrong
def test_the_library_cuts_as_strips_do(crs, x, y, size):
    """Of rasters without a pole; those in degrees are up to 300 degrees wide."""
    if crs == "EPSG:4326":
        left, bottom = 150 + 40 * x, -80 + 140 * y
        bounds = (left, bottom, left + 300 * size, bottom + 20 * size)
    else:
        left, bottom = 1e5 + 7e5 * x, 1e6 + 8e6 * y
        bounds = (left, bottom, left + 2e5 * size, bottom + 2e5 * size)
    cut = []

    def both(geometry):
        cut.append((by_strips(geometry), within(geometry)))
        return cut[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        within = module._within_180
        patch.setattr(module, "_within_180", both)
        footprint(crs, bounds)
    ((expected, found),) = cut
    # The library gives latitudes of the cut to seven decimals.
    assert expected.symmetric_difference(found).area <= 1e-6 * expected.length


def test_the_box_of_many_is_narrower_than_the_library_makes_it():
    boxes = [(170, 0, 175, 5), (-175, 0, -170, 5)]
    assert narrowest_box(boxes) == [170, 0, -170, 5]
    shapes = shapely.MultiPolygon([shapely.box(*box) for box in boxes])
    assert antimeridian.bbox(shapes) == [-175, 0, 175, 5]
