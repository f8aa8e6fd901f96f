"""Every catalogue gives the same scenes of the same products, and whole jobs the same pixels."""

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.running.launch import run
from tests.pipeline.faults.conftest import small_job
from tests.support.archive import Product, write_product
from tests.support.jobs import differing, layers
from tests.support.object_storage import make_bucket, put_folder, s3_service
from tests.support.odata_server import entity_of, odata_server
from tests.support.stac_server import StacServer, apart_files, apart_item, delivered_item
from tests.support.storage_services import KEYS, Service, keys
from transforms.assembly import Archive, Wanted, scenes_of
from transforms.assembly.catalogues.creodias import CreodiasFinder
from transforms.assembly.catalogues.json_service import Bounds, JsonService
from transforms.assembly.catalogues.odata import OData
from transforms.assembly.catalogues.stac import StacCatalogue
from transforms.assembly.catalogues.stac.presets import COPERNICUS
from transforms.classification import FEATURE_SETS, LinearFit, train
from transforms.elements import Level
from transforms.storage import services

QUICK = Bounds(per_second=1000)
TILES = ("33UUU", "33UVU", "01CCV")
FIRST = date(2020, 6, 1)


def tree(root: Path, product: Product) -> Path:
    """Write a product where an archive of days has it."""
    folder = root / "Sentinel-2" / "MSI" / f"L{product.level}" / f"{product.day:%Y/%m/%d}"
    return write_product(folder, product)


def sixty() -> list[Product]:
    """Twenty days of three tiles: clear and cloudy, reprocessed, and two datastrips of a pass."""
    products = []
    for number in range(54):
        tile, day = TILES[number % 3], FIRST + timedelta(days=number // 3)
        dn = np.full((4, 16, 16), 1000 + number, np.uint16)
        strip = f"{day:%Y%m%d}T102101"
        cloud = (7 * number) % 100 + 0.125
        place = (tile, 32633, 300000, 5800020)
        products.append(Product(*place, dn, day, cloud_cover=cloud, datastrip=strip))
    newer = [
        replace(one, baseline="05.00", offset=-1000, generation="T230000", cloud_cover=cloud)
        for one, cloud in zip(products[::14], (95, 0, 59, 61), strict=True)
    ]
    other = [
        replace(one, generation="T130000", datastrip=f"{one.day:%Y%m%d}T102131")
        for one in products[3:5]
    ]
    return [*products, *newer, *other]


def query_of(entities):
    """What the function of creodias-finder does, with the products of a catalogue."""

    def query(collection, start_date, end_date, status="ONLINE", *, metadata, productType, tileId):  # noqa: N803 - its names
        assert (collection, status, metadata) == ("SENTINEL-2", "ALL", True)
        level = productType.removeprefix("S2MSI")
        return {
            str(one["Id"]): one
            for one in entities
            if f"_T{tileId}_" in str(one["Name"])
            and f"MSIL{level}" in str(one["Name"])
            and start_date.isoformat() < str(one["ContentDate"]["Start"])
            and str(one["ContentDate"]["Start"]) < (end_date + timedelta(days=1)).isoformat()
        }

    return query


def test_the_same_products_give_the_same_scenes_in_the_same_order(tmp_path):
    made = [(tree(tmp_path, one), one) for one in sixty()]
    assert len(made) == 60
    entities = [entity_of(safe, one, tmp_path) for safe, one in made]
    items = [
        delivered_item(safe, one, f"s3://eodata/{safe.relative_to(tmp_path)}") for safe, one in made
    ]
    with odata_server() as odata, StacServer(items).running() as stac:
        odata.products = entities
        preset = replace(COPERNICUS, address=stac.url, per_second=50.0, page=7)
        catalogues = [
            Archive(str(tmp_path)),
            OData(JsonService(odata.address, QUICK), str(tmp_path)),
            CreodiasFinder(str(tmp_path), query_of(entities)),
            StacCatalogue(preset, str(tmp_path), QUICK),
        ]
        for tiles, cloud in ((TILES, 60.0), (TILES[:1], 100.0), (TILES[1:], 20.0)):
            asked = Wanted(frozenset(tiles), FIRST, FIRST + timedelta(days=17), Level.L1C, cloud)
            expected, *others = [scenes_of(one, asked) for one in catalogues]
            assert len(expected.scenes) > 5
            for found in others:
                assert [bare(scene) for scene in found.scenes] == expected.scenes
                assert (found.losses, found.warnings) == ([], [])
                assert {one.name for one in found.left_out} == {
                    one.name for one in expected.left_out
                }


def bare(scene):
    """A scene without the checksums that only a catalogue tells."""
    files = tuple(replace(file, checksum="") for file in scene.band_files)
    mask = scene.mask_file and replace(scene.mask_file, checksum="")
    return replace(scene, band_files=files, mask_file=mask)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A job of two scenes, and what it makes from its archive on a disk."""
    job = small_job(tmp_path_factory.mktemp("small"))
    return job, layers(job.run()[0])


@pytest.fixture(scope="module")
def products(small, tmp_path_factory):
    """The job's two products as an archive of days, and as catalogues describe them."""
    root = tmp_path_factory.mktemp("eodata")
    job = small[0]
    made = []
    for old, dn in ((job.good, job.first), (job.spoiled, job.second)):
        stamp = re.search(r"_(\d{8})T", old.name)[1]
        day = date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:]))
        product = Product("33UUU", 32633, 330000, 5820000, dn, day)
        made.append((tree(root, product), product))
    return root, made


