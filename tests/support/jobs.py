"""Job files for tests, and the results of their runs."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import yaml

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.running.launch import run
from transforms.classification.starter import starter_classifier_file
from transforms.inference.starter import starter_file

NETWORK = starter_file()
"""A good weight file, which says that it is the starter network."""
MODELS = Path(__file__).resolve().parents[2] / "examples" / "models"
CLASSIFIER = Path(__file__).parent / "models" / "DEMONSTRATION_residential.skops"
"""A linear classifier, which a process reads quickly; `linear_classifier.py` wrote it."""


def models_folder(folder: Path) -> Path:
    """A folder with a network for grid zone 33U, and two classifiers."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(NETWORK, folder / "MODEL_CNN_33U.h5")
    shutil.copy(CLASSIFIER, folder)
    shutil.copy(starter_classifier_file(), folder)
    return folder


def lonlat_box(epsg, left, bottom, right, top):
    """Polygon of a UTM rectangle in longitude and latitude, as WKT."""
    to_lonlat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    xs = [left, right, right, left, left]
    ys = [top, top, bottom, bottom, top]
    points = zip(*to_lonlat.transform(xs, ys), strict=True)
    return f"POLYGON (({', '.join(f'{x!r} {y!r}' for x, y in points)}))"


def write_job(folder: Path, wkt: str, archive: Path, **over) -> Path:
    """A job file with the starter network and a linear classifier."""
    content = {
        "name": "town",
        "epoch": 2020,
        "area": {"wkt": wkt},
        "period": {"start": "2020-06-01", "end": "2020-06-30"},
        "input": {"archive": str(archive)},
        "masks": {"method": "product", "fill": False},
        "models": {"starter": True},
        "cleaning": {"minimum": 0.1},  # the same for this network under any name
        "residential": {"model": str(CLASSIFIER)},
        "greenness": {"radius_m": 100, "minimum_area_m2": 1000},
        "grids": [{"crs": "ESRI:54009", "resolutions": [100, 1000]}],
        "output": str(folder / "output"),
        **over,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def make(
    file: Path,
    *options: str,
    settings: tuple[str, ...] = (),
    today: date | None = None,
    verify: bool = False,
):
    """Run a job; returns its output folder and its record."""
    job = load_job(file, settings, today=today)
    return Path(job.output), run(job, options, verify=verify)


def layers(output: Path) -> dict[str, np.ndarray]:
    """Every raster of an output by its path; checks that each has a georeference."""
    found = {}
    for path in sorted(output.glob("utm/**/*.tif")) + sorted(output.glob("grid/**/*.tif")):
        with rasterio.open(path) as source:
            assert source.crs is not None
            found[str(path.relative_to(output))] = source.read()
    return found


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, int]:
    """Number of differing pixels by layer."""
    assert one.keys() == other.keys()
    return {name: int((one[name] != other[name]).sum()) for name in one}
