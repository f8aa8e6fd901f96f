"""A run's built-up area against a reference."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import Geod, Transformer
from rasterio.features import rasterize
from rasterio.transform import from_origin

from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from ghsl_beam.tools.validate import validate
from tests.support.references import PERCENT, layer, write
from transforms.elements import RequestError


def houses(rows: int, cols: int) -> np.ndarray:
    """A mask of small buildings."""
    random = np.random.default_rng(0)
    mask = np.zeros((rows, cols), "uint8")
    for row, col in random.integers(0, (rows, cols), (rows * cols // 400, 2)):
        mask[row : row + random.integers(3, 12), col : col + random.integers(3, 12)] = 1
    return mask


def test_a_fine_mask_is_averaged_by_area(tmp_path: Path) -> None:
    mask = houses(300, 400)
    exact = mask.reshape(60, 5, 80, 5).mean((1, 3))
    layer(tmp_path, np.rint(exact * 100).astype("uint8"))
    write(tmp_path / "ref.tif", mask, None, transform=from_origin(330000, 5822040, 2, 2))
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="mask")
    assert got["rmse"] == pytest.approx(0, abs=1e-9)  # 1 of 25 is a whole percent
    assert got["pixels"] == 60 * 80


def test_a_fine_mask_off_the_grid_is_averaged_by_area(tmp_path: Path) -> None:
    """3 m, shifted by 0.7 and 1.3 m: against exact fractions from pieces of 0.1 m."""
    mask = houses(120, 130)
    layer(tmp_path, np.zeros((20, 20), "uint8"))
    place = from_origin(330000 - 20 - 0.7, 5822040 + 30 + 1.3, 3, 3)
    write(tmp_path / "ref.tif", mask, None, transform=place)
    small = np.kron(mask, np.ones((30, 30)))[313:2313, 207:2207]
    exact = small.reshape(20, 100, 20, 100).mean((1, 3))
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="mask")
    assert got["reference_m2"] == pytest.approx(100 * exact.sum(), abs=1e-6)
    assert got["rmse"] == pytest.approx(np.sqrt((exact**2).mean()), abs=1e-9)


@pytest.mark.parametrize("how", ["south up", "right to left", "another name", "turned", "degrees"])
def test_however_the_reference_lies(tmp_path: Path, how: str) -> None:
    """One square town of 400 m, seen in rasters that lie in different ways."""
    values = np.zeros((100, 120), "uint8")
    values[30:70, 20:60] = 100
    layer(tmp_path, values)
    left, top = 330000, 5822040
    town = shapely.box(left + 200, top - 700, left + 600, top - 300)
    place: dict[str, object] = {
        "south up": {"transform": Affine(2, 0, left, 0, 2, top - 1000)},
        "right to left": {"transform": Affine(-2, 0, left + 1200, 0, -2, top)},
        "another name": {"transform": from_origin(left, top, 2, 2), "crs": "EPSG:25833"},
        "turned": {
            "transform": Affine.translation(left + 600, top + 800)
            * Affine.rotation(-37)
            * Affine.scale(2, -2)
        },
        "degrees": {"transform": from_origin(12.48, 52.53, 2e-5, 2e-5), "crs": "EPSG:4326"},
    }[how]
    rows, cols = (1100, 1200) if how in ("turned", "degrees") else (500, 600)
    crs = place.get("crs", "EPSG:32633")
    into = Transformer.from_crs("EPSG:32633", crs, always_xy=True)
    if how == "degrees":
        lon, lat = into.transform(left, top)
        place["transform"] = from_origin(lon - 0.003, lat + 0.001, 2e-5, 2e-5)
    shape = shapely.transform(shapely.segmentize(town, 10), into.transform, interleaved=False)
    mask = rasterize([shape], out_shape=(rows, cols), transform=place["transform"])
    write(tmp_path / "ref.tif", mask, None, **place)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="mask")
    assert got["overlap_percent"] > 95
    assert got["reference_m2"] == pytest.approx(160_000, rel=0.01)
    assert got["iou"] > 0.97
    exact = how in ("south up", "right to left", "another name")
    assert got["rmse"] < (1e-6 if exact else 0.04)


def test_a_coarse_reference_is_compared_on_its_own_pixels(tmp_path: Path) -> None:
    """100 m of the mean of the layer agree wholly; so do degrees of a level."""
    values = np.random.default_rng(3).integers(0, 101, (200, 300)).astype("uint8")
    layer(tmp_path, values)
    means = values.reshape(20, 10, 30, 10).mean((1, 3))
    hundred = {"transform": from_origin(330000, 5822040, 100, 100)}
    write(tmp_path / "ref.tif", (means * 100).astype("float32"), None, **hundred)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="m2")
    assert got["pixels"] == 600
    assert got["rmse"] == pytest.approx(0, abs=1e-6)
    assert got["product_m2"] == pytest.approx(values.sum())
    assert got["compared_at"] == "100 m, pixels of the reference"
    assert (got["overlap_percent"], got["files"]) == (100, {})
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(330000, 5822040)
    degrees = {"transform": from_origin(lon - 0.01, lat + 0.01, 5e-4, 5e-4), "crs": "EPSG:4326"}
    write(tmp_path / "ref.tif", np.full((99, 130), 0.5, "float32"), None, **degrees)
    layer(tmp_path, np.full((200, 300), 50, "uint8"))
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="fraction")
    assert got["rmse"] == pytest.approx(0, abs=1e-6)
    assert 60 < got["overlap_percent"] < 100  # what lies wholly on the layer


def test_a_pixel_that_is_larger_than_the_layer(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    huge = {"transform": from_origin(300000, 5900000, 100_000, 100_000)}
    write(tmp_path / "ref.tif", np.full((1, 1), 0.2, "float32"), None, **huge)
    with pytest.raises(RequestError, match="nothing to compare"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="fraction")


def test_ground_that_tiles_share_counts_once(tmp_path: Path) -> None:
    """33UUU and 33UVU share ground; a pixel is the nearer tile's, of those with data."""
    place = {"transform": from_origin(404000, 5822040, 10, 10)}
    mine, theirs = np.full((40, 200), 100, "uint8"), np.full((40, 200), 50, "uint8")
    theirs[:20, :150] = 255
    layer(tmp_path, mine, "33UUU", **place)
    layer(tmp_path, theirs, "33UVU", **place)
    line = (mgrs_tile("33UUU").ulx + mgrs_tile("33UVU").ulx) / 2 + 54_900
    cols = 404000 + 10 * np.arange(200) + 5
    east = np.broadcast_to(cols > line, (40, 200)) & (theirs != 255)
    assert 0 < east.mean() < 1
    write(tmp_path / "ref.tif", np.where(east, 50, 100).astype("uint8"), None, **place)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
    assert got["pixels"] == 40 * 200
    assert got["rmse"] < 0.05  # the line between the tiles may run a pixel beside the middle
    numbers = [file["pixels"] for file in got["files"].values()]
    assert sum(numbers) == 8000
    assert numbers[1] == pytest.approx(east.sum(), abs=40)


