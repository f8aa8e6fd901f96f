"""Vector files with a false format, or that cost more than their size shows.

Each is made by a function of an empty folder and the address of a server that must stay unasked.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyogrio
import shapely

BOX = shapely.box(12.51, 52.41, 12.53, 52.43)
LINE = shapely.LineString([(12.51, 52.41), (12.53, 52.43)])
TWO = (BOX, LINE.buffer(0.001))
PIPELINE = "gdal vector pipeline ! read /vsicurl/URL/a.geojson ! write a"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS fid FROM n"


def write(file: Path, shapes=TWO, kind="Polygon", **more) -> Path:
    """A sound vector file with a width each; its format by its name."""
    columns = [np.arange(1.0, len(shapes) + 1)]
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    pyogrio.raw.write(file, wkb, columns, ["width"], geometry_type=kind, crs="EPSG:4326", **more)
    return file


def feature_collection(**more) -> dict:
    feature = {"type": "Feature", "properties": {"width": 5.0}}
    feature["geometry"] = json.loads(shapely.to_geojson(BOX))
    return {**more, "type": "FeatureCollection", "features": [feature]}


def text(name, content):
    def make(folder, url):
        file = folder / name
        file.write_text(content.replace("URL", url))
        return file

    return make


def virtual(source):
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{source}</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )


def changed(*statements):
    """A GeoPackage that some SQL has changed."""

    def make(folder, url):
        file = write(folder / "a.gpkg")
        database = sqlite3.connect(file)
        database.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()
        return file

    return make


def link(kind, key):
    crs = {"type": kind, "properties": {key: "URL/crs", "type": "proj4"}}
    return text("a.geojson", json.dumps(feature_collection(crs=crs)))


def zipped(*members):
    """A zip of made files or texts, by name."""

    def make(folder, url):
        file = folder / "a.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content.replace("URL", url))
        return file

    return make


def zip_bomb(folder, url):
    file = folder / "a.zip"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.geojson", "w", force_zip64=True) as member,
    ):
        for _ in range(70):
            member.write(bytes(1 << 20))
    return file


def zip_with_a_flipped_bit(folder, url):
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.geojson", json.dumps(feature_collection()))
    data = file.read_bytes()
    at = data.index(b"12.51")
    file.write_bytes(data[:at] + b"13.51" + data[at + 5 :])
    return file


def no_text_as_crs(folder, url):
    file = write(folder / "a.shp")
    crs = file.with_suffix(".prj")
    crs.write_bytes(crs.read_bytes().replace(b"WGS", b"\xff\xfe\xff"))
    return file


def zip_out_of_place(folder, url):
    """A zip whose directory states a place far behind its real one."""
    file = zipped(("a.geojson", json.dumps(feature_collection())))(folder, url)
    data = bytearray(file.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x05\x06") + 16, 10_000)
    file.write_bytes(data)
    return file


def pipe(folder, url):
    os.mkfifo(folder / "a.gpkg")
    return folder / "a.gpkg"


def device(folder, url):
    (folder / "a.geojson").symlink_to("/dev/zero")
    return folder / "a.geojson"


def directory(folder, url):
    (folder / "a.gpkg").mkdir()
    return folder / "a.gpkg"


def cut(name, share, spoiled=None):
    def make(folder, url):
        file = write(folder / name, [shapely.box(12 + i, 52, 12.5 + i, 53) for i in range(50)])
        part = file.with_suffix(spoiled or file.suffix)
        data = part.read_bytes()
        part.write_bytes(data[: int(len(data) * share)])
        return file

    return make


def fgb_that_states(count):
    """A FlatGeobuf whose head states another number of features."""

    def make(folder, url):
        file = write(folder / "a.fgb", SPATIAL_INDEX="NO")
        data = bytearray(file.read_bytes())
        (root,) = struct.unpack_from("<I", data, 12)
        table = 12 + root - struct.unpack_from("<i", data, 12 + root)[0]
        (offset,) = struct.unpack_from("<H", data, table + 4 + 2 * 8)
        struct.pack_into("<Q", data, 12 + root + offset, count)
        file.write_bytes(data)
        return file

    return make


def no_index(folder, url):
    file = write(folder / "a.shp")
    file.with_suffix(".shx").unlink()
    return file


def many_tables(folder, url):
    file = write(folder / "a.gpkg")
    database = sqlite3.connect(file)
    database.executemany(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) "
        "VALUES (?, 'features', ?, 4326)",
        ((f"t{i}", f"t{i}") for i in range(5000)),
    )
    database.commit()
    database.close()
    return file


VRT_JSON = json.dumps({"x": virtual("/vsicurl/URL/a.geojson"), **feature_collection()})
STAR = shapely.Polygon(np.random.default_rng(5).uniform((12, 52), (13, 53), (3000, 2)))
CROWD = shapely.buffer(
    shapely.linestrings(np.random.default_rng(6).uniform((12, 52), (13, 53), (2000, 2, 2))), 1e-5
)

HOSTILE = {
    "an OGR VRT named .gpkg": (text("a.gpkg", virtual("/vsicurl/URL/a")), "but XML"),
    "an OGR VRT named .shp": (text("a.shp", virtual("/vsicurl/URL/a")), "but XML"),
    "an OGR VRT named .fgb": (text("a.fgb", virtual("/vsicurl/URL/a")), "but XML"),
    "an OGR VRT": (text("a.vrt", virtual("/vsicurl/URL/a")), "without a known extension"),
    "a WFS named .gpkg": (
        text("a.gpkg", "<OGRWFSDataSource><URL>URL/wfs</URL></OGRWFSDataSource>"),
        "but XML",
    ),
    "a KML with a link": (
        text("a.kml", "<kml><NetworkLink><Link><href>URL/a.kml</href></Link></NetworkLink></kml>"),
        "without a known extension",
    ),
    "a GML with a schema elsewhere": (
        text("a.gml", '<FeatureCollection xmlns:xsi="x" xsi:schemaLocation="a URL/a.xsd"/>'),
        "without a known extension",
    ),
    "a pipeline of GDAL named .geojson": (
        text(
            "a.geojson", '{"type": "gdal_streamed_alg", "command_line": "gdal read /vsicurl/URL"}'
        ),
        "",
    ),
    "GeoJSON with a link as its CRS": (link("link", "href"), "a.geojson"),
    "GeoJSON with a URL as its CRS": (link("url", "url"), "a.geojson"),
    "a key twice in GeoJSON": (
        text("a.geojsonl", '{"type": "Feature", "type": "Polygon", "properties": null}'),
        "the same key twice",
    ),
    "a GeoPackage with an endless view": (
        changed(
            f"CREATE VIEW v AS {ENDLESS}",
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) "
            "VALUES ('v', 'features', 'v', 4326)",
        ),
        "contains a view 'v'",
    ),
    "a GeoPackage whose list of layers is a view": (
        changed("DROP TABLE gpkg_contents", f"CREATE VIEW gpkg_contents AS {ENDLESS}"),
        "contains a view 'gpkg_contents'",
    ),
    "a view that calls itself a table": (
        changed(
            f"CREATE VIEW v AS {ENDLESS}",
            "UPDATE sqlite_master SET type = 'table' WHERE name = 'v'",
        ),
        "damaged|computes",
    ),
    "a GeoPackage with a computed column": (
        changed("CREATE TABLE t (x, y AS (hex(zeroblob(500000000))))"),
        "a computed column in table 't'",
    ),
    "a GeoPackage with a foreign virtual table": (
        changed(
            "INSERT INTO sqlite_master VALUES "
            "('table', 'o', 'o', 0, 'CREATE VIRTUAL TABLE o USING VirtualOGR(''/vsicurl/URL/a'')')"
        ),
        "contains a table 'o'",
    ),
    "a GeoPackage with 5000 layers": (many_tables, "more than 1000 layers"),
    "a GeoPackage that states fewer features": (
        changed("UPDATE gpkg_ogr_contents SET feature_count = 1"),
        "expected 1 as the file states",
    ),
    "a GeoPackage that states a billion features": (
        changed("UPDATE gpkg_ogr_contents SET feature_count = 1000000000"),
        "expected 1000000000 as the file states",
    ),
    "a GeoPackage that is cut": (cut("a.gpkg", 0.7), "damaged"),
    "a FlatGeobuf that is cut": (cut("a.fgb", 0.3), "damaged"),
    "a FlatGeobuf that states 2^60 features": (fgb_that_states(2**60), "damaged"),
    "a FlatGeobuf that states fewer features": (fgb_that_states(1), "damaged"),
    "a shapefile that is cut": (cut("a.shp", 0.7), "copy it again"),
    "a shapefile whose .dbf is cut": (cut("a.shp", 0.7, ".dbf"), "rows in"),
    "a shapefile whose .shx is cut": (cut("a.shp", 0.7, ".shx"), "copy it again"),
    "a shapefile without .shx": (no_index, "no .shx"),
    "a shapefile whose .prj is no text": (no_text_as_crs, "is not a UTF-8 text"),
    "a zip with a line break in a name": (zipped(("a\nb.shp", "x")), "a control character"),
    "a zip whose directory points before its begin": (zip_out_of_place, "cannot be read as a zip"),
    "a pipe": (pipe, "a pipe or a device"),
    "a device without an end": (device, "a pipe or a device"),
    "a folder named .gpkg": (directory, "is a directory"),
    "a zip with an OGR VRT": (zipped(("a.vrt", virtual("/vsicurl/URL/a"))), "found none"),
    "a zip with an OGR VRT named .shp": (zipped(("a.shp", virtual("/vsicurl/URL/a"))), "but XML"),
    "a zip of two vector files": (zipped(("a.geojson", "{}"), ("b.fgb", "")), "a.geojson, b.fgb"),
    "a zip bomb (a vector file)": (zip_bomb, "unpacks to more than"),
    "a zip with a flipped bit (a vector file)": (zip_with_a_flipped_bit, "cannot be read as a zip"),
}
"""Files that every reader refuses: the function that makes each, and the text of the error."""

AREAS = {
    "a text that GDAL would take for a VRT": (text("a.geojson", VRT_JSON), None),
    "JSON of 100 000 brackets": (text("a.geojson", "[" * 100_000), "not valid JSON"),
    "a ring that crosses itself a million times": (
        lambda folder, url: write(folder / "a.gpkg", [STAR]),
        "cross each other",
    ),
    "polygons that cross each other a million times": (
        lambda folder, url: write(folder / "a.gpkg", list(CROWD)),
        "overlap each other",
    ),
    "a polygon that is missing": (
        lambda folder, url: write(folder / "a.gpkg", [BOX, None]),
        "1 of 2 features have no geometry",
    ),
}
"""As an area; None where it is one."""
