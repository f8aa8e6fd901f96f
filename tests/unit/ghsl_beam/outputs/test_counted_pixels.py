"""Shares of the area that the headers of the products state."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from ghsl_beam.outputs.counted_pixels import greenness_domain, observations
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


def test_shares_by_the_rule_of_the_composite(tmp_path: Path) -> None:
    products = []
    size = {"height": 1, "width": 1, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    place = from_origin(330000, 5820000, 10, 10)
    for layer, tags in (
        (Layer.S2_COUNT, {"VALID_PIXELS": "1000"}),
        (Layer.S2_QUALITY, {"CLASS_PIXELS": "700 50 0"}),
    ):
        path = tmp_path / f"{layer}.tif"
        with rasterio.open(path, "w", driver="GTiff", transform=place, **size) as target:
            target.write(np.zeros((1, 1, 1), "uint8"))
            target.update_tags(**tags)
        products.append(Product(layer, "33UUU", "utm", path.name, "new", True))
    assert observations(str(tmp_path), products) == {
        "pixels_of_area": 1000, "clear": 0.7, "bright": 0.05, "masked": 0.0, "none": 0.25
    }  # fmt: skip
    assert observations(str(tmp_path), products[1:]) is None
    with rasterio.open(tmp_path / products[1].path, "r+") as target:
        target.update_tags(CLASS_PIXELS="")
    assert observations(str(tmp_path), products) is None  # made by an earlier version
