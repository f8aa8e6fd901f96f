import os
import pickle
import re
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.support.archive import Product, _product_xml, _tile_xml
from transforms.assembly import parse_product, parse_tile
from transforms.assembly.products.metadata import MAX_XML_BYTES
from transforms.elements import BANDS_60M, TEN_BANDS, Level, SceneError


def product_xml(offset=None):
    product = Product("33UUU", 32633, 300000, 5800020, np.zeros((4, 1, 1)), offset=offset)
    return _product_xml(product, "G", "S").encode(), product


def tile_xml(rows=120, cols=60):
    product = Product("33UUU", 32633, 300000, 5800020, np.zeros((4, 1, 1)), cloud_cover=7.5)
    return _tile_xml(product, rows, cols).encode()


def test_real_products(shared_data):
    """Level, baseline, quantification and offsets of every real product file."""
    seen, edited = 0, 0
    for path in sorted((shared_data / "safe_metadata").rglob("*.xml")):
        if not re.fullmatch(r"(MTD_MSIL(1C|2A)|product_metadata)\.xml", path.name, re.IGNORECASE):
            continue
        text = path.read_bytes()
        found = parse_product(text, path.name)
        seen += 1
        assert found.baseline == re.search(rb"<PROCESSING_BASELINE>([^<]*)", text)[1].decode()
        assert found.level == (Level.L1C if b"Level-1C_User_Product" in text else Level.L2A)
        assert found.quantification == 10000
        tag = b"RADIO" if found.level is Level.L1C else b"BOA"
        for band, index in {"B02": 1, "B03": 2, "B04": 3, "B08": 7}.items():
            stated = re.search(rb'<%s_ADD_OFFSET band_id="%d">([^<]*)' % (tag, index), text)
            assert found.offsets[band] == (float(stated[1]) if stated else 0)
        edited += found.offsets["B08"] == -7000
    assert seen >= 14
    assert edited == 2


def test_gdal_fakes_of_older_products(shared_data):
    folder = shared_data / "gdal_fake_safe"
    old = folder / "fake_l1c/S2A_OPER_PRD_MSIL1C.SAFE/S2A_OPER_MTD_SAFL1C.xml"
    found = parse_product(old.read_bytes(), old.name)
    assert (found.level, found.baseline, found.quantification) == (Level.L1C, "01.03", 1000)
    (early,) = folder.glob("fake_l2a_MSIL2Ap/*/MTD_MSIL2A.xml")
    found = parse_product(early.read_bytes(), early.name)
    assert (found.level, found.quantification) == (Level.L2A, 10000)
    assert found.product_id.startswith("S2A_MSIL2A_20170823T094031_N0205")
    level1b = folder / "fake_l1b/S2B_OPER_PRD_MSIL1B.SAFE/S2B_OPER_MTD_SAFL1B.xml"
    with pytest.raises(SceneError, match=r"Level-1B_User_Product.*expected Level-1C"):
        parse_product(level1b.read_bytes(), level1b.name)


def test_real_tiles(shared_data):
    seen = 0
    for folder in ("safe_metadata", "gdal_fake_safe"):
        for path in sorted((shared_data / folder).rglob("*.xml")):
            text = path.read_bytes()
            if b"_Tile_ID " not in text[:3000] or b"Level-1B" in text[:3000]:
                continue
            found = parse_tile(text, path.name)
            assert (found.rows, found.cols) == (10980, 10980)
            assert b"_T" + found.tile.encode() in text
            assert f"EPSG:{found.epsg}".encode() in text
            strips = set(re.findall(rb"<DATASTRIP_ID[^>]*>[^<]*_S(\d{8}T\d{6})_", text))
            assert strips <= {found.datastrip.encode()}
            assert found.datastrip or b"_DS_" not in text
            seen += 1
    assert seen >= 20


def test_what_a_product_says():
    xml, product = product_xml(offset=-1000)
    found = parse_product(xml, "MTD_MSIL1C.xml")
    assert found.product_id == product.name
    assert found.sensing == datetime(2020, 6, 15, 10, 21, 1, 26000, tzinfo=UTC)
    assert found.offsets == dict.fromkeys(TEN_BANDS + BANDS_60M, -1000.0)
    assert found.cloud_cover == 0
    assert len(found.images) == 4


