"""Checks what a vector file is by its content; opens only formats that refer to nothing else.

GDAL chooses the driver by content, not by name: a text in `roads.gpkg` may be an OGR VRT, a WFS
or a pipeline, which read other files and contact other machines. So a file is opened only if its
name and its content agree on one format of `FORMATS`, and if GDAL cannot take it for another. GDAL
omits some data silently (in a truncated shapefile, in a layer with more features than its file
states). Here that is an error.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from transforms.elements import StorageError

FORMATS = (
    "GeoPackage (.gpkg), FlatGeobuf (.fgb), Shapefile (.shp), GeoJSON (.geojson, .json) or "
    "GeoJSONSeq (.geojsonl, .geojsons)"
)
"""The formats that are read; a .zip may contain one file of any of them."""
MAX_TEXT_BYTES = 256 << 20
"""Largest GeoJSON, which is read whole."""
_MAX_VALUES = 30_000_000
MAX_LAYERS = 1000
_MAX_CRS = 1 << 16
_SECONDS = 20.0
"""Longest check of a GeoPackage; the check of its tables takes a second per gigabyte."""
_QUICK_BYTES = 64 << 20
"""Up to this size, all pages of a GeoPackage are checked."""
_SQL = re.compile(r"CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER) |CREATE VIRTUAL TABLE .* USING rtree")


class _RefusedError(Exception):
    """Why a file is not opened."""


def check_regular(path: str) -> None:
    """Check that a local path is a regular file: a FIFO would block, and a device has no end.

    Raises:
        StorageError: it is not a regular file, or does not exist.
    """
    try:
        if os.path.isdir(path):
            raise StorageError(path, "is a directory, expected a file")
        os.stat(path)
    except OSError as error:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise StorageError(path, error.strerror or str(error), absent) from error
    if not os.path.isfile(path):
        raise StorageError(path, "is a pipe or a device, expected a file")


def gdal_name(path: str) -> str:
    """The name by which GDAL opens a local vector file, after a check of its content.

    Raises:
        StorageError: its format is none of `FORMATS`, it is damaged, or it computes its content.
    """
    check_regular(path)
    if "!" in path:  # pyogrio takes the part before it for an archive
        raise StorageError(path, "has a '!' in its path, which GDAL misreads; rename it")
    check = _CHECKS.get(Path(path).suffix.lower())
    if check is None:
        raise StorageError(path, f"has a name without a known extension, expected {FORMATS}")
    try:
        return check(path)
    except _RefusedError as refused:
        raise StorageError(path, str(refused)) from refused
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise StorageError(path, f"is damaged ({_line(error)}); save or copy it again") from error


def _geopackage(path: str) -> str:
    with open(path, "rb") as file:
        head = file.read(100)
    if head[:16] != b"SQLite format 3\0" or len(head) < 100:
        raise _RefusedError(
            f"is named like a GeoPackage, but is not one{_looks_like(head)}; save it as GeoPackage"
        )
    begun = time.monotonic()
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.set_progress_handler(lambda: time.monotonic() - begun > _SECONDS, 10_000)
            db.execute("PRAGMA trusted_schema = OFF")
            _check_tables(db, os.path.getsize(path))
    except (sqlite3.Error, OverflowError) as error:
        if "interrupted" in str(error):
            raise _RefusedError(
                f"cannot be checked within {_SECONDS:.0f} s; save it again"
            ) from None
        raise _RefusedError(
            f"is damaged or not a GeoPackage ({_line(error)}); save it again"
        ) from error
    return path


def _check_tables(db: sqlite3.Connection, size: int) -> None:
    """Check that all layers are tables, complete, and with as many rows as the file states."""
    # The SQL text decides: SQLite executes it, whatever the columns beside it say.
    for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master"):
        if sql is not None and not _SQL.match(str(sql)):
            raise _RefusedError(
                f"contains a {kind} {str(name)[:40]!r} that computes its content; "
                "export the layer alone into a new GeoPackage"
            )
    computed = db.execute(
        "SELECT m.name FROM sqlite_master m, pragma_table_xinfo(m.name) c "
        "WHERE m.type = 'table' AND c.hidden IN (2, 3) LIMIT 1"
    ).fetchone()
    if computed:
        raise _RefusedError(
            f"has a computed column in table {computed[0]!r}; export the table without it"
        )
    if size <= _QUICK_BYTES:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _RefusedError(f"is damaged ({_line(verdict)}); save it again")
    layers = db.execute(
        "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT ?",
        (MAX_LAYERS + 1,),
    ).fetchall()
    if len(layers) > MAX_LAYERS:
        raise _RefusedError(f"has more than {MAX_LAYERS} layers; export the one that you need")
    stated = {}
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'gpkg_ogr_contents'").fetchone():
        # One row for each layer, by its primary key.
        counts = db.execute("SELECT lower(table_name), feature_count FROM gpkg_ogr_contents")
        stated = dict(counts.fetchmany(MAX_LAYERS * 10))
    for (layer,) in layers:
        quoted = str(layer).replace('"', '""')
        (rows,) = db.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchone()  # noqa: S608 - quoted
        count = stated.get(str(layer).lower())
        if count is not None and count != rows:
            raise _RefusedError(
                f"has {rows} features in layer {layer!r}, expected {count} as the file states; "
                "save it again"
            )


def _flatgeobuf(path: str) -> str:
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        if data[:7] != b"fgb\x03fgb":
            raise _RefusedError(
                "is named like a FlatGeobuf, but is not one"
                f"{_looks_like(data[:100])}; save it as FlatGeobuf"
            )
        (length,) = struct.unpack_from("<I", data, 8)
        if not 16 <= length <= 10 << 20:  # GDAL's own bound; byte 11 is then 0, so it is no text
            raise _RefusedError(f"is damaged (its header has {length} bytes); save it again")
        stated, node = _fgb_counts(data, 12)
        place = 12 + length + _fgb_index_bytes(stated, node)
        features, end = 0, len(data)
        while place < end:
            (size,) = struct.unpack_from("<I", data, place)
            place += 4 + size
            features += 1
        if place != end or (stated and stated != features):
            raise _RefusedError(
                f"is damaged: it has {features} features up to byte {place}, expected {stated} "
                f"up to byte {end}; save it again"
            )
    return path


def _fgb_counts(data: mmap.mmap, head: int) -> tuple[int, int]:
    """Number of features, and node size of the index, that a FlatGeobuf states; 0 if not stated.

    Source: header.fbs of FlatGeobuf 3; fields 8 and 9 of a FlatBuffers table.
    """
    root = head + struct.unpack_from("<I", data, head)[0]
    table = root - struct.unpack_from("<i", data, root)[0]
    size = struct.unpack_from("<H", data, table)[0]

    def field(number: int, form: str, absent: int) -> int:
        place = 4 + 2 * number
        offset = struct.unpack_from("<H", data, table + place)[0] if place + 2 <= size else 0
        return int(struct.unpack_from(form, data, root + offset)[0]) if offset else absent

    return field(8, "<Q", 0), field(9, "<H", 16)


def _fgb_index_bytes(features: int, node: int) -> int:
    if node < 2 or not features:
        return 0
    nodes, level = features, features
    while level > 1:
        level = -(-level // node)
        nodes += level
    return 40 * (nodes + (features == 1))


def _shapefile(path: str) -> str:
    """Check that main file, index and table agree on the records; GDAL does not check this.

    Source: ESRI Shapefile Technical Description, July 1998; lengths are in words of 16 bits.
    """
    records = _shape_file(path)
    index = _beside(path, "shx")
    if index is None:
        raise _RefusedError("has no .shx file beside it; copy all files of the shapefile")
    entries = _shape_file(index) // 8
    with open(index, "rb") as file:
        file.seek(100)
        places, lengths = np.frombuffer(file.read(8 * entries), ">u4").reshape(-1, 2).T * 2.0
    if entries and (places + lengths).max() + 8 > records + 100:
        raise _RefusedError("is damaged: its .shx names records beyond its end; save it again")
    crs = _beside(path, "prj")
    if crs is not None:
        try:
            Path(crs).read_bytes()[:_MAX_CRS].decode()
        except UnicodeDecodeError as error:
            raise _RefusedError(
                f"has a {Path(crs).name} that is not a UTF-8 text; copy it again"
            ) from error
    table = _beside(path, "dbf")
    if table is not None:
        with open(table, "rb") as file:
            head = file.read(32)
        rows, first, width = struct.unpack_from("<IHH", head, 4)
        size = os.path.getsize(table)
        if rows != entries or size < first + rows * width:
            raise _RefusedError(
                f"has {entries} shapes, but its .dbf has {rows} rows in {size} bytes; save it again"
            )
    return path


def _shape_file(path: str) -> int:
    """Check a .shp or .shx; return its bytes after the header."""
    with open(path, "rb") as file:
        head = file.read(100)
    if len(head) < 100 or head[:4] != b"\x00\x00\x27\x0a":
        raise _RefusedError(
            f"is not a shapefile: {Path(path).name} is not one of its parts{_looks_like(head)}; "
            "save it as shapefile"
        )
    stated, actual = 2 * struct.unpack_from(">I", head, 24)[0], os.path.getsize(path)
    if stated != actual:
        raise _RefusedError(
            f"is damaged: {Path(path).name} has {actual} bytes, expected {stated}; copy it again"
        )
    return actual - 100


def _beside(path: str, extension: str) -> str | None:
    stem = Path(path).stem
    for other in (extension, extension.upper()):
        if (file := Path(path).with_name(f"{stem}.{other}")).exists():
            check_regular(str(file))
            return str(file)
    return None


def _geojson(path: str) -> str:
    if not isinstance(_json(_text(path)), _Object):
        raise _RefusedError("is JSON, but not GeoJSON; export it again")
    return f"GeoJSON:{os.path.abspath(path)}"


def _geojson_sequence(path: str) -> str:
    for number, line in enumerate(_text(path).splitlines(), 1):
        text = line.strip("\x1e \t\r")
        if text and not isinstance(_json(text), _Object):
            raise _RefusedError(f"has no feature in line {number}; export it again")
    return f"GeoJSONSeq:{os.path.abspath(path)}"


def _text(path: str) -> str:
    """The text of the file, within a limit: the parsed text takes about ten times its bytes."""
    if (size := os.path.getsize(path)) > MAX_TEXT_BYTES:
        raise _RefusedError(
            f"has {size >> 20} MiB of GeoJSON, expected at most {MAX_TEXT_BYTES >> 20}; "
            "save it as GeoPackage"
        )
    text = Path(path).read_bytes().decode("utf-8-sig")
    if text.count(",") + text.count("[") > _MAX_VALUES:
        raise _RefusedError(f"has more than {_MAX_VALUES} values of GeoJSON; save it as GeoPackage")
    return text


class _Object(str):
    """The only part of a JSON object that is kept: its type."""

    __slots__ = ()


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise _RefusedError(f"is not valid JSON ({error}); export it again as GeoJSON") from error


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    """Check one JSON object; a CRS of GeoJSON 2008 may be a link, which GDAL would follow."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RefusedError("has an object with the same key twice; export it again")
    crs = members.get("crs")
    if isinstance(crs, _Object) and crs != "name":
        raise _RefusedError(
            f"has a crs of type {str(crs)[:20]!r}, expected 'name'; save it in EPSG:4326"
        )
    kind = members.get("type")
    return _Object(kind if isinstance(kind, str) else "")


def _looks_like(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return " but XML"
    if text.startswith((b"{", b"[")):
        return " but JSON"
    return " but a zip" if text.startswith(b"PK") else ""


def _line(error: object) -> str:
    return " ".join(str(error).split())[:160]


_CHECKS: dict[str, Callable[[str], str]] = {
    ".gpkg": _geopackage,
    ".fgb": _flatgeobuf,
    ".shp": _shapefile,
    ".geojson": _geojson,
    ".json": _geojson,
    ".geojsonl": _geojson_sequence,
    ".geojsons": _geojson_sequence,
}
