"""Plans of jobs that are made in memory: nothing is read, and nothing is written."""

from pathlib import Path

import shapely

from ghsl_beam.area.mgrs_tiles import tile
from ghsl_beam.jobfile.configuration import Job, make_job
from ghsl_beam.models.chosen import ChosenClassifier, Model
from ghsl_beam.models.credits import Origin
from ghsl_beam.planning.grid_plan import plan_grid
from ghsl_beam.planning.plan import JobPlan
from transforms.elements import Layer, TilePlan, Window, utm_grid
from transforms.inference.engines import Choice

SIDE = 300
MODEL = Model("33U", "m.h5", "0" * 64, fallback=False, origin=Origin.OWN, trained="")
CLASSIFIER = ChosenClassifier("c.skops", "1" * 64, demonstration=False, halo=1)
ENGINE = Choice("winograd-float32", "exact")
MADE = tuple(layer for layer in Layer if not layer.spec.optional and layer is not Layer.BUFRAC_SD)
"""The layers of a job with four bands and without a calibration."""


def job_in(folder: Path, **changes) -> Job:
    """A job with one output grid, whose output is below a folder."""
    content = {
        "name": "city",
        "epoch": 2020,
        "area": {"bbox": [12.1, 52.1, 12.2, 52.2]},
        "period": {"start": "2020-05-01", "end": "2020-08-31"},
        "input": {"archive": str(folder / "scenes")},
        "residential": {"model": str(folder / "c.skops")},
        "grids": [{"crs": "ESRI:54009", "resolutions": [100, 1000]}],
        "output": str(folder / "output"),
    }
    return make_job(content, changes)


def tile_plan(name: str, mark: str = "mark") -> TilePlan:
    """The plan of an MGRS tile; plans with different `mark` have different fingerprints."""
    grid = tile(name)
    area = shapely.box(grid.ulx, grid.uly - 10 * SIDE, grid.ulx + 10 * SIDE, grid.uly)
    tags = MODEL.tags | {"CREDITS": ""}
    return TilePlan(
        name,
        name[:3],
        utm_grid(grid.epsg, grid.ulx, grid.uly, SIDE, SIDE),
        grid.center_lon,
        grid.center_lat,
        Window(0, 0, SIDE, SIDE),
        shapely.to_wkb(area, hex=True),
        fingerprints={layer: f"{mark} of {layer}" for layer in MADE},
        tags=dict.fromkeys(Layer, tags),
    )


def plan_of(job: Job, *tiles: TilePlan) -> JobPlan:
    """The plan of a job for these tiles."""
    grids = tuple(plan_grid(grid, job, tiles) for grid in job.grids)
    return JobPlan(job, tiles, grids, (MODEL,), CLASSIFIER, ENGINE, (), ())
