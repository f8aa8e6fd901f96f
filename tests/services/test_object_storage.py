"""An archive in a bucket gives the scenes and pixels of the same archive on a local disk."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import fsspec.asyn
import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from tests.support.jpeg2000 import EPSG, land, write_band
from tests.support.object_storage import Front, make_bucket, put_folder, s3_service, using
from tests.support.scenes import town
from transforms.assembly import find_scenes
from transforms.assembly.assemble import assemble_block
from transforms.assembly.products.product import read_scene
from transforms.assembly.products.product_files import ObjectFiles
from transforms.assembly.raster_file import JPEG2000, look_at
from transforms.assembly.reading import read_band
from transforms.elements import Level, SceneError, Window
from transforms.storage import storage
from transforms.storage.gdal_access import gdal_path
from transforms.storage.object_store import call

ULX, ULY = 330000, 5820000
CLOUDS = [f"{ULX} {ULY} {ULX + 900} {ULY} {ULX + 900} {ULY - 900} {ULX} {ULY - 900} {ULX} {ULY}"]
PERIOD = (date(2020, 6, 1), date(2020, 6, 30))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """An `/eodata` tree with two products, the second a zip; and one out of the period."""
    folder = tmp_path_factory.mktemp("eodata")
    for day in (10, 15):
        place = folder / "Sentinel-2" / "MSI" / "L1C" / "2020" / "06" / str(day)
        product = Product(
            "33UUU",
            32633,
            ULX,
            ULY,
            town(220, 260, day),
            date(2020, 6, day),
            cloud_polygons=CLOUDS,
        )
        safe = write_product(place, product)
    shutil.make_archive(str(safe), "zip", place, safe.name)
    shutil.rmtree(safe)
    other = folder / "Sentinel-2" / "MSI" / "L1C" / "2020" / "07" / "01"
    write_product(other, Product("33UUU", 32633, ULX, ULY, town(220, 260), date(2020, 7, 1)))
    return folder


@pytest.fixture(scope="module")
def service():
    with s3_service() as address, using(address):
        yield address


@pytest.fixture(scope="module")
def eodata(service, tree):
    return put_folder(tree, make_bucket("eodata"))


def put_objects(bucket, objects):
    """Write objects at keys that no location has."""
    for key, data in objects.items():
        place = {"Bucket": bucket.removeprefix("s3://"), "Key": key}
        call(
            bucket,
            lambda system, _, place=place, data=data: system.call_s3(
                "put_object", Body=data, **place
            ),
        )


def scenes_of(archive):
    scenes, losses, warnings, _ = find_scenes(str(archive), ["33UUU"], *PERIOD, Level.L1C, 100)
    assert losses == warnings == []
    return scenes


def test_the_same_scenes(tree, eodata):
    local, remote = scenes_of(tree), scenes_of(eodata)
    assert len(local) == 2
    for one, other in zip(local, remote, strict=True):
        assert other.path == one.path.replace(str(tree), eodata)
        same = {name: getattr(one, name) for name in ("path", "bands", "mask")}
        same |= {name: getattr(one, name) for name in ("band_files", "mask_file")}
        assert replace(other, **same) == one
        assert other.bands == tuple(band.replace(str(tree), "/vsis3/eodata") for band in one.bands)


def test_the_same_pixels(tree, eodata):
    window = Window(30, 40, 150, 120)
    local, remote = (
        assemble_block(scenes_of(archive), grid_at(32633, ULX, ULY, window))
        for archive in (tree, eodata)
    )
    assert local.failures == remote.failures == []
    assert (local.count == 0).any(), "no cloud in the window: the mask is not looked at"
    np.testing.assert_array_equal(local.composite, remote.composite)
    np.testing.assert_array_equal(local.count, remote.count)


def test_only_the_folders_of_the_period_are_visited(service, eodata):
    front = Front(service)
    with using(front.address):
        scenes_of(eodata)
    front.close()
    assert not [ask for ask in front.asked if "07%2F01" in ask or "07/01" in ask]
    assert len(front.asked) < 60


def test_the_marks_of_a_products_files_cost_no_request(service, eodata, monkeypatch):
    (path,) = [scene.path for scene in scenes_of(eodata) if scene.path.endswith(".SAFE")]
    asked = []
    for mark in (ObjectFiles.mark, lambda files, name, small=False: ""):
        monkeypatch.setattr(ObjectFiles, "mark", mark)
        front = Front(service)
        with using(front.address):
            read_scene(path)
        front.close()
        asked.append(sorted(front.asked))
    assert asked[0] == asked[1]


def test_a_mask_whose_mark_is_no_checksum_is_read(eodata, monkeypatch):
    (path,) = [scene.path for scene in scenes_of(eodata) if scene.path.endswith(".SAFE")]
    listed = storage.objects_below(path)
    parts = {name: about._replace(version='"0123-2"') for name, about in listed.items()}
    known = read_scene(path).files
    monkeypatch.setattr(storage, "objects_below", lambda url: parts)
    assert read_scene(path).files == known


def test_a_key_that_leaves_the_product_is_refused(tree, service):
    (safe,) = tree.glob("Sentinel-2/MSI/L1C/2020/06/10/*.SAFE")
    url = put_folder(safe, f"{make_bucket('odd')}/{safe.name}")
    assert read_scene(url).tile == "33UUU"
    storage.write_whole(f"{url}/GRANULE/a\\..\\b", b"x")
    with pytest.raises(SceneError, match="backslash") as caught:
        read_scene(url)
    assert safe.name in caught.value.file


@pytest.mark.parametrize("key", ["a//b/x.zip", "a//x.zip", "a///x.zip", "/x.zip"])
def test_keys_with_an_empty_part_are_a_loss(service, tree, key):
    """Scripts that join a prefix with one slash too many write them."""
    (packed,) = tree.glob("Sentinel-2/MSI/L1C/2020/06/15/*.zip")
    bucket = make_bucket(f"empty-part-{key.count('/')}-{len(key)}")
    storage.write_whole(f"{bucket}/{packed.name}", packed.read_bytes())
    # As other tools do: an empty object for a folder, which says nothing.
    put_objects(bucket, {"a/": b"", key: packed.read_bytes()})
    found = find_scenes(bucket, ["33UUU"], *PERIOD, Level.L1C, 100)
    assert len(found.scenes) == 1
    (loss,) = found.losses
    assert loss.file == bucket + ("/a//" if key.startswith("a") else "//")
    assert "has keys with '//'" in loss.reason


def test_an_empty_object_for_a_folder_is_no_loss(service, tree):
    (packed,) = tree.glob("Sentinel-2/MSI/L1C/2020/06/15/*.zip")
    bucket = make_bucket("folder-objects")
    put_objects(bucket, {"a/": b"", "a/b/": b"", f"a/b/{packed.name}": packed.read_bytes()})
    assert len(scenes_of(bucket)) == 1


@pytest.mark.parametrize("tile", [64, None], ids=["tiles", "one tile"])
@pytest.mark.parametrize("zeros", [2, 5000])
def test_a_band_whose_end_is_zeros_is_refused(service, tmp_path, tile, zeros):
    data = write_band(tmp_path / "x.jp2", land(200, 200), tile, corner=(ULX, ULY))
    url = make_bucket(f"zeros-{tile}-{zeros}".lower())
    front = Front(service)
    with using(front.address):
        storage.write_whole(f"{url}/whole.jp2", data)
        storage.write_whole(f"{url}/zeros.jp2", data[:-zeros] + bytes(zeros))
        front.asked.clear()
        assert look_at(gdal_path(f"{url}/whole.jp2")).driver == JPEG2000
        asked = len(front.asked)
        with pytest.raises(SceneError, match="its code stream has no end"):
            read_band(
                gdal_path(f"{url}/zeros.jp2"), grid_at(EPSG, ULX, ULY, Window(0, 0, 200, 200))
            )
    front.close()
    assert asked <= 3  # its size, its beginning, its end


@pytest.mark.parametrize("archive", ["s3://nowhere-at-all", "s3://eodata/none"])
def test_no_archive_is_one_line(eodata, archive):
    with pytest.raises(SceneError, match="cannot be read as an archive") as caught:
        find_scenes(archive, ["33UUU"], *PERIOD, Level.L1C, 100)
    assert "\n" not in str(caught.value)


def test_a_product_that_cannot_be_read_is_a_failure_of_its_own(service, eodata):
    front = Front(service)
    (path,) = [scene.path for scene in scenes_of(eodata) if scene.path.endswith(".SAFE")]
    with using(front.address):
        front.faults += [("GET", 403, {}, "")]
        with pytest.raises(SceneError, match="cannot be read") as caught:
            read_scene(path)
    front.close()
    assert caught.value.file.startswith(path)


def test_a_band_that_cannot_be_read_sets_its_scene_aside(eodata, tree):
    (scene, other) = scenes_of(eodata)
    lost = scene.bands[0].replace("/vsis3/", "s3://")
    data = storage.read_bytes(lost, 1 << 24)
    storage.remove(lost)
    made = assemble_block([scene, other], grid_at(32633, ULX, ULY, Window(100, 100, 64, 64)))
    storage.write_whole(lost, data)
    ((failed, error),) = made.failures
    assert failed == scene
    assert scene.bands[0] in str(error)


def test_a_band_whose_answers_came_short_is_read_again(service, eodata):
    (scene, _) = scenes_of(eodata)
    place = (scene.bands[0], grid_at(32633, ULX, ULY, Window(0, 0, 200, 200)))
    whole = read_band(*place)
    front = Front(service)
    with using(front.address):
        for short in range(1, 5):
            front.faults += [("GET", Front.SHORT, {}, "")] * short
            np.testing.assert_array_equal(read_band(*place), whole)
            assert not front.faults
    front.close()


def test_a_damaged_band_is_given_up_soon(service, eodata):
    (scene, _) = scenes_of(eodata)
    band = scene.bands[0].replace("/vsis3/", "s3://")
    damaged = bytearray(storage.read_bytes(band, 1 << 24))
    damaged[len(damaged) // 2 : -2] = bytes(len(damaged) - len(damaged) // 2 - 2)
    front = Front(service)
    with using(front.address):
        storage.write_whole("s3://eodata/damaged_B02.jp2", bytes(damaged))
        front.asked.clear()
        with pytest.raises(SceneError, match=r"damaged_B02\.jp2: cannot be read"):
            read_band(
                "/vsis3/eodata/damaged_B02.jp2", grid_at(32633, ULX, ULY, Window(0, 0, 200, 200))
            )
    front.close()
    assert len(front.asked) <= 80


def test_a_window_over_several_tiles_of_an_image_read_by_a_thread(service, tmp_path):
    """On a cluster and in threads a worker reads elsewhere than in its first thread."""
    product = Product("33UUU", 32633, ULX, ULY, town(600, 600))
    safe = write_product(tmp_path, product)
    (red,) = safe.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    put_folder(red.parent, make_bucket("threads"))
    path, window = gdal_path(f"s3://threads/{red.name}"), Window(0, 0, 600, 600)
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(read_band, path, grid_at(32633, ULX, ULY, window)).result()
    np.testing.assert_array_equal(found, product.dn[0])


@pytest.mark.parametrize("odd", ["#1", "?x=1", "::2", "%20", " (1)", "\u200b", "&a=b", "+"])
def test_an_odd_key_is_used_or_set_aside(tree, service, odd):
    """Of a product's name, and of a folder around it; the products beside it are used."""
    (safe,) = tree.glob("Sentinel-2/MSI/L1C/2020/06/10/*.SAFE")
    bucket = make_bucket(f"odd-{odd.encode().hex()}")
    put_folder(safe, f"{bucket}/{safe.name}")
    window = Window(0, 0, 64, 64)
    (plain,) = find_scenes(bucket, ["33UUU"], *PERIOD, Level.L1C, 100).scenes
    expected = assemble_block([plain], grid_at(32633, ULX, ULY, window)).composite
    for number, key in enumerate((f"{safe.stem}{odd}.SAFE/", f"folder{odd}/{safe.name}/"), 11):
        put_object_tree(safe, bucket, key, f"202006{number}T")
        scenes, losses, warnings, _ = find_scenes(bucket, ["33UUU"], *PERIOD, Level.L1C, 100)
        assert warnings == []
        assert len(scenes) + len(losses) == number - 9
        assert all(loss.summary.isprintable() for loss in losses)
        for scene in scenes:
            made = assemble_block([scene], grid_at(32633, ULX, ULY, window))
            assert made.failures == []
            np.testing.assert_array_equal(made.composite, expected)


def put_object_tree(folder, bucket, prefix, day):
    """A product of another day under keys of any letters, which `put_folder` would refuse."""
    import s3fs

    system = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client = system.s3
    for path in folder.rglob("*"):
        if path.is_file():
            name = f"{prefix}{path.relative_to(folder)}"
            data = path.read_bytes()
            if name.endswith(".xml"):
                iso = f"{day[:4]}-{day[4:6]}-{day[6:8]}T"
                data = data.replace(b"2020-06-10T", iso.encode())
            where = {"Bucket": bucket.removeprefix("s3://"), "Key": name.replace("20200610T", day)}
            fsspec.asyn.sync(system.loop, client.put_object, Body=data, **where)
