"""Sums of arrays over polygons, with the exact part of each pixel at an edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from numpy.typing import NDArray

from ghsl_beam.area.antimeridian import polygonal
from transforms.elements import Grid

_LEAF = 64
"""Side in pixels of the parts that are summed up at once if a polygon contains them."""

Terms = Sequence[NDArray[Any]]
Floats = NDArray[np.float64]


class Polygons:
    """Polygons by number, which are found by the ground that they touch."""

    def __init__(self, geometries: Mapping[int, shapely.Geometry]) -> None:
        self.of = {number: polygonal(geometry) for number, geometry in geometries.items()}
        self._numbers = [*self.of]
        self._tree = shapely.STRtree([*self.of.values()])
        shapely.prepare([*self.of.values()])

    def touching(self, box: shapely.Polygon) -> list[int]:
        """The numbers of the polygons that touch a box."""
        return [self._numbers[at] for at in self._tree.query(box, predicate="intersects")]

    def touch(self, place: Grid) -> bool:
        """Whether any polygon touches the ground of a grid."""
        return bool(self.touching(shapely.box(*place.boundingbox.bbox)))


def polygon_sums(terms: Terms, place: Grid, polygons: Polygons) -> Iterator[tuple[int, Floats]]:
    """Sum up arrays over polygons.

    A pixel that a polygon covers in part counts by the share that it covers.

    Args:
        terms: arrays of whole numbers, (rows, columns) of the grid each.
        place: the grid, north up.
        polygons: in the CRS of the grid.

    Yields:
        The number of each polygon that touches the grid, and one sum for each array, float64.
    """
    box = shapely.box(*place.boundingbox.bbox)
    numbers = polygons.touching(box)
    containing = [number for number in numbers if shapely.contains(polygons.of[number], box)]
    if containing:
        whole = np.array([term.sum(dtype=np.float64) for term in terms])
        yield from ((number, whole) for number in containing)
    if len(containing) == len(numbers):
        return
    rows, cols = (np.arange(0, side, _LEAF) for side in place.shape)
    sums = np.array([_by_leaf(term, rows, cols) for term in terms])
    leaves = _leaves(place, rows, cols)
    pieces: list[tuple[int, shapely.Geometry]] = []
    for number in set(numbers) - set(containing):
        polygon = polygons.of[number]
        inside = shapely.contains(polygon, leaves)
        yield number, sums[:, inside.reshape(len(rows), len(cols))].sum(axis=1)
        for leaf in leaves[~inside & shapely.intersects(polygon, leaves)]:
            pieces.append((number, polygonal(shapely.clip_by_rect(polygon, *leaf.bounds))))
    yield from _of_pieces(terms, place, [piece for piece in pieces if not piece[1].is_empty])


def _by_leaf(term: NDArray[Any], rows: NDArray[Any], cols: NDArray[Any]) -> Floats:
    """The sum of each leaf, (rows of leaves, columns of leaves)."""
    down = np.add.reduceat(term, rows, axis=0, dtype=np.int64)
    return np.asarray(np.add.reduceat(down, cols, axis=1), np.float64)


def _leaves(place: Grid, rows: NDArray[Any], cols: NDArray[Any]) -> NDArray[Any]:
    """The boxes of the leaves, row by row."""
    top, left = np.meshgrid(rows, cols, indexing="ij")
    bottom, right = (
        np.minimum(top + _LEAF, place.shape[0]),
        np.minimum(left + _LEAF, place.shape[1]),
    )
    west, north = place.affine * (left.ravel(), top.ravel())
    east, south = place.affine * (right.ravel(), bottom.ravel())
    return np.asarray(shapely.box(west, south, east, north))


def _of_pieces(
    terms: Terms, place: Grid, pieces: Sequence[tuple[int, shapely.Geometry]]
) -> Iterator[tuple[int, Floats]]:
    if not pieces:
        return
    west, south, east, north = place.boundingbox.bbox
    rasters = [
        NumPyRasterSource(term, xmin=west, ymin=south, xmax=east, ymax=north, name=f"term{n}")
        for n, term in enumerate(terms)
    ]
    features = [
        {"type": "Feature", "properties": {}, "geometry": piece.__geo_interface__}
        for _, piece in pieces
    ]
    found = exact_extract(rasters, features, ["sum"])
    names = [f"term{n}_sum" if len(terms) > 1 else "sum" for n in range(len(terms))]
    for (number, _), feature in zip(pieces, found, strict=True):
        sums = [feature["properties"][name] for name in names]
        yield number, np.array([value or 0.0 for value in sums], np.float64)
