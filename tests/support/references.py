"""Layers of a run and rasters to compare them with, as small files."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

UTM = {"crs": "EPSG:32633", "transform": from_origin(330000, 5822040, 10, 10)}


def write(path: Path, array: np.ndarray, nodata: float | None, **profile: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"driver": "GTiff", "count": 1, "dtype": array.dtype.name, "nodata": nodata}
    size = {"height": array.shape[0], "width": array.shape[1]}
    with rasterio.open(path, "w", **{**kind, **size, **UTM, **profile}) as target:
        target.write(array, 1)


def layer(path: Path, values: np.ndarray, tile: str = "33UUU", **profile: object) -> None:
    """BUFRAC of a tile of a run."""
    write(path / f"utm/{tile}/BUFRAC_E2017_x_{tile}.tif", values, 255, **profile)


PERCENT = np.random.default_rng(1).integers(0, 101, (30, 40)).astype("uint8")
"""Values of a layer in percent, 0 to 100."""
