"""Reads the polygons of GeoJSON documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError

from transforms.elements import RequestError

_CRS_NAME = re.compile(r"[A-Za-z0-9:._/#-]{1,100}")


def polygons_of(label: str, document: Any) -> tuple[list[shapely.Geometry], str]:
    """The polygons of a GeoJSON document, and its CRS if it names one as in GeoJSON 2008, else "".

    Args:
        label: name of the document in errors.
        document: the parsed JSON.

    Raises:
        RequestError: it is not GeoJSON, or has other geometries than polygons.
    """
    polygons: list[Any] = []
    stack = [document]
    while stack:
        item = stack.pop()
        if not isinstance(item, Mapping):
            raise RequestError(f"{label}: is not GeoJSON; give an object with a type")
        kind = item.get("type")
        members = {"FeatureCollection": "features", "GeometryCollection": "geometries"}.get(
            str(kind)
        )
        if members is not None:
            inner = item.get(members)
            if not isinstance(inner, list):
                raise RequestError(f"{label}: {kind} has no list of {members}; export it again")
            stack.extend(reversed(inner))
        elif kind == "Feature":
            if item.get("geometry") is not None:
                stack.append(item["geometry"])
        elif kind in {"Polygon", "MultiPolygon"}:
            polygons.append(item)
        else:
            raise RequestError(f"{label}: {str(kind)[:40]!r} is not a polygon; give polygons only")
    try:
        geometries = [_finite_shape(item) for item in polygons]
    except (ShapelyError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise RequestError(
            f"{label}: a polygon cannot be read ({' '.join(str(error).split())[:200]}); each ring "
            "needs at least four positions, the last like the first"
        ) from error
    named = document.get("crs")
    if not isinstance(named, Mapping):
        return geometries, ""
    properties = named.get("properties")
    name = str(properties.get("name", "") if isinstance(properties, Mapping) else "")
    if not _CRS_NAME.fullmatch(name):  # PROJ also accepts texts that name files
        raise RequestError(f"{label}: unknown CRS {name[:80]!r}; save it in EPSG:4326")
    return geometries, name


def _finite_shape(item: Mapping[str, Any]) -> shapely.Geometry:
    polygons = item["coordinates"] if item["type"] == "MultiPolygon" else [item["coordinates"]]
    return shapely.MultiPolygon(
        [
            shapely.Polygon(
                np.array([point[:2] for point in rings[0]], float),
                [np.array([point[:2] for point in ring], float) for ring in rings[1:]],
            )
            for rings in polygons
            if rings
        ]
    )
