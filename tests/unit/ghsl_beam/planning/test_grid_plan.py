"""The output grids of a job."""

from pathlib import Path

import pytest
import shapely

from ghsl_beam.area.mgrs_tiles import tile
from ghsl_beam.jobfile.configuration import Grid, Job, load_job
from ghsl_beam.planning import plan
from ghsl_beam.planning.grid_plan import plan_grid
from transforms import aggregation
from transforms.elements import Layer, RequestError, TilePlan, Window

JOB = """
name: city
area: {bbox: [30.1, 0.1, 30.2, 0.2]}
period: {start: 2020-05-01, end: 2020-08-31}
input: {archive: scenes}
residential: {model: classifier.skops}
output: out
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "job.yaml").write_text(JOB)
    return load_job(tmp_path / "job.yaml")


def planned(name: str) -> TilePlan:
    grid = tile(name)
    model = {"MODEL": "m.h5", "MODEL_FALLBACK": "no", "MODEL_SHA256": "0", "CREDITS": ""}
    tags = {Layer.BUFRAC_RAW: model, Layer.RES_NRES: model}
    return TilePlan(
        name,
        name[:3],
        grid.grid,
        grid.center_lon,
        grid.center_lat,
        Window(2000, 2000, 1000, 1000),
        shapely.to_wkb(shapely.box(*grid.bounds), hex=True),
        fingerprints=dict.fromkeys(aggregation.INPUTS, "mark"),
        tags=tags,
    )


def test_a_grid_whose_pixels_cannot_hold_the_built_up_is_refused(job: Job) -> None:
    settings = Grid(crs="ESRI:54002", resolutions=(100, 1000))
    said = (
        r"^ESRI:54002: its pixels are too small .*44\.\d% of ground that is completely "
        r"built-up would be lost in tile 36NYF; .*loses at most 1% there, such as ESRI:54009"
    )
    with pytest.raises(RequestError, match=said) as caught:
        plan_grid(settings, job, [planned("33UUU"), planned("36NYF")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("crs", ["ESRI:54009", "EPSG:4326", "EPSG:3857", "EPSG:32636"])
def test_a_grid_that_holds_it_is_planned(job: Job, crs: str) -> None:
    found = plan_grid(Grid(crs=crs, resolutions=(3, 30)), job, [planned("36NYF")])
    assert found.cells


def test_a_grid_of_elsewhere_is_refused_with_its_key(job: Job) -> None:
    fiji = Grid(crs="EPSG:3460", resolutions=(100,))
    said = (
        r"^grids\.1: the area is outside the area of use of EPSG:3460 \(Fiji - .*\); choose "
        "another CRS$"
    )
    two = job.model_copy(update={"grids": (Grid(), fiji)})
    with pytest.raises(RequestError, match=said):
        plan._grid(1, two, [planned("33UUU")], None)