def test_a_reference_elsewhere_is_refused(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", PERCENT, 255, transform=from_origin(730000, 5822040, 10, 10))
    with pytest.raises(RequestError, match=r"does not overlap BUFRAC of .*nothing to compare"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
    boxes(tmp_path / "far.gpkg", shapely.box(105, 0, 105.1, 0.1))
    with pytest.raises(RequestError, match="does not overlap BUFRAC"):
        validate(str(tmp_path), f"{tmp_path}/far.gpkg")
    write(tmp_path / "ref.tif", PERCENT[:3], 255)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
    assert got["overlap_percent"] == pytest.approx(10)
    assert got["warnings"] == ["the reference covers 10 % of the layer's ground"]


def test_polygon_reference(tmp_path: Path) -> None:
    values = np.zeros((20, 20), "uint8")
    values[5:10, 5:15] = 100
    layer(tmp_path, values)
    box = shapely.box(330050, 5822040 - 100, 330150, 5822040 - 50)
    twice = shapely.box(330050, 5822040 - 100, 330120, 5822040 - 50)
    document = json.loads(shapely.to_geojson(shapely.MultiPolygon([box])))
    second = json.loads(shapely.to_geojson(twice))
    collection = {"type": "GeometryCollection", "geometries": [document, second]}
    collection["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    (tmp_path / "reference.geojson").write_text(json.dumps(collection))
    got = validate(str(tmp_path), f"{tmp_path}/reference.geojson")
    assert (got["precision"], got["recall"], got["iou"]) == (1, 1, 1)
    assert got["reference_m2"] == pytest.approx(5000, rel=0.01)
    assert got["overlap_percent"] == pytest.approx(100 * 50 / 400, rel=0.2)
    with pytest.raises(RequestError, match="has polygons; leave out --unit"):
        validate(str(tmp_path), f"{tmp_path}/reference.geojson", unit="mask")


def boxes(path: Path, *shapes: shapely.Geometry, layer: str = "a", append: bool = False) -> None:
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    kind = {"geometry_type": "Polygon", "crs": "EPSG:4326", "driver": "GPKG"}
    pyogrio.raw.write(path, wkb, [], [], layer=layer, append=append, **kind)


@pytest.mark.parametrize(
    ("epsg", "layer", "file"),
    [
        (32633, "BUFRAC", "utm/33UUU/BUFRAC_E2017_x_33UUU.tif"),
        (32633, "BUILT_S", "grid/32633_10/BUILT_S_E2017_x.tif"),
        (32701, "BUFRAC", "utm/01KAB/BUFRAC_E2017_x_01KAB.tif"),
        (32701, "BUILT_S", "grid/32701_10/BUILT_S_E2017_x.tif"),
    ],
)
def test_polygons_elsewhere_in_the_world_do_not_count(
    tmp_path: Path, epsg: int, layer: str, file: str
) -> None:
    """A tile may cross the antimeridian: the built-up of zone 1 lies there on both sides."""
    corner = {32633: (330000, 5822040), 32701: (177550, 8100000)}[epsg]
    place = {"crs": f"EPSG:{epsg}", "transform": from_origin(*corner, 10, 10)}
    write(tmp_path / file, np.full((100, 400), 100, "uint8"), 255, **place)
    left, top = corner
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    near = []
    for x in (left + 500, left + 3500):
        lon, lat = to_degrees.transform(x, top - 500)
        near.append(shapely.box(lon - 0.001, lat - 0.001, lon + 0.001, lat + 0.001))
    far = [shapely.box(lon, 0, lon + 0.1, 0.1) for lon in (105, -75, 12, -170)]
    boxes(tmp_path / "near.gpkg", *near)
    boxes(tmp_path / "all.gpkg", *near, *far)
    expected = validate(str(tmp_path), f"{tmp_path}/near.gpkg", layer=layer)
    assert expected["reference_m2"] > 60_000
    found = validate(str(tmp_path), f"{tmp_path}/all.gpkg", layer=layer)
    same = ("reference_m2", "product_m2", "pixels", "rmse", "f1", "files")
    assert {key: found[key] for key in same} == {key: expected[key] for key in same}


def test_a_grid_beyond_the_ellipse_still_finds_its_polygons(tmp_path: Path) -> None:
    place = {"crs": "ESRI:54009", "transform": from_origin(-18041000, 1000000, 2500, 2500)}
    write(tmp_path / "grid/54009/BUILT_S_E2017_x.tif", np.zeros((400, 400), "uint8"), 255, **place)
    boxes(tmp_path / "far.gpkg", shapely.box(-179.9, 0.1, -179.4, 0.9), shapely.box(105, 0, 106, 1))
    found = validate(str(tmp_path), f"{tmp_path}/far.gpkg", layer="BUILT_S")
    assert found["reference_m2"] == pytest.approx(0.5 * 0.8 * 111.3e3 * 110.6e3, rel=0.02)


def test_a_layer_of_a_geopackage_is_named_as_the_hint_says(tmp_path: Path) -> None:
    write(tmp_path / "utm/33UUU/BUFRAC_E2017_x.tif", np.full((9, 9), 100, "uint8"), 255)
    reference = f"{tmp_path}/two.gpkg"
    for name in ("one", "two"):
        boxes(tmp_path / "two.gpkg", shapely.box(12, 52, 13, 53), layer=name, append=name > "one")
    with pytest.raises(RequestError, match=r"name one as two\.gpkg\|layer"):
        validate(str(tmp_path), reference)
    assert validate(str(tmp_path), f"{reference}|one")["reference_m2"] == 8100
    with pytest.raises(RequestError, match=r"has no layer 'three'; it has one, two"):
        validate(str(tmp_path), f"{reference}|three")
    with pytest.raises(RequestError, match=r"none\.gpkg\|one: no such file"):
        validate(str(tmp_path), f"{tmp_path}/none.gpkg|one")


def test_products_of_several_jobs_are_not_mixed(tmp_path: Path) -> None:
    for built, product in enumerate(("E2017_x", "E2020_x", "E2020_x-y")):
        file = tmp_path / f"utm/33UUU/BUFRAC_{product}_33UUU.tif"
        write(file, np.full((9, 9), 50 * built, "uint8"), 255)
    write(tmp_path / "ref.tif", np.ones((9, 9), "float32"), None)
    reference, unit = f"{tmp_path}/ref.tif", "fraction"
    said = "BUFRAC of E2017_x, E2020_x, E2020_x-y; name one with --product, as --product E2017_x$"
    with pytest.raises(RequestError, match=said):
        validate(str(tmp_path), reference, unit=unit)
    assert validate(str(tmp_path), reference, unit=unit, product="E2020_x")["bias"] == -0.5
    assert validate(str(tmp_path), reference, unit=unit, product="E2020_x-y")["bias"] == 0
    with pytest.raises(RequestError, match="has no BUFRAC of E2018_x; it has E2017_x, E2020_x,"):
        validate(str(tmp_path), reference, unit=unit, product="E2018_x")


def test_grid_layer(tmp_path: Path) -> None:
    grid = {"crs": "ESRI:54009", "transform": from_origin(900000, 6200000, 100, 100)}
    values = np.full((5, 5), 2500, "uint16")
    write(tmp_path / "grid/54009_100/BUILT_S_E2017_x.tif", values, 65535, **grid)
    write(tmp_path / "ref.tif", np.full((5, 5), 0.25, "float32"), None, **grid)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", layer="BUILT_S", unit="fraction")
    assert got["rmse"] == 0
    assert got["product_m2"] == 25 * 2500


def test_square_metres_in_degrees(tmp_path: Path) -> None:
    """Against the area of the cells on the ellipsoid by another way, a geodesic polygon."""
    grid = {"crs": "EPSG:4326", "transform": from_origin(12.5, 52.6, 1 / 120, 1 / 120)}
    geod, side, ends = Geod(ellps="WGS84"), 1 / 120, []
    for north in (52.6, 52.6 - 7 * side):
        cell = shapely.segmentize(shapely.box(12.5, north - side, 12.5 + side, north), 1e-4)
        ends.append(abs(geod.geometry_area_perimeter(cell)[0]))
    half = np.linspace(*ends, 8)[:, np.newaxis] / 2
    values = np.broadcast_to(half, (8, 6)).astype("float64")
    write(tmp_path / "grid/4326_30ss/BUILT_S_E2017_x.tif", values, -1, **grid)
    write(tmp_path / "ref.tif", np.full((8, 6), 0.5, "float32"), None, **grid)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", layer="BUILT_S", unit="fraction")
    assert got["rmse"] < 1e-5
    assert got["product_m2"] == pytest.approx(values.sum(), rel=1e-5)
    write(tmp_path / "grid/4326_3ss/BUILT_S_E2017_x.tif", values, -1, **grid)
    with pytest.raises(RequestError, match="BUILT_S of 4326_30ss, 4326_3ss; name one with --grid"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", layer="BUILT_S", unit="fraction")


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        validate(str(tmp_path), f"{tmp_path}/no.tif")
    write(tmp_path / "ref.tif", np.zeros((3, 3), "uint8"), None)
    with pytest.raises(RequestError, match="has no BUFRAC"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif")
    far = {"transform": from_origin(500000, 5822040, 10, 10)}
    write(tmp_path / "utm/33UVU/BUFRAC_E2017_x_33UVU.tif", np.zeros((3, 3), "uint8"), 255, **far)
    with pytest.raises(RequestError, match="does not overlap"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="mask")
