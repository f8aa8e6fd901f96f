"""A STAC API over HTTP gives the scenes that an archive of its products gives, or says why not."""

import copy
import hashlib
import json
import pickle
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.stac_server import (
    Answer,
    Cut,
    Drip,
    Silence,
    StacServer,
    apart_files,
    apart_item,
    delivered_item,
)
from transforms.assembly import find_scenes
from transforms.assembly.catalogues import scenes
from transforms.assembly.catalogues.catalogue import Wanted
from transforms.assembly.catalogues.json_service import Bounds
from transforms.assembly.catalogues.stac.presets import (
    COPERNICUS,
    EARTH_SEARCH,
    EARTH_SEARCH_L2A,
    PLANETARY_COMPUTER,
)
from transforms.assembly.catalogues.stac.search import StacCatalogue
from transforms.assembly.reading import read_band
from transforms.elements import Level, SceneError, StorageError
from transforms.storage import signing, storage
from transforms.storage.redaction import redact

DAY = date(2020, 6, 15)
STRIP = "20200615T102047"
BOUNDS = Bounds(stall=0.5, total=1.0, attempts=3, pause=0.01, longest_wait=1.0)
SIZE = 1 << 20


def product(tile="33UUU", day=DAY, level=Level.L1C, seed=1, **more):
    random = np.random.default_rng(seed)
    dn = random.integers(1000, 9000, (4, 32, 32)).astype("uint16")
    if level is Level.L2A:
        more["scl"] = random.integers(4, 7, (16, 16))
    return Product(tile, 32633, 300000, 5800020, dn, day=day, **more)


@pytest.fixture
def server():
    with StacServer().running() as running:
        yield running


@pytest.fixture
def archive(tmp_path):
    """An archive with what a catalogue has to sort out, and the items of its products."""
    products = [
        product(seed=1, datastrip=STRIP),
        product(seed=2, datastrip=STRIP, baseline="05.00", offset=-1000, generation="T230000"),
        product(day=DAY + timedelta(days=1), cloud_cover=80.123, seed=3),
        product(day=DAY - timedelta(days=1), seed=4),
        product(day=DAY + timedelta(days=4), seed=5),
        product(day=DAY + timedelta(days=5), seed=6),
        product(tile="33UVU", cloud_cover=12.345, seed=7),
        product(tile="01CCV", seed=8),
        product(tile="60WWT", seed=9),
        product(level=Level.L2A, seed=10),
    ]
    items = [delivered_item(write_product(tmp_path, one), one) for one in products]
    return tmp_path, items


def copernicus(server, root, **more):
    """The preset of Copernicus with another address, and products on the local disk."""
    l1c, l2a = (replace(one, roots=(str(root),)) for one in (COPERNICUS.l1c, COPERNICUS.l2a))
    changes = {"per_second": 50.0, **more}
    return replace(COPERNICUS, address=server.url, l1c=l1c, l2a=l2a, **changes)


def wanted(tiles=("33UUU",), days=5, level=Level.L1C, max_cloud=100):
    end = DAY + timedelta(days=days - 1)
    return Wanted(frozenset(tiles), DAY, end, level, max_cloud)


def scenes_of(catalogue, asked):
    """What a catalogue gives, without the checksums that an archive does not tell."""
    found = scenes.scenes_of(catalogue, asked)
    return found._replace(scenes=[without_checksums(scene) for scene in found.scenes])


def without_checksums(scene):
    files = tuple(replace(file, checksum="") for file in scene.band_files)
    mask = scene.mask_file and replace(scene.mask_file, checksum="")
    return replace(scene, band_files=files, mask_file=mask)


def found_in(root, asked):
    return find_scenes(str(root), asked.tiles, asked.start, asked.end, asked.level, asked.max_cloud)


def search(server, root, asked=None, **more):
    catalogue = StacCatalogue(copernicus(server, root, **more), bounds=BOUNDS)
    return scenes_of(catalogue, asked or wanted())


def test_a_scene_carries_the_checksums_of_its_files(server, archive):
    root, server.items = archive
    catalogue = StacCatalogue(copernicus(server, root), bounds=BOUNDS)
    for scene in scenes.scenes_of(catalogue, wanted()).scenes:
        for file in scene.band_files:
            algorithm, _, digest = file.checksum.partition(":")
            content = Path(file.location).read_bytes()
            assert hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == digest


