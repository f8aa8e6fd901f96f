"""A tile with six scenes of one product each, and a plan of it."""

from datetime import date, timedelta

import numpy as np
import pytest
import shapely

from tests.support.archive import Product, write_product
from transforms.assembly import read_scene
from transforms.elements import Layer, TilePlan, Window, utm_grid

GRID = utm_grid(32633, 300000, 5800020, 210, 240)
DAYS = 6


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Scenes with a square of cloud each, at another place every day."""
    folder = tmp_path_factory.mktemp("archive")
    made = []
    for number in range(DAYS):
        x, y = 300000 + 300 * number, 5800020 - 200 * number
        cloud = f"{x} {y} {x + 305} {y} {x + 305} {y - 405} {x} {y - 405} {x} {y}"
        product = Product(
            "33UUU",
            32633,
            300000,
            5800020,
            np.full((4, 210, 240), 1000 + number, np.uint16),
            day=date(2020, 6, 15) + timedelta(days=number),
            cloud_polygons=[cloud],
        )
        made.append(read_scene(str(write_product(folder, product))))
    return made


@pytest.fixture(scope="session")
def plan(scenes):
    """The plan of a part of the tile, with the area in its middle."""
    area = shapely.box(300200, 5798200, 302000, 5799700)
    return TilePlan(
        "33UUU",
        "33U",
        GRID,
        12.8,
        52.3,
        Window(17, 11, 180, 211),
        shapely.to_wkb(area, hex=True),
        tuple(scenes),
        dict.fromkeys(Layer, "mark"),
    )
