"""From a file to the GeoPackage of roads."""

import json
import math
import resource
import shutil
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ghsl_beam.tools.roads import convert, output
from ghsl_beam.tools.roads.convert import cut, make_roads
from tests.support.file_server import FileServer
from tests.support.osm_pbf import write_pbf
from transforms.cleaning.road_file import RoadSource
from transforms.elements import RequestError, StorageError, utm_grid

LINE = [(13.0, 52.0), (13.01, 52.0), (13.02, 52.01)]
FAR = [(20.0, 50.0), (20.01, 50.0)]
WAYS = [
    ({"highway": "residential", "width": "7,5"}, LINE),
    ({"highway": "residential", "width": "999"}, LINE),
    ({"highway": "primary", "lanes": "2"}, LINE),
    ({"highway": "primary", "tunnel": "yes"}, LINE),
    ({"highway": "footway"}, LINE),
    ({"highway": "platform"}, LINE),
    ({"highway": "motorway"}, FAR),
]


@pytest.fixture
def pbf(tmp_path):
    return str(write_pbf(tmp_path / "a.osm.pbf", WAYS))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "roads.gpkg"


def written(file):
    """Line, metres, class and source of each road."""
    meta, _, wkb, fields = pyogrio.raw.read(file)
    assert list(meta["fields"]) == ["width", "class", "source"]
    assert meta["crs"] == "EPSG:4326"
    return list(zip(shapely.from_wkb(wkb), *fields, strict=True))


def sequence(path, *features):
    lines = (
        json.dumps(
            {
                "type": "Feature",
                "geometry": {"type": "LineString", "coordinates": line},
                "properties": {"subtype": "road", **properties},
            }
        )
        for line, properties in features
    )
    path.write_text("\n".join(lines))
    return str(path)


def test_the_file_and_the_summary(pbf, out):
    found = make_roads(pbf, str(out))
    assert found == {
        "lines_read": 7,
        "roads_written": 4,
        "by_class": {"residential": 2, "primary": 1, "motorway": 1},
        "by_source_of_width": {"table": 2, "tag": 1, "lanes": 1},
        "left_out": {"in a tunnel": 1, "class not requested": 1, "unknown class": 1},
        "unknown_classes": {"platform": 1},
        "stated_but_not_taken": {"out of range": 1},
        "credit": convert.CREDITS["OpenStreetMap"],
    }
    roads = written(out)
    assert [road[1:] for road in roads] == [
        (7.5, "residential", "tag"),
        (5.5, "residential", "table"),
        (8.0, "primary", "lanes"),
        (12.0, "motorway", "table"),
    ]
    np.testing.assert_allclose(roads[0][0].coords, LINE, atol=1e-7)
    info = pyogrio.read_info(out)
    assert info["layer_name"] == "roads"
    assert info["geometry_type"] == "LineString"
    assert info["layer_metadata"]["ATTRIBUTION"] == found["credit"]
    assert "Open Database License" in info["layer_metadata"]["DESCRIPTION"]
    assert [path.name for path in out.parent.iterdir()] == ["roads.gpkg"]


def test_the_cleaning_takes_it(pbf, out):
    make_roads(pbf, str(out))
    source = RoadSource(str(out), "width")
    source.check()
    (wide, usual, primary) = source.near(utm_grid(32633, 362000, 5764000, 300, 300))
    assert [road.width for road in (wide, usual, primary)] == [7.5, 5.5, 8.0]


def test_other_classes(pbf, out):
    found = make_roads(pbf, str(out), "paths,motorway")
    assert found["by_class"] == {"footway": 1, "motorway": 1}


def test_the_same_roads_are_the_same_bytes(pbf, out, tmp_path):
    make_roads(pbf, str(out))
    other = tmp_path / "other.gpkg"
    shutil.copy(pbf, tmp_path / "b.osm.pbf")
    make_roads(str(tmp_path / "b.osm.pbf"), str(other))
    assert out.read_bytes() == other.read_bytes()


def test_near_an_area(pbf, out):
    found = make_roads(pbf, str(out), aoi="19.9,49.9,20.1,50.1")
    assert found["by_class"] == {"motorway": 1}
    assert found["left_out"] == {"outside the area": 6}
    for aoi, number in (("20.016,49,21,51", 1), ("20.018,49,21,51", 0), ("20,50.004,21,51", 1)):
        if number:
            assert make_roads(pbf, str(out), aoi=aoi, overwrite=True)["roads_written"] == number
        else:
            with pytest.raises(RequestError, match=r"has no road .* of 7 lines, 7 outside"):
                make_roads(pbf, str(out), aoi=aoi, overwrite=True)


def test_an_area_across_the_antimeridian(tmp_path, out):
    lines = [[(x, 65.0), (x + 0.001, 65.0)] for x in (-179.9, 179.8, 0.0)]
    file = sequence(tmp_path / "a.geojsonl", *((line, {"class": "road"}) for line in lines))
    found = make_roads(file, str(out), aoi="179,64,-179,66")
    assert found["roads_written"] == 2
    assert found["left_out"] == {"outside the area": 1}


def test_a_part_in_a_tunnel_is_cut_out(tmp_path, out):
    line = [(13.0, 52.0), (13.1, 52.0)]
    rules = [{"value": 9.5, "between": [0.0, 0.2]}]
    flags = [{"values": ["is_tunnel"], "between": [0.2, 0.5]}]
    file = sequence(
        tmp_path / "a.geojsonl",
        (line, {"class": "primary", "road_flags": flags, "width_rules": rules}),
    )
    found = make_roads(file, str(out))
    assert (found["lines_read"], found["roads_written"]) == (1, 2)
    assert found["left_out"] == {"in a tunnel": 1}
    assert found["credit"] == convert.CREDITS["Overture"]
    (before, wide, *_), (after, usual, *_) = written(out)
    assert (wide, usual) == (9.5, 8.0)
    np.testing.assert_allclose(before.coords, [(13.0, 52.0), (13.02, 52.0)])
    np.testing.assert_allclose(after.coords, [(13.05, 52.0), (13.1, 52.0)])


