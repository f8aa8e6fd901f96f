import pytest
import shapely

from tests.support.archive import Product, _product_xml
from tests.support.scenes import town
from transforms.assembly import parse_product
from transforms.assembly.products.footprint import footprint_of


def bounds(*positions):
    return shapely.from_wkb(bytes.fromhex(footprint_of(positions))).bounds


def test_rings_of_pairs_and_of_triples():
    assert bounds("50 10 50 11 51 11 51 10 50 10") == (10, 50, 11, 51)
    assert bounds("50 10 0 50 11 0 51 11 0 51 10 0 50 10 0 ") == (10, 50, 11, 51)
    two = bounds("50 10 50 11 51 11 51 10 50 10", "50 12 50 13 51 13 51 12 50 12")
    assert two == (10, 50, 13, 51)
    assert bounds("65 179 65 -179 66 -179 66 179 65 179") == (179, 65, 181, 66)


@pytest.mark.parametrize(
    "positions",
    [
        (),
        ("",),
        ("50 10 50 11 51 11 51 10",),  # not closed
        ("50 10 50 11 51 11 51 north 50 10",),
        ("nan nan 50 11 51 11 51 10 nan nan",),
        ("95 10 50 11 51 11 51 10 95 10",),
        ("50 1e300 50 11 51 11 51 10 50 1e300",),
        ("50 10 50 170 51 11 51 10 50 10",),  # wider than any product
        ("50 10 50 11 51 11 51 10 50 10", "50"),  # one of two cannot be used
        (" ".join(["50 10"] * 1001),),
    ],
)
def test_what_is_no_ring_is_unknown(positions):
    assert footprint_of(positions) == ""


def test_the_metadata_of_a_product_has_it():
    product = Product("33UUU", 32633, 300000, 5800020, town(30, 30))
    found = parse_product(_product_xml(product, "G", "S").encode(), "a.xml").footprint
    assert shapely.from_wkb(bytes.fromhex(found)).area > 0
    product.footprint = None
    assert parse_product(_product_xml(product, "G", "S").encode(), "a.xml").footprint == ""
