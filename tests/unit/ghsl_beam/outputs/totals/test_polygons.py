"""Sums over polygons are exact, whatever the parts in which they are computed."""

import numpy as np
import pytest
import shapely

from ghsl_beam.outputs.totals.polygons import Polygons, polygon_sums
from transforms.elements import utm_grid

PLACE = utm_grid(32633, 300000, 5900040, 300, 200)


def shares(low, high, edge, number):
    """The share of each pixel of a row or column between two places, metres from its edge."""
    at = edge + 10 * np.arange(number)
    return np.clip(np.minimum(at + 10, high) - np.maximum(at, low), 0, 10) / 10


def test_sums_of_boxes_are_exact():
    random = np.random.default_rng(2)
    terms = [random.integers(0, 200, PLACE.shape).astype(kind) for kind in (np.uint8, np.int16)]
    boxes = {
        3: (300123.4, 5897200.5, 301777.7, 5899876.5),
        7: (299000, 5890000, 303000, 5901000),  # contains the grid
        9: (300005, 5899000, 300007.5, 5899001),  # a part of one pixel
        12: (310000, 5890000, 310100, 5890100),  # elsewhere
    }
    polygons = Polygons({number: shapely.box(*box) for number, box in boxes.items()})
    found = dict.fromkeys(boxes, np.zeros(2))
    for number, sums in polygon_sums(terms, PLACE, polygons):
        found[number] = found[number] + sums
    for number, (west, south, east, north) in boxes.items():
        across = shares(west, east, 300000, 200)
        down = shares(south, north, 5897040, 300)[::-1]
        expected = [down @ term @ across for term in terms]
        assert found[number] == pytest.approx(expected, rel=1e-6, abs=1e-9), number
