"""Writes OpenStreetMap files (.osm.pbf) for tests, field by field: only nodes and ways.

Source: the OpenStreetMap wiki, PBF Format; fileformat.proto and osmformat.proto of OSM-binary.
"""

import struct
import zlib

_NODES, _WAYS = 8000, 2000
"""Nodes or ways in a block; 8000 are common, and the format allows 16 MiB a block."""


def write_pbf(path, ways, *, compress=True):
    """A file of ways, each a pair of its tags (a dict) and its points (longitude, latitude)."""
    ways = list(ways)
    nodes = [point for _, points in ways for point in points]
    with open(path, "wb") as file:
        features = b"".join(_bytes(4, name) for name in (b"OsmSchema-V0.6", b"DenseNodes"))
        file.write(_blob(b"OSMHeader", features, compress))
        for start in range(0, len(nodes), _NODES):
            block = _node_block(start + 1, nodes[start : start + _NODES])
            file.write(_blob(b"OSMData", block, compress))
        number, node = 1, 1
        for start in range(0, len(ways), _WAYS):
            some = ways[start : start + _WAYS]
            file.write(_blob(b"OSMData", _way_block(number, node, some), compress))
            number, node = number + len(some), node + sum(len(points) for _, points in some)
    return path


def _node_block(first, points):
    ids = _packed_deltas(range(first, first + len(points)))
    lats = _packed_deltas(round(lat * 1e7) for _, lat in points)
    lons = _packed_deltas(round(lon * 1e7) for lon, _ in points)
    dense = _bytes(1, ids) + _bytes(8, lats) + _bytes(9, lons)
    return _bytes(1, _bytes(1, b"")) + _bytes(2, _bytes(2, dense))


def _way_block(number, node, ways):
    texts, group = {"": 0}, []
    for tags, points in ways:
        keys = b"".join(_varint(texts.setdefault(key, len(texts))) for key in tags)
        values = b"".join(_varint(texts.setdefault(tags[key], len(texts))) for key in tags)
        refs = _packed_deltas(range(node, node + len(points)))
        way = _number(1, number) + _bytes(2, keys) + _bytes(3, values) + _bytes(8, refs)
        group.append(_bytes(3, way))
        number, node = number + 1, node + len(points)
    table = b"".join(_bytes(1, text.encode()) for text in texts)
    return _bytes(1, table) + _bytes(2, b"".join(group))


def _blob(kind, content, compress):
    packed = zlib.compress(content)
    if compress and len(content) < 50 * len(packed):  # GDAL refuses what shrinks too much
        blob = _number(2, len(content)) + _bytes(3, packed)
    else:
        blob = _bytes(1, content)
    head = _bytes(1, kind) + _number(3, len(blob))
    return struct.pack(">I", len(head)) + head + blob


def _packed_deltas(numbers):
    found, before = [], 0
    for number in numbers:
        found.append(_signed(number - before))
        before = number
    return b"".join(found)


def _signed(number):
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _varint(number):
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _number(field, number):
    return _varint(field << 3) + _varint(number)


def _bytes(field, content):
    return _varint(field << 3 | 2) + _varint(len(content)) + content
