"""Items of STAC APIs, as they were recorded, become candidates; what is wrong with one is said."""

import copy
import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, strategies

from transforms.assembly.catalogues.catalogue import Candidate, Wanted
from transforms.assembly.catalogues.stac.items import ItemReader, NotAskedFor
from transforms.assembly.catalogues.stac.presets import (
    COPERNICUS,
    EARTH_SEARCH,
    EARTH_SEARCH_L2A,
    PLANETARY_COMPUTER,
    PRESETS,
    Collection,
    Preset,
)
from transforms.elements import Level, SceneError
from transforms.storage import signing

L1C = "S2A_MSIL1C_20240116T000741_N0510_R130_T51CVP_20240116T010505"
L2A = "S2A_MSIL2A_20220217T183431_N0510_R027_T13VEK_20240516T022440"


@pytest.fixture(scope="module")
def recorded(shared_data):
    """A recorded answer by its name."""
    folder = shared_data / "catalogues"
    if not folder.is_dir():
        pytest.skip("no recorded answers of catalogues in the shared test data")
    return lambda name: json.loads((folder / f"{name}.json").read_text())


def reader(preset, tile, level, start, end=None):
    wanted = Wanted(frozenset((tile,)), start, end or start, level)
    return ItemReader(preset, preset.of(level), wanted)


def copernicus(tile="51CVP", level=Level.L1C, start=date(2024, 1, 16)):
    return reader(COPERNICUS, tile, level, start)


def test_l1c_of_copernicus(recorded):
    found = copernicus().read(recorded("cdse_stac_item_l1c"))
    assert found.location == f"s3://eodata/Sentinel-2/MSI/L1C/2024/01/16/{L1C}.SAFE"
    assert (found.name, found.baseline, found.cloud_cover) == (L1C, "05.10", 0.0)
    assert found.datastrip == "S2A_OPER_MSI_L1C_DS_2APS_20240116T010505_S20240116T000743_N05.10"
    assert found.online
    assert found.files is None
    band = "GRANULE/L1C_T51CVP_A044743_20240116T000743/IMG_DATA/T51CVP_20240116T000741_B02.jp2"
    assert [told for name, told in found.checksums if name == band] == [
        "sha3_256:8931dad40d0682586ceed7e7b1ef936adebcf0fd7fd3ba307aee2955ab34b628",
    ]
    # The code of MD5 with 32 bytes after it says nothing.
    assert [told for name, told in found.checksums if name == "MTD_MSIL1C.xml"] == []
    manifest = [told for name, told in found.checksums if name == "manifest.safe"]
    assert manifest == ["md5:d1429923b75f83c651065be6109194dc"]


def test_l2a_of_copernicus(recorded):
    found = copernicus("13VEK", Level.L2A, date(2022, 2, 17)).read(recorded("cdse_stac_item_l2a"))
    assert found.location == f"s3://eodata/Sentinel-2/MSI/L2A_N0500/2022/02/17/{L2A}.SAFE"
    assert found.size == 981355618
    masks = [name for name, _ in found.checksums if name.endswith("_SCL_20m.jp2")]
    assert set(masks) == {
        "GRANULE/L2A_T13VEK_A034773_20220217T183428/IMG_DATA/R20m/T13VEK_20220217T183431_SCL_20m.jp2"
    }


def test_items_of_a_search_name_their_folder_by_their_assets(recorded):
    page = recorded("cdse_stac_search_page_post")
    there = copernicus("34SEH", start=date(2024, 7, 1))
    ask = ItemReader(COPERNICUS, there.collection, replace(there.wanted, end=date(2024, 7, 31)))
    found = [ask.read(item) for item in page["features"]]
    assert [one.location.rpartition("/")[2] for one in found] == [
        "S2A_MSIL1C_20240731T092031_N0511_R093_T34SEH_20240731T112239.SAFE",
        "S2B_MSIL1C_20240726T091559_N0511_R093_T34SEH_20240726T112439.SAFE",
    ]
    assert [one.cloud_cover for one in found] == [6.8, 16.4]
    assert [one.checksums for one in found] == [(), ()]


def test_properties_of_2026(recorded):
    item = recorded("cdse_stac_item_2026_properties")
    name = item["id"]
    item["links"] = [{"rel": "enclosure", "href": f"s3://eodata/Sentinel-2/x/{name}.SAFE/"}]
    found = copernicus("29UNU", Level.L2A, date(2026, 6, 28)).read(item)
    assert (found.name, found.baseline, found.cloud_cover) == (name, "05.12", 83.41)


