"""Files of roads, as their makers write them, and files that are none."""

import json
import time

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from ghsl_beam.tools.roads import geojson_lines, lines
from ghsl_beam.tools.roads.classes import chosen_classes
from ghsl_beam.tools.roads.lines import road_lines
from tests.support.file_server import FileServer
from tests.support.hostile_vectors import HOSTILE
from tests.support.osm_pbf import write_pbf
from transforms.elements import RequestError
from transforms.storage import vector_zip

LINE = [(13.0, 52.0), (13.01, 52.0), (13.02, 52.01)]
ALL = chosen_classes("all")
STREET = {"type": "LineString", "coordinates": LINE}


def read(file):
    """Line, class, metres and source of each road, and the lines that hold none."""
    found = road_lines(str(file))
    roads, none = [], []
    for batch in found.batches:
        for line, reader in zip(batch.lines, batch.readers, strict=True):
            reading = reader(ALL)
            none += map(str, reading.left_out)
            roads += [
                (line, r.road.name, r.width.metres, str(r.width.source)) for r in reading.roads
            ]
    return str(found.origin), roads, none


def refused(file, said):
    begun = time.monotonic()
    with pytest.raises(RequestError, match=said) as caught:
        read(file)
    assert time.monotonic() - begun < 30
    assert str(caught.value).startswith(str(file))
    assert str(caught.value).isprintable()


def write(path, shapes, crs="EPSG:4326", kind="LineString", **fields):
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes, object)),
        [np.array(values) for values in fields.values()],
        [name.replace("__", ":") for name in fields],
        geometry_type=kind,
        crs=crs,
        layer=path.stem if "|" not in str(path) else None,
    )
    return path


def sequence(path, *features, mark=""):
    path.write_text("".join(f"{mark}{json.dumps(feature)}\n" for feature in features))
    return path


def feature(geometry=STREET, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


class TestOpenStreetMap:
    def test_ways(self, tmp_path):
        ways = [
            ({"highway": "residential", "width": "20'", "name": 'Zum "Adler" \\ Süd'}, LINE),
            ({"highway": "primary", "lanes": "3", "width:carriageway": "9,5 m"}, LINE[::-1]),
            ({"highway": "primary", "lanes": "3"}, LINE),
            ({"highway": "secondary", "tunnel": "yes"}, LINE),
            ({"highway": "residential", "area": "yes"}, [*LINE, LINE[0]]),
            ({"highway": "tertiary", "junction": "roundabout"}, [*LINE, LINE[0]]),
            ({"highway": "pedestrian", "building": "yes", "tourism": "yes"}, [*LINE, LINE[0]]),
            ({"railway": "rail"}, LINE),
        ]
        origin, roads, none = read(write_pbf(tmp_path / "a.osm.pbf", ways))
        assert origin == "OpenStreetMap"
        assert [road[1:] for road in roads] == [
            ("residential", 6.1, "tag"),
            ("primary", 9.5, "tag"),
            ("primary", 11.5, "lanes"),
            ("tertiary", 6.5, "table"),
            ("pedestrian", 6.0, "table"),
        ]
        assert none == ["in a tunnel", "an area"]
        np.testing.assert_allclose(shapely.get_coordinates(roads[1][0]), LINE[::-1], atol=1e-7)

    @pytest.mark.parametrize("compress", [True, False])
    def test_more_than_a_batch(self, tmp_path, monkeypatch, compress):
        monkeypatch.setattr(lines, "AT_ONCE", 1000)
        ways = [({"highway": "service"}, [(i / 100, 1), (i / 100, 2)]) for i in range(4500)]
        _, roads, _ = read(write_pbf(tmp_path / "a.osm.pbf", ways, compress=compress))
        assert [round(100 * road[0].coords[0][0]) for road in roads] == list(range(4500))

    def test_the_settings_of_a_user_play_no_role(self, tmp_path, monkeypatch):
        (tmp_path / "other.ini").write_text("[lines]\nattributes=name\n")
        monkeypatch.setenv("OSM_CONFIG_FILE", str(tmp_path / "other.ini"))
        _, roads, _ = read(write_pbf(tmp_path / "a.osm.pbf", [({"highway": "trunk"}, LINE)]))
        assert roads[0][1:] == ("trunk", 8.5, "table")

    @pytest.fixture
    def pbf(self, tmp_path):
        rng = np.random.default_rng(1)
        ways = [({"highway": "service"}, rng.uniform(0, 1, (4, 2)).tolist()) for _ in range(5000)]
        return write_pbf(tmp_path / "a.osm.pbf", ways)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
    def test_a_file_that_is_cut_off(self, pbf, share):
        whole = pbf.read_bytes()
        pbf.write_bytes(whole[: int(share * len(whole))])
        refused(pbf, "cut off: .* expected .* at least; download it again")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_damaged_bytes(self, pbf, share):
        content = bytearray(pbf.read_bytes())
        place = int(share * len(content))
        content[place : place + 50] = bytes(255 - byte for byte in content[place : place + 50])
        pbf.write_bytes(content)
        refused(pbf, "parsing|damaged")

    def test_a_file_that_is_not_sorted(self, pbf):
        """What GDAL ends without a word when it gives Arrow."""
        content = pbf.read_bytes()
        second = content.index(b"OSMData") - 6
        pbf.write_bytes(content + content[second:])
        refused(pbf, "Non increasing node id")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b"hello, this is no such file", "has the name of OpenStreetMap's PBF, but is not one"),
            (b"<osm version='0.6'/>", "is not one"),
            (b'{"type": "gdal_streamed_alg"}', "is not one"),
            (b"\0\0\0\x0d\n\x07OSMData\x18\x00", "is not one"),
            (b"\0\0\0\x0d\n\tOSMHeader", "is not one"),
        ],
    )
    def test_what_is_no_such_file(self, tmp_path, content, said):
        file = tmp_path / "a.osm.pbf"
        file.write_bytes(content)
        refused(file, said)

    def test_a_name_that_pyogrio_would_take_for_an_archive(self, pbf):
        refused(pbf.rename(pbf.with_name("a!b.osm.pbf")), "'!' in its path")


