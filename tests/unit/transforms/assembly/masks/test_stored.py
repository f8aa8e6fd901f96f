"""Stored masks: written once, read over any grid, and the choice that is made from them."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
import shapely
from rio_cogeo.cogeo import cog_validate

from transforms.assembly.masks.block_masks import StoredMasks, cells_around
from transforms.assembly.masks.choice import ChoiceParameters, Order
from transforms.assembly.masks.choose import choose_scenes, stored_choice
from transforms.assembly.masks.classes import MaskClass
from transforms.assembly.masks.make import SceneMask, Shares, cells_of, make_mask
from transforms.assembly.masks.mask_files import MaskFiles, mask_mark
from transforms.assembly.masks.parameters import MaskParameters
from transforms.elements import Layer, StorageError, Window, extent_of, part_of, utm_grid

PRODUCT = MaskParameters()
MIDDLE = datetime(2020, 6, 18, tzinfo=UTC)


@pytest.fixture
def files(tmp_path, scenes, plan):
    """The masks of all scenes, stored."""
    made = MaskFiles(str(tmp_path), "E2020_town")
    for scene in scenes:
        made.write(scene, make_mask(scene, plan, PRODUCT), PRODUCT, mask_mark(scene, plan, PRODUCT))
    return made


def test_a_mask_is_found_by_its_fingerprint(files, scenes, plan):
    made = make_mask(scenes[1], plan, PRODUCT)
    assert files.find(scenes[1], mask_mark(scenes[1], plan, PRODUCT)) == made.shares
    others = [
        mask_mark(scenes[1], plan, replace(PRODUCT, cloud_m=10)),
        mask_mark(scenes[1], replace(plan, window=Window(0, 0, 10, 10)), PRODUCT),
        mask_mark(scenes[0], plan, PRODUCT),
    ]
    assert len({*others, mask_mark(scenes[1], plan, PRODUCT)}) == 4
    assert [files.find(scenes[1], mark) for mark in others] == [None] * 3


def test_a_mask_is_read_over_any_grid(files, scenes, plan):
    whole = make_mask(scenes[1], plan, PRODUCT).classes
    grid = plan.place(plan.window)
    for window in (Window(5, 7, 60, 50), Window(100, 100, 80, 111)):
        found = files.read_classes(scenes[1], part_of(grid, window))
        np.testing.assert_array_equal(found, whole[window.slices_in(extent_of(grid))])
    beyond = files.read_classes(scenes[1], part_of(grid, Window(-3, -4, 10, 10)))
    assert (beyond[:3] == MaskClass.NODATA).all()
    assert (beyond[:, :4] == MaskClass.NODATA).all()
    np.testing.assert_array_equal(beyond[3:, 4:], whole[:7, :6])


def test_a_damaged_mask_is_named(files, scenes, plan):
    path = files.location(files.mask_of(scenes[1]))
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.tags()["CLASSES"].startswith("0 clear; 1 cloud; ")
        first_tile = int(source.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    with open(path, "r+b") as file:
        file.seek(first_tile + 8)
        file.write(bytes(40))
    with pytest.raises(StorageError, match="cannot be read") as caught:
        files.read_classes(scenes[1], plan.place(plan.window))
    assert caught.value.file == path


@pytest.mark.parametrize("corner", [(300000, 5800020), (299990, 5800050)])
def test_a_roof_is_lifted_where_the_ground_around_it_is_clear(tmp_path, scenes, corner):
    files, tile = MaskFiles(str(tmp_path), "x"), utm_grid(32633, *corner, 250, 300)
    cells = cells_of(scenes[0], 3)
    cloudy = np.zeros(cells.shape, np.uint8)
    cloudy[30:33, 40:44] = MaskClass.CLOUD
    covered = np.full(cells.shape, MaskClass.CLOUD, np.uint8)
    for scene, classes in ((scenes[0], cloudy), (scenes[1], covered)):
        files.write(scene, SceneMask(classes, cells, Shares(0, 1)), PRODUCT, "mark")
    at = cells_around(scenes[0].grid, tile)
    bright = np.zeros(at.shape, np.bool_)
    bright[29:35, 39:46] = True
    files.write_bright("33UUU", bright, at)
    grid = scenes[0].grid
    masks = StoredMasks(files, "33UUU", tile, grid)
    clear, clouded = masks.of(scenes[0]), masks.of(scenes[1])
    np.testing.assert_array_equal(clear.lifted, clear.classes == MaskClass.CLOUD)
    assert clear.usable.all()
    assert not clouded.lifted.any()
    assert not clouded.usable.any()
    assert clouded.masked.all()
    part = Window(80, 110, 37, 41)
    np.testing.assert_array_equal(
        StoredMasks(files, "33UUU", tile, part_of(grid, part)).of(scenes[0]).lifted,
        clear.lifted[part.slices_in(extent_of(grid))],
    )


def choose(plan, files, shares, **parameters):
    given = ChoiceParameters(Order.CLEAREST, MIDDLE, **parameters)
    return choose_scenes(plan, shares, files, given), stored_choice(files, plan)


def test_the_choice_says_what_each_scene_gives(files, scenes, plan):
    shares = [make_mask(scene, plan, PRODUCT).shares for scene in scenes]
    shares[4] = None
    numbers, choice = choose(plan, files, shares, at_most=4, enough=2)
    best = sorted([0, 1, 2, 3, 5], key=lambda n: -shares[n].clear)
    assert sorted(numbers) == sorted(best[:4])
    by_id = {one["id"]: one for one in choice["scenes"]}
    assert by_id[scenes[4].id]["reason"] == "its mask could not be made"
    (left,) = set(range(6)) - {4} - set(numbers)
    assert by_id[scenes[left].id]["reason"].startswith("scenes.at_most")
    used = [by_id[scenes[number].id]["used"] for number in numbers]
    assert used[0] == pytest.approx(shares[numbers[0]].clear, abs=0.01)
    assert sum(used) == pytest.approx(2, abs=0.02), "two observations everywhere"
    assert used[-1] < 0.2


def test_a_choice_of_another_composite_is_none(files, scenes, plan):
    shares = [Shares(1.0, 1.0)] * len(scenes)
    assert choose(plan, files, shares)[0] == choose(plan, files, shares)[0]
    assert stored_choice(files, plan) is not None
    assert stored_choice(files, replace(plan, fingerprints={Layer.S2: "other"})) is None
    assert stored_choice(MaskFiles(files.output, "other"), plan) is None


def test_bright_targets_do_not_depend_on_the_number_of_scenes_used(tmp_path, scenes, plan):
    files = MaskFiles(str(tmp_path), "x")
    cells = cells_of(scenes[0], 3)
    cloudy = np.zeros(cells.shape, np.uint8)
    cloudy[30:33, 40:44] = MaskClass.CLOUD
    for one in scenes:
        files.write(one, SceneMask(cloudy, cells, Shares(0.9, 1)), PRODUCT, "mark")
    found = []
    for most in (None, 2):
        assert len(choose(plan, files, [Shares(0.9, 1)] * 6, at_most=most)[0]) == (most or 6)
        found.append(files.read_bright("33UUU", plan.place(plan.window)))
    assert found[0].any()
    np.testing.assert_array_equal(*found)


def test_an_area_smaller_than_a_cell_uses_its_scenes(files, scenes, plan):
    tiny = shapely.to_wkb(shapely.box(300901, 5799001, 300904, 5799004), hex=True)
    small = replace(plan, area_wkb=tiny, window=Window(95, 85, 12, 12))
    _, choice = choose(small, files, [Shares(1.0, 1.0)] * 6)
    assert choice["scenes"][0]["used"] > 0
    assert choice["scenes"][0]["reason"] == ""
