import os
import shutil
import stat
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from transforms.assembly import parse_name, product_tiles, read_band, read_scene
from transforms.elements import Level, MaskKind, SceneError, Window


@pytest.fixture
def safe(tmp_path):
    dn = np.arange(1, 4 * 32 * 32 + 1, dtype=np.uint16).reshape(4, 32, 32)
    product = Product("33UUU", 32633, 300000, 5800020, dn, offset=-1000, cloud_cover=12.5)
    return write_product(tmp_path / "in", product), product


def pack(safe, target, rename=lambda name: name, extra=()):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(safe.rglob("*")):
            if path.is_file():
                archive.write(path, rename(str(path.relative_to(safe.parent))))
        for name, mode in extra:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "x")
    return str(target)


def test_folder_and_zip_say_the_same(safe, tmp_path):
    folder, product = safe
    packed = pack(folder, tmp_path / f"{product.name}.zip")
    flat = pack(folder, tmp_path / "flat.zip", lambda name: name.partition("/")[2])
    for path in (str(folder), packed, flat):
        scene = read_scene(path)
        assert scene.id == product.name
        assert (scene.tile, scene.level, scene.baseline) == ("33UUU", Level.L1C, "02.09")
        assert scene.offsets == (-1000.0,) * 4
        assert scene.cloud_cover == 12.5
        assert (scene.epsg, scene.ulx, scene.uly) == (32633, 300000, 5800020)
        assert (scene.rows, scene.cols) == (32, 32)
        assert scene.mask_kind is MaskKind.CLOUDS_GML
        assert scene.size > 0
        assert product_tiles(path) == ("33UUU",)
        for band, values in zip(scene.bands, product.dn, strict=True):
            found = read_band(band, scene.epsg, scene.ulx, scene.uly, Window(0, 0, 32, 32))
            assert np.array_equal(found, values)
    assert read_scene(packed).bands[0].startswith("/vsizip/")


def test_a_folder_around_the_product(safe):
    folder, product = safe
    assert read_scene(str(folder.parent)).id == product.name


def test_lower_case_metadata_name(safe):
    folder, product = safe
    (folder / "MTD_MSIL1C.xml").rename(folder / "MTD_MSIL1c.xml")
    assert read_scene(str(folder)).id == product.name


def test_classification_before_gml(safe):
    folder, _ = safe
    (quality,) = folder.glob("GRANULE/*/QI_DATA")
    (quality / "MSK_CLASSI_B00.jp2").write_bytes(b"")
    scene = read_scene(str(folder))
    assert scene.mask_kind is MaskKind.CLASSIFICATION
    shutil.rmtree(quality)
    scene = read_scene(str(folder))
    assert (scene.mask, scene.mask_kind) == (None, None)


def test_missing_band_is_named(safe):
    folder, _ = safe
    (band,) = folder.glob("GRANULE/*/IMG_DATA/*_B08.jp2")
    band.unlink()
    with pytest.raises(SceneError, match="band B08 at 10 m is missing"):
        read_scene(str(folder))


def test_band_not_listed_is_found_by_name(safe):
    folder, _ = safe
    file = folder / "MTD_MSIL1C.xml"
    file.write_text(file.read_text().replace("_B08</IMAGE_FILE>", "_B80</IMAGE_FILE>"))
    assert read_scene(str(folder)).bands[3].endswith("_B08.jp2")


@pytest.mark.parametrize("name", ["../../x_B04", "/etc/x_B04", "a&#10;b_B04", "a\\b_B04"])
def test_unsafe_listed_names(safe, name):
    folder, _ = safe
    file = folder / "MTD_MSIL1C.xml"
    text = file.read_text()
    start = text.index("<IMAGE_FILE>")
    file.write_text(f"{text[:start]}<IMAGE_FILE>{name}</IMAGE_FILE>{text[start:]}")
    with pytest.raises(SceneError, match="name") as caught:
        read_scene(str(folder))
    assert "\n" not in str(caught.value)


def test_links_out_of_the_product(safe, tmp_path):
    folder, _ = safe
    (band,) = folder.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    outside = tmp_path / "outside.jp2"
    band.rename(outside)
    band.symlink_to(outside)
    with pytest.raises(SceneError, match="link that leads out"):
        read_scene(str(folder))
    inside = band.with_name("kept.jp2")
    band.unlink()
    outside.rename(inside)
    band.symlink_to(inside)
    assert read_scene(str(folder)).bands[0] == str(band)
    link = tmp_path / "link.SAFE"
    link.symlink_to(folder)
    assert read_scene(str(link)).tile == "33UUU"


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../evil.jp2", 0o644),
        ("/etc/evil", 0o644),
        ("a/b\nc.jp2", 0o644),
        ("a//b.jp2", 0o644),
        ("x/link.jp2", stat.S_IFLNK | 0o777),
    ],
)
def test_unsafe_zip_entries(safe, tmp_path, name, mode):
    packed = pack(safe[0], tmp_path / "x.zip", extra=[(name, mode)])
    with pytest.raises(SceneError, match="in the zip") as caught:
        read_scene(packed)
    assert "\n" not in str(caught.value)


