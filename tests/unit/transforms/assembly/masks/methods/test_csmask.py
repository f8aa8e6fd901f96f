import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.assembly.masks.classes import MaskClass
from transforms.assembly.masks.methods import csmask
from transforms.elements import Level, ModelError, Window

GRID = 470, 700
LAND = np.random.default_rng(5).integers(1, 4000, (4, *GRID)).astype(np.uint16)
LAND[:, 30:90, 40:60] = 0
LAND[2, 300, 500] = 0


TILT = np.linspace(0, 0.4, csmask.PATCH, dtype=np.float32)


def cheap_probabilities(dn, level):
    """In place of the network: values that depend on the place in the patch and on all of it."""
    if not dn.any():
        return None
    height, width = dn.shape[1:]
    wave = dn[:3] / np.float32(4000) + TILT[:height, np.newaxis] * TILT[:width] + dn.mean() / 1e5
    return (wave / wave.sum(axis=0)).astype(np.float32)


def classified(window, land=LAND):
    shape = land.shape[1:]
    place = csmask.reach(window, shape)
    rows, cols = place.slices_in(Window(0, 0, *shape))
    return csmask.classify(land[:, rows, cols], place, window, shape, Level.L1C)


@given(st.data())
@settings(max_examples=25)
def test_a_cell_does_not_depend_on_the_window(data):
    top, left = data.draw(st.integers(0, GRID[0] - 1)), data.draw(st.integers(0, GRID[1] - 1))
    height = data.draw(st.integers(1, GRID[0] - top))
    width = data.draw(st.integers(1, GRID[1] - left))
    window, whole = Window(top, left, height, width), Window(0, 0, *GRID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csmask, "_probabilities", cheap_probabilities)
        assert np.array_equal(classified(window), classified(whole)[window.slices_in(whole)])


def test_patches_cover_the_grid_and_their_weights_add_up():
    for size in (1, 255, 256, 257, 448, 449, 3660):
        total = np.zeros(max(size, csmask.PATCH))
        for start, weights in csmask._weights(size).items():
            assert 0 <= start <= max(size - csmask.PATCH, 0)
            total[start : start + csmask.PATCH] += weights
        assert np.abs(total - 1).max() < 1e-6


def test_reach_is_the_patches_around_and_ends_at_the_grid():
    assert csmask.reach(Window(0, 0, 3660, 3660), (3660, 3660)) == Window(0, 0, 3660, 3660)
    assert csmask.reach(Window(5, 5, 1, 1), (40, 300)) == Window(0, 0, 40, 256)
    around = csmask.reach(Window(1000, 2000, 10, 10), (3660, 3660))
    assert around.height <= 512
    assert around.intersect(Window(990, 1990, 30, 30)) == Window(990, 1990, 30, 30)
    with pytest.raises(ValueError, match="not inside a grid of 40 x 300 cells"):
        csmask.reach(Window(39, 0, 2, 2), (40, 300))


def test_a_labelled_scene_is_classified_as_by_hand(shared_data):
    """One real scene of 512 x 512 cells with clouds, shadows and snow, labelled by hand."""
    sample = np.load(shared_data / "clouds" / "ukis_sentinel2.npz")
    labels = np.select([sample["msk"][..., 0] == 4, sample["msk"][..., 0] == 0], [1, 2], 0)
    bands = np.moveaxis(sample["img"][..., [2, 1, 0, 3]], -1, 0)
    land = np.clip(np.rint(bands * 10_000), 1, 65535).astype(np.uint16)
    found = classified(Window(0, 0, 512, 512), land)
    assert (found == labels).mean() > 0.92
    assert (found[labels > 0] == MaskClass.CLEAR).mean() < 0.005
    # Cut by the edge of a swath, the rest keeps its classes, and the edge is no cloud or shadow.
    y, x = np.mgrid[:512, :512]
    outside = x + y // 4 > 300
    again = classified(Window(0, 0, 512, 512), np.where(outside, 0, land))
    assert (again[outside] == MaskClass.NODATA).all()
    assert (again != found)[~outside].mean() < 0.01
    csmask.release()
    corner = Window(0, 0, 3, 3)
    assert np.array_equal(classified(corner, land), found[:3, :3])


def test_without_data_no_network_is_run():
    found = classified(Window(3, 4, 5, 6), np.zeros((4, 300, 300), np.uint16))
    assert (found == MaskClass.NODATA).all()
    assert found.shape == (5, 6)


def test_wrong_arrays_are_refused():
    window = Window(0, 0, 10, 10)
    with pytest.raises(ValueError, match=r"shape \(4, 9, 10\), expected \(4, 10, 10\)"):
        csmask.classify(np.ones((4, 9, 10), np.uint16), window, window, (10, 10), Level.L1C)
    with pytest.raises(ValueError, match="is not inside"):
        csmask.classify(np.ones((4, 10, 10), np.uint16), window, window, (20, 20), Level.L1C)


def test_versions_and_a_missing_package(monkeypatch):
    assert [csmask.version(level) for level in Level] == ["1.0.0-4BL1C", "1.0.0-4BL2A"]
    monkeypatch.setattr(csmask, "_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="ukis-csmask: is not installed"):
        csmask.version(Level.L1C)