@pytest.fixture(scope="module")
def far(products):
    """The bucket `eodata` at a service of its own, which takes its own keys alone."""
    root, _ = products
    with s3_service() as address:
        front = Service(address, KEYS["FAR"][0], "eodata")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", address)
            patch.setenv("AWS_ACCESS_KEY_ID", "any")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            put_folder(root, make_bucket("eodata"))
        yield front
        front.close()


def made_from(small, tmp_path, source, options=(), **more):
    """The layers that the job makes with another section `input`."""
    content = small[0].content() | more
    content["input"] = source | {"cache": {"folder": str(tmp_path / "cache")}}
    content["output"] = str(tmp_path / "output")
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    job = load_job(file)
    record = run(job, options)
    assert (record["exit_code"], record["losses"]) == (0, [])
    return layers(Path(job.output))


@pytest.mark.parametrize("source", ["stac", "odata", "creodias-finder"])
@pytest.mark.parametrize("access", ["download", "mounted"])
def test_a_whole_job(small, products, far, tmp_path, monkeypatch, source, access):
    """The search at one service, the products at another or mounted; the pixels are the same."""
    root, made = products
    settings = {"source": source}
    if access == "mounted":
        settings["archive"] = str(root)
    entities = [entity_of(safe, one, root) for safe, one in made]
    items = [
        delivered_item(safe, one, f"s3://eodata/{safe.relative_to(root)}") for safe, one in made
    ]
    monkeypatch.setattr(
        "transforms.assembly.catalogues.creodias.installed_query", lambda: query_of(entities)
    )
    storage = {"copernicus": {"endpoint": far.address, "keys": "env:FAR"}}
    with odata_server() as odata, StacServer(items).running() as stac, keys("FAR"):
        odata.products = entities
        if source == "odata":
            settings["catalogue"] = odata.address
        if source == "stac":
            l1c = {"name": "sentinel-2-l1c", "roots": ["s3://eodata"], "safe": True}
            settings["api"] = {"name": "loopback", "address": stac.url, "l1c": l1c}
        far.most, far.asked[:] = 0, []
        found = made_from(small, tmp_path, settings, storage=storage)
    assert not any(differing(small[1], found).values())
    bands = [line for line in far.asked if line.startswith("GET") and line.endswith(".jp2")]
    assert len(bands) == (8 if access == "download" else 0)
    assert far.most <= 4
    assert far.refused == 0


