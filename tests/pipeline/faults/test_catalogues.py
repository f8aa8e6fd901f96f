"""A catalogue that answers wrong, late or not at all, as the command line shows it."""

import copy
import json
import socket
import sys
import time
import types
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import requests

from ghsl_beam.planning.scenes import catalogue as chosen
from tests.pipeline.faults.table import fault
from tests.pipeline.test_catalogues import query_of, tree
from tests.support.archive import Product
from tests.support.asked import FOREVER, TOKEN, Asked
from tests.support.command import call
from tests.support.drips import dripping
from tests.support.jobs import differing, layers, lonlat_box, write_job
from tests.support.odata_server import many, odata_server
from tests.support.stac_server import Silence, StacServer
from tests.support.storage_services import Service, keys
from transforms.assembly.catalogues import creodias, odata
from transforms.assembly.catalogues.json_service import Bounds, JsonService
from transforms.assembly.catalogues.stac import StacCatalogue

QUICK = Bounds(
    per_second=1000, size=2**20, stall=0.5, total=2, attempts=3, pause=0.01, longest_wait=0.5
)
SERVICES = ("odata", "stac")
ULX, ULY = 330000, 5820000
HANDLED = "the same scenes; 0"
ONE_LINE = "one line; nothing is written; 1"
WRONG = "one line names what to change; nothing is written; 2"


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """An archive of three days, and a job file that asks an archive for them."""
    folder = tmp_path_factory.mktemp("catalogues")
    root = folder / "eodata"
    made = []
    for number in (10, 15, 20):
        day = Product.day.replace(day=number)
        strip = f"{day:%Y%m%d}T102101"
        dn = np.full((4, 64, 64), 1500 + number, np.uint16)
        product = Product("33UUU", 32633, ULX, ULY, dn, day, datastrip=strip)
        made.append((tree(root, product), product))
    wkt = lonlat_box(32633, ULX, ULY - 640, ULX + 640, ULY)
    file = write_job(folder, wkt, root)
    return root, made, file


@pytest.fixture
def asked(products, tmp_path, monkeypatch, capfd, request):
    """A job of the source that a test names."""
    monkeypatch.setattr(chosen, "JsonService", partial(JsonService, bounds=QUICK))
    monkeypatch.setattr(chosen, "StacCatalogue", partial(StacCatalogue, bounds=QUICK))
    command = partial(call, monkeypatch, capfd)
    with odata_server() as of_odata, StacServer().running() as of_stac:
        server = {"odata": of_odata, "stac": of_stac}.get(request.param)
        yield Asked(products, request.param, server, tmp_path, command)


both = pytest.mark.parametrize("asked", SERVICES, indirect=True)
by_odata = pytest.mark.parametrize("asked", ["odata"], indirect=True)
by_stac = pytest.mark.parametrize("asked", ["stac"], indirect=True)
by_finder = pytest.mark.parametrize("asked", ["creodias-finder"], indirect=True)

PASSING = {
    "HTML in place of JSON": (200, b"<html>Maintenance</body>", {}, "gave HTML where JSON"),
    "truncated JSON": (200, b'{"value": [{"features": [', {}, "gave incomplete JSON"),
    "429": (429, b"{}", {"Retry-After": "0"}, "answers 429 Too Many Requests"),
    "503": (503, TOKEN.join(("?token=", "&x=1")).encode(), {}, "answers 503"),
}
for name in PASSING:
    fault("catalogues", f"OData, STAC: {name}, twice", f"the job asks again: {HANDLED}")
    fault("catalogues", f"OData, STAC: {name}, again and again", ONE_LINE)


@both
@pytest.mark.parametrize("name", PASSING)
def test_an_answer_that_may_be_better_later(asked, name):
    status, body, headers, said = PASSING[name]
    asked.answers(status, body, headers, times=2)
    assert asked.is_whole() == []
    asked.answers(status, body, headers)
    assert "3 times in a row" in asked.ends(1, said)


fault("catalogues", "OData, STAC: a Retry-After of six hours", f"the job does not wait: {ONE_LINE}")


@both
@pytest.mark.parametrize("command", ["scenes", "plan", "fetch", "run"])
def test_a_wait_of_six_hours(asked, command):
    asked.answers(429, b"{}", {"Retry-After": "21600"})
    began = time.monotonic()
    asked.ends(1, "asks to wait 21600 s, more than 0.5 s: run again then", command)
    assert time.monotonic() - began < 20