class TestTables:
    def test_of_gdal(self, tmp_path):
        file = write(
            tmp_path / "lines.gpkg",
            [shapely.LineString(LINE)] * 4,
            highway=np.array(["residential", "primary", None, "tertiary"], object),
            other_tags=np.array(['"width"=>"4"', '"lanes"=>"2","tunnel"=>"yes"', None, "bad"]),
        )
        origin, roads, none = read(file)
        assert origin == "OpenStreetMap"
        expected = [("residential", 4.0, "tag"), ("tertiary", 6.5, "table")]
        assert [road[1:] for road in roads] == expected
        assert none == ["in a tunnel", "without a class"]

    def test_with_tags_as_fields(self, tmp_path):
        file = write(
            tmp_path / "roads.fgb",
            [shapely.LineString(LINE), shapely.LineString(LINE[:2])],
            highway=["residential", "residential"],
            width=[np.nan, 4.25],
            width_carriageway=np.array([None, ""], object),
            lanes=np.array([3, 1], "int32"),
            tunnel=[False, False],
        )
        assert [road[1:] for road in read(file)[1]] == [
            ("residential", 8.25, "lanes"),
            ("residential", 4.25, "tag"),
        ]

    @pytest.mark.parametrize("suffix", ["gpkg", "shp"])
    def test_of_geofabrik(self, tmp_path, suffix):
        """Its tables of rivers and railways have the same fields, but for `oneway`."""
        file = tmp_path / f"gis_osm_roads_free_1.{suffix}"
        write(
            file,
            [shapely.LineString(LINE)] * 4,
            fclass=["residential", "track_grade2", "unknown", "primary"],
            oneway=["B", "F", "B", "B"],
            bridge=["F", "F", "T", "F"],
            tunnel=["F", "F", "F", "T"],
        )
        if suffix == "gpkg":
            pyogrio.raw.write(
                file,
                shapely.to_wkb(np.array([shapely.LineString(LINE)], object)),
                [np.array(["river"]), np.array([30])],
                ["fclass", "width"],
                geometry_type="LineString",
                crs="EPSG:4326",
                layer="gis_osm_waterways_free",
                append=True,
            )
        _, roads, none = read(file)
        assert [road[1] for road in roads] == ["residential", "track", "road"]
        assert none == ["in a tunnel"]

    def test_of_overture(self, tmp_path):
        file = write(
            tmp_path / "segments.gpkg",
            [shapely.LineString(LINE)] * 3,
            subtype=["road", "road", "rail"],
            **{"class": ["secondary", "secondary", "tram"]},
            width_rules=np.array(['[{"value": 9.25, "between": null}]', None, None], object),
            road_flags=np.array([None, '[{"values": ["is_tunnel"]}]', None], object),
        )
        origin, roads, none = read(file)
        assert origin == "Overture"
        assert [road[1:] for road in roads] == [("secondary", 9.25, "tag")]
        assert none == ["in a tunnel", "not a road (rail, water)"]

    def test_lines_that_get_lost(self, tmp_path, monkeypatch):
        file = write(tmp_path / "a.gpkg", [shapely.LineString(LINE)], highway=["road"])
        monkeypatch.setattr(lines, "count", lambda *_: 2)
        refused(file, "only 1 of 2 lines could be read: it is damaged")

    def test_in_another_crs(self, tmp_path):
        line = shapely.LineString([(400000, 5800000, 30), (401000, 5800000, 30)])
        file = write(tmp_path / "a.gpkg", [line], "EPSG:32633", "LineString Z", highway=["road"])
        ((line, *_),) = read(file)[1]
        place = pyproj.Transformer.from_crs(4326, 32633).transform(*line.coords[0][1::-1])
        np.testing.assert_allclose(place, (400000, 5800000), atol=1e-3)

    def test_what_are_no_lines(self, tmp_path):
        shapes = [
            shapely.Point(1, 2),
            shapely.LineString(),
            None,
            shapely.LineString([(1, 2), (1, 2)]),
            shapely.LineString([(1, 2), (np.inf, 2)]),
            shapely.LineString([(1, 2), (1, 95)]),
            shapely.MultiLineString([LINE]),
        ]
        file = write(tmp_path / "a.gpkg", shapes, kind="Unknown", highway=["road"] * len(shapes))
        found = [road[0] for road in read(file)[1]]
        assert found[:-1] == [None] * 6
        assert found[-1].equals(shapely.MultiLineString([LINE]))

    def test_several_layers(self, tmp_path):
        file = tmp_path / "a.gpkg"
        for name in ("north", "south"):
            pyogrio.raw.write(
                file,
                shapely.to_wkb(np.array([shapely.LineString(LINE)], object)),
                [np.array(["trunk" if name == "north" else "road"])],
                ["highway"],
                geometry_type="LineString",
                crs="EPSG:4326",
                layer=name,
                append=file.exists(),
            )
        refused(file, r"2 layers of roads \(north, south\); name one as 'a.gpkg|north'")
        assert read(f"{file}|south")[1][0][1] == "road"
        assert read(f"{file}|layername=north")[1][0][1] == "trunk"
        with pytest.raises(RequestError, match="no layer 'west'; it has north, south"):
            read(f"{file}|west")

    def test_unknown_fields(self, tmp_path):
        line = [shapely.LineString(LINE)]
        refused(
            write(tmp_path / "a.gpkg", line, kind_of_road=["A"], breadth=[3.0]),
            r"layer 'a': no field has the class .*; found 'kind_of_road', 'breadth'; "
            r"expected 'highway' "
            r"\(OpenStreetMap\), .*'class' \(Overture\)",
        )
        refused(write(tmp_path / "b.gpkg", line, fclass=["river"]), "found 'fclass'; expected")
        many = {f"field{number}": [1] for number in range(30)}
        refused(write(tmp_path / "c.gpkg", line, **many), "'field11' and 18 more; expected")

    def test_no_lines_and_no_crs(self, tmp_path):
        point = [shapely.Point(1, 2)]
        refused(
            write(tmp_path / "a.gpkg", point, kind="Point", highway=["road"]),
            r"no layer of lines; it has a \(Point\)",
        )
        file = write(tmp_path / "b.shp", [shapely.LineString(LINE)], highway=["road"])
        file.with_suffix(".prj").unlink()
        refused(file, "no CRS")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_what_is_hostile(self, tmp_path, monkeypatch, name):
        monkeypatch.setattr(vector_zip, "_MAX_BYTES", 64 << 20)
        server = FileServer()
        with server.running():
            file = HOSTILE[name][0](tmp_path, server.url)
            if file.suffix == ".geojsonl":  # GDAL does not read it
                refused(file, "'Polygon', expected a Feature")
            else:
                with pytest.raises(RequestError) as caught:
                    read(file)
                assert file.name in str(caught.value)
        assert not server.requests

    @pytest.mark.parametrize("name", ["a.osm", "a.txt", "a.vrt", "a.pbf"])
    def test_other_files(self, tmp_path, name):
        (tmp_path / name).write_text("<osm/>")
        refused(tmp_path / name, r"a name without a known extension, expected .* \(\.osm\.pbf\),")

    def test_no_file(self, tmp_path):
        refused(
            tmp_path / "a.osm.pbf", r"no such file; give OpenStreetMap \(.osm.pbf\), GeoPackage"
        )
        refused(tmp_path, "is a directory")


