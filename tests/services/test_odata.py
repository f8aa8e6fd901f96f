"""The OData catalogue: what it gives is found whole, and what it does wrong is said."""

import json
import re
import time
from dataclasses import replace
from datetime import date

import pytest

from tests.support.drips import DRIPS, dripping
from tests.support.odata_server import entity, many, odata_server
from transforms.assembly import Candidate, Wanted
from transforms.assembly.catalogues.json_service import Bounds, JsonService
from transforms.assembly.catalogues.odata import OData
from transforms.elements import Level, SceneError, StorageError

QUICK = Bounds(per_second=1000, pause=0.01, longest_wait=0.5, stall=20, attempts=3, size=2**22)
NAME = "S2A_MSIL1C_20200615T102101_N0500_R065_T33UUU_20200615T120000"
YEAR = Wanted(frozenset(["33UUU"]), date(2020, 1, 1), date(2020, 12, 31), Level.L1C)


@pytest.fixture
def server():
    with odata_server() as server:
        server.products = [entity(NAME)]
        yield server


def search(server, wanted=YEAR, bounds=QUICK, archive="s3://eodata"):
    return list(OData(JsonService(server.address, bounds), archive).search(wanted))


def refused(server, **bounds):
    with pytest.raises(StorageError) as error:
        search(server, bounds=replace(QUICK, **bounds))
    assert str(error.value).isprintable()
    assert server.address in str(error.value)
    return error.value


def test_a_product(server):
    (found,) = search(server)
    assert found == Candidate(
        f"s3://eodata/Sentinel-2/MSI/L1C/2020/06/15/{NAME}.SAFE",
        name=NAME,
        datastrip="S2A_OPER_MSI_L1C_DS_2APS_20200615T102101_S20200615T102101_N05.00",
        baseline="05.00",
        cloud_cover=12.5,
        size=224105657,
    )
    (mounted,) = search(server, archive="/eodata")
    assert mounted.location == f"/eodata/Sentinel-2/MSI/L1C/2020/06/15/{NAME}.SAFE"


def test_the_recorded_answer(shared_data):
    file = shared_data / "catalogues" / "odata_products_l1c_page.json"
    recorded = json.loads(file.read_text())["value"]
    with odata_server() as server:
        server.products = recorded
        tiles = {re.search(r"_T(\w{5})_", product["Name"])[1] for product in recorded}
        wanted = Wanted(frozenset(tiles), date(2020, 8, 8), date(2020, 8, 15), Level.L1C)
        found = search(server, wanted)
    assert [f"{one.name}.SAFE" for one in found] == [product["Name"] for product in recorded]
    assert found[0].location == f"s3:/{recorded[0]['S3Path']}"
    assert found[0].cloud_cover == pytest.approx(95.136736479015)
    assert found[0].baseline == "05.00"
    assert found[0].datastrip.endswith("_S20200808T010314_N05.00")


def test_days_tiles_and_levels(server):
    other = NAME.replace("33UUU", "33UVU")
    server.products = [
        entity(NAME.replace("20200615T102101", stamp))
        for stamp in ("20200614T235959", "20200615T000000", "20200616T235959", "20200617T000000")
    ]
    server.products += [entity(other), entity(NAME.replace("L1C", "L2A"))]
    days = replace(YEAR, start=date(2020, 6, 15), end=date(2020, 6, 16))
    assert len(search(server, days)) == 2
    assert len(search(server, replace(days, tiles=frozenset(["33UUU", "33UVU"])))) == 3
    assert len(search(server, replace(days, level=Level.L2A))) == 1