fault("catalogues", "OData, STAC: a stall, once", f"the job asks again: {HANDLED}")
fault("catalogues", "OData, STAC: a stall, again and again", f"after six times 30 s, {ONE_LINE}")


@both
def test_a_stall(asked):
    def stalls(times):
        left = [times]

        def disturb(_):
            left[0] -= 1
            time.sleep(2 if left[0] >= 0 else 0)

        if asked.source == "stac":
            asked.server.script = [Silence(30)] * times
        else:
            asked.server.disturb = disturb

    stalls(1)
    assert asked.is_whole() == []
    stalls(FOREVER)
    asked.ends(1, "times in a row")


fault("catalogues", "OData, STAC: headers that come in drips", f"after six times 120 s, {ONE_LINE}")


@both
def test_headers_in_drips(asked, monkeypatch):
    bounds = replace(QUICK, total=0.3)
    monkeypatch.setattr(chosen, "JsonService", partial(JsonService, bounds=bounds))
    monkeypatch.setattr(chosen, "StacCatalogue", partial(StacCatalogue, bounds=bounds))
    with dripping("a header") as address:
        asked.at(address)
        asked.ends(1, "an answer that takes longer than 0.3 s, 3 times in a row")


fault("catalogues", "OData, STAC: nothing listens at the address", ONE_LINE)
fault("catalogues", "OData, STAC: an unknown host", ONE_LINE)