def test_offset_follows_the_physical_band_not_the_usual_index():
    xml, _ = product_xml(offset=-1000)
    xml = xml.replace(b'bandId="7" physicalBand="B8"', b'bandId="40" physicalBand="B8"')
    with pytest.raises(SceneError, match=r"B08.*incomplete"):
        parse_product(xml, "MTD_MSIL1C.xml")
    xml = xml.replace(
        b"</Radiometric_Offset_List>",
        b'<RADIO_ADD_OFFSET band_id="40">-55</RADIO_ADD_OFFSET></Radiometric_Offset_List>',
    )
    assert parse_product(xml, "MTD_MSIL1C.xml").offsets["B08"] == -55


def test_offsets_do_not_follow_the_baseline():
    xml, _ = product_xml(offset=None)
    newer = xml.replace(b"02.09", b"04.00")
    assert parse_product(newer, "x").offsets == dict.fromkeys(TEN_BANDS + BANDS_60M, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'<RADIO_ADD_OFFSET band_id="3">-1000</RADIO_ADD_OFFSET>', b"", "B04.*incomplete"),
        (b'band_id="3">-1000', b'band_id="3">nan', "expected a number"),
        (b'band_id="3">-1000', b'band_id="2">-900', "two values"),
        (b">10000</QUANT", b">0</QUANT", "expected 1000 to 65535"),
        (b">10000</QUANT", b">1_0000</QUANT", "expected a number"),
        (b"<QUANTIFICATION_VALUE", b"<OTHER_VALUE", "not well-formed"),
        (b"Level-1C</PROC", b"Level-2A</PROC", "PROCESSING_LEVEL"),
        (b"Level-1C_User_Product", b"html", "'html', expected Level-1C_User_Product"),
        (b"02.09</PROCESSING_BASELINE", b"two</PROCESSING_BASELINE", "expected NN.NN"),
        (b"2020-06-15T10:21:01.026Z", b"yesterday", "ISO 8601"),
        (b">0.0</Cloud", b">130</Cloud", "0 to 100"),
        (b"<PRODUCT_URI>", b"<PRODUCT_URI>../", "not a product name"),
    ],
)
def test_broken_products(old, new, reason):
    xml, _ = product_xml(offset=-1000)
    assert old in xml
    with pytest.raises(SceneError, match=reason) as caught:
        parse_product(xml.replace(old, new), "MTD_MSIL1C.xml")
    assert caught.value.file == "MTD_MSIL1C.xml"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"EPSG:32633", b"EPSG:3857", "UTM zone"),
        (b'<Size resolution="10">', b'<Size resolution="15">', "no Size of resolution 10"),
        (b"_T33UUU_", b"_TXXXXX_", "no MGRS tile"),
        (b"<NROWS>120</NROWS>", b"<NROWS>-1</NROWS>", "-1 x 60 pixels"),
        (b"<XDIM>10</XDIM>", b"<XDIM>20</XDIM>", "pixels of 20 x -10"),
        (b"<ULX>300000</ULX>", b"", "no ULX"),
    ],
)
def test_broken_tiles(old, new, reason):
    assert parse_tile(tile_xml(), "MTD_TL.xml").rows == 120
    with pytest.raises(SceneError, match=reason):
        parse_tile(tile_xml().replace(old, new), "MTD_TL.xml")


@pytest.mark.parametrize(
    "xml",
    [
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b"",
        b"\x00\xff",
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b"<a>" * 20,
        os.urandom(200),
    ],
)
def test_unsafe_or_broken_xml(xml):
    for parse in (parse_product, parse_tile):
        with pytest.raises(SceneError) as caught:
            parse(xml, "MTD.xml")
        assert "\n" not in str(caught.value)


def test_size_is_bounded():
    with pytest.raises(SceneError, match="more than"):
        parse_product(b" " * (MAX_XML_BYTES + 1), "MTD.xml")