def test_l1c_of_earth_search(recorded):
    (item,) = recorded("earth_search_l1c_page")["features"]
    found = reader(EARTH_SEARCH, "27VWK", Level.L1C, date(2024, 2, 6)).read(item)
    assert found.name == "S2B_MSIL1C_20240206T131259_N0510_R081_T27VWK_20240206T133903"
    assert found.location == "s3://sentinel-s2-l1c/tiles/27/V/WK/2024/2/6/0"
    assert not found.files.offset_applied
    granule = "GRANULE/L1C_T27VWK_A036143_20240206T131359"
    assert found.files.names("") == ["GRANULE", "MTD_MSIL1C.xml"]
    assert found.files.names(granule) == ["IMG_DATA", "MTD_TL.xml", "QI_DATA"]
    red = f"{granule}/IMG_DATA/T27VWK_20240206T131259_B04.jp2"
    assert found.files.gdal_path(red) == "/vsis3/sentinel-s2-l1c/tiles/27/V/WK/2024/2/6/0/B04.jp2"


def test_the_xml_of_a_product_lies_where_tile_info_says(recorded, tmp_path, monkeypatch):
    """The recorded tileInfo.json is of another product of AWS; its name follows the same rule."""
    told = recorded("aws_s2l2a_tileInfo")
    (item,) = recorded("earth_search_l1c_page")["features"]
    level_2a = {**item, "id": "x", "collection": "sentinel-2-l2a"}
    level_2a["properties"] = {
        **item["properties"],
        "grid:code": "MGRS-53DMB",
        "s2:product_uri": f"{told['productName']}.SAFE",
    }
    info = tmp_path / "tileInfo.json"
    info.write_text(json.dumps(told))
    collection = replace(
        EARTH_SEARCH_L2A.l2a, roots=("s3://sentinel-s2-l1c", str(tmp_path)), mask=""
    )
    ask = ItemReader(
        EARTH_SEARCH_L2A,
        collection,
        Wanted(frozenset(("53DMB",)), date(2022, 1, 1), date(2022, 1, 1), Level.L2A),
    )
    by_name = ask.read({**level_2a, "assets": without(item["assets"], "tileinfo_metadata")})
    level_2a["assets"] = {**item["assets"], "tileinfo_metadata": {"href": str(info)}}
    by_file = ask.read(level_2a)
    expected = f"/vsis3/sentinel-s2-l2a/{told['productPath']}/metadata.xml"
    assert by_name.files.gdal_path("MTD_MSIL2A.xml") == expected
    assert by_file.files.gdal_path("MTD_MSIL2A.xml") == expected
    for wrong in ({"productPath": "../x"}, {"productPath": "products/other"}, {}, [1]):
        info.write_text(json.dumps(wrong))
        with pytest.raises(SceneError, match=r"tileInfo\.json: .*productPath"):
            ask.read(level_2a).files.gdal_path("MTD_MSIL2A.xml")


def without(mapping, key):
    return {name: value for name, value in mapping.items() if name != key}


@pytest.mark.parametrize(("flag", "applied"), [(True, True), (False, False), (None, True)])
def test_l2a_of_earth_search_says_itself_whether_its_offset_is_applied(recorded, flag, applied):
    item = recorded("earth_search_l2a_item")
    item["assets"]["scl"] = {"href": item["assets"]["red"]["href"].replace("B04", "SCL")}
    item["properties"]["earthsearch:boa_offset_applied"] = flag
    found = reader(EARTH_SEARCH_L2A, "39QTA", Level.L2A, date(2023, 6, 28)).read(item)
    assert found.files.offset_applied is applied
    assert item["assets"]["red"]["raster:bands"][0]["offset"] == -0.1
    xml = found.files.gdal_path("MTD_MSIL2A.xml")
    name = "S2A_MSIL2A_20230628T070631_N0509_R106_T39QTA_20230628T113955"
    assert xml == f"/vsis3/sentinel-s2-l2a/products/2023/6/28/{name}/metadata.xml"


def test_planetary_computer(recorded):
    item = recorded("planetary_computer_l2a_item")
    found = reader(PLANETARY_COMPUTER, "06VVN", Level.L2A, date(2019, 6, 29)).read(item)
    assert found.name == "S2B_MSIL2A_20190629T212529_N0212_R043_T06VVN_20201006T080531"
    assert (found.baseline, found.cloud_cover) == ("02.12", 0.314306)
    assert not found.files.offset_applied
    granule = "GRANULE/L2A_T06VVN_A012081_20190629T212530"
    mask = found.files.gdal_path(f"{granule}/IMG_DATA/R20m/T06VVN_20190629T212529_SCL_20m.jp2")
    assert mask.startswith("/vsicurl/https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/")
    assert mask.endswith("_SCL_20m.tif")
    assert "?" not in mask


@pytest.fixture
def item(recorded):
    return recorded("cdse_stac_item_l1c")


def changed(item, **changes):
    item = copy.deepcopy(item)
    for key, value in changes.items():
        where = item["properties"] if key.count("__") else item
        where[key.replace("__", ":")] = value
    return item


