import sys
import types
from datetime import date, datetime

import pytest
import requests

from tests.support.odata_server import entity
from transforms.assembly import Wanted
from transforms.assembly.catalogues import creodias
from transforms.assembly.catalogues.creodias import CreodiasFinder
from transforms.elements import Level, RequestError, StorageError

NAME = "S2A_MSIL1C_20200615T102101_N0500_R065_T33UUU_20200615T120000"
MONTH = Wanted(frozenset(["33UUU", "33UVU"]), date(2020, 6, 1), date(2020, 6, 30), Level.L1C)


def finder(query, archive="s3://eodata"):
    return CreodiasFinder(archive, query)


def test_it_is_asked_as_its_present_version_wants():
    asked = []

    def query(collection, start_date, end_date, geometry=None, status="ONLINE", **more):
        asked.append((collection, start_date, end_date, geometry, status, more))
        return {"1": entity(NAME)} if more["tileId"] == "33UUU" else {}

    (found,) = finder(query, "/eodata").search(MONTH)
    assert found.location == f"/eodata/Sentinel-2/MSI/L1C/2020/06/15/{NAME}.SAFE"
    days = datetime(2020, 5, 31), datetime(2020, 7, 1, 0, 0, 1)  # 23:59:59.5 is inside
    more = {"metadata": True, "productType": "S2MSI1C"}
    assert asked == [
        ("SENTINEL-2", *days, None, "ALL", more | {"tileId": tile}) for tile in ("33UUU", "33UVU")
    ]


def test_an_answer_of_more_than_a_page_is_asked_in_parts(monkeypatch):
    """Its pages have no order, so a product may be on none of them."""
    monkeypatch.setattr(creodias, "_PAGE", 2)
    spans = []

    def query(start_date, end_date, **_):
        spans.append((end_date - start_date).days)
        long = spans[-1] > 10
        return {str(n): entity(NAME) for n in range(2)} if long else {"1": entity(NAME)}

    assert list(finder(query).search(MONTH))
    assert min(spans) <= 10 < max(spans)


OLD = {
    "resto": {"1": {"type": "Feature", "properties": {"productIdentifier": "/eodata/x"}}},
    "a list": [entity(NAME)],
    "nothing": None,
}


@pytest.mark.parametrize("name", OLD)
def test_the_old_answer_is_one_line_with_the_remedy(name):
    with pytest.raises(
        RequestError, match="this version is not supported, install the current one: pip install"
    ):
        list(finder(lambda **_: OLD[name]).search(MONTH))


def test_arguments_that_it_does_not_know():
    def query(**arguments):
        raise ValueError("Unknown query parameter: tileId")

    with pytest.raises(RequestError, match="Unknown query parameter"):
        list(finder(query).search(MONTH))


def test_the_package_is_missing_or_old(monkeypatch):
    with pytest.raises(RequestError, match="is not installed here: pip install git"):
        CreodiasFinder()
    monkeypatch.setitem(sys.modules, "creodias_finder", types.ModuleType("creodias_finder"))
    module = types.ModuleType("creodias_finder.query")
    monkeypatch.setitem(sys.modules, "creodias_finder.query", module)
    with pytest.raises(RequestError, match=r"no function query\.query"):
        CreodiasFinder()
    module.query = lambda **_: {"1": entity(NAME)}
    (found, _) = CreodiasFinder().search(MONTH)
    assert found.name == NAME


def answer(status, headers=None):
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    return requests.HTTPError(f"{status} for url: https://x/?token=abc", response=response)


def test_what_passes_by_is_tried_again_and_what_does_not_is_said():
    errors = [answer(429, {"Retry-After": "0"}), requests.ConnectionError("reset")]

    def query(**_):
        if errors:
            raise errors.pop()
        return {}

    assert list(finder(query).search(MONTH)) == []

    def refuse(**_):
        raise answer(403)

    with pytest.raises(StorageError, match="creodias-finder: no answer: 403") as refused:
        list(finder(refuse).search(MONTH))
    assert not refused.value.passing


def test_a_query_without_end_ends(monkeypatch):
    monkeypatch.setattr(creodias, "_SECONDS", 0.05)
    monkeypatch.setattr(creodias, "_TRIES", 1)

    def query(**_):
        import threading

        threading.Event().wait(5)

    with pytest.raises(StorageError, match=r"a query took longer than 0\.05 s"):
        list(finder(query).search(MONTH))