class TestGeoJsonSequences:
    @pytest.mark.parametrize("mark", ["", "\x1e"])
    @pytest.mark.parametrize("suffix", ["geojsonseq", "geojsonl", "GEOJSONS"])
    def test_of_overture(self, tmp_path, mark, suffix):
        rules = [{"value": 9.25, "between": None}]
        flags = [{"values": ["is_tunnel"], "between": [0.5, 1]}]
        file = sequence(
            tmp_path / f"a.{suffix}",
            feature(subtype="road", **{"class": "primary"}, names={"primary": "Süd"}),
            feature(subtype="road", **{"class": "primary"}, width_rules=rules),
            feature(subtype="road", **{"class": "primary"}, width_rules=json.dumps(rules)),
            feature(subtype="road", **{"class": "primary"}, road_flags=flags),
            feature(subtype="rail", **{"class": "tram"}),
            mark=mark,
        )
        origin, roads, none = read(file)
        assert origin == "Overture"
        assert [road[2:] for road in roads] == [
            (8.0, "table"),
            (9.25, "tag"),
            (9.25, "tag"),
            (8.0, "table"),
        ]
        assert none == ["in a tunnel", "not a road (rail, water)"]
        assert roads[0][0].equals(shapely.LineString(LINE))

    def test_of_osmium(self, tmp_path):
        file = sequence(
            tmp_path / "a.geojsonseq",
            feature(highway="residential", width="4.5 m", lanes=2),
            feature(highway="residential", lanes=1),
            feature(building="yes"),
        )
        origin, roads, none = read(file)
        assert origin == "OpenStreetMap"
        assert [road[1:] for road in roads] == [
            ("residential", 4.5, "tag"),
            ("residential", 2.75, "lanes"),
        ]
        assert none == ["without a class"]

    def test_what_are_no_lines(self, tmp_path):
        geometries = [
            None,
            {"type": "Point", "coordinates": [1, 2]},
            {"type": "LineString"},
            {"type": "LineString", "coordinates": []},
            {"type": "LineString", "coordinates": [[1, 2]]},
            {"type": "LineString", "coordinates": [[1, 2], [3]]},
            {"type": "LineString", "coordinates": [[1, 2], [3, "x"]]},
            {"type": "LineString", "coordinates": [[1, 2], [3, float("nan")]]},
            {"type": "LineString", "coordinates": [[330000, 5800000], [330010, 5800000]]},
            {"type": "MultiLineString", "coordinates": [[[1, 2]]]},
            "LineString",
        ]
        rows = [feature(geometry, highway="road") for geometry in geometries]
        found = read(sequence(tmp_path / "a.geojsonl", *rows))[1]
        assert [road[0] for road in found] == [None] * len(geometries)

    def test_heights_and_several_parts(self, tmp_path):
        high = {"type": "LineString", "coordinates": [[1, 2, 3], [3, 4]]}
        many = {"type": "MultiLineString", "coordinates": [LINE, [[1, 2], [3, 4]]]}
        rows = [feature(high, highway="road"), feature(many, highway="road")]
        found = read(sequence(tmp_path / "a.geojsonl", *rows))[1]
        assert [shapely.get_num_coordinates(road[0]) for road in found] == [2, 5]

    def test_more_than_a_batch(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lines, "AT_ONCE", 10)
        file = sequence(tmp_path / "a.geojsonl", *[feature(highway="road")] * 25)
        batches = list(road_lines(str(file)).batches)
        assert [len(batch.lines) for batch in batches] == [10, 10, 5]
        monkeypatch.setattr(lines, "_MOST_POINTS", 5)
        batches = list(road_lines(str(file)).batches)
        assert [len(batch.lines) for batch in batches] == [2] * 12 + [1]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "has no feature"),
            ("\n\x1e\n", "has no feature"),
            ("hello", "line 3 is not JSON"),
            ('{"type": "Feature", "geom', "line 3 is not JSON .*; download or export it again"),
            ("[" * 100_000, "line 3 is not JSON"),
            ("7" * 5000, "line 3 is not JSON"),
            ('"a\xff"', "line 3 is not JSON"),
            ("7", "line 3 is 'JSON', expected a Feature"),
            ('{"type": ["Feature"]}', "line 3 is 'JSON', expected a Feature"),
            ('{"type": "FeatureCollection"}', "'FeatureCollection', .*: call the file .geojson"),
        ],
    )
    def test_what_is_no_sequence(self, tmp_path, text, said):
        before = "" if "no feature" in said else f"{json.dumps(feature(highway='road'))}\n\n"
        (tmp_path / "a.geojsonl").write_text(before + text, encoding="latin-1")
        refused(tmp_path / "a.geojsonl", said)

    def test_a_line_without_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(geojson_lines, "_LONGEST", 1 << 20)
        (tmp_path / "a.geojsonl").write_text(" " * ((1 << 20) + 1))
        refused(tmp_path / "a.geojsonl", "line 1 has more than 1 MiB")

    def test_unknown_fields(self, tmp_path):
        file = sequence(tmp_path / "a.geojsonl", feature(kind="A"), feature(breadth=3))
        refused(file, "no field has the class of a road; found 'kind', 'breadth'; expected")
