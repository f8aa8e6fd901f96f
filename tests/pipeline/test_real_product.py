"""A real L1C product, from its zip to every layer. Its pixels were coarsened to 250 m or more."""

import shutil

import numpy as np
import pytest
import rasterio

from ghsl_beam.area.mgrs_tiles import tile
from tests.support.jobs import layers, lonlat_box, make, models_folder, write_job

NAME = "S2A_MSIL1C_20201031T004711_N0209_R102_T53JQJ_20201031T022859"


def test_a_real_zip_goes_through(shared_data, tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(shared_data / "safe_products" / f"{NAME}.zip", archive)
    grid = tile("53JQJ")
    left, top = grid.ulx + 60_000, grid.uly - 40_000
    area = lonlat_box(grid.epsg, left, top - 3000, left + 4000, top)
    file = write_job(
        tmp_path,
        area,
        archive,
        period={"start": "2020-10-01", "end": "2020-10-31"},
        input={"archive": str(archive), "max_cloud_cover": 100},
        models={"folder": str(models_folder(tmp_path / "models")), "fallback": "33U"},
    )
    output, record = make(file)
    assert record["exit_code"] == 0, record["losses"]
    (planned,) = record["tiles"]
    (scene,) = planned["scenes"]
    assert (scene["id"], scene["baseline"], scene["level"]) == (NAME, "02.09", "L1C")
    assert 0 < scene["clear"] < scene["seen"] == 1, "the product's mask has clouds here"
    assert scene["used"] == pytest.approx(scene["clear"], abs=0.001)
    assert scene["reason"] == ""
    assert planned["model"]["fallback"] is True
    made = layers(output)
    assert len([name for name in made if name.startswith("utm/53JQJ/")]) == 7
    with rasterio.open(output / "utm/53JQJ/S2_E2020_town_53JQJ.tif") as source:
        s2, place, crs = source.read(), source.transform, source.crs
    assert crs.to_epsg() == grid.epsg
    inside = f"/vsizip/{archive}/{NAME}.zip/{NAME}.SAFE/GRANULE/L1C_T53JQJ_A027984_20201031T004711"
    with rasterio.open(f"{inside}/IMG_DATA/T53JQJ_20201031T004711_B08.jp2") as source:
        rows, cols = np.nonzero(s2[3])
        points = [place * (col + 0.5, row + 0.5) for row, col in zip(rows, cols, strict=True)]
        expected = [value[0] for value in source.sample(points[::97])]
    assert len(expected) > 300
    np.testing.assert_array_equal(s2[3][rows, cols][::97], expected)
