"""A job whose road lines `ghsl-beam roads` made."""

import numpy as np
import pyproj
import rasterio

from ghsl_beam.tools.roads.convert import make_roads
from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, make, write_job
from tests.support.osm_pbf import write_pbf
from tests.support.scenes import town

ROWS, COLS = 150, 200
ULX, ULY = 330000, 5820000
ROW, UNDER = 60, 90
"""Rows whose centres a street and a tunnel run along."""


def bufrac(output):
    (path,) = output.glob("utm/33UUU/BUFRAC_E*.tif")
    with rasterio.open(path) as source:
        return source.read(1)


def along(row):
    into = pyproj.Transformer.from_crs(32633, 4326, always_xy=True)
    y = ULY - 10 * row - 5
    return [into.transform(ULX + x, y) for x in np.linspace(-50, 10 * COLS + 50, 20)]


def test_streets_are_taken_out(tmp_path):
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX, ULY, town(ROWS, COLS)))
    roads = tmp_path / "roads.gpkg"
    ways = [
        ({"highway": "residential", "width": "24 ft"}, along(ROW)),
        ({"highway": "residential", "tunnel": "yes"}, along(UNDER)),
    ]
    make_roads(str(write_pbf(tmp_path / "town.osm.pbf", ways)), str(roads))
    area = lonlat_box(32633, ULX - 500, ULY - 10 * ROWS - 500, ULX + 10 * COLS + 500, ULY + 500)
    settings = {"minimum": None, "ndvi_above": None, "ndwi_above": None, "minimum_area_m2": None}
    found = {}
    for name, streets in (("without", {}), ("with", {"roads": str(roads)})):
        file = write_job(
            tmp_path / name, area, tmp_path / "archive", cleaning={**settings, **streets}, grids=[]
        )
        output, record = make(file)
        assert record["exit_code"] == 0
        found[name] = bufrac(output)
    assert (found["without"][[ROW, UNDER]] > 0).any(axis=1).all()
    street = found["with"][ROW]
    assert (street[street != 255] == 0).all()
    others = np.delete(np.arange(ROWS), ROW)
    np.testing.assert_array_equal(found["with"][others], found["without"][others])