@pytest.mark.parametrize("paging", ["POST", "GET"])
@pytest.mark.parametrize("ask", ["filter", "query"])
def test_the_scenes_are_those_of_the_archive(server, archive, paging, ask):
    root, server.items = archive
    server.paging, server.most, server.matched = paging, 2, True
    for asked in (
        wanted(),
        wanted(max_cloud=50),
        wanted(level=Level.L2A),
        wanted(days=1),
        wanted(("33UUU", "33UVU", "01CCV", "60WWT")),
        wanted(("31UFT",)),
    ):
        expected = found_in(root, asked)
        for tiles in (1, 3):
            found = search(server, root, asked, ask=ask, tiles=tiles)
            assert found.scenes == expected.scenes
            assert (found.losses, found.warnings) == ([], [])
    assert len(expected.scenes) == 0
    assert len(found_in(root, wanted()).scenes) == 3


def test_a_mount_takes_the_place_of_the_bucket(server, archive):
    root, items = archive
    text = json.dumps(items)
    server.items = json.loads(text.replace(str(root), "s3://eodata/Sentinel-2/MSI"))
    preset = replace(COPERNICUS, address=server.url, per_second=50.0)
    mounted = root.parent / "mounted/Sentinel-2"
    mounted.mkdir(parents=True)
    (mounted / "MSI").symlink_to(root)
    catalogue = StacCatalogue(preset, str(mounted.parent), bounds=BOUNDS)
    assert scenes_of(catalogue, wanted()).scenes == found_in(mounted, wanted()).scenes != []


def test_what_is_left_out_is_said(server, archive):
    root, server.items = archive
    found = search(server, root, wanted(max_cloud=50))
    assert [(one.sensing.day, one.reason) for one in found.left_out] == [
        (15, "another processing or copy is used"),
        (16, "cloud cover 80.1 %, at most 50 %"),
    ]


def test_a_recorded_landing_page_leads_to_the_search(server, archive, shared_data):
    path = shared_data / "catalogues" / "cdse_stac_landing.json"
    if not path.is_file():
        pytest.skip("no recorded answers of catalogues in the shared test data")
    server.landing = json.loads(path.read_text())
    root, server.items = archive
    preset = replace(copernicus(server, root), address=f"{server.url}/")
    assert scenes_of(StacCatalogue(preset), wanted()).scenes == found_in(root, wanted()).scenes
    assert [asked.method for asked in server.requests] == ["GET", "POST"]


def test_a_zone_of_one_digit_is_found_either_way(server, archive):
    root, server.items = archive
    asked = wanted(("01CCV",))
    for code in ("MGRS-01CCV", "MGRS-1CCV"):
        next(i for i in server.items if "T01CCV" in i["id"])["properties"]["grid:code"] = code
        assert search(server, root, asked).scenes == found_in(root, asked).scenes != []


def test_a_level_that_an_api_does_not_have(server):
    catalogue = StacCatalogue(replace(PLANETARY_COMPUTER, address=server.url))
    with pytest.raises(SceneError, match="planetary-computer has no L1C, only L2A: choose another"):
        list(catalogue.search(wanted()))
    assert server.requests == []


# Products whose files lie apart


def apart(server, preset, root, **changes):
    collection = replace(preset.l2a, roots=(root,), **changes)
    return replace(preset, address=server.url, l2a=collection, per_second=50.0)


def cogs(server, tmp_path, folder="/cogs", **more):
    """A product behind the server as GeoTIFF; gives the product, its SAFE folder and its item."""
    one = product(level=Level.L2A, baseline="05.09", offset=-1000, datastrip=STRIP, **more)
    safe = write_product(tmp_path, one)
    files = apart_files(safe)
    server.files |= {f"{folder}/x/{name}": content for name, content in files.items()}
    place = f"http://{server.host}{folder}/x"
    return one, safe, apart_item(one, place, files, "sentinel-2-c1-l2a")


def alike(scene, offsets=None):
    """A scene without what tells where its files lie and how large they are."""
    bare = replace(scene, path="", bands=("", "", "", ""), mask=None, size=0, files="")
    bare = replace(bare, band_files=(), mask_file=None)
    return replace(bare, offsets=offsets) if offsets else bare