def test_what_is_no_product(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nonsense")
    (tmp_path / "empty.SAFE").mkdir()
    for name in ("broken.zip", "empty.SAFE", "absent.SAFE"):
        with pytest.raises(SceneError):
            read_scene(str(tmp_path / name))


def test_damaged_zip(safe, tmp_path):
    packed = Path(pack(safe[0], tmp_path / "x.zip"))
    data = packed.read_bytes()
    at = data.index(b"<n1:Level-1C_User_Product")
    packed.write_bytes(data[:at] + b"<n2" + data[at + 3 :])
    with pytest.raises(SceneError, match="not readable"):
        read_scene(str(packed))


def test_older_product_of_several_tiles(shared_data):
    path = str(shared_data / "gdal_fake_safe/fake_l1c/S2A_OPER_PRD_MSIL1C.SAFE")
    assert product_tiles(path) == ("32TQR", "32TRQ")
    scene = read_scene(path, "32TRQ")
    assert (scene.tile, scene.quantification, scene.id) == ("32TRQ", 1000, "S2A_OPER_PRD_MSIL1C")
    assert [Path(band).name[-11:] for band in scene.bands] == [
        f"TRQ_{band}.jp2" for band in ("B04", "B03", "B02", "B08")
    ]
    with pytest.raises(SceneError, match="32TQR, 32TRQ"):
        read_scene(path)
    with pytest.raises(SceneError, match="33UUU among"):
        read_scene(path, "33UUU")


def test_real_and_fake_compact_products(shared_data):
    for path in sorted((shared_data / "safe_products").glob("S2A_MSIL1C*.zip")):
        scene = read_scene(str(path))
        name = parse_name(path.name)
        assert scene.id == path.stem
        assert (scene.tile, scene.level) == (name.tile, name.level)
        assert scene.sensing.replace(microsecond=0) == name.sensing
        found = read_band(scene.bands[0], scene.epsg, scene.ulx, scene.uly, Window(0, 0, 30, 30))
        assert found.shape == (30, 30)
    for kind in ("MSIL2A", "MSIL2Ap", "processing_baseline_5_09"):
        (path,) = (shared_data / "gdal_fake_safe" / f"fake_l2a_{kind}").glob("*.SAFE")
        scene = read_scene(str(path))
        assert all(f"/R10m/{''}" in band and "_10m.jp2" in band for band in scene.bands)
        assert scene.mask.endswith("_SCL_20m.jp2")


def test_aws_tile_without_product_metadata(shared_data):
    (path,) = (shared_data / "safe_products").glob("*AWSPDS.zip")
    with pytest.raises(SceneError, match="no product metadata"):
        read_scene(str(path))


def test_aws_tile_with_product_metadata(safe, tmp_path):
    folder, product = safe
    (granule,) = folder.glob("GRANULE/*")
    aws = tmp_path / "aws"
    (aws / "qi").mkdir(parents=True)
    shutil.copy(folder / "MTD_MSIL1C.xml", aws / "product_metadata.xml")
    shutil.copy(granule / "MTD_TL.xml", aws / "metadata.xml")
    shutil.copy(granule / "QI_DATA/MSK_CLOUDS_B00.gml", aws / "qi")
    for band in granule.glob("IMG_DATA/*.jp2"):
        shutil.copy(band, aws / band.name[-7:])
    scene = read_scene(str(aws))
    assert scene.id == product.name
    assert scene.bands[0] == str(aws / "B04.jp2")
    assert scene.mask == str(aws / "qi/MSK_CLOUDS_B00.gml")


def test_names():
    found = parse_name("S2A_OPER_PRD_MSIL1C_PDMC_20161016T134321_R065_V20161016T101022_x.SAFE")
    assert (found.level, found.tile, found.made) == (Level.L1C, None, "20161016T134321")
    assert found.sensing.date() == date(2016, 10, 16)
    assert parse_name("S2A_MSIL1C_20179999T102101_N0204_R065_T33UUU_20170216T102204") is None
    assert parse_name("holiday.zip") is None


def swap(one, other):
    one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_bytes)
    other.write_bytes(one_bytes)


def test_what_the_pixels_depend_on_is_in_files(safe, tmp_path):
    folder, _ = safe
    seen = [read_scene(str(folder)).files]

    def changed():
        seen.append(read_scene(str(folder)).files)
        return len(set(seen)) == len(seen)

    (images,), (mask,) = folder.glob("GRANULE/*/IMG_DATA"), folder.glob("GRANULE/*/QI_DATA/*.gml")
    red, blue = next(images.glob("*_B04.jp2")), next(images.glob("*_B02.jp2"))
    red.write_bytes(red.read_bytes() + bytes(8))
    assert changed(), "a band of another size"
    swap(red, blue)
    assert changed(), "two bands swapped: the sum of sizes is the same"
    text = mask.read_text()
    mask.write_text(text.replace("pixels", "PIXELS"))
    assert changed(), "the mask of the same size says something else"
    mask.unlink()
    assert changed(), "the mask is gone"
    (mask.parent / "MSK_CLASSI_B00.jp2").write_bytes(b"1")
    assert changed(), "another kind of mask"
    (mask.parent / "MSK_CLASSI_B00.jp2").write_bytes(b"11")
    assert changed(), "a raster mask of another size"


def test_a_copy_has_the_same_files(safe, tmp_path):
    folder, product = safe
    copy = shutil.copytree(folder, tmp_path / "copy" / folder.name, copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
    assert read_scene(str(copy)).files == read_scene(str(folder)).files
    packed = Path(pack(folder, tmp_path / f"{product.name}.zip"))
    moved = shutil.copyfile(packed, tmp_path / "copy" / packed.name)
    assert read_scene(str(moved)).files == read_scene(str(packed)).files
    (red,) = folder.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    data = bytearray(red.read_bytes())
    data[-1] ^= 1
    red.write_bytes(data)
    other = pack(folder, tmp_path / "other.zip")
    assert read_scene(other).files != read_scene(str(packed)).files, "the checksum is another"
