"""The area of interest: what lies outside is nodata, what lies inside does not depend on it."""

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from scipy.ndimage import maximum_filter

from tests.pipeline.conftest import COLS, ROWS, ULX, ULY
from tests.support.jobs import layers, make, write_job
from transforms.inference import CONTEXT

NODATA = {
    "S2_COUNT": 65535,
    "BUFRAC_RAW": 65535,
    "BUFRAC": 255,
    "RES_NRES": 255,
    "GREENNESS": -32768,
}


@pytest.fixture(scope="module")
def two_parts():
    """Two polygons in UTM, one with a hole."""
    one = shapely.Point(ULX + 2500, ULY - 2500).buffer(1500)
    hole = shapely.Point(ULX + 2300, ULY - 2600).buffer(400)
    other = shapely.box(ULX + 6003, ULY - 5007, ULX + 8001, ULY - 3999)
    return shapely.union(one.difference(hole), other)


@pytest.fixture(scope="module")
def made_in_parts(two_parts, archive, tmp_path_factory):
    to_lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    # Straight in UTM is not straight in longitude and latitude: many points keep the outline.
    dense = shapely.segmentize(two_parts, 50)
    wkt = shapely.transform(dense, to_lonlat.transform, interleaved=False).wkt
    grids = [
        {"crs": "ESRI:54009", "resolutions": [10, 100, 1000]},
        {"crs": "EPSG:4326", "resolutions": [3, 30]},
    ]
    file = write_job(tmp_path_factory.mktemp("parts"), wkt, archive, block_size=256, grids=grids)
    return make(file)


@pytest.fixture(scope="module")
def inside(two_parts):
    """Pixel centres in the area, on the scene's grid; and those within 1 m of its outline."""
    cols, rows = np.meshgrid(np.arange(COLS), np.arange(ROWS))
    x, y = ULX + 10 * cols + 5, ULY - 10 * rows - 5
    centres = shapely.points(x, y)
    near = shapely.dwithin(two_parts.boundary, centres, 1.0)
    return shapely.contains_xy(two_parts, x, y), near


def on_the_scenes_grid(output, layer, nodata):
    with rasterio.open(output / f"utm/33UUU/{layer}_E2020_town_33UUU.tif") as source:
        found = source.read()
        col, row = round((source.transform.c - ULX) / 10), round((ULY - source.transform.f) / 10)
    whole = np.full((found.shape[0], ROWS, COLS), nodata, found.dtype)
    whole[:, row : row + found.shape[1], col : col + found.shape[2]] = found
    return whole


def test_outside_is_nodata_and_inside_is_not(made_in_parts, inside, scene):
    output, record = made_in_parts
    assert record["exit_code"] == 0
    mask, near = inside
    valid = (scene > 0).all(axis=0)
    for layer in ("BUFRAC_RAW", "BUFRAC", "RES_NRES"):
        found = on_the_scenes_grid(output, layer, NODATA[layer])[0] != NODATA[layer]
        np.testing.assert_array_equal(found[~near], (mask & valid)[~near], layer)
    green = on_the_scenes_grid(output, "GREENNESS", -32768)[0]
    assert not (green[~mask & ~near] != -32768).any()


def test_the_composite_reaches_as_far_as_the_engines(made_in_parts, inside, scene):
    output, _ = made_in_parts
    mask, near = inside
    s2 = on_the_scenes_grid(output, "S2", 0)
    assert (s2[:, mask & ~near] == scene[:, mask & ~near]).all()
    wide = maximum_filter(mask | near, size=2 * CONTEXT + 1, mode="constant")
    assert (s2[:, ~wide] == 0).all()
    sure = maximum_filter(mask & ~near, size=2 * CONTEXT + 1, mode="constant")
    np.testing.assert_array_equal(s2[:, sure], scene[:, sure])


def test_predictions_do_not_depend_on_where_the_area_ends(made_in_parts, made, inside):
    mask, near = inside
    part = on_the_scenes_grid(made_in_parts[0], "BUFRAC_RAW", 65535)[0]
    whole = on_the_scenes_grid(made[0], "BUFRAC_RAW", 65535)[0]
    np.testing.assert_array_equal(part[mask & ~near], whole[mask & ~near])


def test_grids_of_other_systems_and_levels(made_in_parts):
    output, _ = made_in_parts
    bufrac = on_the_scenes_grid(output, "BUFRAC", 255)[0]
    in_utm = bufrac[bufrac != 255].astype("int64").sum()
    sums = {}
    for name in ("54009_10", "54009_100", "54009_1000", "4326_3ss", "4326_30ss"):
        total = 0
        for path in output.glob(f"grid/{name}/BUILT_S_E2020_*.tif"):
            with rasterio.open(path) as source:
                values = source.read(1)
                total += values[values != source.nodata].astype("int64").sum()
        sums[name] = int(total)
    assert sums["54009_10"] == sums["54009_100"] == sums["54009_1000"]
    assert sums["4326_3ss"] == sums["4326_30ss"]
    for total in sums.values():
        assert abs(total / in_utm - 1) < 4e-3  # 4 km² with a long outline: half pixels at the edge
    with rasterio.open(output / "grid/54009_10/BUILT_S_E2020_town_54009_10_all.vrt") as mosaic:
        values = mosaic.read(1)
        assert int(values[values != 255].astype("int64").sum()) == sums["54009_10"]


def test_every_raster_opens(made_in_parts):
    assert len(layers(made_in_parts[0])) >= 6 + 3 + 3 + 3 + 2 + 2