def test_cogs_give_the_scenes_and_pixels_of_the_product(server, tmp_path):
    _, _, item = cogs(server, tmp_path)
    server.items = [item]
    asked = wanted(level=Level.L2A)
    (there,) = found_in(tmp_path, asked).scenes
    preset = apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    found = scenes_of(StacCatalogue(preset, bounds=BOUNDS), asked)
    assert (found.losses, found.warnings) == ([], [])
    (scene,) = found.scenes
    assert alike(scene) == alike(there)
    assert scene.offsets == (-1000, -1000, -1000, -1000)
    assert scene.files == scenes_of(StacCatalogue(preset, bounds=BOUNDS), asked).scenes[0].files
    for ours, theirs in zip((*scene.bands, scene.mask), (*there.bands, there.mask), strict=True):
        assert ours.startswith("/vsicurl/http://127.0.0.1")
        np.testing.assert_array_equal(
            read_band(ours, scene.grid, scene.grid), read_band(theirs, there.grid, there.grid)
        )
    heads = [asked for asked in server.requests if asked.method == "HEAD"]
    assert len({asked.path for asked in heads}) >= 5


def test_files_that_are_apart_carry_their_checksums_too(server, tmp_path):
    _, _, item = cogs(server, tmp_path)
    for asset in item["assets"].values():
        asset["file:checksum"] = f"1220{hashlib.sha256(asset['href'].encode()).hexdigest()}"
    server.items = [item]
    preset = apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    catalogue = StacCatalogue(preset, bounds=BOUNDS)
    (scene,) = scenes.scenes_of(catalogue, wanted(level=Level.L2A)).scenes
    for file in (*scene.band_files, scene.mask_file):
        assert file.checksum == f"sha256:{hashlib.sha256(file.location.encode()).hexdigest()}"


@pytest.mark.parametrize(("flag", "offset"), [(True, 0.0), (False, -1000.0)])
def test_an_offset_that_is_applied_counts_no_second_time(server, tmp_path, flag, offset):
    one, safe, item = cogs(server, tmp_path)
    del item["assets"]["product_metadata"]
    item["collection"] = "sentinel-2-l2a"
    item["properties"]["earthsearch:boa_offset_applied"] = flag
    server.items = [item]
    own = tmp_path / "products/2020/6/15" / one.name
    own.mkdir(parents=True)
    (own / "metadata.xml").write_bytes((safe / "MTD_MSIL2A.xml").read_bytes())
    root = f"http://{server.host}/cogs"
    preset = apart(server, EARTH_SEARCH_L2A, root, products=str(tmp_path))
    (scene,) = scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted(level=Level.L2A)).scenes
    (there,) = found_in(safe, wanted(level=Level.L2A)).scenes
    assert alike(scene) == alike(there, offsets=(offset,) * 4)


def test_the_tile_layout_of_aws_has_its_masks_beside_its_xml(server, tmp_path):
    one = product(cloud_polygons=["300000 5800020 300100 5800020 300100 5799920 300000 5800020"])
    safe = write_product(tmp_path / "safe", one)
    tile = tmp_path / "tiles/33/U/UU/2020/6/15/0"
    path = f"products/2020/6/15/{one.name}"
    files = apart_files(safe, "jp2") | {"tileInfo.json": json.dumps({"productPath": path}).encode()}
    for name, content in files.items():
        (tile / name).parent.mkdir(parents=True, exist_ok=True)
        (tile / name).write_bytes(content)
    (tmp_path / path).mkdir(parents=True)
    (tmp_path / path / "metadata.xml").write_bytes((safe / "MTD_MSIL1C.xml").read_bytes())
    granule = {
        "s2:granule_id": "S2A_OPER_MSI_L1C_TL_2BPS_20200615T120000_A008640_T33UUU_N02.09",
        "s2:datastrip_id": "S2A_OPER_MSI_L1C_DS_2BPS_20200615T120000_S20200615T102101_N02.09",
    }
    server.items = [apart_item(one, str(tile), files, "sentinel-2-l1c", **granule)]
    roots = (str(tmp_path / "tiles"),)
    l1c = replace(EARTH_SEARCH.l1c, roots=roots, products=str(tmp_path))
    preset = replace(EARTH_SEARCH, address=server.url, l1c=l1c, per_second=50.0)
    (scene,) = scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted()).scenes
    (there,) = found_in(tmp_path / "safe", wanted()).scenes
    assert alike(scene) == alike(there)
    assert scene.files == there.files  # the same bytes under the same names: the same fingerprint
    assert scene.mask == str(tile / "qi/MSK_CLOUDS_B00.gml")


