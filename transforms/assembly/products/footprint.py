"""Reads the ground on which a product has data, as its metadata states it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
import shapely

_MOST = 2000
"""Largest number of numbers in a ring, and of rings; products have some 10 to 100."""


def footprint_of(positions: Iterable[str]) -> str:
    """The footprint of a product, from the lists of positions in its metadata.

    Args:
        positions: the texts of EXT_POS_LIST, each a closed ring of latitude and longitude in
            degrees, in some products with a height after each pair.

    Returns:
        Hexadecimal WKB of polygons in longitude and latitude, degrees. A ring across the
        antimeridian continues beyond 180. Empty if the metadata states no ring that can be used.

    Examples:
        >>> footprint_of(["50 10 50 11 51 11 51 10 50 10"])[:10]
        '0103000000'
        >>> footprint_of(["50 10 north"])
        ''
    """
    rings = [_ring(text) for text in islice(positions, _MOST)]
    polygons = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if ring is not None]
    if not polygons or len(polygons) < len(rings):
        return ""
    return str(shapely.to_wkb(shapely.union_all(polygons), hex=True))


def _ring(text: str) -> np.ndarray | None:
    """Longitude and latitude of a closed ring, axes (points, 2); None if the text is none."""
    words = text.split()
    if not 8 <= len(words) <= _MOST:
        return None
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return None
    for width in (2, 3):  # a ring ends where it begins, which tells pairs from triples
        points = values.reshape(-1, width) if len(values) % width == 0 else values[:0]
        if len(points) >= 4 and np.array_equal(points[0], points[-1]):
            lat, lon = points[:, 0], points[:, 1]
            if not (
                np.abs(lat).max() <= 90 and np.abs(lon).max() <= 360
            ):  # also if it is no number
                return None
            lon = np.unwrap(lon, period=360)
            return np.column_stack([lon, lat]) if np.ptp(lon) < 90 else None
    return None
