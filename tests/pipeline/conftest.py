"""Archives and runs that several tests look at."""

import importlib.util
from itertools import pairwise

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.outputs.report.map import frame
from tests.conftest import ROOT
from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, make, write_job
from tests.support.scenes import town

ROWS, COLS = 720, 910
ULX, ULY = 330000, 5820000
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module", autouse=True)
def _small_pictures():
    """Reports have small pictures here, because there is one for each of some hundred launches.

    Those of the runs that many tests look at are made before this fixture, in their full size.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame, "LONGEST", 200)
        yield


@pytest.fixture(scope="session")
def scene():
    return town(ROWS, COLS)


@pytest.fixture(scope="session")
def archive(scene, tmp_path_factory):
    """One product of tile 33UUU: a crop of its grid."""
    folder = tmp_path_factory.mktemp("archive")
    write_product(folder, Product("33UUU", 32633, ULX, ULY, scene))
    return folder


@pytest.fixture(scope="session")
def whole_area():
    return lonlat_box(32633, ULX - 500, ULY - 10 * ROWS - 500, ULX + 10 * COLS + 500, ULY + 500)


@pytest.fixture(scope="session")
def districts(tmp_path_factory):
    """The west and the east of the scene, and a district beyond it: a GeoPackage."""
    file = tmp_path_factory.mktemp("districts") / "districts.gpkg"
    edges = (ULX - 900, ULX + 3333, ULX + 10 * COLS + 900, ULX + 20 * COLS)
    boxes = [shapely.box(w, ULY - 10 * ROWS - 900, e, ULY + 900) for w, e in pairwise(edges)]
    names = np.array(["West", "East", "Beyond"], object)
    geometry = np.array(shapely.to_wkb(boxes), object)
    pyogrio.raw.write(file, geometry, [names], ["name"], geometry_type="Polygon", crs="EPSG:32633")
    return file


@pytest.fixture(scope="session")
def job_file(archive, whole_area, districts, tmp_path_factory):
    named = {"file": str(districts), "name": "name"}
    folder = tmp_path_factory.mktemp("job")
    return write_job(folder, whole_area, archive, block_size=512, districts=named)


@pytest.fixture(scope="session")
def made(job_file):
    """The job, run once: output folder and record."""
    return make(job_file)


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """The demonstration's archive; the test skips where its package cannot be downloaded."""
    there = EXAMPLES.parent / "data" / "sample"
    if there.is_dir():
        return there
    folder = tmp_path_factory.mktemp("demonstration") / "sample"
    spec = importlib.util.spec_from_file_location("arrange", EXAMPLES / "arrange_sample.py")
    arranging = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(arranging)
    try:
        arranging.arrange(folder)
    except ValueError as error:
        pytest.skip(f"no sample: {error}")
    return folder