@pytest.mark.parametrize("count", [1000, 1001, 2500])
def test_pages(server, count):
    server.products = many(count)
    wanted = replace(YEAR, end=date(2022, 12, 31))
    found = search(server, wanted)
    assert len({one.name for one in found}) == len(found) == count
    assert len(server.asked) == -(-count // 1000)


def test_more_than_one_search_gives_is_asked_in_parts(server):
    server.products = many(10_500)
    found = search(server, replace(YEAR, end=date(2022, 12, 31)), replace(QUICK, size=2**25))
    assert len({one.name for one in found}) == len(found) == 10_500
    assert max(int(asked["$skip"]) for asked in server.asked) <= 10_000


def test_more_on_one_day_is_said(server):
    server.change = lambda page: page | {"@odata.count": 10_001}
    day = replace(YEAR, start=date(2020, 6, 15), end=date(2020, 6, 15))
    with pytest.raises(StorageError, match="10001 products of one tile on 2020-06-15, more than"):
        search(server, day)


def test_ids_that_come_twice_count_once(server):
    server.products = [entity(NAME)] * 3 + many(2)
    server.change = lambda page: page | {"@odata.count": 3}
    assert len(search(server)) == 3


def test_fewer_than_counted_is_an_error(server):
    server.change = lambda page: page | {"@odata.count": 2}
    error = refused(server)
    assert "counts 2 products of tile 33UUU from 2020-01-01 to 2020-12-31, but gives only 1" in str(
        error
    )
    assert error.passing


def test_a_catalogue_that_changes_meanwhile_is_asked_again(server):
    counts = iter([2, 1, 1, 1])
    server.change = lambda page: page | {"@odata.count": next(counts)}
    assert len(search(server)) == 1


def test_an_empty_page_with_a_next_link_is_no_end_without_a_word(server):
    server.products = many(1500)
    wanted = replace(YEAR, end=date(2022, 12, 31))

    def empty_second(page):
        if page["value"] and len(page["value"]) == 500:
            return page | {"value": [], "@odata.nextLink": f"{server.address}/Products?$skip=1000"}
        return page

    server.change = empty_second
    with pytest.raises(StorageError, match=r"counts 1500 products .* but gives only 1000"):
        search(server, wanted)


def test_short_pages_are_followed(server):
    server.products = many(5)
    server.change = lambda page: page | {"value": page["value"][:2]}
    assert len(search(server)) == 5


def test_what_follows_a_next_link_is_not_its_host(server):
    server.products = many(1500)
    server.change = lambda page: page | {"@odata.nextLink": "http://127.0.0.2:1/elsewhere"}
    assert len(search(server, replace(YEAR, end=date(2022, 12, 31)))) == 1500


WRONG = {
    "HTML": (200, b"<html><body>Maintenance</body></html>", "gave HTML where JSON is expected"),
    "cut": (200, b'{"value": [{"Name": ', "gave incomplete JSON"),
    "nothing": (200, b"", "expected: an empty answer"),
    "a list": (200, b"[]", "gave a JSON list, expected an object"),
    "no products": (200, b'{"@odata.count": 1}', "gave a page without products"),
    "no count": (200, b'{"value": []}', "says None for the number of products"),
    "odd count": (
        200,
        b'{"value": [], "@odata.count": "1"}',
        "says '1' for the number",
    ),
    "odd product": (200, b'{"value": [7], "@odata.count": 1}', "gave 7, expected a product"),
    "refused": (422, b'{"detail": "Input"}', "answers 422"),
    "forbidden": (403, b"", "answers 403"),
    "deep": (200, b"[" * 100_000, "gave incomplete JSON"),
    "escapes": (500, b"\x1b[2J\x07 down", "answers 500"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_are_one_line(server, name):
    status, body, said = WRONG[name]
    server.disturb = lambda asked: (status, {}, body)
    assert said in str(refused(server))


def test_a_storm_of_429_passes_by(server):
    left = [2]

    def storm(asked):
        left[0] -= 1
        return (429, {"Retry-After": "0"}, b"{}") if left[0] >= 0 else None

    server.disturb = storm
    assert len(search(server)) == 1
    left[0] = 1000
    error = refused(server)
    assert "answers 429" in str(error)
    assert "3 times in a row" in str(error)
    assert error.passing


def test_a_wait_of_six_hours_is_not_waited(server):
    server.disturb = lambda asked: (429, {"Retry-After": "21600"}, b"{}")
    start = time.monotonic()
    assert "it asks to wait 21600 s, more than 0.5 s" in str(refused(server))
    assert time.monotonic() - start < 5
    assert len(server.asked) == 1


def test_a_silent_stall_ends(server):
    server.disturb = lambda asked: time.sleep(3)
    start = time.monotonic()
    assert "no answer" in str(refused(server, stall=0.2))
    assert time.monotonic() - start < 3


def test_an_answer_without_end_is_cut(server):
    server.disturb = lambda asked: (200, {}, b'{"value": [' + b"1," * 2**21)
    assert "an answer of more than 1 MB" in str(refused(server, size=2**20))


@pytest.mark.parametrize("name", DRIPS)
def test_whatever_comes_in_drips_is_given_up(name):
    with dripping(name) as address:
        service = JsonService(address, replace(QUICK, attempts=1, total=0.3))
        with pytest.raises(StorageError, match=r"an answer that takes longer than 0\.3 s") as error:
            service.get(address)
    assert error.value.passing


def test_pages_that_name_the_same_products_for_ever(server):
    server.change = lambda page: page | {"value": [entity(NAME)], "@odata.nextLink": "more"}
    assert "gave 21 pages in a row with only products" in str(error := refused(server))
    assert error.passing
    assert len(server.asked) == 22


def test_other_hosts_are_not_followed(server):
    server.disturb = lambda asked: (302, {"Location": "http://localhost:1/odata"}, b"")
    assert "refers to another host, http://localhost:1" in str(refused(server))
    server.disturb = lambda asked: (302, {"Location": f"{server.address}/Products"}, b"")
    assert "redirected more than 3 times" in str(refused(server))


def test_requests_keep_the_pace(server):
    server.products = many(3000)
    search(server, replace(YEAR, end=date(2022, 12, 31)), replace(QUICK, per_second=4))
    apart = [
        (after - before).total_seconds()
        for before, after in zip(server.moments, server.moments[1:], strict=False)
    ]
    assert len(apart) == 2
    assert min(apart) > 0.2


ODD = {
    "../up": ({"S3Path": f"/eodata/../x/{NAME}.SAFE"}, "a path outside /eodata/"),
    "another bucket": ({"S3Path": f"/other/x/{NAME}.SAFE"}, "a path outside /eodata/"),
    "a query": ({"S3Path": f"/eodata/a?b/{NAME}.SAFE"}, "a URL with '?' or '#'"),
    "another product": ({"S3Path": "/eodata/x/another.SAFE"}, "the path of another product"),
    "no path": ({"S3Path": None}, "gives no S3Path"),
    "no name": ({"Name": None}, "not the name of a Sentinel-2 product"),
    "escapes": ({"Name": "\x1b[2J"}, "not the name of a Sentinel-2 product"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_products_are_named(server, name):
    fields, said = ODD[name]
    server.products = [entity(NAME) | fields]
    (found,) = search(server)
    assert isinstance(found, SceneError)
    assert said in str(found)
    assert str(found).isprintable()


@pytest.mark.parametrize("number", [150, -1, 10**400, float("nan"), True, "12.5", None])
def test_a_cloud_cover_or_a_size_that_is_none_is_not_used(server, number):
    server.products = [
        entity(NAME, cloudCover=number, ContentLength=-1 if number == 150 else number)
    ]
    (found,) = search(server)
    assert (found.cloud_cover, found.size) == (None, None)


def test_offline_and_without_checksums(server):
    server.products = [entity(NAME, Online=False, ContentLength=0, Checksum=[])]
    (found,) = search(server)
    assert (found.online, found.size) == (False, None)