def test_a_file_that_is_not_there_is_a_loss(server, tmp_path):
    _, _, item = cogs(server, tmp_path)
    server.items = [item]
    del server.files["/cogs/x/B08.tif"]
    preset = apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    found = scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted(level=Level.L2A))
    assert found.scenes == []
    (loss,) = found.losses
    assert (loss.tile, loss.file) == ("33UUU", f"http://{server.host}/cogs/x/B08.tif")
    assert loss.reason.startswith("cannot be read: does not exist")


# Files behind tokens


@pytest.fixture
def private(server, tmp_path):
    _, _, item = cogs(server, tmp_path, folder="/container")
    server.items = [{**item, "collection": "sentinel-2-l2a"}]
    server.private = "/container/"
    known = signing.current()
    signing.add(signing.Signer(server.host, f"http://{server.host}/sas"))
    changes = {"name": "sentinel-2-l2a", "tokens": f"http://{server.host}/sas"}
    yield apart(server, EARTH_SEARCH, f"http://{server.host}/container", **changes)
    signing.use(known)


def test_files_are_signed_when_they_are_read(server, private, tmp_path):
    (scene,) = scenes_of(StacCatalogue(private, bounds=BOUNDS), wanted(level=Level.L2A)).scenes
    (there,) = found_in(tmp_path, wanted(level=Level.L2A)).scenes
    assert "?" not in "".join((scene.path, *scene.bands, scene.mask))
    np.testing.assert_array_equal(
        read_band(scene.bands[0], scene.grid), read_band(there.bands[0], there.grid)
    )
    assert len(server.tokens) == 1
    assert redact(f"broke off: {server.tokens[0]}") == "broke off: ***"
    assert redact("2026-01-01T00:00:00Z") == "2026-01-01T00:00:00Z"


def test_a_token_is_fetched_anew_a_minute_before_its_end(server, private, monkeypatch):
    place = f"http://{server.host}/container/x/B04.tif"
    storage.size(place)
    storage.size(place)
    assert len(server.tokens) == 1
    now, server.token_lasts = time.time(), 7200
    monkeypatch.setattr(time, "time", lambda: now + 3600 - 59)
    storage.size(place)
    assert len(server.tokens) == 2


def test_a_token_that_cannot_be_had_is_said(server, private):
    place = f"http://{server.host}/container/x/B04.tif"
    server.token_lasts = 30
    with pytest.raises(StorageError, match="/sas/container: gives a token that ends at"):
        storage.size(place)
    signing.add(signing.Signer(server.host, f"http://{server.host}/nothing"))
    with pytest.raises(StorageError, match="/nothing/container: gives no token: "):
        storage.size(place)
    signing.add(signing.Signer(server.host, f"http://{server.host}/v1"))
    server.files["/v1/container"] = b"<html>sign in</html>"
    with pytest.raises(StorageError, match="expected JSON with `token` and `msft:expiry`"):
        storage.size(place)


def test_a_worker_learns_who_signs(server, private):
    sent = pickle.dumps(signing.current())
    assert b"sig=" not in sent
    signing.use(signing.Signers())
    place = f"http://{server.host}/container/x/B04.tif"
    assert signing.signed(place) == place
    assert pickle.loads(sent) == signing.current()  # noqa: S301 - our own
    assert "sig=" in signing.signed(place)


def test_other_hosts_are_not_signed(server, private):
    for place in ("https://elsewhere.example/a.tif", "s3://bucket/key", "/data/a.tif"):
        assert signing.signed(place) == place
    assert server.tokens == []


# Hostile answers


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


def test_a_next_link_that_leads_back(server, archive):
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


def test_a_link_or_a_redirect_that_is_no_address(server, archive):
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
def test_a_page_that_is_none(server, archive, body, what):
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


def test_fewer_items_than_told(server, archive):
    root, server.items = archive
    server.change = lambda page, number: {**page, "numberMatched": 40}
    error = fails(server, root, "states 40 items, but gave 4: the list is not whole; run again")
    assert error.passing
    server.change = lambda page, number: {**page, "context": {"matched": 40}}
    fails(server, root, "states 40 items")


def test_more_items_than_told_are_all_used(server, archive):
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


def test_items_that_nobody_asked_for(server, archive):
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