def test_what_was_not_asked_for(item):
    for change, what in (
        ({"grid__code": "MGRS-51CVQ"}, "tile 51CVQ"),
        ({"id": L1C.replace("51CVP", "51CVQ")}, "tile 51CVQ"),
        ({"id": L1C.replace("L1C", "L2A")}, "level L2A"),
        ({"id": L1C.replace("S2A_MSIL1C_2024", "S2A_MSIL1C_2023")}, "day 2023-01-16"),
        ({"collection": "sentinel-1-grd"}, "collection sentinel-1-grd"),
    ):
        found = copernicus().read(changed(item, **change))
        assert isinstance(found, NotAskedFor)
        assert found.what == what


def test_a_day_beside_the_period_belongs_to_no_one(item):
    assert copernicus(start=date(2024, 1, 15)).read(item) is None
    assert copernicus(start=date(2024, 1, 17)).read(item) is None


def test_what_is_missing_or_odd_is_not_told(item):
    odd = changed(item, eo__cloud_cover="many", processing__version=5, eopf__datastrip_id=None)
    odd["assets"]["B02"] |= {"file:size": -3, "file:checksum": "1620beef"}
    found = copernicus().read(odd)
    assert (found.cloud_cover, found.baseline, found.datastrip) == (None, "", "")
    assert not [name for name, _ in found.checksums if name.endswith("B02.jp2")]
    assert copernicus().read(changed(item, eo__cloud_cover=float("nan"))).cloud_cover is None
    assert copernicus().read(changed(item, order__status="orderable")).online is False


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (
            f"s3://other/{L1C}.SAFE/",
            "expected a location below s3://eodata; the job reads no other",
        ),
        (f"s3://eodata/../x/{L1C}.SAFE/", "expected a location below"),
        (f"s3://eodata/Sentinel-2/../../other/{L1C}.SAFE/", "expected a location below"),
        (f"s3://eodata-other/{L1C}.SAFE/", "expected a location below"),
        (f"s3://user:secret-word@eodata/Sentinel-2/{L1C}.SAFE/", "expected a location below"),
        (f"/etc/{L1C}.SAFE", "expected a location below"),
        (f"file:///etc/{L1C}.SAFE", "expected a location below"),
        (f"s3://eodata/Sentinel-2/\n{L1C}.SAFE/", "expected a location below"),
        (f"s3://eodata/Sentinel-2/{L2A}.SAFE/", f"but its folder is {L2A}"),
    ],
)
def test_a_place_outside_the_bucket_is_never_read(item, place, what):
    item["links"] = [{"rel": "enclosure", "href": place}]
    found = copernicus().read(item)
    assert isinstance(found, SceneError)
    assert what in found.reason
    assert found.file.endswith(f"/collections/sentinel-2-l1c/items/{L1C}")
    assert str(found).isprintable()
    assert "secret-word" not in str(found)


def test_a_double_slash_leads_out_of_no_mount(item):
    """What follows it is an absolute path, and not below the archive."""
    l1c = replace(COPERNICUS.l1c, roots=("/eodata",))
    ask = replace(copernicus(), preset=replace(COPERNICUS, l1c=l1c), collection=l1c, archive="/mnt")
    for place, expected in (("a/b", f"/mnt/a/b/{L1C}.SAFE"), ("/etc", None), ("a//etc", None)):
        item["links"] = [{"rel": "enclosure", "href": f"/eodata/{place}/{L1C}.SAFE"}]
        found = ask.read(item)
        if expected:
            assert found.location == expected
        else:
            assert (
                "expected a location below /eodata; the job reads no other location" in found.reason
            )


@pytest.mark.parametrize("broken", [{}, [], None, "x", {"B02": None}, {"B02": {"href": 7}}])
def test_an_item_without_a_usable_asset_is_said(item, broken):
    found = copernicus().read({**item, "links": None, "assets": broken})
    assert isinstance(found, SceneError)
    assert found.reason.startswith("no product folder in it")


@pytest.mark.parametrize("broken", [None, 7, [], "text"])
def test_an_item_that_is_none_is_said(broken):
    found = copernicus().read(broken)
    assert isinstance(found, SceneError)
    assert found.file == COPERNICUS.address


def test_an_item_without_properties_is_known_by_its_id(item):
    assert isinstance(copernicus().read({**item, "properties": []}), Candidate)
    assert isinstance(copernicus().read({**item, "id": None}), SceneError)


def test_assets_that_cannot_be_used(recorded):
    item = recorded("planetary_computer_l2a_item")
    ask = reader(PLANETARY_COMPUTER, "06VVN", Level.L2A, date(2019, 6, 29))
    missing = ask.read({**item, "assets": without(item["assets"], "SCL")})
    assert missing.reason.startswith("no asset 'SCL' with an href, it has B02, B03, B04")
    item["assets"]["B04"]["raster:bands"] = [{"nodata": 65535}]
    assert ask.read(item).reason == "nodata 65535 in asset 'B04', expected 0"
    item["assets"]["B04"] = {"href": "https://elsewhere.example/B04.tif"}
    assert "expected a location below https://sentinel2l2a01" in ask.read(item).reason


