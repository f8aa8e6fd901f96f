"""The share of the area that the domain of the greenness covers."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from ghsl_beam.outputs.domain import greenness_domain
from transforms.elements import Layer, Product
from transforms.rasters.fingerprints import INCOMPLETE


@pytest.mark.parametrize(
    ("mark", "whole", "share"), [("new", True, 0.25), (INCOMPLETE, False, 0.25), ("old", False, 0)]
)
def test_what_an_earlier_job_left_does_not_count(
    tmp_path: Path, mark: str, whole: bool, share: float
) -> None:
    """A launch that lost the greenness of a tile leaves the earlier one there."""
    products = []
    place = {"crs": "EPSG:32633", "transform": from_origin(330000, 5820000, 10, 10)}
    for layer, valid in ((Layer.BUFRAC, 8), (Layer.GREENNESS, 2)):
        size = {"height": 1, "width": 1, "count": 1, "dtype": "uint8", **place}
        with rasterio.open(tmp_path / f"{layer}.tif", "w", driver="GTiff", **size) as target:
            target.write(np.zeros((1, 1, 1), "uint8"))
            target.update_tags(VALID_PIXELS=str(valid))
        about = (mark, whole) if layer is Layer.GREENNESS else ("new", True)
        products.append(Product(layer, "33UUU", "utm", f"{layer}.tif", *about))
    found = greenness_domain(str(tmp_path), products)
    assert (found["share"] if found else 0) == share
