"""The unit of a reference, and its pixels without data, as `validate` reads them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from ghsl_beam.tools.validate import validate
from tests.support.references import PERCENT, UTM, layer, write
from transforms.elements import RequestError


@pytest.mark.parametrize(
    ("unit", "kind", "factor"),
    [
        ("percent", "uint8", 100),
        ("percent", "float32", 100),
        ("per-10000", "uint16", 10000),
        ("per-10000", "int32", 10000),
        ("fraction", "float32", 1),
        ("m2", "uint8", 100),
        ("m2", "float64", 100),
    ],
)
def test_a_stated_unit_is_what_the_values_mean(
    tmp_path: Path, unit: str, kind: str, factor: int
) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", (PERCENT / 100 * factor).round(6).astype(kind), None)
    with pytest.raises(RequestError, match=r"has no unit.*give --unit, one of fraction"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif")
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit=unit)
    assert got["rmse"] == pytest.approx(0, abs=1e-6)
    assert got["reference_m2"] == pytest.approx(PERCENT.sum())
    assert (got["unit"], got["unit_from"], got["overlap_percent"]) == (unit, "--unit", 100)


@pytest.mark.parametrize(("unit", "one", "kind"), [
    ("mask", 1, "uint8"), ("mask", 1, "int16"), ("mask", 1, "float32"), ("mask255", 255, "uint8"),
])  # fmt: skip
def test_masks(tmp_path: Path, unit: str, one: int, kind: str) -> None:
    layer(tmp_path, np.where(PERCENT > 50, 100, 0).astype("uint8"))
    write(tmp_path / "ref.tif", np.where(PERCENT > 50, one, 0).astype(kind), None)
    got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit=unit)
    assert (got["rmse"], got["f1"], got["warnings"]) == (0, 1, [])
    if (one, kind[:5]) == (1, "float"):
        with pytest.raises(RequestError, match="has no unit"):
            validate(str(tmp_path), f"{tmp_path}/ref.tif")
    elif one == 1:
        got = validate(str(tmp_path), f"{tmp_path}/ref.tif")
        assert (got["f1"], got["unit_from"]) == (1, "its values, 0 and 1 alone")
        assert "read as a mask" in got["warnings"][0]
    else:
        with pytest.raises(RequestError, match=r"no unit \(its values are 0 to 255\)"):
            validate(str(tmp_path), f"{tmp_path}/ref.tif")


@pytest.mark.parametrize("columns", [300, 100_000])
def test_values_around_the_layer_tell_what_is_no_mask(tmp_path: Path, columns: int) -> None:
    """Percent of a place where little is built-up."""
    layer(tmp_path, np.where(PERCENT > 50, 100, 0).astype("uint8"))
    values = np.full((30, columns), 77, "uint8")
    values[:, :40] = PERCENT > 50
    write(tmp_path / "ref.tif", values, None)
    with pytest.raises(RequestError, match=r"no unit \(its values are 0 to 77\)"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif")


@pytest.mark.parametrize(
    ("unit", "values", "said"),
    [
        ("fraction", np.full((30, 40), 2.5, "float32"), "1200 values are not fraction.*first 2.5"),
        ("percent", np.full((30, 40), 255, "uint8"), "1200 values are not percent.*first 255"),
        ("per-10000", np.full((30, 40), -1, "int16"), "1200 values are not per-10000.*first -1"),
        ("m2", np.full((30, 40), 103, "uint8"), "1200 values are not m2.*first 103"),
        ("mask", np.full((30, 40), 2, "uint8"), "1200 values are not mask .*first 2"),
        ("mask255", np.full((30, 40), 1, "uint8"), "1200 values are not mask255.*first 1"),
        ("fraction", np.full((30, 40), np.inf, "float32"), "1200 values.*first inf"),
        ("hectares", np.zeros((30, 40), "uint8"), "--unit 'hectares': expected one of fraction"),
    ],
)
def test_values_that_the_unit_does_not_have(
    tmp_path: Path, unit: str, values: np.ndarray, said: str
) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", values, None)
    with pytest.raises(RequestError, match=said):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit=unit)


def test_a_likelier_unit_is_asked_for(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", (PERCENT / 100).astype("float32"), None)
    (warning,) = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")["warnings"]
    assert warning == "the reference's highest value is 1: is its unit percent?"


def test_metadata_prove_a_unit(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    reference = f"{tmp_path}/ref.tif"
    write(tmp_path / "ref.tif", PERCENT, 255)
    with rasterio.open(reference, "r+") as target:
        target.units = ("%",)
    got = validate(str(tmp_path), reference)
    assert (got["rmse"], got["unit"], got["unit_from"]) == (0, "percent", "its unit, '%'")
    write(tmp_path / "ref.tif", PERCENT.astype("int16") * 5 - 50, None)
    with rasterio.open(reference, "r+") as target:
        target.units, target.scales, target.offsets = ("1",), (0.002,), (0.1,)
    assert validate(str(tmp_path), reference)["rmse"] == pytest.approx(0, abs=1e-9)
    with rasterio.open(reference, "r+") as target:
        target.units = ("acres",)
    with pytest.raises(RequestError, match=r"has no unit that is known \(found 'acres'\)"):
        validate(str(tmp_path), reference)


def own(path: Path, name: str, values: np.ndarray, nodata: float | None, **tags: str) -> str:
    """A product of this program."""
    write(path / name, values, nodata)
    with rasterio.open(path / name, "r+") as target:
        target.update_tags(GHSL_FINGERPRINT="0", **tags)
    return f"{path / name}"


def test_own_products_prove_their_unit(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    bufrac = own(tmp_path, "any.tif", PERCENT, 255, LAYER="BUFRAC")
    assert validate(str(tmp_path), bufrac)["rmse"] == 0
    assert validate(str(tmp_path), bufrac, unit="percent")["rmse"] == 0
    with pytest.raises(RequestError, match="is BUFRAC in percent, but --unit says mask"):
        validate(str(tmp_path), bufrac, unit="mask")
    raw = own(tmp_path, "raw.tif", PERCENT.astype("uint16") * 100, 65535, LAYER="BUFRAC_RAW")
    with rasterio.open(raw, "r+") as target:
        target.units, target.scales = ("1",), (1e-4,)
    assert validate(str(tmp_path), raw)["rmse"] == 0, "its stored values are scaled once"
    area = own(tmp_path, "BUILT_S_E2017_x_54009_10_R3C4.tif", PERCENT, 255)
    assert validate(str(tmp_path), area)["unit_from"] == "its layer, BUILT_S"
    for other in ("RES_NRES", "BUILT_S_NRES", "GREENNESS", "S2_COUNT"):
        path = own(tmp_path, f"{other}.tif", np.zeros((30, 40), "uint8"), 255, LAYER=other)
        with pytest.raises(RequestError, match=f"is {other}, which does not measure all built-up"):
            validate(str(tmp_path), path, unit="percent")


def test_composites_and_classes(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    reference = f"{tmp_path}/ref.tif"
    profile = {"driver": "GTiff", "height": 30, "width": 40, "count": 4, "dtype": "uint8", **UTM}
    with rasterio.open(reference, "w", **profile, photometric="MINISBLACK") as target:
        target.write(np.stack([PERCENT * 0 + n for n in range(3)] + [PERCENT]))
        target.colorinterp = [rasterio.enums.ColorInterp.gray] * 4
    with pytest.raises(RequestError, match=r"has 4 bands .*expected one.*--band"):
        validate(str(tmp_path), reference, unit="percent")
    assert validate(str(tmp_path), reference, unit="percent", band=4)["rmse"] == 0
    with pytest.raises(RequestError, match="has no band 5; it has 4"):
        validate(str(tmp_path), reference, unit="percent", band=5)
    cover = np.where(PERCENT > 60, 50, np.where(PERCENT > 30, 60, 10)).astype("uint8")
    write(tmp_path / "ref.tif", cover, 0)
    with rasterio.open(reference, "r+") as target:
        target.write_colormap(1, {10: (0, 99, 0), 50: (250, 0, 0), 60: (180, 180, 180)})
    with pytest.raises(RequestError, match=r"no unit \(and its nodata is 0\).*give --built"):
        validate(str(tmp_path), reference)
    got = validate(str(tmp_path), reference, built="50,60")
    assert got["reference_m2"] == 100 * (PERCENT > 30).sum()
    with pytest.raises(RequestError, match="leave out --unit"):
        validate(str(tmp_path), reference, built="50", unit="mask")
    said = "has a colour table: if its values are classes"
    got = validate(str(tmp_path), reference, unit="percent", nodata="0")
    assert said in got["warnings"][0]


def test_classes_that_the_raster_does_not_have(tmp_path: Path) -> None:
    """51 for WorldCover's 50 would be a reference with nothing built-up."""
    layer(tmp_path, PERCENT)
    cover = np.where(PERCENT > 60, 50, np.where(PERCENT > 30, 60, 10)).astype("uint8")
    write(tmp_path / "ref.tif", cover, 0)
    reference = f"{tmp_path}/ref.tif"
    first, second = validate(str(tmp_path), reference, built="51,80")["warnings"]
    assert first == (
        "in the compared part, the reference has no value 51, 80 of --built, only 10, 50, 60"
    )
    assert second == "nothing is built-up in the reference where both are compared"
    assert validate(str(tmp_path), reference, built="50,51")["warnings"] == []
    for built in ("nan", "inf", "50,300", "-1", "50.5"):
        with pytest.raises(RequestError, match=r"--built .*: a raster of uint8 cannot hold it"):
            validate(str(tmp_path), reference, built=built)
    write(tmp_path / "ref.tif", np.arange(1200, dtype="int16").reshape(30, 40), None)
    (first, _) = validate(str(tmp_path), reference, built="-7")["warnings"]
    assert first.endswith("only 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...")


