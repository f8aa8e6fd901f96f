import errno
import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from transforms.assembly import Composite, cloud_from_scl, composite, percentile_of_stack
from transforms.elements import StorageError


def by_numpy(stack, valid, percentile):
    """The same, pixel by pixel, with numpy's own percentile."""
    out = np.zeros(stack.shape[1:], np.uint16)
    for band, row, col in np.ndindex(out.shape):
        values = stack[valid[:, row, col], band, row, col]
        if values.size:
            out[band, row, col] = max(1, np.rint(np.percentile(values, percentile)))
    return out


def series(folder):
    """Digital numbers (n, 4, h, w) and mask (n, h, w) of a real time series."""
    stack, masks = [], []
    for path in sorted(folder.glob("*_B02B03B04B08_10m.tif")):
        with rasterio.open(path) as source:
            stack.append(source.read((3, 2, 1, 4)))
        with rasterio.open(str(path).replace("B02B03B04B08_10m", "SCL_20m")) as source:
            masks.append(cloud_from_scl(source.read(1)).repeat(2, 0).repeat(2, 1))
    return np.stack(stack), np.stack(masks)


@pytest.mark.parametrize(("name", "dates"), [("wc1_31UDS", 118), ("wc2_31UES", 72)])
def test_real_series_is_numpys_percentile(shared_data, name, dates):
    dn, masked = series(shared_data / "s2_l2a_timeseries" / name)
    assert len(dn) == dates
    valid = dn.all(axis=1) & ~masked
    expected = by_numpy(dn, valid, 30)
    for order in (range(dates), np.random.default_rng(3).permutation(dates)):
        with Composite((64, 64), 30, strip_bytes=200_000) as composite:
            for i in order:
                composite.add(dn[i], masked[i])
            found, count, _ = composite.result()
        assert np.array_equal(found, expected)
        assert np.array_equal(count, valid.sum(axis=0))
    assert count.min() > 10


stacks = hnp.array_shapes(min_dims=3, max_dims=3, max_side=9).flatmap(
    lambda s: st.tuples(
        hnp.arrays(np.uint16, (s[0], 4, s[1], s[2]), elements=st.integers(0, 65535)),
        hnp.arrays(np.bool_, s),
    )
)


@settings(deadline=None)
@given(data=stacks, percentile=st.sampled_from([0, 1, 25, 30, 33.3, 50, 75, 99.9, 100]))
def test_any_stack_is_numpys_percentile(data, percentile):
    stack, valid = data
    found = percentile_of_stack(stack, valid, percentile)
    assert np.array_equal(found, by_numpy(stack, valid, percentile))


@settings(deadline=None)
@given(data=stacks, rows=st.integers(1, 9), seed=st.integers(0, 99))
def test_spooled_in_any_order_and_any_strips(data, rows, seed):
    stack, masked = data
    n, _, height, width = stack.shape
    expected = percentile_of_stack(stack, stack.all(axis=1) & ~masked, 30)
    with Composite((height, width), 30, strip_bytes=rows * n * 24 * width) as composite:
        for i in np.random.default_rng(seed).permutation(n):
            composite.add(stack[i], masked[i])
        found, count, _ = composite.result()
    assert np.array_equal(found, expected)
    assert np.array_equal(count, (stack.all(axis=1) & ~masked).sum(axis=0))
    assert np.array_equal(found[0] == 0, count == 0)


def peak_of(observations):
    """Most bytes that a composite of so many observations of 128 x 128 px had at a time."""
    dn = np.full((4, 128, 128), 500, np.uint16)
    clear = np.zeros((128, 128), bool)
    tracemalloc.start()
    with Composite((128, 128), strip_bytes=2**20) as composite:
        for number in range(observations):
            composite.add(dn + np.uint16(number), clear)
        _, count, _ = composite.result()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count == observations).all()
    return peak


def test_memory_does_not_grow_with_the_scenes(monkeypatch):
    monkeypatch.setattr(composite, "SPOOL_BYTES", 2**20)
    few, many = peak_of(20), peak_of(200)
    observed = 200 * 4 * 128 * 128 * 2
    assert many < 1.2 * few
    assert many < observed / 4


def test_a_part_is_the_part_of_the_whole():
    random = np.random.default_rng(5)
    stack = random.integers(0, 4000, (13, 4, 20, 30)).astype(np.uint16)
    valid = random.random((13, 20, 30)) < 0.6
    whole = percentile_of_stack(stack, valid, 30)
    part = percentile_of_stack(stack[..., 3:9, 7:20], valid[:, 3:9, 7:20], 30)
    assert np.array_equal(part, whole[:, 3:9, 7:20])


def test_nothing_observed():
    with Composite((3, 5)) as composite:
        composite.add(np.ones((4, 3, 5), np.uint16), np.ones((3, 5), bool))
        found, count, _ = composite.result()
    assert not found.any()
    assert not count.any()
    assert (found.shape, found.dtype, count.dtype) == ((4, 3, 5), np.uint16, np.uint16)


def test_a_pixel_counts_only_with_all_its_bands():
    dn = np.full((4, 1, 2), 500, np.uint16)
    dn[2, 0, 1] = 0
    with Composite((1, 2)) as composite:
        composite.add(dn, np.zeros((1, 2), bool))
        found, count, _ = composite.result()
    assert count.tolist() == [[1, 0]]
    assert found[:, 0, 1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["seek", "read", "write", "close"])
def test_a_temporary_folder_that_fails_is_named(name, monkeypatch):
    made = Composite((4, 4))
    made.add(np.ones((4, 4, 4), np.uint16), np.zeros((4, 4), bool))

    def fails(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(made._spool, name, fails, raising=False)

    def use():
        with made:
            made.add(np.ones((4, 4, 4), np.uint16), np.zeros((4, 4), bool))
            made.result()

    if name == "close":
        use()
    else:
        with pytest.raises(
            StorageError, match="cannot store observations in the temporary folder: No space left"
        ):
            use()


def test_a_temporary_file_that_lost_its_end_is_named():
    with Composite((4, 4)) as made:
        made.add(np.ones((4, 4, 4), np.uint16), np.zeros((4, 4), bool))
        made._spool.truncate(100)
        with pytest.raises(StorageError, match="returns fewer bytes than written"):
            made.result()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="percentile"):
        Composite((1, 1), 101)
    with pytest.raises(ValueError, match="percentile"):
        percentile_of_stack(np.ones((1, 4, 1, 1), np.uint16), np.ones((1, 1, 1), bool), -1)
    with pytest.raises(ValueError, match="shape"):
        percentile_of_stack(np.ones((1, 4, 1, 1), np.uint16), np.ones((1, 1), bool), 30)
    with Composite((1, 1)) as composite, pytest.raises(ValueError, match="shapes"):
        composite.add(np.ones((4, 2, 1), np.uint16), np.zeros((1, 1), bool))
    with Composite((1, 1)) as composite, pytest.raises(ValueError, match="float64"):
        composite.add(np.ones((4, 1, 1)), np.zeros((1, 1), bool))
