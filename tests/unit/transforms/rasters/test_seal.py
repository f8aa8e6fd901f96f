"""A published raster carries its own size and checksum."""

import hashlib
import zlib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from transforms.elements import LAYERS, StorageError, Window, utm_grid
from transforms.rasters import cog
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import content, stored_fingerprint, stored_fingerprints
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile

SIDE = 1300
PLACE = raster_profile(utm_grid(32633, 300000, 5900040, SIDE, SIDE))


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(5)
    return rng.integers(1, 99, (SIDE, SIDE)).astype("uint8")


def publish(path, pixels, **over):
    """Write it in blocks that fit no tile of the file; returns what is told of it."""
    told = []
    asked = {"bands": 1, "dtype": "uint8", "nodata": 255, "tags": {FINGERPRINT_TAG: "f"}, **over}
    with cog_writer(str(path), PLACE, spec=LAYERS["BUFRAC"], tell=told.append, **asked) as write:
        for part in Window(0, 0, SIDE, SIDE).split(700):
            write(part, pixels[part.slices_in(Window(0, 0, SIDE, SIDE))])
    return told


@pytest.fixture(scope="module")
def product(pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("product") / "layer.tif"
    return path, publish(path, pixels)


def test_what_is_told_is_the_file_and_the_pixels_are_those_given(product, pixels):
    path, ((size, sha256),) = product
    data = path.read_bytes()
    assert (size, sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert content(str(path)) == ((size, sha256), True)
    assert stored_fingerprint(str(path)) == "f"
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), pixels)
        assert source.overviews(1) == [2, 4]
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


# name -> bytes of a damaged file, from those of the whole one; whether its length tells
DAMAGES = {
    "cut": (lambda data: data[: len(data) * 6 // 10], True),
    "last byte cut": (lambda data: data[:-1], True),
    "longer": (lambda data: data + b"\0", True),
    "empty": (lambda data: b"", True),
    "zeros": (lambda data: bytes(len(data)), True),
    "no raster": (lambda data: b"<html>" * (len(data) // 6), True),
    "flipped bit": (lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], False),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_does_not_count_as_there(name, product, tmp_path, caplog):
    damage, by_length = DAMAGES[name]
    (tmp_path / "layer.tif").write_bytes(damage(product[0].read_bytes()))
    there = {} if by_length else {"layer.tif": "f"}
    assert stored_fingerprints(str(tmp_path), ["layer.tif"]) == there
    assert stored_fingerprints(str(tmp_path), ["layer.tif"], verify=True) == {}
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"{tmp_path}/layer.tif: ")
    assert line.endswith("; it is made again")


def test_a_copy_made_by_others_does_not_count_as_there(product, tmp_path):
    """It has the fingerprint, the pixels and a header that says so, and is not what was made."""
    rasterio.shutil.copy(product[0], tmp_path / "layer.tif", driver="GTiff")
    assert stored_fingerprint(str(tmp_path / "layer.tif")) is None


@pytest.mark.parametrize("level", [-1, 0, 1])
@pytest.mark.parametrize("what", ["lost", "another"])
def test_a_lost_write_is_noticed_at_full_resolution_and_in_overviews(
    level, what, pixels, tmp_path, monkeypatch
):
    """As where one write of GDAL fails when it closes the file, without an error."""
    copy = rasterio.shutil.copy

    def copy_badly(source, target, **options):
        copy(source, target, **options)
        if options["driver"] != "COG":
            return
        over = {"ovr": level} if level >= 0 else {}
        with rasterio.open(target) as made:
            first, size = (
                int(made.get_tag_item(f"BLOCK_{name}_0_0", "TIFF", bidx=1, **over))
                for name in ("OFFSET", "SIZE")
            )
        data = bytearray(target.read_bytes())
        if what == "lost":
            data[first : first + size] = bytes(size)
        else:  # another tile of as many bytes, which decodes
            tile = zlib.compress(bytes(512 * 512))
            data[first : first + len(tile)] = tile
        target.write_bytes(data)

    monkeypatch.setattr(cog.rasterio.shutil, "copy", copy_badly)
    with pytest.raises(StorageError, match="cannot be written"):
        publish(tmp_path / "layer.tif", pixels)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_write_of_the_plain_file_is_noticed(pixels, tmp_path, monkeypatch):
    computed = cog.with_overviews

    def computed_of_another(plain, kind):
        with rasterio.open(plain, "r+") as target:
            values = target.read(1)
            values[1290, 3] += 1
            target.write(values, 1)
        return computed(plain, kind)

    monkeypatch.setattr(cog, "with_overviews", computed_of_another)
    with pytest.raises(StorageError, match="it does not read back"):
        publish(tmp_path / "layer.tif", pixels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", " ", "a\nb", "<&>\"'", "größer als 3 m²", "x" * 9000, "a=b|c"]
)
def test_any_text_may_be_a_tag(text, tmp_path):
    """Names of files and models reach tags as they are: none may make a product impossible."""
    path = tmp_path / "layer.tif"
    place = raster_profile(GeoBox((40, 50), from_origin(300000, 5900040, 100, 100), "ESRI:54009"))
    tags = {FINGERPRINT_TAG: "f", "CREDITS": text, "MODELS": text}
    with cog_writer(
        str(path), place, bands=1, dtype="uint8", nodata=255, spec=LAYERS["BUFRAC"], tags=tags
    ) as write:
        write(Window(0, 0, 4, 5), np.ones((4, 5), "uint8"))
    assert stored_fingerprint(str(path)) == "f"
    assert content(str(path)).sealed