@pytest.mark.parametrize("unit", ["mask", "percent", "m2"])
def test_a_reference_without_anything_built_up(tmp_path: Path, unit: str) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", PERCENT * 0, None)
    said = "nothing is built-up in the reference where both are compared"
    assert validate(str(tmp_path), f"{tmp_path}/ref.tif", unit=unit)["warnings"] == [said]
    layer(tmp_path, PERCENT * 0)
    assert validate(str(tmp_path), f"{tmp_path}/ref.tif", unit=unit)["warnings"] == []


@pytest.mark.parametrize("name", [
    "RES_NRES_E2021_x_33UUU", "res_nres_e2021_x_33UUU", "S2_COUNT_E2021_x_33UUU",
    "GHS_BUILT_S_NRES_E2018_GLOBE_R2023A_54009_10_V1_0", "GHS_BUILT_C_MSZ_E2018_GLOBE_R2023A",
])  # fmt: skip
def test_a_layer_of_classes_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    """Another tool left no tag in it, and the ground has no class above 1."""
    layer(tmp_path, PERCENT)
    write(tmp_path / f"{name}.tif", (PERCENT > 50).astype("uint8"), 255)
    reference = f"{tmp_path}/{name}.tif"
    for unit in (None, "mask"):
        with pytest.raises(
            RequestError, match=r"its name is that of .*, which does not measure all"
        ):
            validate(str(tmp_path), reference, unit=unit)
    assert validate(str(tmp_path), reference, built="1")["reference_m2"] == (
        100 * (PERCENT > 50).sum()
    )
    other = f"{tmp_path}/GHS_BUILT_S_E2018_GLOBE_R2023A.tif"
    write(Path(other), PERCENT, 255)
    assert validate(str(tmp_path), other, unit="percent")["rmse"] == 0


