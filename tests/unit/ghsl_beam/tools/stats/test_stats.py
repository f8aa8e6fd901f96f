"""Totals in a person's polygons: table, CSV, GeoPackage, and files with mistakes."""

import csv
import json
import shutil

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely

from ghsl_beam.tools.stats import results
from ghsl_beam.tools.stats.stats import stats
from tests.support.command import call
from tests.support.layer_files import write_layers
from transforms.elements import RequestError

MIDDLE = (12.5, 52.5)
SIZE = 100


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The output of a run on one tile; its area is a box around the products."""
    folder = tmp_path_factory.mktemp("output")
    products, _, _ = write_layers(folder, "33UUU", MIDDLE, SIZE, 1)
    lon, lat = MIDDLE
    record = {
        "configuration": {"area": {"bbox": [lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01]}},
        "calibration": None,
        "products": [
            {
                "layer": one.layer,
                "tile": one.key,
                "grid": one.grid,
                "path": one.path,
                "fingerprint": one.fingerprint,
                "whole": True,
                "size": 1,
                "sha256": "",
            }
            for one in products
        ],
    }
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def pixels(output, layer):
    with rasterio.open(output / f"utm/33UUU/{layer}_E2020_town_33UUU.tif") as source:
        return source.read(1), source.bounds


def districts(file, output, epsg=32633):
    """Two districts on whole pixels, and one elsewhere; in any CRS."""
    _, (left, _, _, top) = pixels(output, "BUFRAC")
    shapes = [
        shapely.box(left + 100, top - 400, left + 300, top - 200),
        shapely.box(left + 300, top - 400, left + 600, top - 200),
        shapely.box(left + 50_000, top - 400, left + 50_100, top - 200),
    ]
    into = pyproj.Transformer.from_crs(32633, epsg, always_xy=True).transform
    shapes = [shapely.transform(s.segmentize(20), into, interleaved=False) for s in shapes]
    pyogrio.raw.write(
        *(file, np.array(shapely.to_wkb(shapes), object)),
        [np.array(["Mitte", "Nord", "Far"], object)],
        ["NAME"],
        geometry_type="Polygon",
        crs=f"EPSG:{epsg}",
    )
    return str(file)


@pytest.mark.parametrize("epsg", [32633, 4326, 3035])
def test_each_polygon_has_the_pixels_inside(output, tmp_path, epsg):
    made = stats(str(output), districts(tmp_path / "d.gpkg", output, epsg), "NAME")
    classes, _ = pixels(output, "RES_NRES")
    mitte, nord, far = made.rows
    assert [row.name for row in made.rows] == ["Mitte", "Nord", "Far"]
    for row, part in ((mitte, classes[20:40, 10:30]), (nord, classes[20:40, 30:60])):
        assert row.totals["area_ha"] == pytest.approx(part.size / 100, rel=1e-4)
        assert row.totals["residential_ha"] == pytest.approx((part == 1).sum() / 100, rel=1e-3)
        assert row.totals["non_residential_ha"] == pytest.approx((part == 2).sum() / 100, rel=1e-3)
        assert row.observed_percent == pytest.approx(100 * (part != 255).mean(), abs=0.05)
    assert far.totals["area_ha"] == 0
    assert far.observed_percent is None
    (warning,) = made.warnings
    assert "'Far' is outside the area of the run" in warning


def test_numbered_polygons_are_told_of_fields_that_may_name_them(output, tmp_path):
    zones = districts(tmp_path / "d.gpkg", output)
    told = "the polygons are numbered; give --name one of its fields: NAME"
    assert f"{zones}: {told}" in stats(str(output), zones).warnings
    assert not [text for text in stats(str(output), zones, "NAME").warnings if told in text]


def test_the_files_have_what_the_table_has(output, tmp_path):
    zones = districts(tmp_path / "d.gpkg", output, 3035)
    made = stats(str(output), zones, "NAME")
    results.write(made, str(tmp_path / "s.csv"))
    results.write(made, str(tmp_path / "s.gpkg"))
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    meta, _, geometry, columns = pyogrio.raw.read(tmp_path / "s.gpkg")
    of = dict(zip(meta["fields"], columns, strict=True))
    _, shown = results.table(made)
    assert meta["crs"] == "EPSG:3035"
    for number, row in enumerate(made.rows):
        assert rows[number]["name"] == of["name"][number] == row.name == shown[number][0]
        expected = row.totals["area_ha"]
        assert float(rows[number]["area_ha"]) == of["area_ha"][number] == expected
        assert float(shown[number][1]) == pytest.approx(expected, abs=0.005)
        same = shapely.equals_exact(
            *(shapely.from_wkb(geometry[number]).geoms[0], row.district.drawn), tolerance=1e-6
        )
        assert same


def test_a_command_counts_the_area_and_its_tiles(output, tmp_path, monkeypatch, capfd):
    code, out, err = call(monkeypatch, capfd, "stats", output, "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert [row["kind"] for row in rows] == ["area", "tile", "zone"]
    assert rows[0]["observed_ha"] == pytest.approx(rows[1]["observed_ha"])
    assert rows[0]["area_ha"] > rows[1]["area_ha"] == pytest.approx(SIZE**2 / 100, rel=1e-3)
    file = tmp_path / "s.csv"
    code, out, err = call(monkeypatch, capfd, "stats", output, "--to", file)
    assert code == 0, err
    assert "tile 33UUU" in out
    assert f"written to {file}" in out
    code, _, err = call(monkeypatch, capfd, "stats", output, "--to", file)
    assert code == 2
    assert "exists; give another name, or add --overwrite" in err


def test_mistakes_are_named(output, tmp_path):
    zones = districts(tmp_path / "d.gpkg", output)
    with pytest.raises(RequestError, match=r"no field 'name'; it has NAME"):
        stats(str(output), zones, "name")
    with pytest.raises(RequestError, match="give --zones too"):
        stats(str(output), None, "NAME")
    far = shapely.to_wkb(shapely.box(2, 48, 3, 49))
    elsewhere = tmp_path / "far.gpkg"
    pyogrio.raw.write(
        elsewhere, np.array([far], object), [], [], geometry_type="Polygon", crs="EPSG:4326"
    )
    with pytest.raises(RequestError, match=r"far\.gpkg: none of its 1 polygons shares ground"):
        stats(str(output), str(elsewhere))
    with pytest.raises(RequestError, match=r"run\.json: cannot be read .*is it a run's output"):
        stats(str(tmp_path))
    with pytest.raises(RequestError, match=r"expected a name with \.csv or \.gpkg"):
        results.check_ending("s.xlsx", polygons=True)
    with pytest.raises(RequestError, match="needs polygons"):
        results.check_ending("s.gpkg", polygons=False)


def test_without_the_file_of_the_area_polygons_count_whole(output, tmp_path):
    folder = shutil.copytree(output, tmp_path / "moved")
    record = json.loads((folder / "run.json").read_text())
    record["configuration"]["area"] = {"file": str(tmp_path / "gone.gpkg")}
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match=r"the area of the run: .*gone\.gpkg: no such file"):
        stats(str(folder))
    made = stats(str(folder), districts(tmp_path / "d.gpkg", output), "NAME")
    assert made.rows[0].totals["area_ha"] == pytest.approx(4)
    assert made.rows[2].totals["area_ha"] == pytest.approx(2, rel=1e-3)
    assert "area_ha is that of the whole polygons" in made.warnings[0]
    assert "'Far' is inside the area of the run, but without any data" in made.warnings[1]
