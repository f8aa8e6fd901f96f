"""Files that lie apart look like the product that they come from."""

import pytest

from transforms.assembly.products.asset_files import AssetFiles
from transforms.elements import SceneError

GRANULE = "GRANULE/L1C_T33UUU"


@pytest.fixture
def files(tmp_path):
    for name, content in {
        "B04.jp2": b"red",
        "qi/CLOUDS.gml": b"<Mask/>",
        "qi/a/b.gml": b"",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    asked = []
    made = AssetFiles(
        "s3://bucket/tile",
        "S2A.SAFE",
        {f"{GRANULE}/IMG_DATA/B04.jp2": str(tmp_path / "B04.jp2"), "gone.xml": "/nowhere/x"},
        looked_up={"MTD_MSIL1C.xml": lambda: asked.append(1) or str(tmp_path / "B04.jp2")},
        folders={f"{GRANULE}/QI_DATA": str(tmp_path / "qi")},
    )
    return made, asked


def test_names(files):
    files, asked = files
    assert (files.name, files.in_folder, files.offset_applied) == ("S2A.SAFE", False, False)
    assert files.names("") == ["GRANULE", "MTD_MSIL1C.xml", "gone.xml"]
    assert files.names("GRANULE") == ["L1C_T33UUU"]
    assert files.names(GRANULE) == ["IMG_DATA", "QI_DATA"]
    assert files.names(f"{GRANULE}/QI_DATA") == ["CLOUDS.gml"]
    assert files.names(f"{GRANULE}/QI") == files.names("nothing") == []
    assert files.is_file(f"{GRANULE}/QI_DATA/CLOUDS.gml")
    assert files.is_file("MTD_MSIL1C.xml")
    assert not files.is_file(GRANULE)
    assert asked == []


def test_content(files):
    files, asked = files
    assert files.read("MTD_MSIL1C.xml", 10) == b"red"
    assert files.gdal_path("MTD_MSIL1C.xml").endswith("/B04.jp2")
    assert asked == [1]
    red, mask = f"{GRANULE}/IMG_DATA/B04.jp2", f"{GRANULE}/QI_DATA/CLOUDS.gml"
    assert files.size((red, mask)) == 10
    assert files.mark(red) == "3"
    assert files.mark(mask, small=True) == "7 27aad8abfc0a5d1ef3eb7429a79c69e6"


@pytest.mark.parametrize("name", ["nothing.jp2", "../x", "/etc/passwd", ""])
def test_what_is_no_file_of_the_product(files, name):
    with pytest.raises(SceneError, match=r"s3://bucket/tile: no such file in the product"):
        files[0].gdal_path(name)


def test_what_is_not_there(files):
    with pytest.raises(SceneError, match=r"/nowhere/x: cannot be read"):
        files[0].read("gone.xml", 10)
    with pytest.raises(SceneError, match=r"/nowhere/x: cannot be read"):
        files[0].size(("gone.xml",))
    with pytest.raises(SceneError, match="leads out of its folder"):
        AssetFiles("s3://bucket/tile", "x", {"../x": "s3://bucket/x"})