def test_a_whole_job_from_googles_public_bucket(small, products, tmp_path):
    """A tree of tiles, read without a key; empty objects stand for its folders."""
    _, made = products
    public = tmp_path / "public"
    for _, product in made:
        safe = write_product(public / "tiles" / "33" / "U" / "UU", product)
        safe.with_name(f"{safe.name}_$folder$").touch()
    with s3_service() as address:
        bucket = "gcp-public-data-sentinel-2"
        with keys(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", address)
            patch.setenv("AWS_ACCESS_KEY_ID", "any")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
            services.use(services.Services(()))
            put_folder(public, make_bucket(bucket))
        front = Service(address, "", bucket)
        storage = {"google": {"endpoint": front.address, "region": "us-east-1"}}
        with keys():
            settings = {"archive": f"s3://{bucket}/tiles"}
            found = made_from(small, tmp_path, settings, storage=storage)
        front.close()
    assert not any(differing(small[1], found).values())
    assert front.refused == 0


@pytest.fixture(scope="module")
def level_2a(small, tmp_path_factory):
    """The job with its first scene as L2A: job file, product, and what it makes from a disk."""
    folder = tmp_path_factory.mktemp("l2a")
    scl = np.full((48, 60), 4)
    scl[10:20, 30:40] = 9
    place = ("33UUU", 32633, 330000, 5820000)
    day = date(2020, 6, 10)
    coarse = small[0].first[[0, 1, 2, 3, 0, 1], ::2, ::2]
    product = Product(*place, small[0].first, day, "05.09", -1000, scl=scl, coarse=coarse)
    safe = write_product(folder / "archive", product)
    source = {"archive": str(folder / "archive"), "level": "L2A"}
    ten = ten_bands(folder / "ten.skops")
    made = made_from(small, folder, source, **ten)
    tile = made["utm/33UUU/S2_E2020_town_33UUU.tif"]
    further = made["utm/33UUU/S2_20M_E2020_town_33UUU.tif"]
    # Each band at 20 m is every second pixel of one at 10 m.
    corners = further[:, ::2, ::2], tile[[0, 1, 2, 3, 0, 1], ::2, ::2]
    assert np.array_equal(*(np.where(tile[0, ::2, ::2] > 0, one, 0) for one in corners))
    assert (further > 0).any()
    return product, safe, made, ten


def ten_bands(file):
    """The keys of a job whose classifier sees ten bands; its labels follow from one at 20 m."""
    names = FEATURE_SETS["multiscale_bands_ten"]
    table = np.random.default_rng(0).random((200, len(names))).astype("float32")
    labels = np.where(table[:, names.index("swir22")] > 0.5, 1, 2).astype("uint8")
    train(table, labels, "multiscale_bands_ten", "chance", estimator=LinearFit(0.1)).save(file)
    return {"composite": {"bands": "ten"}, "residential": {"model": str(file)}}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_whole_job_from_signed_cogs(small, level_2a, tmp_path, processes):
    """Bands are COGs behind tokens, and worker processes learn from the job how to sign."""
    product, safe, expected, ten = level_2a
    files = apart_files(safe)
    with StacServer().running() as server:
        root = f"http://{server.host}/container"
        server.files = {f"/container/x/{name}": content for name, content in files.items()}
        server.items = [apart_item(product, f"{root}/x", files, "sentinel-2-l2a")]
        server.private, server.valid_tokens = "/container/", 100
        assets = {"red": "red", "green": "green", "blue": "blue", "nir": "nir", "mask": "scl"}
        coarse = ("rededge1", "rededge2", "rededge3", "nir08", "swir16", "swir22")
        xml = {"granule": "granule_metadata", "product": "product_metadata"}
        l2a = {"name": "sentinel-2-l2a", "roots": [root], "tokens": f"http://{server.host}/sas"}
        api = {
            "name": "signed",
            "address": server.url,
            "l2a": l2a | assets | xml | {"bands_20m": coarse},
        }
        settings = {"source": "stac", "level": "L2A", "api": api}
        workers = ("--direct_running_mode=multi_processing", f"--direct_num_workers={processes}")
        options = workers if processes > 1 else ()
        found = made_from(small, tmp_path, settings, options=options, **ten)
    assert not any(differing(expected, found).values())
    assert len(server.tokens) >= processes