@both
@pytest.mark.parametrize("command", ["scenes", "plan", "fetch", "run"])
def test_nothing_listens(asked, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asked.at(f"http://127.0.0.1:{port}/v1")
    line = asked.ends(1, f"http://127.0.0.1:{port}/v1: no answer: ", command)
    assert "refused" in line


@both
def test_an_unknown_host(asked):
    asked.at("http://catalogue.invalid/v1")
    asked.ends(1, "http://catalogue.invalid/v1: no answer: ")


fault("catalogues", "OData, STAC: the address of something else", WRONG)
fault("catalogues", "OData, STAC: 401 or 403", WRONG)
fault("catalogues", "OData, STAC: a redirect to another host", f"no request goes there: {WRONG}")


@both
def test_an_address_of_something_else(asked):
    asked.at(f"{asked.content['input'].get('catalogue') or asked.server.url}/elsewhere".lower())
    if asked.source == "odata":
        asked.answers(404, b"")
    asked.ends(2, "answers 404")


@both
@pytest.mark.parametrize("status", [401, 403])
def test_a_search_that_is_forbidden(asked, status):
    asked.answers(status, f'{{"access_token": "{TOKEN}"}}'.encode())
    asked.ends(2, f"answers {status}")


@both
def test_a_redirect_to_another_host(asked):
    asked.answers(302, b"", {"Location": f"http://elsewhere.example/x?token={TOKEN}"})
    asked.ends(2, "refers to another host, http://elsewhere.example: check the address")


fault("catalogues", "STAC: a next link to an earlier page", ONE_LINE)
fault("catalogues", "STAC: next links to the same items for ever", ONE_LINE)
fault("catalogues", "STAC: a next link to another host", f"no request goes there: {WRONG}")
fault("catalogues", "STAC: an empty page with a next link", f"the job follows it: {HANDLED}")
fault("catalogues", "STAC: empty pages for ever", f"after 21 pages, {ONE_LINE}")
fault(
    "catalogues",
    "OData: next links that loop or lead to another host",
    f"the job ignores them: {HANDLED}",
)
fault("catalogues", "OData: an empty page with a next link", ONE_LINE)
fault("catalogues", "OData: pages that name the same products for ever", ONE_LINE)


def following(asked, page, **more):
    """A page with a next link; `more` of its body, or another address of it."""
    link = {"rel": "next", "href": f"{asked.server.url}/search", "method": "POST"}
    link["body"] = {**asked.server.searches()[0].body, **more.pop("body", {})}
    links = [one for one in page["links"] if one["rel"] != "next"]
    return {**page, "links": [*links, link | more]}


@by_stac
def test_next_links_that_lead_nowhere(asked):
    asked.changes(lambda page: following(asked, page))
    asked.ends(1, "a next link to an earlier page, after 1 pages")

    def noise():
        return {"noise": len(asked.server.requests)}

    asked.changes(lambda page: following(asked, page, body=noise()))
    asked.ends(1, "21 pages in a row with only items of earlier pages")
    asked.changes(lambda page: following(asked, {**page, "features": []}, body=noise()))
    asked.ends(1, "21 pages in a row with no item")
    asked.changes(lambda page: following(asked, page, href="https://elsewhere.example/v1/search"))
    asked.ends(2, "refers to another host, https://elsewhere.example: check the address")


@by_stac
def test_an_empty_page_between(asked):
    asked.server.most = 1
    began = len(asked.server.searches())

    def late(page):
        if (len(asked.server.searches()) - began) % 2:
            body = {**asked.server.searches()[-1].body, "noise": len(asked.server.requests)}
            return following(asked, {**page, "features": []}, body=body)
        return page

    asked.changes(late)
    assert asked.is_whole() == []


@by_odata
def test_next_links_of_odata(asked, monkeypatch):
    monkeypatch.setattr(odata, "_PAGE", 2)
    for link in (f"{asked.server.address}/Products", "http://127.0.0.2:1/elsewhere"):
        asked.changes(lambda page, link=link: page | {"@odata.nextLink": link})
        if len(asked.server.asked) > 100:
            pytest.fail("it goes on for ever")
        asked.is_whole()
    more = {"value": [], "@odata.nextLink": f"{asked.server.address}/Products"}
    asked.changes(lambda page: page | more if len(page["value"]) == 1 else page)
    asked.ends(1, "counts 3 products of tile 33UUU from 2020-06-01 to 2020-06-30, but gives only 2")
    same = {"value": asked.entities[:1], "@odata.nextLink": f"{asked.server.address}/Products"}
    asked.changes(lambda page: page | same)
    asked.ends(1, "gave 21 pages in a row with only products that it named before")


fault("catalogues", "OData: more than 10 000 products", f"the job asks in parts: {HANDLED}")
fault("catalogues", "OData: more than 10 000 products on one day", ONE_LINE)


@by_odata
def test_more_than_a_search_gives(asked, monkeypatch):
    monkeypatch.setattr(odata, "MOST", 2)
    monkeypatch.setattr("tests.support.odata_server.MOST", 2)
    assert asked.is_whole() == []
    assert len(asked.server.asked) > 2
    asked.server.products = [
        *asked.entities,
        *(x | {"Id": str(n)} for n, x in enumerate(asked.entities * 2)),
    ]
    asked.ends(1, "products of one tile on 2020-06-10, more than the 2 that it gives")


fault("catalogues", "OData, STAC: more products counted than given", ONE_LINE)
fault("catalogues", "OData, STAC: fewer products counted than given", f"all are used: {HANDLED}")
fault("catalogues", "OData, STAC: a product named twice", f"it counts once: {HANDLED}")
fault("catalogues", "OData: one id named twice, and counted twice", ONE_LINE)
fault("catalogues", "STAC: one id named twice, and counted twice", f"a warning; {HANDLED}")


@both
def test_one_id_twice(asked):
    asked.server.products = asked.entities * 2
    asked.server.items = asked.items * 2
    asked.server.matched = True
    if asked.source == "odata":
        asked.ends(
            1, "counts 6 products of tile 33UUU from 2020-06-01 to 2020-06-30, but gives only 3"
        )
        return
    (warning,) = asked.is_whole()
    assert "it states 6 items, but gave 3 of them twice: another item may be missing" in warning


def counted(source, number):
    key = "@odata.count" if source == "odata" else "numberMatched"
    return lambda page: page | {key: number} if page.get("value", True) else page


@both
def test_a_wrong_total(asked):
    asked.changes(counted(asked.source, 40))
    asked.ends(1, "40")
    asked.changes(counted(asked.source, 1))
    assert asked.is_whole() == []


@both
def test_a_product_named_twice(asked):
    if asked.source == "odata":
        asked.server.products = asked.entities + [
            x | {"Id": f"2 {x['Id']}"} for x in asked.entities
        ]
    else:
        asked.server.items = asked.items + copy.deepcopy(asked.items)
    assert asked.is_whole() == []


OFFLINE = "the product is lost, and the reason says what to do; the others are used; 3"
fault("catalogues", "OData, STAC: a product that is not online", OFFLINE)
OUTSIDE = "it is never read, and the product is lost; the others are used; 3"
fault("catalogues", "OData, STAC: a path outside the archive", OUTSIDE)
fault("catalogues", "OData, STAC: no checksum, or a wrong cloud cover", HANDLED)


def spoil(asked, path=None, *, offline=False):
    """The last product lies at another path, or is not online."""
    if asked.source == "odata":
        last = dict(asked.entities[-1])
        last |= {"Online": False} if offline else {"S3Path": f"/eodata/{path}/{last['Name']}"}
        asked.server.products = [*asked.entities[:-1], last]
        return
    last = copy.deepcopy(asked.items[-1])
    if offline:
        last["properties"]["order:status"] = "orderable"
    else:
        last["assets"], place = {}, f"s3://eodata/{path}/{last['id']}.SAFE/"
        last["links"] = [{"rel": "enclosure", "href": place}]
    asked.server.items = [*asked.items[:-1], last]


@both
@pytest.mark.parametrize("path", ["../../etc", None], ids=["outside", "offline"])
def test_one_product_that_cannot_be_read(asked, path):
    spoil(asked, path, offline=path is None)
    found, _ = asked.scenes()
    assert found["used"] == [product.name for _, product in asked.made[:-1]]
    assert len(found["lost"]) == 1
    asked.content["input"] |= {"access": "download", "cache": {"folder": str(asked.folder / "c")}}
    code, out, _ = asked.call("fetch", "--quiet", "--json")
    assert code == 3
    (loss,) = json.loads(out)["losses"]
    said = {"odata": "a path outside /eodata/", "stac": "the job reads no other location"}
    assert (said[asked.source] if path else "not online: order it") in loss["reason"]


@both
def test_what_a_catalogue_need_not_tell(asked):
    for one in asked.entities:
        one["Checksum"], one["ContentLength"] = [], None
        one["Attributes"] = [a for a in one["Attributes"] if a["Name"] in ("tileId", "productType")]
    for item in asked.items:
        item["properties"]["eo:cloud_cover"] = "NaN"
        for asset in item["assets"].values():
            del asset["file:checksum"], asset["file:size"]
    assert asked.is_whole() == []


fault("catalogues", "STAC: items of another tile", f"a warning; if most items are such, {WRONG}")


@by_stac
def test_items_of_another_tile(asked):
    other = copy.deepcopy(asked.items[0])
    other["id"] = other["id"].replace("T33UUU", "T33UVU")
    other["properties"]["grid:code"] = "MGRS-33UVU"
    asked.changes(lambda page: {**page, "features": [*page["features"], other]})
    (warning,) = asked.is_whole()
    assert "the catalogue names it, but the job did not ask for it" in warning
    names = [one["Name"].removesuffix(".SAFE") for one in many(30, "33UVU")]
    others = [{**other, "id": name} for name in names]
    asked.changes(lambda page: {**page, "features": others})
    asked.ends(2, "it does not understand a filter by grid:code; check `ask` and `tile_property`")


fault("catalogues", "a preset that is unknown, or without the level", WRONG)


@by_stac
def test_a_preset_that_does_not_fit(asked):
    del asked.content["input"]["api"]
    asked.content["input"]["catalogue"] = "planetary-computer"
    asked.ends(2, "planetary-computer has no L1C (the value of level), only L2A: write level: L2A")
    asked.content["input"]["catalogue"] = "elsewhere"
    asked.ends(2, "there is no preset 'elsewhere': use one of copernicus, ")
    assert asked.server.requests == []


fault(
    "catalogues",
    "an address of a catalogue with a password or a token",
    f"it is not shown: {WRONG}",
)


@both
@pytest.mark.parametrize("address", ["https://me:{}@x.example/v1", "https://x.example/v1?token={}"])
def test_an_address_with_a_secret(asked, address):
    asked.at(address.format(TOKEN))
    code, out, errors = asked.call()
    assert (code, out, errors.count("\n")) == (2, "", 1)


fault("catalogues", "creodias-finder: not installed, or an old version", WRONG)
fault("catalogues", "creodias-finder: HTML, an answer without products, no answer", ONE_LINE)


@by_finder
def test_creodias_finder_missing_or_old(asked, monkeypatch):
    line = asked.ends(2, "creodias-finder is not installed here: pip install git+https://")
    assert "or use source: odata" in line
    monkeypatch.setitem(sys.modules, "creodias_finder", types.ModuleType("creodias_finder"))
    module = types.ModuleType("creodias_finder.query")
    monkeypatch.setitem(sys.modules, "creodias_finder.query", module)
    said = "this version is not supported, install the current one: pip install git+https://"
    asked.ends(2, said)
    for answer in ({"1": {"type": "Feature"}}, [], None):
        module.query = lambda answer=answer, **_: answer
        asked.ends(2, said)
    module.query = query_of(asked.entities)
    assert asked.is_whole() == []


@by_finder
def test_creodias_finder_without_an_answer(asked, monkeypatch):
    monkeypatch.setattr(creodias, "_SECONDS", 0.2)
    monkeypatch.setattr(creodias, "_TRIES", 2)

    def html():
        response = requests.Response()
        response._content = b"<html>Maintenance</html>"
        response.json()

    def limited():
        response = requests.Response()
        response.status_code = 429
        raise requests.HTTPError(f"429 for https://x/?token={TOKEN}&x=1", response=response)

    for answer, said in (
        (html, "the catalogue gave no JSON"),
        (limited, "no answer: 429"),
        (lambda: {}["value"], "an answer that it cannot read (KeyError: 'value')"),
        (lambda: time.sleep(1), "longer than 0.2 s"),
    ):
        monkeypatch.setattr(creodias, "installed_query", lambda answer=answer: lambda **_: answer())
        asked.ends(1, said)


def behind(asked, monkeypatch, address):
    """The products are said to lie in `s3://eodata`, at a storage service."""
    del asked.content["input"]["archive"]
    asked.content["input"]["cache"] = {"folder": str(asked.folder / "cache")}
    asked.content["storage"] = {"copernicus": {"endpoint": address, "keys": "env:FAR"}}


fault("catalogues", "the bucket of the products refuses the keys, or there are none", WRONG)
fault("catalogues", "the bucket of the products does not answer", ONE_LINE)


@both
def test_keys_that_the_bucket_refuses(asked, monkeypatch):
    front = Service("http://127.0.0.1:1", "another", "eodata")
    behind(asked, monkeypatch, front.address)
    with keys("FAR"):
        line = asked.ends(2, "storage service copernicus refuses the keys in FAR_ACCESS_KEY_ID")
    assert "make new ones" in line
    front.close()


@both
def test_no_keys(asked, monkeypatch):
    behind(asked, monkeypatch, "http://127.0.0.1:1")
    with keys():
        asked.ends(2, "storage service copernicus has no credentials here; set FAR_ACCESS_KEY_ID")


@both
def test_a_bucket_that_does_not_answer(asked, monkeypatch):
    behind(asked, monkeypatch, "http://127.0.0.1:1")
    with keys("FAR"):
        asked.ends(1, "s3://eodata/")


fault("catalogues", "OData, STAC: several of these in one run", "the same pixels; 0")


@both
def test_a_whole_run(asked):
    """A search that needs several attempts, and names each product twice; and a rerun."""
    asked.content["greenness"] = {"radius_m": 20}
    asked.content["grids"] = [{"crs": "ESRI:54009", "resolutions": [1000]}]
    own = asked.content["input"]
    asked.content["input"] = {"source": "archive", "archive": str(asked.root)}
    asked.content["output"] = str(asked.folder / "undisturbed")
    assert asked.call("run", "--quiet")[0] == 0
    asked.content |= {"input": own, "output": str(asked.folder / "output")}
    asked.answers(200, b"<html>", times=2)
    if asked.source == "odata":
        asked.server.products = [
            *asked.entities,
            *(one | {"Id": f"2 {one['Id']}"} for one in asked.entities),
        ]
    else:
        asked.server.items = [*asked.items, *copy.deepcopy(asked.items)]
    code, _, errors = asked.call("run", "--quiet")
    assert (code, errors) == (0, "")
    made = layers(asked.folder / "output")
    assert not any(differing(made, layers(asked.folder / "undisturbed")).values())
    asked.answers(429, b"{}", {"Retry-After": "21600"})
    code, out, errors = asked.call("run", "--quiet")
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert not any(differing(layers(asked.folder / "output"), made).values())
