"""No seams: the products do not depend on the block size, nor on where a tile ends."""

import numpy as np
import pytest
import rasterio

from tests.pipeline.conftest import COLS, ROWS, ULY
from tests.support.archive import Product, write_product
from tests.support.jobs import differing, layers, lonlat_box, make, write_job


@pytest.mark.parametrize("size", [128, 200])
def test_block_size_does_not_count(made, job_file, tmp_path, size):
    output, _ = made
    settings = (f"output={tmp_path / 'other'}", f"block_size={size}")
    other, record = make(job_file, settings=settings)
    assert record["exit_code"] == 0
    differences = differing(layers(output), layers(other))
    assert len(differences) == 13
    assert set(differences.values()) == {0}


# Tiles 33UUU and 33UVU share x from 399960 to 409800; their centres are equally far at 404880.
LEFT = 404880 - 10 * COLS // 2 // 10 * 10
SHARED = 600


@pytest.fixture(scope="module")
def one_and_two(scene, tmp_path_factory):
    """The same pixels as one tile and as two that overlap, with other blocks; their outputs.

    The starter classifier has the widest halo.
    """
    scene = scene.copy()
    scene[:, :, 11:14] = scene[:, :, 14:17]
    area = lonlat_box(32633, LEFT - 300, ULY - 10 * ROWS - 300, LEFT + 10 * COLS + 300, ULY + 300)
    outputs = []
    split = COLS - SHARED
    products = {
        "one": [Product("33UUU", 32633, LEFT, ULY, scene)],
        "two": [
            Product("33UUU", 32633, LEFT, ULY, scene[:, :, :SHARED]),
            Product("33UVU", 32633, LEFT + 10 * split, ULY, scene[:, :, split:]),
        ],
    }
    for name, mine in products.items():
        folder = tmp_path_factory.mktemp(name)
        for product in mine:
            write_product(folder / "archive", product)
        over = {
            "residential": {},
            "block_size": 1024 if name == "one" else 200,
            "masks": {"method": "product"},
        }
        outputs.append(make(write_job(folder, area, folder / "archive", **over)))
    return outputs


def test_two_tiles_give_the_grid_that_one_gives(one_and_two):
    (one, _), (two, _) = one_and_two
    grid_one, grid_two = (
        {name: values for name, values in layers(output).items() if name.startswith("grid")}
        for output in (one, two)
    )
    assert len(grid_one) == 6
    assert any((values > 0).any() for values in grid_one.values())
    assert set(differing(grid_one, grid_two).values()) == {0}


def test_two_tiles_are_one_layer(one_and_two):
    """Each pixel comes from one tile; the mosaic shows the layer that one tile gives."""
    (one, _), (two, record) = one_and_two
    files = {file["path"] for file in record["files"]}
    for layer in ("S2", "S2_COUNT", "BUFRAC_RAW", "BUFRAC", "RES_NRES", "GREENNESS"):
        name = f"utm/{layer}_E2020_town_32633.vrt"
        assert name in files
        with (
            rasterio.open(one / f"utm/33UUU/{layer}_E2020_town_33UUU.tif") as single,
            rasterio.open(two / name) as mosaic,
        ):
            assert (mosaic.crs, mosaic.nodata) == (single.crs, single.nodata)
            assert mosaic.descriptions == single.descriptions
            col, row = ~single.transform * (mosaic.transform.c, mosaic.transform.f)
            place = rasterio.windows.Window(col, row, mosaic.width, mosaic.height)
            assert (mosaic.width, mosaic.height) == (single.width, single.height)
            np.testing.assert_array_equal(mosaic.read(), single.read(window=place))
    valid = {
        layer: [
            rasterio.open(two / f"utm/{tile}/{layer}_E2020_town_{tile}.tif").dataset_mask() > 0
            for tile in ("33UUU", "33UVU")
        ]
        for layer in ("BUFRAC", "BUFRAC_RAW")
    }
    # What a tile owns, and 4 pixels around it; its input reaches as far as the data do.
    assert sum(mask.sum() for mask in valid["BUFRAC"]) == ROWS * (COLS + 8)
    assert sum(mask.sum() for mask in valid["BUFRAC_RAW"]) == ROWS * 2 * SHARED
