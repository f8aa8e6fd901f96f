"""Layers of an earlier configuration are named; those of another job are not."""

from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.running.other_files import earlier_files
from tests.support.plans import job_in, plan_of, tile_plan


def test_what_this_job_no_longer_makes(tmp_path):
    plan = plan_of(job_in(tmp_path), tile_plan("33UUU"))
    output = tmp_path / "output"
    made = [product.path for product in planned_products(plan)]
    mosaic = "utm/S2_E2020_city_32633.vrt"
    earlier = [
        "grid/3035_100/BUILT_S_E2020_city_3035_100_x4_y5.tif",
        "utm/33UUU/S2_20M_E2020_city_33UUU.tif",
        "utm/33UVU/S2_E2020_city_33UVU.tif",
        "utm/BUFRAC_SD_E2020_city_32633.vrt",
    ]
    others = [
        "utm/33UUU/S2_20M_E2019_city_33UUU.tif",  # another epoch
        "utm/33UUU/S2_20M_E2020_village_33UUU.tif",  # another job
        "utm/33UUU/own.tif",
        "utm/33UUU/S2_20M_E2020_city_33UUU.tif.aux.xml",
        "own/S2_20M_E2020_city_33UUU.tif",
    ]
    assert earlier_files(plan) == []  # there is no output yet
    for path in (*made, mosaic, *earlier, *others):
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).touch()
    assert earlier_files(plan) == earlier
