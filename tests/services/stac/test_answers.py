"""Damaged and hostile answers of a STAC API: one line says why there are no scenes, or the loss."""

import copy
import json
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.services.stac.conftest import (
    BOUNDS,
    SIZE,
    copernicus,
    found_in,
    scenes_of,
    search,
    wanted,
)
from tests.support.stac_server import (
    Answer,
    Cut,
    Drip,
    Silence,
    StacServer,
)
from transforms.assembly.catalogues.stac.search import StacCatalogue
from transforms.elements import StorageError


def fails(server, root, match, asked=None, **more):
    with pytest.raises(StorageError, match=match) as caught:
        search(server, root, asked, **more)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 500
    assert text.startswith(server.url)
    return caught.value


def next_link(page, **link):
    links = [one for one in page["links"] if one["rel"] != "next"]
    return {**page, "links": [*links, {"rel": "next", **link}]}


def test_a_next_link_to_an_earlier_page(server, archive):
    root, server.items = archive
    server.most = 1
    first = []

    def back(page, number):
        first.append(server.searches()[0].body)
        return next_link(page, href=f"{server.url}/search", method="POST", body=first[0])

    server.change = back
    fails(
        server, root, "a next link to an earlier page, after 1 pages: its list of products cannot"
    )


def test_next_links_that_name_the_same_items_for_ever(server, archive):
    root, server.items = archive

    def again(page, number):
        body = {**server.searches()[0].body, "noise": len(server.requests)}
        return next_link(page, href=f"{server.url}/search", method="POST", body=body)

    server.change = again
    fails(server, root, "21 pages in a row with only items of earlier pages")
    assert len(server.searches()) < 30


def test_a_next_link_to_another_host(server, archive):
    root, server.items = archive
    server.change = lambda page, number: next_link(page, href="https://evil.example/v1/search?x=1")
    fails(server, root, "refers to another host, https://evil.example")


def test_a_link_or_a_redirect_that_is_not_an_address(server, archive):
    root, server.items = archive
    server.change = lambda page, number: next_link(page, href="http://[bad/search")
    fails(
        server, root, "gave a next link that is not an address: its list of products cannot be read"
    )
    server.change = lambda page, number: next_link(page, href="//[bad/search", method="POST")
    fails(server, root, "gave a next link that is not an address")
    server.script = [Answer(307, headers={"Location": "http://[bad/search"})]
    fails(server, root, "not a usable address: Invalid IPv6 URL")


def test_a_search_link_to_another_host(server, archive):
    root, server.items = archive
    server.landing = json.loads(
        json.dumps(server.landing).replace("eu/v1/search", "eu.evil.example/v1/search")
    )
    fails(server, root, "refers to another host, https://stac.dataspace.copernicus.eu.evil.example")


def test_a_redirect_to_another_host(server, archive):
    root, server.items = archive
    server.script = [Answer(307, headers={"Location": "https://evil.example/v1/search"})]
    fails(server, root, "refers to another host, https://evil.example")


def test_an_empty_page_with_a_next_link_is_not_the_last(server, archive):
    root, server.items = archive
    server.most = 1

    def put_off(page, number):
        """Each page comes two empty ones late."""
        if len(server.searches()) % 3:
            body = {**server.searches()[-1].body, "noise": len(server.requests)}
            return next_link(
                {**page, "features": []}, href=f"{server.url}/search", method="POST", body=body
            )
        return page

    server.change = put_off
    assert search(server, root).scenes == found_in(root, wanted()).scenes


def test_empty_pages_for_ever(server, archive):
    root, server.items = archive

    def empty(page, number):
        body = {**server.searches()[-1].body, "noise": len(server.requests)}
        page = {**page, "features": []}
        return next_link(page, href=f"{server.url}/search", method="POST", body=body)

    server.change = empty
    fails(server, root, "21 pages in a row with no item, each with a next link")


