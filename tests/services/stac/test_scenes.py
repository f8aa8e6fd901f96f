"""A STAC API over HTTP gives the scenes that an archive of its products gives."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.stac.conftest import BOUNDS, copernicus, found_in, scenes_of, search, wanted
from transforms.assembly.catalogues import scenes
from transforms.assembly.catalogues.stac.presets import (
    COPERNICUS,
    PLANETARY_COMPUTER,
)
from transforms.assembly.catalogues.stac.search import StacCatalogue
from transforms.elements import Level, SceneError


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


def test_the_reasons_of_products_that_are_left_out(server, archive):
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
