"""Products whose files are apart, and files behind tokens."""

import hashlib
import json
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.services.stac.conftest import BOUNDS, STRIP, found_in, product, scenes_of, wanted
from tests.support.archive import write_product
from tests.support.stac_server import (
    apart_files,
    apart_item,
)
from transforms.assembly.catalogues import scenes
from transforms.assembly.catalogues.stac.presets import (
    EARTH_SEARCH,
    EARTH_SEARCH_L2A,
)
from transforms.assembly.catalogues.stac.search import StacCatalogue
from transforms.assembly.reading import read_band
from transforms.elements import BANDS, TEN_BANDS, Level, StorageError
from transforms.storage import signing, storage
from transforms.storage.redaction import redact


def with_files_apart(server, preset, root, **changes):
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


def without_places(scene, offsets=None):
    """A scene without the places and sizes of its files."""
    bare = replace(scene, path="", bands=(), mask=None, size=0, files="")
    bare = replace(bare, band_files=(), mask_file=None)
    return replace(bare, offsets=offsets) if offsets else bare


@pytest.mark.parametrize("bands", [BANDS, TEN_BANDS], ids=["four bands", "ten bands"])
def test_cogs_give_the_scenes_and_pixels_of_the_product(server, tmp_path, bands):
    coarse = np.random.default_rng(5).integers(1000, 9000, (6, 16, 16))
    _, _, item = cogs(server, tmp_path, coarse=coarse)
    server.items = [item]
    asked = wanted(level=Level.L2A, bands=bands)
    (there,) = found_in(tmp_path, asked).scenes
    preset = with_files_apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    found = scenes_of(StacCatalogue(preset, bounds=BOUNDS), asked)
    assert (found.losses, found.warnings) == ([], [])
    (scene,) = found.scenes
    assert without_places(scene) == without_places(there)
    assert scene.offsets == (-1000,) * len(bands)
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
    preset = with_files_apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    catalogue = StacCatalogue(preset, bounds=BOUNDS)
    (scene,) = scenes.scenes_of(catalogue, wanted(level=Level.L2A)).scenes
    for file in (*scene.band_files, scene.mask_file):
        assert file.checksum == f"sha256:{hashlib.sha256(file.location.encode()).hexdigest()}"


@pytest.mark.parametrize(("flag", "offset"), [(True, 0.0), (False, -1000.0)])
def test_an_applied_offset_is_not_applied_again(server, tmp_path, flag, offset):
    one, safe, item = cogs(server, tmp_path)
    del item["assets"]["product_metadata"]
    item["collection"] = "sentinel-2-l2a"
    item["properties"]["earthsearch:boa_offset_applied"] = flag
    server.items = [item]
    own = tmp_path / "products/2020/6/15" / one.name
    own.mkdir(parents=True)
    (own / "metadata.xml").write_bytes((safe / "MTD_MSIL2A.xml").read_bytes())
    root = f"http://{server.host}/cogs"
    preset = with_files_apart(server, EARTH_SEARCH_L2A, root, products=str(tmp_path))
    (scene,) = scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted(level=Level.L2A)).scenes
    (there,) = found_in(safe, wanted(level=Level.L2A)).scenes
    assert without_places(scene) == without_places(there, offsets=(offset,) * 4)


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
    assert without_places(scene) == without_places(there)
    assert scene.files == there.files  # the same bytes under the same names: the same fingerprint
    assert scene.mask == str(tile / "qi/MSK_CLOUDS_B00.gml")


def test_a_file_that_is_not_there_is_a_loss(server, tmp_path):
    _, _, item = cogs(server, tmp_path)
    server.items = [item]
    del server.files["/cogs/x/B08.tif"]
    preset = with_files_apart(server, EARTH_SEARCH, f"http://{server.host}/cogs")
    found = scenes_of(StacCatalogue(preset, bounds=BOUNDS), wanted(level=Level.L2A))
    assert found.scenes == []
    (loss,) = found.losses
    assert (loss.tile, loss.file) == ("33UUU", f"http://{server.host}/cogs/x/B08.tif")
    assert loss.reason.startswith("cannot be read: does not exist")


@pytest.fixture
def private(server, tmp_path):
    _, _, item = cogs(server, tmp_path, folder="/container")
    server.items = [{**item, "collection": "sentinel-2-l2a"}]
    server.private = "/container/"
    known = signing.current()
    signing.add(signing.Signer(server.host, f"http://{server.host}/sas"))
    changes = {"name": "sentinel-2-l2a", "tokens": f"http://{server.host}/sas"}
    yield with_files_apart(server, EARTH_SEARCH, f"http://{server.host}/container", **changes)
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


def test_a_token_is_fetched_again_a_minute_before_its_end(server, private, monkeypatch):
    place = f"http://{server.host}/container/x/B04.tif"
    storage.size(place)
    storage.size(place)
    assert len(server.tokens) == 1
    now, server.token_lasts = time.time(), 7200
    monkeypatch.setattr(time, "time", lambda: now + 3600 - 59)
    storage.size(place)
    assert len(server.tokens) == 2


def test_a_missing_token_is_one_line(server, private):
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


def test_a_worker_has_the_signers(server, private):
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
