import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.assembly import read_scene
from transforms.assembly.masks.classes import MaskClass
from transforms.assembly.masks.methods import s2cloudless
from transforms.assembly.masks.methods.coarse import read_coarse
from transforms.elements import S2CLOUDLESS_BANDS, ModelError, SceneError, Window

GRID = 40, 50
WHOLE = Window(0, 0, *GRID)
LAND = np.random.default_rng(7).integers(1, 9000, (10, *GRID)).astype(np.uint16)
LAND[4, 10:13, 20:30] = 0


def classified(window, land=LAND):
    """Classes where the first band is the probability in ten thousandths."""
    place = s2cloudless.reach(window, GRID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s2cloudless, "_probabilities", lambda dn: dn[:, 0] / np.float32(10_000))
        return s2cloudless.classify(land[:, *place.slices_in(WHOLE)], place, window, GRID)


@given(st.data())
def test_a_cell_does_not_depend_on_the_window(data):
    top, left = data.draw(st.integers(0, GRID[0] - 1)), data.draw(st.integers(0, GRID[1] - 1))
    height = data.draw(st.integers(1, GRID[0] - top))
    window = Window(top, left, height, data.draw(st.integers(1, GRID[1] - left)))
    assert np.array_equal(classified(window), classified(WHOLE)[window.slices_in(WHOLE)])


def test_probabilities_are_averaged_and_clouds_grow_by_a_cell():
    land = np.ones((10, *GRID), np.uint16)
    land[0, 20, 20] = 10_000  # alone: its mean with four neighbours is a fifth
    land[0, 5, 5:9] = 10_000
    land[:, 5, 10] = 0
    found = classified(WHOLE, land)
    cloud = np.argwhere(found == MaskClass.CLOUD).tolist()
    assert cloud == [[4, n] for n in (5, 6, 7, 8)] + [[5, n] for n in range(4, 10)] + [
        [6, n] for n in (5, 6, 7, 8)
    ]
    assert np.argwhere(found == MaskClass.NODATA).tolist() == [[5, 10]]


def test_a_real_product_gives_its_ten_bands(shared_data):
    """A product whose pixels were coarsened; it gives them only where they are asked for."""
    path = str(min((shared_data / "safe_products").glob("S2*_MSIL1C_*.zip")))
    scene = read_scene(path, mask_bands=S2CLOUDLESS_BANDS)
    assert [name[-7:-4] for name in scene.mask_bands] == list(S2CLOUDLESS_BANDS)
    assert len(scene.mask_band_files) == len(scene.mask_offsets) == 10
    assert scene.files != read_scene(path).files
    assert read_scene(path).mask_bands == ()
    dn = read_coarse(scene, Window(800, 900, 40, 30), 6, bands=S2CLOUDLESS_BANDS)
    assert dn.shape == (10, 40, 30)
    assert dn.any(axis=(1, 2)).all()
    with pytest.raises(SceneError, match=r"has no B01, .*, only B04, B03, B02, B08"):
        read_coarse(read_scene(path), Window(0, 0, 4, 4), 6, bands=S2CLOUDLESS_BANDS)


def test_wrong_arrays_and_a_missing_package(monkeypatch):
    window = Window(0, 0, 3, 3)
    with pytest.raises(ValueError, match=r"shape \(9, 5, 5\), expected \(10, 5, 5\)"):
        s2cloudless.classify(LAND[:9, :5, :5], Window(0, 0, 5, 5), window, GRID)
    with pytest.raises(ValueError, match="not inside a grid of 40 x 50 cells"):
        s2cloudless.reach(Window(39, 0, 2, 1), GRID)
    monkeypatch.setattr(s2cloudless, "_PACKAGE", "no_such_package")
    s2cloudless._loaded.cache_clear()
    with pytest.raises(ModelError, match=r"pip install 'ghsl-beam\[s2cloudless\]'"):
        s2cloudless.classify(LAND[:, :5, :5], Window(0, 0, 5, 5), window, GRID)
