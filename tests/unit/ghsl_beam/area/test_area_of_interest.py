"""The area of interest."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from ghsl_beam.area import projecting
from ghsl_beam.area.area_of_interest import area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import tile
from transforms.elements import RequestError

BOX = json.loads(shapely.to_geojson(shapely.box(13, 52, 14, 53)))
SQUARE = "POLYGON ((13 52, 14 52, 14 53, 13 53, 13 52))"


def write(path: Path, polygons: list[shapely.Polygon], epsg: int) -> None:
    geometry = np.array(shapely.to_wkb(polygons), dtype=object)
    pyogrio.raw.write(path, geometry, [], [], geometry_type="Polygon", crs=f"EPSG:{epsg}")


def test_box_area_and_bounds() -> None:
    area = read_area([13, 52, 14, 53], ".")
    assert area.bounds == (13, 52, 14, 53)
    assert area.area_km2 == pytest.approx(7577, rel=0.01)


@pytest.mark.parametrize(
    "source",
    [SQUARE, "13, 52, 14, 53", {"bbox": [13, 52, 14, 53]}, shapely.from_wkt(SQUARE)],
)
def test_same_area_in_each_form(source: object) -> None:
    if isinstance(source, shapely.Polygon):
        source = json.loads(shapely.to_geojson(source))
    assert read_area(source, ".").geometry.equals(shapely.box(13, 52, 14, 53))  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.wkt").write_text(SQUARE)
    feature = {
        "type": "Feature",
        "geometry": json.loads(shapely.to_geojson(shapely.from_wkt(SQUARE))),
    }
    (tmp_path / "a.geojson").write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [feature, {"type": "Feature", "geometry": None}],
            }
        )
    )
    for name in ("a.wkt", "a.geojson"):
        assert read_area(name, tmp_path).bounds == (13, 52, 14, 53)


def test_geopackage_in_another_crs(tmp_path: Path) -> None:
    box = shapely.box(400_000, 5_800_000, 410_000, 5_812_000)
    path = tmp_path / "a.gpkg"
    for layer in ("one", "two"):
        pyogrio.raw.write(
            path,
            np.array([shapely.to_wkb(box)], dtype=object),
            [],
            [],
            layer=layer,
            geometry_type="Polygon",
            crs="EPSG:32633",
            append=layer == "two",
        )
    with pytest.raises(RequestError, match=r"2 layers .*one, two"):
        read_area("a.gpkg", tmp_path)
    area = read_area("a.gpkg|layername=two", tmp_path)
    assert area.area_km2 == pytest.approx(120, rel=0.001)
    back = area_in_tile(area, tile("33UVU"), margin=20_000)
    assert back.symmetric_difference(box).area < 100


def test_hole_survives() -> None:
    ring = shapely.Polygon(shapely.box(0, 0, 4, 4).exterior, [shapely.box(1, 1, 2, 2).exterior])
    assert read_area(ring.wkt, ".").geometry.area == pytest.approx(15)


def test_antimeridian_in_each_form() -> None:
    expected = shapely.union_all(
        [shapely.box(178, -20, 180, -15), shapely.box(-180, -20, -177, -15)]
    )
    forms = [
        [178, -20, -177, -15],
        "POLYGON ((178 -20, -177 -20, -177 -15, 178 -15, 178 -20))",
        "POLYGON ((178 -20, 183 -20, 183 -15, 178 -15, 178 -20))",
        "POLYGON ((-182 -20, -177 -20, -177 -15, -182 -15, -182 -20))",
    ]
    for form in forms:
        area = read_area(form, ".")
        assert area.geometry.equals(expected)
        assert area.bounds == (-180, -20, 180, -15)


def test_hole_across_the_antimeridian() -> None:
    text = (
        "POLYGON ((170 0, -170 0, -170 10, 170 10, 170 0),(-178 2, -176 2, -176 4, -178 4, -178 2))"
    )
    assert read_area(text, ".").geometry.area == pytest.approx(196)


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("POLYGON ((-25 35, 180 35, 180 80, -25 80, -25 35))", "from -25 to 180 is 205 degrees"),
        ("POLYGON ((10 0, 350 0, 350 9, 10 9, 10 0))", "from 10 to 350 is 340 degrees"),
        ("POLYGON ((100 0, 300 0, 300 9, 100 9, 100 0))", "from 100 to 300 is 200 degrees"),
        (
            "POLYGON ((-180 0, 180 0, 180 60, -180 60, -180 0),"
            "(-100 9, 85.5 9, 85.5 8, -100 8, -100 9))",
            "from -100 to 85.5 is 185.5 degrees",
        ),
    ],
)
def test_an_edge_that_may_go_either_way_round_is_refused(text: str, edge: str) -> None:
    with pytest.raises(RequestError, match=rf"an edge {edge} .*add a vertex .*bounding box") as no:
        read_area(text, ".")
    assert "\n" not in str(no.value)


def test_a_wide_area_with_a_vertex_between_stays_as_drawn() -> None:
    text = "POLYGON ((-25 35, 80 35, 180 35, 180 80, 80 80, -25 80, -25 35))"
    assert read_area(text, ".").geometry.equals(shapely.box(-25, 35, 180, 80))


def test_whole_world_box() -> None:
    assert read_area([-180, -60, 180, 80], ".").geometry.area == pytest.approx(360 * 140)


def test_bow_tie_is_made_valid() -> None:
    area = read_area("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", ".")
    assert area.geometry.is_valid
    assert area.geometry.area == pytest.approx(2)


@pytest.mark.parametrize("epsg", [32633, 3857, 4326])
def test_a_bow_tie_keeps_both_halves_in_any_crs(tmp_path: Path, epsg: int) -> None:
    """GEOS drops one where it cuts long edges into pieces."""
    into = Transformer.from_crs(32633, epsg, always_xy=True)
    corners = 5000 * np.array([(80, 1160), (81, 1161), (81, 1160), (80, 1161), (80, 1160)])
    bow_tie = shapely.Polygon(np.column_stack(into.transform(*corners.T)))
    assert not bow_tie.is_valid
    write(tmp_path / "bow.gpkg", [bow_tie], epsg)
    crs = {"type": "name", "properties": {"name": f"EPSG:{epsg}"}}
    document = json.loads(shapely.to_geojson(bow_tie)) | {"crs": crs}
    (tmp_path / "bow.geojson").write_text(json.dumps(document))
    for name in ("bow.gpkg", "bow.geojson"):
        area = read_area(name, tmp_path)
        assert area.area_km2 == pytest.approx(12.5, rel=0.002)
        assert "1 of 1 polygons are not valid" in " ".join(area.warnings)


def test_polygons_with_long_edges_are_cut_into_so_many_pieces_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a file of kilobytes asks for gigabytes."""
    monkeypatch.setattr(projecting, "_MOST_PIECES", 1000)
    width = 20_000_000
    bands = [shapely.box(-width, y, width, y + 50) for y in range(0, 2000, 100)]
    write(tmp_path / "bands.gpkg", bands, 3857)
    vertices = shapely.get_num_coordinates(read_area("bands.gpkg", tmp_path).geometry)
    assert 1000 <= vertices <= 1000 + 6 * len(bands)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.geojson", "no such file"),
        ("POINT (1 2)", "not a polygon"),
        ("POLYGON ((1 2", "not valid WKT"),
        ("POLYGON EMPTY", "no polygon"),
        ("POLYGON ((0 0, 1 0, 1 95, 0 0))", "lon/lat"),
        ("POLYGON ((0 0, 1 1, 2 2, 0 0))", "no area"),
        ("POLYGON ((-180 80, -60 80, 60 80, 170 80, -180 80))", "pole"),
        ([1, 2, 3], "four numbers"),
        ([1, 5, 3, 2], "south"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, "x"]]]}, "cannot be read"),
        ({"type": "FeatureCollection", "features": []}, "no polygon"),
        (
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}},
            "not a polygon",
        ),
        ({"kind": "x"}, "not a polygon"),
        ([1, 2, 10**400, 3], "four numbers"),
        ({**BOX, "crs": {"properties": ["EPSG:4326"]}}, "unknown CRS"),
        ({**BOX, "crs": {"properties": {"name": {"code": 4326}}}}, "unknown CRS"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 10**400]]]}, "cannot be read"),
    ],
)
def test_mistakes_are_one_line(source: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        read_area(source, tmp_path)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.wkt", "a.shp"])
def test_rubbish_files(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00rubbish")
    with pytest.raises(RequestError, match=name):
        read_area(name, tmp_path)
    (tmp_path / "dir.geojson").mkdir()
    with pytest.raises(RequestError, match="is a directory"):
        read_area("dir.geojson", tmp_path)


def test_area_in_tile_follows_straight_lonlat_edges() -> None:
    area = read_area([11, 52.5, 17, 53], ".")
    part = area_in_tile(area, tile("33UUU"))
    to_utm = Transformer.from_crs(4326, 32633, always_xy=True)
    for lon in np.linspace(12.3, 13.2, 7):
        edge = shapely.Point(*to_utm.transform(lon, 52.5))
        assert part.boundary.distance(edge) < 0.1


def test_area_in_tile_at_the_antimeridian() -> None:
    area = read_area([179.5, -17.6, -179.5, -16.9], ".")
    for name in ("01KAB", "60KYG"):
        part = area_in_tile(area, tile(name))
        assert not part.is_empty
        west, south, east, north = tile(name).bounds
        assert shapely.box(west - 1001, south - 1001, east + 1001, north + 1001).contains(part)
    assert area_in_tile(area, tile("33UUU")).is_empty


def test_many_footprints_are_projected_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A city has half a million; a call for each of them takes minutes."""
    calls = []
    projected = projecting.project
    monkeypatch.setattr(projecting, "project", lambda *a: calls.append(a) or projected(*a))
    corners = [(330000 + 30 * n, 5822000) for n in range(50)]
    houses = [shapely.box(x, y, x + 10, y + 10) for x, y in corners]
    write(tmp_path / "houses.gpkg", houses, 32633)
    area = read_area("houses.gpkg", tmp_path)
    assert len(calls) == 1
    assert len(area.geometry.geoms) == 50
    assert area.area_km2 == pytest.approx(50 * 100 / 1e6, rel=0.002)
