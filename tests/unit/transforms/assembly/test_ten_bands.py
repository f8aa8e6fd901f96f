"""The bands at 20 m beside those at 10 m: read, prepared and composed alike."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from transforms.assembly import AssembleScenes, assemble_block, find_scenes, read_scene
from transforms.elements import BANDS, TEN_BANDS, BlockTask, Layer, Level, SceneError, Window

GRID = (32633, 330000, 5820000)
ROWS, COLS = 60, 80
WHOLE = grid_at(*GRID, Window(0, 0, ROWS, COLS))
DN = np.random.default_rng(0).integers(1100, 4000, (4, ROWS, COLS))
COARSE = np.random.default_rng(1).integers(1100, 4000, (6, ROWS // 2, COLS // 2))
COARSE[3, 5, 7] = 0
"""Without data in one band, at rows 10 and 11, columns 14 and 15 of the 10 m grid."""


def product(**about) -> Product:
    return Product("33UUU", *GRID, DN, coarse=COARSE, **about)


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"offset": -1000, "baseline": "04.00"},
        {"scl": np.full((ROWS // 2, COLS // 2), 4), "offset": -1000, "baseline": "05.09"},
    ],
    ids=["L1C", "L1C with an offset", "L2A with an offset"],
)
def test_each_pixel_has_the_value_of_the_20_m_pixel_around_it(tmp_path: Path, about):
    scene = read_scene(str(write_product(tmp_path, product(**about))), bands=TEN_BANDS)
    assert len(scene.bands) == len(scene.offsets) == len(scene.band_files) == 10
    made = assemble_block([scene], WHOLE, bands=TEN_BANDS)
    assert made.failures == []
    counts = np.ones((ROWS, COLS), bool)
    counts[10:12, 14:16] = False  # an observation counts where all its bands have data
    fine = np.concatenate([DN, COARSE.repeat(2, axis=1).repeat(2, axis=2)])
    shift = about.get("offset", 0)
    assert np.array_equal(made.composite, np.where(counts, fine + shift, 0))
    assert np.array_equal(made.count, counts)
    part = grid_at(*GRID, Window(7, 11, 20, 30))  # begins in the middle of a 20 m pixel
    there = assemble_block([scene], part, bands=TEN_BANDS).composite
    assert np.array_equal(there, made.composite[:, 7:27, 11:41])


def test_bands_have_offsets_of_their_own(tmp_path: Path):
    safe = write_product(tmp_path, product(offset=-1000, baseline="04.00"))
    file = safe / "MTD_MSIL1C.xml"
    old, new = '<RADIO_ADD_OFFSET band_id="12">-1000<', '<RADIO_ADD_OFFSET band_id="12">-500<'
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert read_scene(str(safe), bands=TEN_BANDS).offsets == (-1000.0,) * 9 + (-500.0,)


def test_a_product_without_them_serves_four_bands_alone(tmp_path: Path):
    write_product(tmp_path, Product("33UUU", *GRID, DN))
    day = date(2020, 6, 15)
    asked = (str(tmp_path), {"33UUU"}, day, day, Level.L1C, 100.0)
    (scene,) = find_scenes(*asked).scenes
    assert len(scene.bands) == 4
    found = find_scenes(*asked, bands=TEN_BANDS)
    assert found.scenes == []
    reason = "has no image of band B05 at 20 m, which composite.bands: ten needs"
    assert [loss.reason for loss in found.losses] == [reason]
    with pytest.raises(SceneError, match="B05 at 20 m"):
        read_scene(scene.path, bands=TEN_BANDS)


def test_they_are_a_layer_of_their_own(tmp_path: Path):
    folder = write_product(tmp_path, product())
    for bands in (BANDS, TEN_BANDS):
        scene = read_scene(str(folder), bands=bands)
        (pixels,) = AssembleScenes(bands=bands).assemble(BlockTask.of([scene], WHOLE))
        expected = assemble_block([scene], WHOLE, bands=bands).composite
        assert np.array_equal(pixels[Layer.S2], expected[:4])
        if bands == TEN_BANDS:
            assert np.array_equal(pixels[Layer.S2_20M], expected[4:])
        else:
            assert Layer.S2_20M not in pixels.layers