@pytest.mark.parametrize(("unit", "nodata"), [
    ("mask", 0), ("mask", 1), ("percent", 0), ("percent", 100), ("mask255", 255), ("m2", 0),
])  # fmt: skip
def test_a_nodata_that_is_a_value_too(tmp_path: Path, unit: str, nodata: int) -> None:
    """Without nodata 0 only the ones of a mask would be left."""
    one = {"mask": 1, "percent": 100, "mask255": 255, "m2": 100}[unit]
    layer(tmp_path, np.where(PERCENT > 50, 100, 0).astype("uint8"))
    reference = f"{tmp_path}/ref.tif"
    write(tmp_path / "ref.tif", np.where(PERCENT > 50, one, 0).astype("uint8"), nodata)
    said = f"nodata {nodata} is also a value of {unit}.*--nodata none"
    with pytest.raises(RequestError, match=said):
        validate(str(tmp_path), reference, unit=unit)
    got = validate(str(tmp_path), reference, unit=unit, nodata="none")
    assert (got["pixels"], got["f1"], got["rmse"]) == (1200, 1, 0)
    got = validate(str(tmp_path), reference, unit=unit, nodata=str(nodata))
    assert got["pixels"] == ((PERCENT > 50) != (nodata > 0)).sum()
    with pytest.raises(RequestError, match="--nodata 'some': expected a number or none"):
        validate(str(tmp_path), reference, unit=unit, nodata="some")


