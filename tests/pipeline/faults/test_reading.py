"""A scene that cannot be read is set aside, named, and the composite goes on with the rest."""

import errno
import os
import re
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from tests.pipeline.faults.conftest import ULX, ULY, small_job
from tests.pipeline.faults.table import fault
from tests.support.archive import Product, write_product
from tests.support.jpeg2000 import tile_parts, write_band
from tests.support.manifest import write_manifest
from transforms.assembly import raster_file
from transforms.elements import RequestError

SET_ASIDE = "the scene is set aside with file and reason, the composite is that of the others; 3"


def rewrite(path, values, epsg=32633):
    """Write a band anew with other pixels or another CRS."""
    with rasterio.open(path) as source:
        place = source.transform
    profile = {
        "driver": "JP2OpenJPEG",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": "uint16",
        "crs": f"EPSG:{epsg}",
        "transform": from_origin(place.c, place.f, 10, 10),
        "quality": 100,
        "reversible": "YES",
    }
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)


def truncated(job):
    job.red.write_bytes(job.red.read_bytes()[: job.red.stat().st_size // 2])


def zero_byte(job):
    job.red.write_bytes(b"")


def bit_flipped(job):
    data = bytearray(job.red.read_bytes())
    start = data.index(b"\xff\x4f\xff\x51")  # start of the code stream and of its sizes
    data[start + 8 : start + 16] = bytes(byte ^ 0xFF for byte in data[start + 8 : start + 16])
    job.red.write_bytes(bytes(data))


def retiled(job, length=None, change=lambda data: data):
    """The band anew, of several JPEG 2000 tiles as real ones are, then cut or changed."""
    red = job.red
    with rasterio.open(red) as source:
        place = source.transform
    data = write_band(red, job.second[0], 32, corner=(place.c, place.f))
    red.write_bytes(change(data[: int(len(data) * (length or 1))]))


def cut_among_tiles(job):
    retiled(job, 0.5)


def cut_at_its_end(job):
    retiled(job, change=lambda data: data[:-1])


def tile_lost(job):
    def without_one(data):
        number, start, end = tile_parts(data)[4]
        assert number == 4
        return data[:start] + data[end:]

    retiled(job, change=without_one)


def tile_twice(job):
    def twice(data):
        _, start, _ = tile_parts(data)[4]
        return data[: start + 4] + b"\0\3" + data[start + 6 :]

    retiled(job, change=twice)


def hole(job):
    def zeroed(data):
        _, start, end = tile_parts(data)[4]
        assert end - start > 700
        return data[: start + 100] + bytes(500) + data[start + 600 :]

    retiled(job, change=zeroed)


def size_contradicted(job):
    def wider(data):
        start = data.index(b"\xff\x4f\xff\x51")
        return data[: start + 11] + bytes([data[start + 11] ^ 1]) + data[start + 12 :]

    retiled(job, change=wider)


def two_billion_columns(job):
    def wide(data):
        start = data.index(b"\xff\x4f\xff\x51")
        return data[: start + 8] + b"\x7f\xff\xff\xff" + data[start + 12 :]

    retiled(job, change=wide)


def tiles_of_one_pixel(job):
    def tiny(data):
        start = data.index(b"\xff\x4f\xff\x51")
        return data[: start + 24] + b"\0\0\0\1\0\0\0\1" + data[start + 32 :]

    retiled(job, change=tiny)


def another_format(job):
    red, size = job.red, {"height": 96, "width": 120, "count": 1, "dtype": "uint16"}
    red.unlink()
    with rasterio.open(red, "w", driver="PNG", **size) as target:
        target.write(job.second[0], 1)


def raster_mask(job, put):
    """A raster mask in place of the polygons."""
    (polygons,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLOUDS_B00.gml")
    put(polygons.with_name("MSK_CLASSI_B00.jp2"))
    polygons.unlink()


def mask_is_a_pipe(job):
    raster_mask(job, os.mkfifo)


def polygon_mask_is_a_pipe(job):
    (polygons,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLOUDS_B00.gml")
    polygons.unlink()
    os.mkfifo(polygons)


def mask_of_classes(job, dtype="uint8"):
    def write(path):
        values = np.zeros((3, 16, 20), dtype)
        write_band(path, values, None, 60, corner=(ULX, ULY))

    raster_mask(job, write)


def mask_of_signed_numbers(job):
    mask_of_classes(job, "int16")


def mask_cut(job):
    mask_of_classes(job)
    (mask,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLASSI_B00.jp2")
    mask.write_bytes(mask.read_bytes()[:-40])


def clouds(job, ring):
    (mask,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLOUDS_B00.gml")
    product = Product("33UUU", 32633, ULX, ULY, job.second, cloud_polygons=[ring])
    (made,) = write_product(job.file.parent / "clouded" / job.spoiled.name, product).glob(
        "GRANULE/*/QI_DATA/*.gml"
    )
    shutil.copy(made, mask)


def mask_of_half_a_megabyte(job):
    xs = np.linspace(ULX, ULX + 1200, 30_000)
    ys = np.where(np.arange(30_000) % 2, ULY + 7, ULY - 967)
    clouds(job, " ".join(f"{x:.2f} {y}" for x, y in zip(xs, ys, strict=True)))


def mask_far_away(job):
    clouds(job, f"{ULX} {ULY} 1e300 {ULY} {ULX} 1e300 {ULX} {ULY}")


def mask_of_another_geometry(job):
    clouds(job, f"{ULX} {ULY} {ULX + 99} {ULY} {ULX} {ULY - 99} {ULX} {ULY}")
    (mask,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLOUDS_B00.gml")
    mask.write_text(mask.read_text().replace("gml:Polygon", "gml:PolygonPatch"))


def wrong_crs(job):
    rewrite(job.red, job.second[0], epsg=32634)


def wrong_shape(job):
    rewrite(job.red, job.second[0][:50])


def missing_band(job):
    job.red.unlink()


def duplicated_band(job):
    shutil.copy(job.red, job.red.with_name("again_B04.jp2"))
    product = job.spoiled / "MTD_MSIL1C.xml"
    product.write_text(re.sub(r"<IMAGE_FILE>.*?</IMAGE_FILE>", "", product.read_text()))


def mask_broken(job):
    (mask,) = job.spoiled.glob("GRANULE/*/QI_DATA/MSK_CLOUDS_B00.gml")
    mask.write_text(mask.read_text().replace("</eop:Mask>", "<gml:Polygon></eop:Mask>"))


def metadata(job, old, new):
    product = job.spoiled / "MTD_MSIL1C.xml"
    text = product.read_text()
    assert old in text
    product.write_text(text.replace(old, new))


def entity_bomb(job):
    lines = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    metadata(job, "<n1:Level-1C_U", f'<!DOCTYPE x [<!ENTITY e0 "x">{lines}]>\n<n1:Level-1C_U')


def external_entity(job):
    declared = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n<n1:Level-1C_U'
    metadata(job, "<n1:Level-1C_U", declared)
    metadata(job, "<PROCESSING_BASELINE>02.09", "<PROCESSING_BASELINE>&e;")


def wrong_root(job):
    metadata(job, "Level-1C_User_Product", "Level-1B_User_Product")


def offsets_incomplete(job):
    listed = '<Radiometric_Offset_List><RADIO_ADD_OFFSET band_id="1">-1000</RADIO_ADD_OFFSET>'
    metadata(job, "<Spectral_Inf", f"{listed}</Radiometric_Offset_List><Spectral_Inf")


def baseline_no_number(job):
    metadata(job, "<PROCESSING_BASELINE>02.09", "<PROCESSING_BASELINE>newest")


def vanished(job):
    shutil.rmtree(job.images)


def grid_of_another_zone(job):
    (tile,) = job.spoiled.glob("GRANULE/*/MTD_TL.xml")
    tile.write_text(tile.read_text().replace("EPSG:32633", "EPSG:32632"))


SPOILED = {
    "truncated": (truncated, "_B04.jp2"),
    "cut, of several JPEG 2000 tiles": (cut_among_tiles, "_B04.jp2"),
    "cut by one byte": (cut_at_its_end, "_B04.jp2"),
    "a JPEG 2000 tile lost": (tile_lost, "_B04.jp2"),
    "a JPEG 2000 tile with another's number": (tile_twice, "_B04.jp2"),
    "a hole of 500 zero bytes in a JPEG 2000 tile": (hole, "_B04.jp2"),
    "two statements of its size differ": (size_contradicted, "_B04.jp2"),
    "two billion columns": (two_billion_columns, "_B04.jp2"),
    "tiles of one pixel": (tiles_of_one_pixel, "_B04.jp2"),
    "a PNG under its name": (another_format, "_B04.jp2"),
    "raster mask is a pipe": (mask_is_a_pipe, "MSK_CLASSI_B00.jp2"),
    "polygon mask is a pipe": (polygon_mask_is_a_pipe, "MSK_CLOUDS_B00.gml"),
    "raster mask of signed numbers": (mask_of_signed_numbers, "MSK_CLASSI_B00.jp2"),
    "raster mask cut": (mask_cut, "MSK_CLASSI_B00.jp2"),
    "GML mask of edges that all cross all rows": (
        mask_of_half_a_megabyte,
        "MSK_CLOUDS_B00.gml",
    ),
    "GML mask with a position far away": (mask_far_away, "MSK_CLOUDS_B00.gml"),
    "GML mask of another geometry": (mask_of_another_geometry, "MSK_CLOUDS_B00.gml"),
    "zero-byte": (zero_byte, "_B04.jp2"),
    "bit-flipped (its head)": (bit_flipped, "_B04.jp2"),
    "wrong CRS": (wrong_crs, "_B04.jp2"),
    "wrong shape": (wrong_shape, "_B04.jp2"),
    "missing band": (missing_band, "IMG_DATA"),
    "duplicated band": (duplicated_band, "IMG_DATA"),
    "GML mask broken": (mask_broken, "MSK_CLOUDS_B00.gml"),
    "XML entity bomb": (entity_bomb, "MTD_MSIL1C.xml"),
    "XML external entity": (external_entity, "MTD_MSIL1C.xml"),
    "XML with another root": (wrong_root, "MTD_MSIL1C.xml"),
    "offset list incomplete": (offsets_incomplete, "MTD_MSIL1C.xml"),
    "baseline no number": (baseline_no_number, "MTD_MSIL1C.xml"),
    "images vanished": (vanished, "IMG_DATA"),
    "grid of another zone": (grid_of_another_zone, ".SAFE"),
}
for name in SPOILED:
    fault("reading", name, SET_ASIDE)


@pytest.fixture(scope="module")
def all_spoiled(tmp_path_factory):
    """A run with a good scene and every spoiled one, each of a day of its own."""
    folder = tmp_path_factory.mktemp("spoiled")
    whole = small_job(folder, period={"start": "2020-06-01", "end": "2020-09-30"})
    shutil.rmtree(whole.spoiled)
    names = {}
    for number, (name, (spoil, _)) in enumerate(SPOILED.items()):
        day = date(2020, 7, 1) + timedelta(number)
        safe = write_product(
            folder / "archive", Product("33UUU", 32633, ULX, ULY, whole.second, day)
        )
        spoil(replace(whole, spoiled=safe))
        names[name] = safe.name
    return whole, names, *whole.run()


def test_the_composite_is_that_of_the_good_scene(all_spoiled):
    job, names, output, record = all_spoiled
    assert record["exit_code"] == 3
    assert len(record["scenes_set_aside"]) == len(names)
    np.testing.assert_array_equal(job.s2(output), job.first)


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_scene_is_set_aside(all_spoiled, name):
    _, names, _, record = all_spoiled
    (aside,) = [one for one in record["scenes_set_aside"] if names[name] in one["file"]]
    assert aside["file"].endswith(SPOILED[name][1])
    assert aside["reason"]
    assert "\n" not in aside["reason"]


def test_a_scene_of_another_zone_is_named_with_both(job):
    grid_of_another_zone(job)
    output, record = job.run()
    (loss,) = record["losses"]
    named = (loss["stage"], loss["tile"], loss["scene"], loss["file"])
    name = job.spoiled.name.removesuffix(".SAFE")
    assert named == ("catalogue", "33UUU", name, str(job.spoiled))
    assert loss["reason"] == "its grid is in EPSG:32632, expected EPSG:32633"
    assert name in (output / "report" / "index.html").read_text()
    _, again = job.run()
    assert (again["computed"], again["losses"], again["exit_code"]) == (0, [loss], 3)


def test_scenes_of_another_zone_alone(job):
    for folder in (job.good, job.spoiled):
        grid_of_another_zone(replace(job, spoiled=folder))
    with pytest.raises(RequestError, match=r"no scene can be used.*EPSG:32632, expected EPSG:326"):
        job.run()


fault("reading", "a bit of a band differs from manifest.safe (--verify)", SET_ASIDE)


def test_a_band_that_differs_from_its_manifest(job):
    write_manifest(job.good, "MD5", "md5")
    write_manifest(job.spoiled, "SHA3-256", "sha3_256")
    data = bytearray(job.red.read_bytes())
    data[-30] ^= 1
    job.red.write_bytes(data)
    output, record = job.run(verify=True)
    assert record["exit_code"] == 3
    (loss,) = record["losses"]
    name = job.spoiled.name.removesuffix(".SAFE")
    assert (loss["scene"], loss["file"]) == (name, str(job.spoiled))
    assert re.match(
        r"GRANULE/.*_B04.jp2 has SHA3-256 .*, expected .* by its manifest", loss["reason"]
    )
    np.testing.assert_array_equal(job.s2(output), job.first)


fault("reading", "all nodata", "the scene has no observation; the others make the composite; 0")


def test_a_scene_of_nodata_alone(job):
    rewrite(job.red, np.zeros_like(job.second[0]))
    output, record = job.run()
    assert (record["exit_code"], record["losses"]) == (0, [])
    np.testing.assert_array_equal(job.s2(output), job.first)


fault("reading", "missing mask", "the scene is used as it is, and a warning says so; 0")


def test_a_scene_without_a_mask(job):
    for mask in job.spoiled.glob("GRANULE/*/QI_DATA/*"):
        mask.unlink()
    output, record = job.run()
    assert record["exit_code"] == 0
    name = job.spoiled.name.removesuffix(".SAFE")
    assert f"scene {name}: has no cloud mask, so its clouds are not masked" in record["warnings"]
    expected = np.rint(np.percentile([job.first, job.second], 30, axis=0))
    np.testing.assert_array_equal(job.s2(output), np.where(job.first > 0, expected, 0))


fault("reading", "mask that comes later", "the tile is made again, with the mask; 0")


def test_a_mask_that_comes_later(job, tmp_path):
    (mask,) = job.spoiled.glob("GRANULE/*/QI_DATA/*.gml")
    mask.unlink()
    unmasked = job.s2(job.run()[0]).copy()
    cloud = f"{ULX} {ULY} {ULX + 600} {ULY} {ULX + 600} {ULY - 960} {ULX} {ULY - 960} {ULX} {ULY}"
    product = Product("33UUU", 32633, ULX, ULY, job.second, cloud_polygons=[cloud])
    (clouds,) = write_product(tmp_path / "clouded", product).glob("GRANULE/*/QI_DATA/*.gml")
    shutil.copy(clouds, mask)
    output, record = job.run()
    assert (record["exit_code"], record["reused"]) == (0, 0)
    np.testing.assert_array_equal(job.s2(output)[:, :, :60], job.first[:, :, :60])
    np.testing.assert_array_equal(job.s2(output)[:, :, 60:], unmasked[:, :, 60:])
    assert (unmasked[:, :, :60] != job.first[:, :, :60]).any()


fault(
    "reading",
    "baseline unknown (99.99)",
    "the scene is used: offsets come from its own XML, never from the baseline; 0",
)


def test_a_baseline_that_nobody_knows(job):
    metadata(job, "<PROCESSING_BASELINE>02.09", "<PROCESSING_BASELINE>99.99")
    output, record = job.run()
    assert record["exit_code"] == 0
    assert {scene["baseline"] for scene in record["tiles"][0]["scenes"]} == {"02.09", "99.99"}
    assert (job.s2(output) != job.first).any()


fault(
    "reading",
    "no file handle is left",
    "a loss that names the file and says so; a rerun makes it; 3",
)


def test_a_file_that_no_handle_is_left_for(job, monkeypatch):
    opened = raster_file.os.open

    def fails(path, *flags):
        if str(path).endswith("_B03.jp2") and job.spoiled.name in str(path):
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *flags)

    with monkeypatch.context() as patched:
        patched.setattr(raster_file.os, "open", fails)
        _, record = job.run()
    assert record["exit_code"] == 3
    assert record["scenes_set_aside"] == []
    (loss,) = [loss for loss in record["losses"] if loss["stage"] == "assembly"]
    assert loss["reason"] == "cannot be opened now: Too many open files"
    assert loss["file"].endswith("_B03.jp2")
    output, again = job.run()
    assert (again["exit_code"], again["losses"]) == (0, [])
    expected = np.rint(np.percentile([job.first, job.second], 30, axis=0))
    np.testing.assert_array_equal(job.s2(output), np.where(job.first > 0, expected, 0))
