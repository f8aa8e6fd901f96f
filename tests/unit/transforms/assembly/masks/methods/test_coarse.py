from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from tests.support.jpeg2000 import EPSG, ULX, ULY, land, write_band
from transforms.assembly import to_composite_dn
from transforms.assembly.masks.methods import coarse
from transforms.assembly.masks.methods.coarse import read_coarse
from transforms.elements import Level, Scene, SceneError, Window

ROWS, COLS = 604, 430
OFFSETS = (-1000.0, -900.0, 0.0, 50.0)
HOLE = slice(100, 160), slice(200, 260)


def cells(side):
    """Rows and columns of cells of so many pixels; the last may reach past the grid."""
    return -(-ROWS // side), -(-COLS // side)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A scene with a band as JPEG 2000, as plain TIFF, as one of 20 m, and as one of 250 m."""
    folder = tmp_path_factory.mktemp("coarse")
    bands = [land(ROWS, COLS, seed) for seed in range(4)]
    bands[2] = land(ROWS // 2, COLS // 2, 2)
    bands[3] = land(-(-ROWS // 25), -(-COLS // 25), 3)
    bands[0][HOLE] = bands[1][HOLE] = 0
    paths = [
        folder / f"{number}.{kind}" for number, kind in enumerate(("jp2", "tif", "jp2", "tif"))
    ]
    write_band(paths[0], bands[0], 256)
    write_band(paths[2], bands[2], 128, resolution=20)
    for number, metres in ((1, 10), (3, 250)):
        values = bands[number]
        profile = {
            "height": values.shape[0],
            "width": values.shape[1],
            "count": 1,
            "dtype": "uint16",
            "crs": f"EPSG:{EPSG}",
            "transform": from_origin(ULX, ULY, metres, metres),
        }
        with rasterio.open(paths[number], "w", "GTiff", **profile) as target:
            target.write(values, 1)
    scene = Scene(
        id="scene",
        path=str(folder),
        tile="33UUU",
        level=Level.L1C,
        baseline="04.00",
        sensing=datetime(2020, 1, 1, tzinfo=UTC),
        cloud_cover=0.0,
        quantification=10_000.0,
        offsets=OFFSETS,
        bands=tuple(map(str, paths)),
        mask=None,
        mask_kind=None,
        epsg=EPSG,
        ulx=ULX,
        uly=ULY,
        rows=ROWS,
        cols=COLS,
        size=1,
    )
    whole = {side: read_coarse(scene, Window(0, 0, *cells(side)), side) for side in (2, 3, 6)}
    return scene, bands, whole


def means(values, side):
    """Mean of the pixels of each cell; 0 where a pixel is 0."""

    def per_cell(reduce, array):
        for axis in (0, 1):
            array = reduce.reduceat(array, np.arange(0, array.shape[axis], side), axis=axis)
        return array

    counts = per_cell(np.add, np.ones(values.shape))
    mean = per_cell(np.add, values.astype(float)) / counts
    return np.where(per_cell(np.minimum, values) > 0, mean, 0)


def test_a_cell_is_the_mean_of_its_pixels(made):
    _, bands, whole = made
    for side in (2, 3, 6):
        of_each = [means(bands[1], side), means(np.kron(bands[2], np.ones((2, 2))), side)]
        for place, expected in zip((1, 2), of_each, strict=True):
            found = whole[side][place]
            wanted = np.where(expected > 0, np.maximum(expected + OFFSETS[place], 1), 0)
            assert found.shape == cells(side)
            assert np.abs(found - wanted).max() <= 0.51
        fine = np.kron(bands[3], np.ones((25, 25)))[:ROWS, :COLS]
        assert np.abs(whole[side][3] - (means(fine, side) + OFFSETS[3])).max() <= 0.51


def test_jpeg2000_is_decoded_at_20_metres(made, monkeypatch):
    scene, bands, whole = made
    expected = to_composite_dn(means(bands[0], 3).round().astype("uint16")[None], [-1000], 1e4)[0]
    found = whole[3][0]
    inner = np.s_[1:-1, 1:-1]
    empty = found == 0
    assert empty[expected == 0].all()
    assert empty.sum() < 1.3 * (expected == 0).sum()
    apart = (found.astype(int) - expected)[inner][~empty[inner]]
    assert abs(apart.mean()) < 3
    assert np.abs(apart).max() < 250  # the waves of `land` are some 80 m long
    shapes, decode = [], coarse.decode

    def watched(source, *rest, **options):
        shapes.append(source.shape)
        return decode(source, *rest, **options)

    monkeypatch.setattr(coarse, "decode", watched)
    read_coarse(scene, Window(0, 0, 4, 4), 3, bands=["B04", "B08", "B02"])
    assert shapes == [(ROWS // 2, COLS // 2), (-(-ROWS // 25), -(-COLS // 25)), (302, 215)]


@given(st.data(), st.sampled_from([2, 3, 6]))
@settings(max_examples=25)
def test_a_cell_does_not_depend_on_the_window(made, data, side):
    scene, _, whole = made
    rows, cols = cells(side)
    top, left = data.draw(st.integers(-3, rows + 2)), data.draw(st.integers(-3, cols + 2))
    window = Window(top, left, data.draw(st.integers(1, rows)), data.draw(st.integers(1, cols)))
    found = read_coarse(scene, window, side)
    expected = np.zeros_like(found)
    around = Window(0, 0, rows, cols)
    inside = window.intersect(around)
    if inside is not None:
        expected[:, *inside.slices_in(window)] = whole[side][:, *inside.slices_in(around)]
    assert np.array_equal(found, expected)


def test_what_cannot_be_read_is_refused(made, tmp_path):
    scene, _, _ = made
    window = Window(0, 0, 4, 4)
    with pytest.raises(SceneError, match="has no B11, only B04, B03, B02, B08"):
        read_coarse(scene, window, 3, bands=["B11"])
    with pytest.raises(SceneError, match=r"covers .*, expected"):
        read_coarse(replace(scene, ulx=ULX + 100), window, 3)
    whole = (tmp_path / "cut.jp2", (tmp_path / ".." / "absent.jp2"))
    whole[0].write_bytes(Path(scene.bands[0]).read_bytes()[:-5000])
    for path, reason in zip(whole, ("it is cut", "cannot be read"), strict=True):
        with pytest.raises(SceneError, match=reason):
            read_coarse(replace(scene, bands=(str(path), *scene.bands[1:])), window, 3)