def test_nodata_outside_the_type_marks_nothing(tmp_path: Path) -> None:
    """-9999 as a byte would be 241, and 256 would be 0."""
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", PERCENT, None)
    for nodata in ("-9999", "256"):
        got = validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent", nodata=nodata)
        assert (got["pixels"], got["rmse"]) == (1200, 0)


def test_nan_a_mask_and_alpha_are_no_data(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    reference = f"{tmp_path}/ref.tif"
    hidden = np.zeros((30, 40), bool)
    hidden[4:9, 3:30] = True
    write(tmp_path / "ref.tif", np.where(hidden, np.nan, PERCENT / 100).astype("float32"), None)
    nan = validate(str(tmp_path), reference, unit="fraction")
    write(tmp_path / "ref.tif", np.where(hidden, 7, PERCENT).astype("uint8"), None)
    with rasterio.open(reference, "r+") as target:
        target.write_mask(~hidden)
    mask = validate(str(tmp_path), reference, unit="percent")
    profile = {"driver": "GTiff", "height": 30, "width": 40, "count": 2, "dtype": "uint8", **UTM}
    with rasterio.open(f"{tmp_path}/alpha.tif", "w", **profile, alpha="YES") as target:
        target.write(np.stack([np.where(hidden, 7, PERCENT), np.where(hidden, 0, 255)]))
    alpha = validate(str(tmp_path), f"{tmp_path}/alpha.tif", unit="percent")
    for got in (nan, mask, alpha):
        assert got["pixels"] == 1200 - hidden.sum()
        assert got["rmse"] == pytest.approx(0, abs=1e-7)
        assert got["overlap_percent"] == pytest.approx(100 * (1 - hidden.mean()), abs=1e-3)


def test_a_reference_without_a_place(tmp_path: Path) -> None:
    layer(tmp_path, PERCENT)
    write(tmp_path / "ref.tif", PERCENT, 255, crs=None)
    with pytest.raises(RequestError, match="has no CRS; assign one"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
    local = 'LOCAL_CS["here",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    write(tmp_path / "ref.tif", PERCENT, 255, crs=local)
    with pytest.raises(RequestError, match="without a known place on the Earth"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
    write(tmp_path / "ref.tif", PERCENT.astype("complex64"), None)
    with pytest.raises(RequestError, match="complex numbers"):
        validate(str(tmp_path), f"{tmp_path}/ref.tif", unit="percent")