def test_a_zone_of_one_digit_is_the_same_tile(recorded):
    item = recorded("planetary_computer_l2a_item")
    item["properties"]["s2:mgrs_tile"] = "6VVN"
    found = reader(PLANETARY_COMPUTER, "06VVN", Level.L2A, date(2019, 6, 29)).read(item)
    assert isinstance(found, Candidate)


def test_presets_say_what_is_wrong_with_them():
    assert set(PRESETS) == {"copernicus", "earth-search", "earth-search-l2a", "planetary-computer"}
    safe = Collection("s2", ("s3://bucket",), safe=True)
    for make, reason in (
        (lambda: Collection("s2", ()), "s2: no roots"),
        (lambda: Collection("s2", ("ftp://x/y",)), "scheme 'ftp'"),
        (lambda: Collection("s2", ("s3://b",), red="r"), "no asset for B03, B02, B08"),
        (lambda: replace(EARTH_SEARCH.l2a, bands_20m=("a",)), "bands_20m has 1 assets"),
        (lambda: replace(EARTH_SEARCH.l2a, bands_20m=(*"abcde", "")), "no asset for B12"),
        (lambda: replace(EARTH_SEARCH.l2a, bands_20m=(*"abcde", "red")), "'red' is given for two"),
        (lambda: replace(EARTH_SEARCH.l2a, granule=""), r"the tile's XML \(granule\)"),
        (lambda: replace(EARTH_SEARCH.l2a, product=""), "no folder of products"),
        (lambda: replace(EARTH_SEARCH.l2a, nodata=65535), "nodata 65535, only 0 is read"),
        (lambda: replace(EARTH_SEARCH.l2a, tokens="s3://x"), r"tokens 's3://x' is not an http"),
        (lambda: Preset("x", "s3://bucket", safe), "is not an http or https URL"),
        (lambda: Preset("x", "https://user:pw@host/v1", safe), "is a URL with credentials"),
        (lambda: Preset("x", "https://host/v1"), "no collection, expected l1c or l2a"),
        (lambda: Preset("x", "https://host/v1", safe, ask="cql"), "expected filter or query"),
        (lambda: Preset("x", "https://host/v1", safe, page=0), "page 0, expected 1 to 1000"),
        (lambda: Preset("x", "https://host/v1", safe, per_second=0), "per_second 0"),
    ):
        with pytest.raises(ValueError, match=reason):
            make()
    assert PLANETARY_COMPUTER.l2a.signers() == signing.SHIPPED
    assert EARTH_SEARCH.l2a.signers() == ()
    assert Preset("x", "https://host/v1", safe).levels() == (Level.L1C,)
    assert Preset("x", "https://host/v1", replace(safe, roots=("/eodata",))).local()


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=20)
    | strategies.sampled_from(["s3://eodata/../x", f"s3://eodata/x/{L1C}.SAFE/", L1C, "MGRS-1CCV"]),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = (
    *(("id",), ("collection",), ("links",), ("assets",), ("properties",), ("assets", "B04")),
    *(("assets", "B04", "href"), ("assets", "B04", "raster:bands"), ("assets", "B04", "nodata")),
    *(("assets", "B04", "file:size"), ("assets", "B04", "file:checksum")),
    *(("properties", key) for key in ("grid:code", "s2:product_uri", "eo:cloud_cover")),
    *(("properties", key) for key in ("s2:mgrs_tile", "processing:version", "s2:datastrip_id")),
)


@pytest.mark.parametrize("preset", [COPERNICUS, PLANETARY_COMPUTER])
@given(changes=strategies.dictionaries(strategies.sampled_from(PLACES), JSON, max_size=3))
def test_no_item_breaks_a_search(recorded, preset, changes):
    if preset is COPERNICUS:
        item, ask = recorded("cdse_stac_item_l1c"), copernicus()
    else:
        item = recorded("planetary_computer_l2a_item")
        ask = reader(preset, "06VVN", Level.L2A, date(2019, 6, 29))
    for place, value in changes.items():
        where = item
        for key in place[:-1]:
            where = where.get(key, {}) if isinstance(where, dict) else {}
        if isinstance(where, dict):
            where[place[-1]] = value
    found = ask.read(item)
    assert found is None or isinstance(found, (Candidate, NotAskedFor, SceneError))
    if isinstance(found, Candidate):
        assert ask.collection.root_of(found.location)
        hash(found)
    if isinstance(found, SceneError):
        assert str(found).isprintable()
        assert len(str(found)) < 700
