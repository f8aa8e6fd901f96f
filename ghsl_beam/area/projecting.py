"""Converts polygons between coordinate reference systems."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from transforms.elements import RequestError

POLYGONS = (3, 6)
"""GEOS's numbers of the types Polygon and MultiPolygon."""
_MOST_PIECES = 2_000_000
"""Largest number of pieces that all edges together are split into in a projected CRS."""


def crs_of(label: str, text: str) -> pyproj.CRS:
    """The CRS of a file, which the label names in errors.

    Raises:
        RequestError: PROJ does not know it.
    """
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise RequestError(f"{label}: unknown CRS {text[:80]!r}; save it in EPSG:4326") from error


def to_lonlat(
    label: str, shapes: Sequence[shapely.Geometry], crs: pyproj.CRS
) -> list[shapely.Geometry]:
    """Convert polygons to longitude and latitude; long edges are cut before, so that they bend.

    Raises:
        RequestError: they are outside their CRS.
    """
    if crs.to_epsg() == 4326 or crs.to_authority() == ("OGC", "CRS84"):
        return list(shapes)
    if crs.is_projected:
        metres = crs.axis_info[0].unit_conversion_factor or 1.0
        around = shapely.length(np.asarray(shapes, dtype=object))
        whole = float(np.sum(around))
        length = max(250 / metres, whole / _MOST_PIECES) if np.isfinite(whole) else np.inf
        shapes = [
            _cut_into_pieces(shape, length) if own > length else shape
            for shape, own in zip(shapes, around, strict=True)
        ]
    return project(label, shapes, transformer(crs.to_wkt(), "EPSG:4326"))


def _cut_into_pieces(shape: shapely.Geometry, length: float) -> shapely.Geometry:
    """Polygons with no edge longer than a length; other geometries stay as they are.

    It works ring by ring, because GEOS first makes a whole polygon valid: where one crosses itself,
    GEOS silently drops parts of it.
    """
    if shapely.get_type_id(shape) not in POLYGONS or not np.isfinite(length):
        return shape
    return shapely.MultiPolygon(
        [
            shapely.Polygon(
                shapely.segmentize(part.exterior, length),
                [shapely.segmentize(ring, length) for ring in part.interiors],
            )
            for part in shapely.get_parts(shape)
        ]
    )


def project(
    label: str, shapes: Sequence[shapely.Geometry], how: pyproj.Transformer
) -> list[shapely.Geometry]:
    """Convert the points of geometries.

    Raises:
        RequestError: a point is outside the CRS.
    """

    def apply(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = how.transform(points[:, 0], points[:, 1])
        return np.column_stack([x, y])

    projected = shapely.transform(np.asarray(shapes, dtype=object), apply)
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        raise RequestError(f"{label}: is outside its CRS; check it, or save it in EPSG:4326")
    return list(projected)


@lru_cache(maxsize=256)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """The conversion from one CRS to another, with x before y."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
