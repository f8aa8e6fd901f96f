"""Districts: names, other CRS, and files with mistakes."""

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.area.districts import read_districts
from transforms.elements import RequestError

SQUARES = [shapely.box(330000 + 1000 * n, 5822000, 331000 + 1000 * n, 5823000) for n in range(3)]


def write(path, shapes, names=("Mitte", "Nord", "Süd"), epsg=32633):
    geometry = np.array([None if s is None else shapely.to_wkb(s) for s in shapes], object)
    values = np.array(list(names)[: len(shapes)], object)
    kind = "Unknown" if any(s is None or s.geom_type != "Polygon" for s in shapes) else "Polygon"
    pyogrio.raw.write(path, geometry, [values], ["name"], geometry_type=kind, crs=f"EPSG:{epsg}")
    return path


def test_districts_have_the_names_of_a_field_or_numbers(tmp_path):
    write(tmp_path / "d.gpkg", SQUARES, ("Mitte", None, "Süd"))
    named = read_districts("d.gpkg", tmp_path, "name")
    assert [one.name for one in named] == ["Mitte", "2", "Süd"]
    assert [one.name for one in read_districts("d.gpkg", tmp_path)] == ["1", "2", "3"]
    assert sum(one.area.area_km2 for one in named) == pytest.approx(3, rel=0.002)
    assert named[0].drawn.equals(SQUARES[0])
    assert "32633" in named[0].crs


def test_a_geojson_has_districts_too(tmp_path):
    write(tmp_path / "d.geojson", [shapely.box(12, 52, 12.1, 52.1)], epsg=4326)
    (one,) = read_districts("d.geojson", tmp_path, "name")
    assert one.name == "Mitte"
    assert one.area.bounds == pytest.approx((12, 52, 12.1, 52.1))


@pytest.mark.parametrize(
    ("shapes", "field", "texts"),
    [
        (SQUARES, "quarter", ["no field 'quarter'", "it has name"]),
        (
            [SQUARES[0], shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])],
            "name",
            ["feature 2, name 'Nord'", "not a valid polygon", "Fix geometries"],
        ),
        ([SQUARES[0], shapely.Point(1, 1)], "name", ["feature 2, name 'Nord'", "Point"]),
        ([SQUARES[0], None], None, ["feature 2", "no geometry"]),
        ([], None, ["no polygon"]),
    ],
)
def test_a_mistake_names_the_feature(tmp_path, shapes, field, texts):
    write(tmp_path / "d.gpkg", shapes)
    with pytest.raises(RequestError) as caught:
        read_districts("d.gpkg", tmp_path, field)
    for text in ("d.gpkg", *texts):
        assert text in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"absent\.gpkg: no such file; give GeoPackage"):
        read_districts("absent.gpkg", tmp_path)