def test_html(server, archive):
    root, server.items = archive
    server.script = [Answer(200, b"<html><body>Maintenance</body></html>")] * 3
    error = fails(server, root, "gave HTML where JSON is expected: <html><body>Maintenance")
    assert error.passing


def test_truncated_json(server, archive):
    root, server.items = archive
    server.script = [Answer(200, b'{"type": "FeatureCollection", "feat')] * 3
    fails(server, root, "gave incomplete JSON where JSON is expected")


def test_an_answer_that_is_cut_is_asked_for_again(server, archive):
    root, server.items = archive
    server.script = [Cut(100), Answer(503)]
    assert search(server, root).scenes == found_in(root, wanted()).scenes


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"[]", "gave a JSON list, expected an object"),
        (b"{}", "gave a page with no features, expected a list of items"),
        (b'{"features": {"a": 1}}', "gave a page with features of type dict"),
        (b'{"features": [], "links": 5}', "gave a page whose links are not a list of links"),
        (b'{"features": [], "links": [{"rel": "next"}]}', "gave a next link without an address"),
        (b"[" * 100_000, "gave incomplete JSON"),
    ],
)
def test_a_page_without_items_or_links(server, archive, body, what):
    root, server.items = archive
    server.script = [Answer(200, body)] * 3
    fails(server, root, what)


@pytest.mark.parametrize(
    "landing",
    [
        {},
        {"type": "Collection", "id": "x"},
        {"type": "Catalog", "id": "x", "description": "x", "stac_version": "1.0.0", "links": 5},
        {"type": "Catalog", "id": 5, "stac_version": "9.9", "links": [{"rel": "search"}]},
        {"error": "not found"},
    ],
)
def test_an_address_without_a_stac_api(server, archive, landing):
    root, server.items = archive
    server.landing = landing
    fails(server, root, "no landing page of a STAC API with a search: .*; check the address")


def test_an_address_with_nothing(server, archive):
    root, server.items = archive
    preset = replace(copernicus(server, root), address=f"http://{server.host}/nothing")
    with pytest.raises(StorageError, match="/nothing: answers 404 Not Found"):
        scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted())


def test_a_server_that_is_not_there(archive):
    root, _ = archive
    with StacServer().running() as gone:
        preset = copernicus(gone, root)
    with pytest.raises(StorageError, match=r"no answer: .*, 3 times in a row") as caught:
        scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted())
    assert caught.value.passing


def test_a_wait_of_six_hours(server, archive):
    root, server.items = archive
    server.script = [Answer(429, b'{"detail": "slow down"}', {"Retry-After": "21600"})]
    started = time.monotonic()
    fails(server, root, "answers 429 Too Many Requests.*asks to wait 21600 s, more than 1 s")
    assert time.monotonic() - started < 5


def test_a_storm_of_429(server, archive):
    root, server.items = archive
    server.script = [Answer(429, headers={"Retry-After": "0"})] * 2
    assert search(server, root).scenes == found_in(root, wanted()).scenes
    server.script = [Answer(429)] * 100
    fails(server, root, "answers 429 Too Many Requests, 3 times in a row")
    assert len(server.script) == 97


def test_silence(server, archive):
    root, server.items = archive
    server.script = [Silence(), Silence(50)]
    assert search(server, root).scenes == found_in(root, wanted()).scenes
    server.script = [Silence(50)] * 3
    started = time.monotonic()
    fails(server, root, "broke off after 50 bytes|no answer|timed out")
    assert time.monotonic() - started < 8


def test_a_drip_of_bytes(server, archive):
    root, server.items = archive
    server.script = [Drip(0.05)] * 3
    started = time.monotonic()
    fails(server, root, "an answer that takes longer than 1 s, 3 times in a row")
    assert time.monotonic() - started < 10


