"""A small job of two scenes, the second of which the tests spoil."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.plan import make_plan
from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, make, write_job
from tests.support.scenes import town

ULX, ULY, ROWS, COLS = 330000, 5820000, 96, 120


@dataclass
class SmallJob:
    """The job file, the archive's two products, and their pixels (4, rows, columns)."""

    file: Path
    good: Path
    spoiled: Path
    first: np.ndarray
    second: np.ndarray

    @property
    def images(self) -> Path:
        """Folder of the second product's bands."""
        return next(self.spoiled.glob("GRANULE/*/IMG_DATA"))

    @property
    def red(self) -> Path:
        """The second product's band 4."""
        return next(self.images.glob("*_B04.jp2"))

    def content(self) -> dict:
        """The job file's content, to change and write back."""
        return yaml.safe_load(self.file.read_text())

    def run(self, *settings: str, verify: bool = False):
        """Run it: output folder and record."""
        return make(self.file, settings=settings, verify=verify)

    def s2(self, output) -> np.ndarray:
        """The composite, (4, rows, columns)."""
        with rasterio.open(Path(output, "utm/33UUU/S2_E2020_town_33UUU.tif")) as source:
            return source.read()


def small_job(folder: Path, **over) -> SmallJob:
    first = town(ROWS, COLS)
    second = np.where(first > 0, first + 100, 0).astype("uint16")
    safes = [
        write_product(folder / "archive", Product("33UUU", 32633, ULX, ULY, dn, date(2020, 6, day)))
        for day, dn in ((10, first), (15, second))
    ]
    area = lonlat_box(32633, ULX - 99, ULY - 10 * ROWS - 99, ULX + 10 * COLS + 99, ULY + 99)
    grids = [{"crs": "ESRI:54009", "resolutions": [1000]}]
    settings = {"block_size": 128, "greenness": {"radius_m": 20}, "grids": grids, **over}
    file = write_job(folder, area, folder / "archive", **settings)
    return SmallJob(file, *safes, first, second)


@pytest.fixture
def job(tmp_path) -> SmallJob:
    return small_job(tmp_path)


def planned(job):
    """The plan, and the days of its scenes; checks that its losses and warnings can be printed."""
    plan = make_plan(load_job(job.file, ()))
    texts = json.dumps([[asdict(loss) for loss in plan.losses], plan.warnings], ensure_ascii=False)
    assert texts.encode().decode().isprintable()
    return plan, sorted(scene.sensing.day for tile in plan.tiles for scene in tile.scenes)
