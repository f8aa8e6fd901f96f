import os
import re
import shutil
import stat
import zipfile
import zlib
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from transforms.assembly import (
    find_scenes,
    parse_name,
    passes,
    product_tiles,
    read_band,
    read_scene,
)
from transforms.assembly.products.zips import check_member
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
            found = read_band(band, grid_at(scene.epsg, scene.ulx, scene.uly, Window(0, 0, 32, 32)))
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
    with pytest.raises(SceneError, match="has no image of band B08 at 10 m"):
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
    with pytest.raises(SceneError, match="cannot be read"):
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
    with pytest.raises(SceneError, match="expected one of tile 33UUU"):
        read_scene(path, "33UUU")


def test_real_and_fake_compact_products(shared_data):
    for path in sorted((shared_data / "safe_products").glob("S2A_MSIL1C*.zip")):
        scene = read_scene(str(path))
        name = parse_name(path.name)
        assert scene.id == path.stem
        assert (scene.tile, scene.level) == (name.tile, name.level)
        assert scene.sensing.replace(microsecond=0) == name.sensing
        found = read_band(
            scene.bands[0], grid_at(scene.epsg, scene.ulx, scene.uly, Window(0, 0, 30, 30))
        )
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


def old_product(safe, tmp_path, *tiles):
    """A product as before December 2016: a folder of granules, of these tiles and strip starts."""
    folder, _ = safe
    (granule,) = folder.glob("GRANULE/*")
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20160616T134321_R065_V20160615T102101_20160615T102101"
    old = tmp_path / "old" / f"{name}.SAFE"
    shutil.copytree(folder, old, ignore=shutil.ignore_patterns("GRANULE"))
    product = old / "MTD_MSIL1C.xml"
    text = re.sub(r"<IMAGE_FILE>.*?</IMAGE_FILE>", "", product.read_text())
    text = re.sub(r"<PRODUCT_URI>.*?</PRODUCT_URI>", "", text).replace("2020-06-15", "2016-06-15")
    product.unlink()
    (old / f"{name.replace('PRD_MSIL1C', 'MTD_SAFL1C')}.xml").write_text(text)
    for tile, start in tiles:
        target = old / "GRANULE" / f"S2A_OPER_MSI_L1C_TL_EPA__{start}_A005000_T{tile}_N02.02"
        shutil.copytree(granule, target)
        strip = f"<DATASTRIP_ID>S2A_OPER_MSI_L1C_DS_EPA__{start}_S{start}_N02.02</DATASTRIP_ID>"
        metadata = (target / "MTD_TL.xml").read_text().replace("33UUU", tile)
        (target / "MTD_TL.xml").unlink()
        name_of_file = f"S2A_OPER_MTD_L1C_TL_EPA__{start}_A005000_T{tile}.xml"
        (target / name_of_file).write_text(metadata.replace("<SENSING", f"{strip}<SENSING"))
    return old


STRIPS = (("33UUU", "20160615T102047"), ("33UUU", "20160615T102103"), ("33UVU", "20160615T102047"))


def found_in(folder, *tiles):
    day = date(2016, 6, 15)
    return find_scenes(str(folder), tiles, day, day, Level.L1C, 100)


def test_a_tile_in_two_granules_is_two_datastrips_of_one_pass(safe, tmp_path):
    old = old_product(safe, tmp_path, *STRIPS)
    scenes, losses, warnings = found_in(old.parent, "33UUU")
    assert losses == warnings == []
    assert [scene.datastrip for scene in scenes] == ["20160615T102047", "20160615T102103"]
    assert len({scene.bands for scene in scenes}) == 2
    (one,) = passes(scenes)
    assert {*one} == {*scenes}
    packed = pack(old, tmp_path / "packed.zip")
    assert [scene.datastrip for scene in found_in(packed, "33UUU").scenes] == [
        scene.datastrip for scene in scenes
    ]
    with pytest.raises(SceneError, match="of 33UUU, 33UUU, 33UVU; expected one of tile 33UUU"):
        read_scene(str(old), "33UUU")


def test_a_granule_that_is_not_whole_is_its_own_tiles_loss(safe, tmp_path):
    old = old_product(safe, tmp_path, *STRIPS[1:])
    (other,) = old.glob("GRANULE/*33UVU*")
    shutil.rmtree(other / "IMG_DATA")
    next(other.glob("*.xml")).unlink()
    (old / "GRANULE" / "@eaDir").mkdir()
    (old / "GRANULE" / "Thumbs.db").touch()
    scenes, losses, _ = found_in(old.parent, "33UUU")
    assert ([scene.tile for scene in scenes], losses) == (["33UUU"], [])
    scenes, losses, _ = found_in(old.parent, "33UUU", "33UVU")
    assert [scene.tile for scene in scenes] == ["33UUU"]
    assert [(loss.tile, loss.reason) for loss in losses] == [("33UVU", "has 0 tile metadata files")]
    shutil.rmtree(other)
    other.mkdir()
    losses = found_in(old.parent, "33UVU").losses
    assert [(loss.tile, loss.reason) for loss in losses] == [("33UVU", "is an empty granule")]


def harmless(packed, entry, safe):
    """Whether a member unpacks to what was packed, its checksum not looked at."""
    with packed.open("rb") as file:
        file.seek(entry.header_offset + 30 + len(entry.filename))
        data = file.read(entry.compress_size)
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        try:
            data = zlib.decompressobj(-15).decompress(data, entry.file_size)
        except zlib.error:
            return False
    return data == (safe.parent / entry.filename).read_bytes()


@pytest.mark.parametrize("level", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_every_flipped_bit_of_a_member_is_noticed(safe, tmp_path, level):
    packed = tmp_path / "x.zip"
    with zipfile.ZipFile(packed, "w", level) as archive:
        for path in sorted(safe[0].rglob("*.*")):
            if path.is_file():
                archive.write(path, str(path.relative_to(safe[0].parent)))
    scene = read_scene(str(packed))
    with zipfile.ZipFile(packed) as archive:
        entry = archive.getinfo(scene.bands[0].partition("x.zip/")[2])
    start = entry.header_offset + 30 + len(entry.filename)
    whole = packed.read_bytes()
    check_member(scene.bands[0])
    random = np.random.default_rng(5)
    for time, at in enumerate(random.integers(0, entry.compress_size, 80)):
        data = bytearray(whole)
        data[start + at] ^= 1 << int(random.integers(8))
        packed.write_bytes(data)
        os.utime(packed, (time, time))
        if harmless(packed, entry, safe[0]):  # a bit between two pieces of a compressed stream
            assert level == zipfile.ZIP_DEFLATED
            continue
        with pytest.raises(SceneError, match="is damaged or cannot be read"):
            check_member(scene.bands[0])
    packed.write_bytes(whole)
    check_member(scene.bands[0])
    check_member(str(safe[0]))  # no zip


def test_a_member_is_read_through_once(safe, tmp_path, monkeypatch):
    scene = read_scene(pack(safe[0], tmp_path / "x.zip"))
    opened = []
    real = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda *a, **k: opened.append(a[1]) or real(*a, **k)
    )
    for _ in range(3):
        for band in scene.bands:
            check_member(band)
    assert len(opened) == 4
