"""Reads a GeoJSONSeq file line by line: any size, and other fields in each line.

GDAL reads such a file twice and makes one table with the fields of all features. The segments of a
country have too many fields for one table.

Source: RFC 8142 and RFC 7946 (longitude and latitude, one feature a line).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError

from transforms.elements import RequestError
from transforms.storage.vector_formats import check_regular

ENDINGS = (".geojsonseq", ".geojsonl", ".geojsons")
_LONGEST = 16 << 20
"""Largest line in bytes: about 500 000 points."""
_IGNORED = " \t\r\n\x1e\ufeff"


def is_geojson_lines(location: str) -> bool:
    """Whether a file is GeoJSONSeq, by its name."""
    return location.lower().endswith(ENDINGS)


def features(label: str, path: str) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """The properties and the line of each feature (shapely; None if it is missing or not valid).

    Args:
        label: name of the file in messages.
        path: a local file.

    Raises:
        StorageError: it is not a regular file, or cannot be read.
        RequestError: a line is not a feature; the message has its number.
    """
    check_regular(path)
    with Path(path).open("rb") as file:
        for number in range(1, 1 << 62):
            line = file.readline(_LONGEST + 1)
            if not line:
                return
            if len(line) > _LONGEST:
                raise RequestError(
                    f"{label}: line {number} has more than {_LONGEST >> 20} MiB, expected one "
                    "feature a line; export it again as GeoJSONSeq"
                )
            try:
                text = line.decode().strip(_IGNORED)
                found = json.loads(text) if text else None
            except (ValueError, RecursionError) as error:
                why = " ".join(str(error).split())[:80]
                raise RequestError(
                    f"{label}: line {number} is not JSON ({why}), expected one feature a line; "
                    "download or export it again"
                ) from error
            if text:
                yield _feature(label, number, found)


def _feature(label: str, number: int, found: Any) -> tuple[Mapping[str, Any], Any]:
    kind = found.get("type") if isinstance(found, dict) else None
    if kind != "Feature":
        more = ": call the file .geojson" if kind == "FeatureCollection" else ""
        raise RequestError(
            f"{label}: line {number} is {kind if isinstance(kind, str) else 'JSON'!r:.40}, "
            f"expected a Feature{more}"
        )
    properties = found.get("properties")
    return properties if isinstance(properties, dict) else {}, _line(found.get("geometry"))


def _line(geometry: Any) -> Any:
    """A line of GeoJSON; None for anything else."""
    if not isinstance(geometry, dict):
        return None
    kind, places = geometry.get("type"), geometry.get("coordinates")
    try:
        if kind == "LineString":
            return shapely.linestrings(_points(places))
        if kind == "MultiLineString" and isinstance(places, list) and places:
            return shapely.multilinestrings([shapely.linestrings(_points(p)) for p in places])
    except (TypeError, ValueError, OverflowError, ShapelyError):
        pass
    return None


def _points(places: Any) -> Any:
    if not isinstance(places, list):
        raise TypeError("not a list of points")
    points = np.array([place[:2] for place in places], np.float64)
    if not np.isfinite(points).all():
        raise ValueError("a point without a place on the Earth")
    return points
