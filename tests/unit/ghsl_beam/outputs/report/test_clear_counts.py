"""The histogram of clear observations is that of the rasters."""

import numpy as np
import pytest

from ghsl_beam.outputs.report import clear_counts as module
from ghsl_beam.outputs.report.clear_counts import clear_counts, summed
from tests.unit.ghsl_beam.outputs.report.map.test_pictures import TOWN, layer_file


def output_with(tmp_path, *arrays):
    products = []
    for number, values in enumerate(arrays):
        tile = f"33U{'UVW'[number]}U"
        path = f"utm/{tile}/S2_COUNT_E2017_x_{tile}.tif"
        (tmp_path / path).parent.mkdir(parents=True)
        layer_file(tmp_path / path, values, 65535, TOWN)
        products.append({"layer": "S2_COUNT", "tile": tile, "grid": "utm", "path": path})
    return str(tmp_path), products


def counts(seed, shape=(1300, 700)):
    values = np.random.default_rng(seed).integers(0, 9, shape).astype("uint16")
    values[:, :50] = 65535
    return values


def test_each_pixel_counts_once(tmp_path):
    one, other = counts(0), counts(1)
    found = clear_counts(*output_with(tmp_path, one, other))
    both = np.concatenate([one.ravel(), other.ravel()])
    known = both[both != 65535]
    assert found.whole
    assert found.pixels == known.size
    assert [bar.pixels for bar in found.bars] == np.bincount(known).tolist()
    assert found.never == pytest.approx((known == 0).mean())
    assert (found.median, found.most) == (np.median(known), 8)


def test_of_many_pixels_some_rows_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    found = clear_counts(*output_with(tmp_path, counts(0)))
    assert not found.whole
    assert found.pixels == pytest.approx(1300 * 650, rel=0.01)
    assert found.never == pytest.approx(1 / 9, abs=0.01)


def test_files_that_cannot_be_read_count_nothing(tmp_path):
    output, products = output_with(tmp_path, counts(0))
    gone = {"layer": "S2_COUNT", "tile": "33UVU", "grid": "utm", "path": "../x.tif"}
    assert clear_counts(output, [*products, gone]) == clear_counts(output, products)
    assert clear_counts(output, [gone]) is None


def test_many_observations_make_few_bars():
    found = summed(dict.fromkeys(range(0, 300, 7), 10) | {2: 500}, whole=True)
    assert len(found.bars) <= 18
    assert found.bars[0].label == "0"
    assert sum(bar.pixels for bar in found.bars) == found.pixels
    assert max(bar.height for bar in found.bars) == 1
    assert summed({}, whole=True) is None
