"""A run's built-up area against a reference."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin
from sklearn import metrics

from ghsl_beam.validate import Agreement, compare, measures, validate
from transforms.elements import RequestError

UTM = {"crs": "EPSG:32633", "transform": from_origin(330000, 5822040, 10, 10)}


def write(path: Path, array: np.ndarray, nodata: float | None, **profile: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"driver": "GTiff", "count": 1, "dtype": array.dtype.name, "nodata": nodata}
    size = {"height": array.shape[0], "width": array.shape[1]}
    with rasterio.open(path, "w", **{**kind, **size, **UTM, **profile}) as target:
        target.write(array, 1)


def test_measures_agree_with_sklearn() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.random((40, 50)), random.random((40, 50))
    ours[3] = np.nan
    theirs[:, 4] = np.nan
    got = measures(compare(ours, theirs, 0.3), 100)
    valid = np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[valid], theirs[valid]
    assert got["pixels"] == valid.sum()
    assert got["rmse"] == pytest.approx(metrics.root_mean_squared_error(b, a))
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(b, a))
    assert got["bias"] == pytest.approx((a - b).mean())
    for name, function in {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
        "iou": metrics.jaccard_score,
    }.items():
        assert got[name] == pytest.approx(function(b >= 0.3, a >= 0.3))
    assert got["product_m2"] == pytest.approx(a.sum() * 100)
    parts = sum(
        (compare(ours[i : i + 7], theirs[i : i + 7], 0.3) for i in range(0, 40, 7)), Agreement()
    )
    assert measures(parts, 100) == pytest.approx(got)


def test_undefined_is_none() -> None:
    assert measures(Agreement(), 1)["rmse"] is None
    assert measures(compare(np.zeros(3), np.zeros(3)), 1)["f1"] is None


@pytest.mark.parametrize(("kind", "factor"), [("uint8", 100), ("uint16", 10000), ("float32", 1)])
def test_raster_reference(tmp_path: Path, kind: str, factor: int) -> None:
    values = np.random.default_rng(1).integers(0, 101, (30, 40)).astype("uint8")
    values[:3] = 255
    write(tmp_path / "utm/33UUU/BUFRAC_E2017_x_33UUU.tif", values, 255)
    reference = np.where(values == 255, 50, values).astype("float64") / 100 * factor
    reference = reference if kind == "float32" else np.rint(reference)
    write(tmp_path / "reference.tif", reference.astype(kind), None)
    got = validate(str(tmp_path), f"{tmp_path}/reference.tif")
    assert got["pixels"] == 27 * 40
    assert got["rmse"] == pytest.approx(0, abs=1e-6)
    assert got["f1"] == 1


def test_polygon_reference(tmp_path: Path) -> None:
    values = np.zeros((20, 20), "uint8")
    values[5:10, 5:15] = 100
    write(tmp_path / "utm/33UUU/BUFRAC_E2017_x_33UUU.tif", values, 255)
    box = shapely.box(330050, 5822040 - 100, 330150, 5822040 - 50)
    document = json.loads(shapely.to_geojson(shapely.MultiPolygon([box])))
    document["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    (tmp_path / "reference.geojson").write_text(json.dumps(document))
    got = validate(str(tmp_path), f"{tmp_path}/reference.geojson")
    assert (got["precision"], got["recall"], got["iou"]) == (1, 1, 1)
    assert got["reference_m2"] == pytest.approx(5000, rel=0.01)


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
    assert found | {"reference": ""} == expected | {"reference": ""}


def test_a_reference_that_lies_elsewhere_is_all_not_built(tmp_path: Path) -> None:
    write(tmp_path / "utm/33UUU/BUFRAC_E2017_x.tif", np.full((9, 9), 100, "uint8"), 255)
    boxes(tmp_path / "far.gpkg", shapely.box(105, 0, 105.1, 0.1))
    assert validate(str(tmp_path), f"{tmp_path}/far.gpkg")["reference_m2"] == 0


def test_a_grid_beyond_the_ellipse_still_finds_its_polygons(tmp_path: Path) -> None:
    place = {"crs": "ESRI:54009", "transform": from_origin(-18041000, 1000000, 2500, 2500)}
    write(tmp_path / "grid/54009/BUILT_S_E2017_x.tif", np.zeros((400, 400), "uint8"), 255, **place)
    boxes(tmp_path / "far.gpkg", shapely.box(-179.9, 0.1, -179.4, 0.9), shapely.box(105, 0, 106, 1))
    found = validate(str(tmp_path), f"{tmp_path}/far.gpkg", layer="BUILT_S")
    assert found["reference_m2"] == pytest.approx(0.5 * 0.8 * 111.3e3 * 110.6e3, rel=0.02)


def test_a_layer_of_a_geopackage_is_named_as_the_hint_says(tmp_path: Path) -> None:
    write(tmp_path / "utm/33UUU/BUFRAC_E2017_x.tif", np.full((9, 9), 100, "uint8"), 255)
    reference = f"{tmp_path}/two.gpkg"
    for layer in ("one", "two"):
        boxes(tmp_path / "two.gpkg", shapely.box(12, 52, 13, 53), layer=layer, append=layer > "one")
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
    reference = f"{tmp_path}/ref.tif"
    said = "BUFRAC of E2017_x, E2020_x, E2020_x-y; name one with --product, as --product E2017_x$"
    with pytest.raises(RequestError, match=said):
        validate(str(tmp_path), reference)
    assert validate(str(tmp_path), reference, product="E2020_x")["bias"] == -0.5
    assert validate(str(tmp_path), reference, product="E2020_x-y")["bias"] == 0
    with pytest.raises(RequestError, match="holds no BUFRAC of E2018_x; it has E2017_x, E2020_x,"):
        validate(str(tmp_path), reference, product="E2018_x")


def test_grid_layer(tmp_path: Path) -> None:
    grid = {"crs": "ESRI:54009", "transform": from_origin(900000, 6200000, 100, 100)}
    values = np.full((5, 5), 2500, "uint16")
    write(tmp_path / "grid/54009_100/BUILT_S_E2017_x.tif", values, 65535, **grid)
    write(tmp_path / "ref.tif", np.full((5, 5), 0.25, "float32"), None, **grid)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", layer="BUILT_S")
    assert got["rmse"] == 0
    assert got["product_m2"] == 25 * 2500


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        validate(str(tmp_path), f"{tmp_path}/no.tif")
    write(tmp_path / "ref.tif", np.zeros((3, 3), "uint8"), None)
    with pytest.raises(RequestError, match="holds no BUFRAC"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif")
    far = {"transform": from_origin(500000, 5822040, 10, 10)}
    write(tmp_path / "utm/33UVU/BUFRAC_E2017_x_33UVU.tif", np.zeros((3, 3), "uint8"), 255, **far)
    with pytest.raises(RequestError, match="shares no pixel"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif")
