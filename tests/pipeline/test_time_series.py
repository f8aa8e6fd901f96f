"""A real series of L2A observations through the whole job: masks, percentile, every layer."""

from datetime import datetime

import numpy as np
import pytest
import rasterio

from tests.support.archive import Product, write_product
from tests.support.jobs import layers, lonlat_box, make, write_job
from transforms.assembly import SCL_CLASSES

SIDE = 64
PERIOD = {"start": "2018-04-01", "end": "2018-09-30"}


@pytest.fixture(scope="module")
def series(shared_data):
    """Observations of the period by day: R G B NIR (4, 64, 64), SCL (32, 32), corner, EPSG."""
    folder = shared_data / "s2_l2a_timeseries" / "wc1_31UDS"
    found = []
    for path in sorted(folder.glob("2018*_B02B03B04B08_10m.tif")):
        day = datetime.strptime(path.name[:8], "%Y%m%d").date()
        if not PERIOD["start"] <= day.isoformat() <= PERIOD["end"]:
            continue
        with rasterio.open(path) as source:
            blue, green, red, nir = source.read()
            place = source.transform.c, source.transform.f, source.crs.to_epsg()
        with rasterio.open(folder / f"{path.name[:8]}_SCL_20m.tif") as source:
            found.append((day, np.stack([red, green, blue, nir]), source.read(1), place))
    return found


def test_a_series_with_clouds(series, tmp_path):
    assert len(series) >= 20
    left, top, epsg = series[0][3]
    for day, dn, scl, place in series:
        assert place == (left, top, epsg)
        write_product(
            tmp_path / "archive", Product("31UES", epsg, left, top, dn, day, offset=0, scl=scl)
        )
    file = write_job(
        tmp_path,
        lonlat_box(epsg, left - 50, top - 10 * SIDE - 50, left + 10 * SIDE + 50, top + 50),
        tmp_path / "archive",
        period=PERIOD,
        input={"archive": str(tmp_path / "archive"), "level": "L2A", "max_cloud_cover": 100},
        models={"starter": True},
        scenes={"enough": None},
    )
    output, record = make(file)
    assert record["exit_code"] == 0, record["losses"]
    assert len(record["tiles"][0]["scenes"]) == len(series)
    assert any("L2A" in warning for warning in record["warnings"])
    made = {
        name.split("/")[-1].split("_E2020")[0]: values
        for name, values in layers(output).items()
        if name.startswith("utm")
    }
    stack = np.ma.masked_all((len(series), 4, SIDE, SIDE))
    for number, (_, dn, scl, _) in enumerate(series):
        clear = ~np.isin(scl.repeat(2, 0).repeat(2, 1), list(SCL_CLASSES)) & (dn > 0).all(axis=0)
        stack[number] = np.ma.masked_array(dn, np.broadcast_to(~clear, dn.shape))
    wide = stack.astype(float).filled(np.nan)
    count = np.isfinite(wide[:, 0]).sum(axis=0)
    assert 0 < count.min() < count.max() < len(series)
    np.testing.assert_array_equal(made["S2_COUNT"][0], count)
    np.testing.assert_array_equal(made["S2"], np.rint(np.nanpercentile(wide, 30, axis=0)))
    assert (made["BUFRAC"] != 255).all()
