import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from transforms.assembly import parse_product, reflectance, to_composite_dn

EVERY = np.arange(2**16, dtype=np.uint16)


def test_golden_reflectance(shared_data):
    """Real digital numbers and the reflectance another implementation computes from them."""
    folder = shared_data / "radiometric_offset"
    pairs = sorted(folder.glob("*_toa.tif"))
    assert len(pairs) == 2
    for expected_path in pairs:
        stem = expected_path.name.removesuffix("_toa.tif")
        metadata = parse_product((folder / f"{stem}_MTD.xml").read_bytes(), stem)
        (offset,) = set(metadata.offsets.values())
        with rasterio.open(folder / f"{stem}.tif") as source:
            dn = source.read()
        with rasterio.open(expected_path) as source:
            expected = source.read()
        found = reflectance(dn, [offset] * len(dn), metadata.quantification)
        valid = dn > 0
        assert np.abs(found - expected)[valid].max() < 2e-8
        assert np.isnan(found[~valid]).all()
        rounded = to_composite_dn(dn, [offset] * len(dn), metadata.quantification)
        assert np.abs(rounded - np.clip(expected * 1e4, 1, None))[valid].max() <= 0.51


@given(
    st.floats(-8000, 8000, allow_nan=False),
    st.sampled_from([1.0, 1000.0, 9999.0, 10000.0, 65535.0]),
)
def test_composite_numbers(offset, quantification):
    found = to_composite_dn(EVERY[np.newaxis], [offset], quantification)[0]
    exact = np.rint(reflectance(EVERY[np.newaxis], [offset], quantification)[0] * 10000)
    assert found[0] == 0
    assert found[1:].min() >= 1
    assert np.array_equal(found[1:], np.clip(exact[1:], 1, 65535))


def test_dark_pixels_do_not_wrap_and_stay_valid():
    dn = np.array([[[0, 1, 999, 1000, 1001, 65535]]], np.uint16)
    assert to_composite_dn(dn, [-1000], 10000).tolist() == [[[0, 1, 1, 1, 1, 64535]]]


def test_each_band_has_its_own_offset():
    dn = np.full((4, 2, 3), 2000, np.uint16)
    found = to_composite_dn(dn, (0, -1000, -7000, 5), 10000)
    assert found[:, 0, 0].tolist() == [2000, 1000, 1, 2005]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="offsets"):
        to_composite_dn(np.zeros((4, 1, 1), np.uint16), (0, 0), 10000)
    with pytest.raises(ValueError, match="uint16"):
        to_composite_dn(np.zeros((4, 1, 1), np.int16), (0, 0, 0, 0), 10000)
    with pytest.raises(ValueError, match="quantification"):
        reflectance(np.zeros((1, 1), np.uint16), (0,), 0)
