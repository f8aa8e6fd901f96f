"""The mask of a scene over the window of its tile, by every method."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely

from transforms.assembly import read_mask
from transforms.assembly.masks import make
from transforms.assembly.masks.classes import MaskClass
from transforms.assembly.masks.make import make_mask, user_mask
from transforms.assembly.masks.parameters import MaskParameters, Method
from transforms.elements import SceneError, Window, extent_of, utm_grid, window_in
from transforms.rasters.area_mask import area_mask

PRODUCT = MaskParameters()


def test_the_mask_of_the_product_is_as_it_is(scenes, plan):
    made = make_mask(scenes[2], plan, PRODUCT)
    assert window_in(made.grid, plan.grid) == plan.window
    expected = read_mask(scenes[2], plan.place(plan.window))
    assert expected.any()
    np.testing.assert_array_equal(made.classes, np.where(expected, MaskClass.CLOUD, 0))
    inside = area_mask(plan.area, made.grid)
    assert made.shares == ((inside & ~expected).sum() / inside.sum(), 1.0)


def test_clouds_grow_by_metres(scenes, plan):
    plain = make_mask(scenes[2], plan, PRODUCT).classes == MaskClass.CLOUD
    grown = make_mask(scenes[2], plan, replace(PRODUCT, cloud_m=50)).classes == MaskClass.CLOUD
    rows, cols = np.nonzero(plain)
    wide, high = np.nonzero(grown.any(axis=0))[0], np.nonzero(grown.any(axis=1))[0]
    assert (wide[0], wide[-1]) == (cols.min() - 5, cols.max() + 5)
    assert (high[0], high[-1]) == (rows.min() - 5, rows.max() + 5)


def test_a_cloud_outside_the_window_grows_into_it(scenes, plan):
    small = replace(plan, window=Window(60, 60, 60, 60))
    whole = make_mask(scenes[2], plan, replace(PRODUCT, cloud_m=300)).classes
    part = make_mask(scenes[2], small, replace(PRODUCT, cloud_m=300)).classes
    np.testing.assert_array_equal(part, whole[small.window.slices_in(plan.window)])


def test_outside_a_scene_is_no_data(scenes, plan):
    wide = replace(
        plan, grid=utm_grid(32633, 299000, 5800020, 400, 400), window=Window(0, 0, 300, 300)
    )
    made = make_mask(scenes[0], wide, PRODUCT)
    outside = made.classes == MaskClass.NODATA
    assert outside[:, :100].all()
    assert outside[210:].all()
    assert not outside[:210, 100:].any()
    assert made.shares.seen == 1.0


def test_a_scene_of_another_grid_is_refused(scenes, plan):
    with pytest.raises(SceneError, match="EPSG:32632"):
        make_mask(replace(scenes[0], epsg=32632), plan, PRODUCT)


@pytest.fixture
def own(scenes, tmp_path):
    """A mask of 20 m that covers a part of the first scene, and its parameters."""

    def write(values):
        with rasterio.open(
            user_mask(str(tmp_path), scenes[0]),
            "w",
            driver="GTiff",
            height=60,
            width=70,
            count=1,
            dtype="uint8",
            crs="EPSG:32633",
            transform=rasterio.Affine(20, 0, 300400, 0, -20, 5799600),
        ) as target:
            target.write(values.astype(np.uint8), 1)
        return MaskParameters(Method.FILE, folder=str(tmp_path))

    return write


def test_a_mask_of_the_users_own(scenes, plan, own):
    values = np.random.default_rng(3).choice([0, 1, 2, 3, 255], (60, 70))
    made = make_mask(scenes[0], plan, own(values))
    whole = np.full(extent_of(plan.grid).shape, MaskClass.NODATA)
    fine = np.repeat(np.repeat(np.minimum(values, 3), 2, axis=0), 2, axis=1)
    whole[42:162, 40:180] = fine
    np.testing.assert_array_equal(made.classes, whole[plan.window.slices_in(extent_of(plan.grid))])
    assert made.shares.seen < 1


def test_what_is_wrong_with_a_mask_of_the_users_own(scenes, plan, own):
    parameters = own(np.full((60, 70), 7))
    with pytest.raises(SceneError, match="has the value 7, expected 0 clear"):
        make_mask(scenes[0], plan, parameters)
    with pytest.raises(SceneError, match=r"does not exist; masks\.method is file"):
        make_mask(scenes[1], plan, parameters)


@pytest.mark.parametrize("rows", [7, 50])
def test_strips_make_no_difference(scenes, plan, monkeypatch, rows):
    parameters = replace(PRODUCT, cloud_m=70)
    whole = make_mask(scenes[2], plan, parameters)
    monkeypatch.setattr(make, "_ROWS", rows)
    strips = make_mask(scenes[2], plan, parameters)
    np.testing.assert_array_equal(strips.classes, whole.classes)
    assert strips.shares == whole.shares


def test_an_area_smaller_than_a_cell_is_seen(scenes, plan):
    tiny = shapely.to_wkb(shapely.box(300901, 5799001, 300904, 5799004), hex=True)
    small = replace(plan, area_wkb=tiny, window=Window(95, 85, 12, 12))
    assert make_mask(scenes[0], small, PRODUCT).shares == (1.0, 1.0)


def test_the_rim_of_a_coarse_mask_has_the_class_beside_it():
    classes = np.full((9, 12), MaskClass.NODATA, np.uint8)
    classes[3:6, :4] = MaskClass.CLEAR
    classes[3, 3] = MaskClass.CLOUD
    found = make._with_rim(classes)
    assert (found[3:6, :4] == classes[3:6, :4]).all()
    assert (found[:, 6:] == MaskClass.NODATA).all()
    assert (found[1:8, :6] != MaskClass.NODATA).all()
    assert found[1, 5] == MaskClass.CLOUD
    assert found[7, 0] == MaskClass.CLEAR
