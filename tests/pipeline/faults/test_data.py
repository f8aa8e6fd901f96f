"""Pixels and areas at the ends of their range."""

import numpy as np
import rasterio
from pyproj import Transformer

from tests.pipeline.faults.conftest import COLS, ROWS, ULX, ULY
from tests.pipeline.faults.table import fault
from tests.support.archive import Product, write_product
from tests.support.jobs import layers, lonlat_box, make, write_job
from tests.support.scenes import town


def job_of(folder, dn, area=None, **product):
    write_product(folder / "archive", Product("33UUU", 32633, ULX, ULY, dn, **product))
    whole = lonlat_box(32633, ULX - 99, ULY - 10 * ROWS - 99, ULX + 10 * COLS + 99, ULY + 99)
    grids = [{"crs": "ESRI:54009", "resolutions": [100]}]
    settings = {"greenness": {"radius_m": 20}, "grids": grids}
    return write_job(folder, area or whole, folder / "archive", **settings)


def utm(output):
    found = layers(output)
    return {
        name.split("/")[-1].split("_E2020")[0]: values
        for name, values in found.items()
        if name.startswith("utm/")
    }


fault("data", "saturated (DN 65535)", "used as reflectance 1 by the network; stays in S2; 0")


def test_saturated(tmp_path):
    dn = town(ROWS, COLS)
    dn[:, 40:50, 40:50] = 65535
    output, record = make(job_of(tmp_path, dn))
    assert record["exit_code"] == 0
    made = utm(output)
    assert (made["S2"][:, 40:50, 40:50] == 65535).all()
    assert (made["BUFRAC_RAW"][0, 40:50, 40:50] <= 10000).all()
    assert (np.abs(made["GREENNESS"][made["GREENNESS"] != -32768]) <= 10000).all()


fault("data", "negative after the offset", "clamped to 1: a valid pixel stays valid; 0")


def test_negative_after_offset(tmp_path):
    dn = town(ROWS, COLS) + 1000
    dn[:, :, 11:14] = 0
    dn[0, 20:30, 20:30] = 400
    output, record = make(job_of(tmp_path, dn, offset=-1000, baseline="04.00"))
    assert record["exit_code"] == 0
    made = utm(output)
    assert (made["S2"][0, 20:30, 20:30] == 1).all()
    assert (made["S2"][:, :, 11:14] == 0).all()
    assert (made["BUFRAC_RAW"][0, 20:30, 20:30] != 65535).all()


fault("data", "NDVI of 0/0", "cannot come from valid pixels; nodata pixels have none; 0")


def test_ndvi_that_is_no_number(tmp_path):
    dn = town(ROWS, COLS)
    dn[:, 30:40, 30:40] = 0
    dn[1:3, 30:40, 30:40] = 500  # red and near infrared are 0: no data, though green is not
    output, record = make(job_of(tmp_path, dn))
    assert record["exit_code"] == 0
    made = utm(output)
    assert (made["BUFRAC"][0, 30:40, 30:40] == 255).all()
    assert (made["GREENNESS"][0, 30:40, 30:40] == -32768).all()


fault("data", "area of one pixel", "one pixel is made, all else is nodata; 0")


def test_one_pixel(tmp_path):
    left, top = ULX + 410, ULY - 450
    area = lonlat_box(32633, left + 3, top - 7, left + 7, top - 3)
    output, record = make(job_of(tmp_path, town(ROWS, COLS), area))
    assert record["exit_code"] == 0
    made = utm(output)
    assert (made["BUFRAC"] != 255).sum() == 1
    with rasterio.open(output / "utm/33UUU/BUFRAC_E2020_town_33UUU.tif") as source:
        rows, cols = np.nonzero(source.read(1) != 255)
        assert source.xy(rows[0], cols[0]) == (left + 5, top - 5)


fault("data", "antimeridian", "both sides are made, at both ends of the grid; 0")


def test_across_the_antimeridian(tmp_path):
    """Tile 01KAB lies across 180 degrees."""
    latitude, half, epsg = -16.65, 0.02, 32701
    into = Transformer.from_crs(4326, epsg, always_xy=True)
    x, y = into.transform(-180, latitude)
    dn = town(600, 600)
    ulx, uly = 10 * round(x / 10) - 3000, 10 * round(y / 10) + 3000
    write_product(tmp_path / "archive", Product("01KAB", epsg, ulx, uly, dn))
    file = write_job(
        tmp_path,
        "POINT (0 0)",
        tmp_path / "archive",
        area={"bbox": [180 - half, latitude - half, -180 + half, latitude + half]},
        models={"starter": True},
        grids=[{"crs": "ESRI:54009", "resolutions": [100]}],
    )
    output, record = make(file)
    assert record["exit_code"] == 0
    found = layers(output)
    bufrac = found["utm/01KAB/BUFRAC_E2020_town_01KAB.tif"]
    with rasterio.open(output / "utm/01KAB/BUFRAC_E2020_town_01KAB.tif") as source:
        rows, cols = np.nonzero(bufrac[0] != 255)
        lons, _ = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*source.xy(rows, cols))
    assert (lons > 0).sum() > 50_000
    assert (lons < 0).sum() > 50_000
    built = {name: v for name, v in found.items() if name.startswith("grid/54009_100/BUILT_S_E")}
    assert len(built) == 2, "the two ends of Mollweide"
    on_grid = sum(int(values[values != 65535].astype(int).sum()) for values in built.values())
    in_utm = int(bufrac[bufrac != 255].astype(int).sum())
    assert abs(on_grid / in_utm - 1) < 4e-3