def test_lines_of_several_parts_become_single(tmp_path, out):
    file = tmp_path / "a.gpkg"
    lines = [shapely.MultiLineString([LINE, FAR]), shapely.LineString()]
    pyogrio.raw.write(
        file,
        shapely.to_wkb(np.array(lines, object)),
        [np.array(["trunk", "trunk"])],
        ["highway"],
        geometry_type="MultiLineString",
        crs="EPSG:4326",
    )
    found = make_roads(str(file), str(out))
    assert found["by_class"] == {"trunk": 1}
    assert found["left_out"] == {"no line, or a damaged one": 1}
    assert [road[0].geom_type for road in written(out)] == ["LineString"] * 2


def test_a_file_of_the_same_name(pbf, out, tmp_path):
    make_roads(pbf, str(out))
    before = out.read_bytes()
    with pytest.raises(RequestError, match=r"roads.gpkg: exists; give another name, or add --o"):
        make_roads(pbf, str(out), "motorway")
    assert out.read_bytes() == before
    make_roads(pbf, str(out), "motorway", overwrite=True)
    assert len(written(out)) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("roads.shp", "expected the name of a GeoPackage"),
        (".", "expected the name of a GeoPackage"),
        ("folder.gpkg", "is not a file"),
    ],
)
def test_what_cannot_be_written_to(pbf, tmp_path, name, said):
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(RequestError, match=said):
        make_roads(pbf, str(tmp_path / name), overwrite=True)


def test_the_file_that_is_read_stays(pbf, out):
    make_roads(pbf, str(out))
    before = out.read_bytes()
    with pytest.raises(RequestError, match="is the input file"):
        make_roads(f"{out}|roads", str(out), overwrite=True)
    assert out.read_bytes() == before


def test_a_fault_on_the_way_leaves_what_was_there(tmp_path, out, monkeypatch):
    good = [(LINE, {"class": "road"})] * 30
    file = sequence(tmp_path / "a.geojsonl", *good)
    make_roads(file, str(out))
    before = out.read_bytes()
    monkeypatch.setattr("ghsl_beam.tools.roads.lines.AT_ONCE", 10)
    with open(file, "a") as more:
        more.write("\nhello")
    with pytest.raises(RequestError, match="line 31 is not JSON"):
        make_roads(file, str(out), overwrite=True)
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["roads.gpkg"]


def test_a_stop_on_the_way(pbf, out, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "_parts", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_roads(pbf, str(out))
    assert not list(out.parent.iterdir())


def test_roads_that_do_not_reach_the_file(pbf, out, monkeypatch):
    count = output._Source.record_batches

    def one_more(source):
        yield from count(source)
        source.written += 1

    monkeypatch.setattr(output._Source, "record_batches", one_more)
    with pytest.raises(StorageError, match="cannot be written: only 4 of 5 roads are in the file"):
        make_roads(pbf, str(out))
    assert not list(out.parent.iterdir())


def test_no_room(tmp_path, out):
    """As on a full disk: the system refuses, and its reason is said."""
    file = sequence(tmp_path / "a.geojsonl", *[(LINE, {"class": "road"})] * 5000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"roads.gpkg: cannot be written: .*") as refused:
            make_roads(file, str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(refused.value)
    assert not list(out.parent.iterdir())


def test_a_file_at_a_url(pbf, out):
    server = FileServer()
    server.files["/a.osm.pbf"] = Path(pbf).read_bytes()
    with server.running():
        found = make_roads(f"{server.url}/a.osm.pbf", str(out))
        with pytest.raises(RequestError, match=r"/b\.geojsonseq: no such file"):
            make_roads(f"{server.url}/b.geojsonseq", str(out), overwrite=True)
    assert found["roads_written"] == 4


def test_no_road_writes_nothing(pbf, out):
    with pytest.raises(
        RequestError, match=r"no road of the requested classes and area: of 7 lines, 6 class not"
    ):
        make_roads(pbf, str(out), "steps")
    assert not list(out.parent.iterdir())


MICRODEGREES = 1_000_000
POINTS = st.tuples(
    st.integers(-170 * MICRODEGREES, 170 * MICRODEGREES).map(lambda number: number / MICRODEGREES),
    st.integers(-80 * MICRODEGREES, 80 * MICRODEGREES).map(lambda number: number / MICRODEGREES),
)


@given(st.lists(POINTS, min_size=2, max_size=6, unique=True), st.floats(0.01, 0.99))
def test_two_stretches_are_the_line(points, share):
    line = shapely.LineString(points)
    one, other = cut(line, 0.0, share), cut(line, share, 1.0)
    assert one.coords[-1] == pytest.approx(other.coords[0])
    middle = one.coords[-1]
    kept = [point for point in (*one.coords, *other.coords) if math.dist(point, middle) > 1e-6]
    assert kept == [point for point in points if math.dist(point, middle) > 1e-6]


def test_a_stretch_is_measured_on_the_ground():
    """At 60 degrees north a degree of longitude is half as long as one of latitude."""
    line = shapely.LineString([(10, 60), (12, 60), (12, 61)])
    np.testing.assert_allclose(cut(line, 0, 0.5).coords[-1], (12, 60), atol=0.03)