def test_a_page_of_200_mb(server, archive):
    root, server.items = archive
    server.script = [Answer(200, b'{"features": [' + b" " * (3 * SIZE) + b"]}")]
    bounds = replace(BOUNDS, size=2 * SIZE)
    with pytest.raises(StorageError, match="an answer of more than 2 MB: ask for less"):
        scenes_of(StacCatalogue(copernicus(server, root), bounds=bounds), wanted())


def test_fewer_items_than_stated(server, archive):
    root, server.items = archive
    server.change = lambda page, number: {**page, "numberMatched": 40}
    error = fails(server, root, "states 40 items, but gave 4: the list is not whole; run again")
    assert error.passing
    server.change = lambda page, number: {**page, "context": {"matched": 40}}
    fails(server, root, "states 40 items")


def test_more_items_than_stated_are_all_used(server, archive):
    root, server.items = archive
    server.change = lambda page, number: {**page, "numberMatched": 1}
    assert search(server, root).scenes == found_in(root, wanted()).scenes


def test_an_item_that_is_named_twice_counts_once(server, archive):
    root, server.items = archive
    server.items = [*server.items, *copy.deepcopy(server.items)]
    server.most = 3
    found = search(server, root)
    assert found.scenes == found_in(root, wanted()).scenes
    assert found.warnings == []
    server.matched = True
    (warning,) = search(server, root).warnings
    assert "it states 8 items, but gave 4 of them twice: another item may be missing" in warning


def test_items_that_the_job_did_not_ask_for(server, archive):
    root, server.items = archive
    other = copy.deepcopy(server.items[6])
    server.change = lambda page, number: {**page, "features": [*page["features"], other]}
    found = search(server, root)
    assert found.scenes == found_in(root, wanted()).scenes
    (warning,) = found.warnings
    assert warning.startswith("skipped, the catalogue names it, but the job did not ask for it: ")
    assert other["id"] in warning


def test_an_api_that_does_not_filter(server, archive):
    root, server.items = archive
    everything = [
        {
            **copy.deepcopy(server.items[6]),
            "id": f"S2A_MSIL1C_20200615T1021{n:02}_N0209_R065_T33UVU",
        }
        for n in range(30)
    ]
    for n, item in enumerate(everything):
        item["id"] = f"S2A_MSIL1C_20200615T1021{n:02}_N0209_R065_T33UVU_20200615T120000"
    server.change = lambda page, number: {**page, "features": everything, "links": []}
    fails(
        server,
        root,
        "it does not understand a filter by grid:code; check `ask` and `tile_property`",
    )
    server.script = [Answer(400, b'{"description": "extra fields not permitted"}')]
    fails(server, root, r"answers 400 .*; does it know a filter by grid:code\? check `ask`")


def test_an_item_that_cannot_be_used_is_a_loss_and_the_others_are_scenes(server, archive):
    root, server.items = archive
    broken = copy.deepcopy(server.items[0])
    broken["links"], broken["assets"] = [], {}
    outside = copy.deepcopy(server.items[0])
    outside["links"] = [{"rel": "enclosure", "href": f"s3://other/../{outside['id']}.SAFE/"}]
    server.items += [broken, outside]
    found = search(server, root)
    assert found.scenes == found_in(root, wanted()).scenes
    assert [loss.reason.partition(",")[0] for loss in found.losses] == [
        f"names s3://other/../{outside['id']}.SAFE",
        "no product folder in it",
    ]


def test_a_product_that_is_not_online_is_a_loss(server, archive):
    root, server.items = archive
    last = next(item for item in server.items if "20200619" in item["id"])
    last["properties"]["order:status"] = "orderable"
    found = search(server, root)
    assert len(found.scenes) == 2
    (loss,) = found.losses
    assert loss.reason.startswith("not online: order it")


def test_requests_keep_their_pace(server, archive):
    root, server.items = archive
    server.most = 1
    search(server, root, per_second=10.0)
    at = [asked.at for asked in server.requests]
    assert len(at) >= 4
    assert min(np.diff(at)) > 0.08
