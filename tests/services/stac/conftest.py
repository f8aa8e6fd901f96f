"""A STAC API on the loopback, an archive of its products, and searches in it."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.stac_server import (
    StacServer,
    delivered_item,
)
from transforms.assembly import find_scenes
from transforms.assembly.catalogues import scenes
from transforms.assembly.catalogues.catalogue import Wanted
from transforms.assembly.catalogues.json_service import Bounds
from transforms.assembly.catalogues.stac.presets import (
    COPERNICUS,
)
from transforms.assembly.catalogues.stac.search import StacCatalogue
from transforms.elements import BANDS, Level

DAY = date(2020, 6, 15)
STRIP = "20200615T102047"
BOUNDS = Bounds(stall=0.5, total=1.0, attempts=3, pause=0.01, longest_wait=1.0)
SIZE = 1 << 20


def product(tile="33UUU", day=DAY, level=Level.L1C, seed=1, **more):
    random = np.random.default_rng(seed)
    dn = random.integers(1000, 9000, (4, 32, 32)).astype("uint16")
    if level is Level.L2A:
        more["scl"] = random.integers(4, 7, (16, 16))
    return Product(tile, 32633, 300000, 5800020, dn, day=day, **more)


@pytest.fixture
def server():
    with StacServer().running() as running:
        yield running


@pytest.fixture
def archive(tmp_path):
    """An archive with duplicates, cloudy and unwanted products, and the items of its products."""
    products = [
        product(seed=1, datastrip=STRIP),
        product(seed=2, datastrip=STRIP, baseline="05.00", offset=-1000, generation="T230000"),
        product(day=DAY + timedelta(days=1), cloud_cover=80.123, seed=3),
        product(day=DAY - timedelta(days=1), seed=4),
        product(day=DAY + timedelta(days=4), seed=5),
        product(day=DAY + timedelta(days=5), seed=6),
        product(tile="33UVU", cloud_cover=12.345, seed=7),
        product(tile="01CCV", seed=8),
        product(tile="60WWT", seed=9),
        product(level=Level.L2A, seed=10),
    ]
    items = [delivered_item(write_product(tmp_path, one), one) for one in products]
    return tmp_path, items


def copernicus(server, root, **more):
    """The preset of Copernicus with another address, and products on the local disk."""
    l1c, l2a = (replace(one, roots=(str(root),)) for one in (COPERNICUS.l1c, COPERNICUS.l2a))
    changes = {"per_second": 50.0, **more}
    return replace(COPERNICUS, address=server.url, l1c=l1c, l2a=l2a, **changes)


def wanted(tiles=("33UUU",), days=5, level=Level.L1C, max_cloud=100, bands=BANDS):
    end = DAY + timedelta(days=days - 1)
    return Wanted(frozenset(tiles), DAY, end, level, max_cloud, bands)


def scenes_of(catalogue, asked):
    """The result of a catalogue, without the checksums that an archive does not have."""
    found = scenes.scenes_of(catalogue, asked)
    return found._replace(scenes=[without_checksums(scene) for scene in found.scenes])


def without_checksums(scene):
    files = tuple(replace(file, checksum="") for file in scene.band_files)
    mask = scene.mask_file and replace(scene.mask_file, checksum="")
    return replace(scene, band_files=files, mask_file=mask)


def found_in(root, asked):
    days = asked.start, asked.end
    return find_scenes(
        str(root), asked.tiles, *days, asked.level, asked.max_cloud, bands=asked.bands
    )


def search(server, root, asked=None, **more):
    catalogue = StacCatalogue(copernicus(server, root, **more), bounds=BOUNDS)
    return scenes_of(catalogue, asked or wanted())
