"""The manifest: read from the repository's own list, and never more than is known."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from ghsl_beam.models.manifest import (
    Manifest,
    PublishedModel,
    listing_of,
    published_manifest,
    read_manifest,
    refreshed,
    stored_manifest,
    write_manifest,
)
from tests.support.file_server import FileServer, Length, Status
from transforms.elements import RequestError
from transforms.inference.zones import BANDS, is_zone
from transforms.storage.remote import Limits

SHIPPED = Path(__file__).resolve().parents[4] / "cnn_models"
LIST = "/repos/ec-jrc/GHS-S2Net/contents/Pretrained_models?ref=main"
QUICK = Limits(stall=0.5, pause=0.01, attempts=3)


def of(listing: str) -> Manifest:
    """The shipped manifest with another place of its list."""
    return published_manifest().model_copy(update={"listing": listing})


ZONES = [
    zone
    for zone in (f"{number}{band}" for number in range(1, 61) for band in BANDS[3:-2])
    if is_zone(zone)
][:497]
"""As many as are published, but others: which are made up."""


def entry(name: str, kind: str = "file", size: int = 17_400_000) -> dict:
    """An entry of GitHub's contents of a folder, with the fields that its documentation gives."""
    path, api = f"Pretrained_models/{name}", "https://api.github.com/repos/ec-jrc/GHS-S2Net"
    sha = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    links = {
        "self": f"{api}/contents/{path}?ref=main",
        "git": f"{api}/git/blobs/{sha}",
        "html": f"https://github.com/ec-jrc/GHS-S2Net/blob/main/{path}",
    }
    raw = f"https://raw.githubusercontent.com/ec-jrc/GHS-S2Net/main/{path}"
    return {
        "name": name,
        "path": path,
        "sha": sha,
        "size": size if kind == "file" else 0,
        "url": links["self"],
        "html_url": links["html"],
        "git_url": links["git"],
        "download_url": raw if kind == "file" else None,
        "type": kind,
        "_links": links,
    }


@pytest.fixture
def server():
    with FileServer().running() as running:
        entries = [entry("README.md", size=2000), entry("old", "dir"), entry("MODEL_CNN_32X.h5")]
        entries += [entry(f"MODEL_CNN_{zone}.h5") for zone in ZONES]
        running.files[LIST] = json.dumps(entries).encode()
        yield running


def test_the_shipped_list_is_whole_and_of_one_commit():
    manifest = read_manifest(str(SHIPPED))
    assert manifest == published_manifest()
    assert manifest.complete
    assert manifest.count == len(manifest.models) == 497
    assert len({model.zone for model in manifest.models}) == 497
    assert all(is_zone(model.zone) for model in manifest.models)
    commit = re.search(r"/raw/([0-9a-f]{40})/Pretrained_models$", manifest.base)[1]
    assert commit.startswith("04fb296")
    assert manifest.listing == listing_of(manifest.base)
    assert manifest.listing.endswith(f"?ref={commit}")
    assert manifest.of("43N") is manifest.of("20S") is manifest.of("33X") is None
    assert manifest.licence == "CC BY 4.0"
    assert "Corbane" in manifest.credit


def test_the_shipped_list_is_the_repositorys(shared_data):
    rows = (shared_data / "ghs_s2net" / "published_models.tsv").read_text().splitlines()[1:]
    listed = dict(row.split("\t") for row in rows)
    assert {model.file: model.git_blob for model in published_manifest().models} == listed


def test_the_repositorys_list_becomes_the_manifest(server, tmp_path):
    before = of(server.url + LIST)
    write_manifest(str(tmp_path), refreshed(before, QUICK))
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    manifest = read_manifest(str(tmp_path))
    assert manifest.complete
    assert manifest.count == len(manifest.models) == 497
    assert manifest.date is not None
    assert manifest.note == ""
    assert {model.zone for model in manifest.models} == {zone.zfill(3) for zone in ZONES}
    first = manifest.of("1F")
    assert first == manifest.of("01F")
    assert first.file == "MODEL_CNN_1F.h5"
    assert first.bytes == 17_400_000
    assert first.git_blob == entry("MODEL_CNN_1F.h5")["sha"]
    assert first.sha256 is None
    assert manifest.of("01C") is None


def test_a_known_sha256_stays_with_the_same_file_alone(server):
    listing = server.url + LIST
    once = refreshed(of(listing), QUICK)
    same, other = once.models[0], once.models[1]
    models = (
        same.model_copy(update={"sha256": "a" * 64}),
        other.model_copy(update={"sha256": "b" * 64, "git_blob": "c" * 40}),
    )
    again = refreshed(once.model_copy(update={"models": models}), QUICK)
    assert again.of(same.zone).sha256 == "a" * 64
    assert again.of(other.zone).sha256 is None
    assert again.count == 497


def test_lfs_pointers_tell_nothing_of_the_file(server):
    server.files[LIST] = json.dumps([entry("MODEL_CNN_32T.h5", size=133)]).encode()
    (model,) = refreshed(of(server.url + LIST), QUICK).models
    assert model == PublishedModel(zone="32T", file="MODEL_CNN_32T.h5")


def test_a_list_that_github_cuts_is_refused(server):
    entries = [entry(f"MODEL_CNN_{zone}.h5") for zone in ZONES]
    entries += [entry(f"other_{number}") for number in range(1000 - len(entries))]
    server.files[LIST] = json.dumps(entries).encode()
    with pytest.raises(RequestError, match="lists only the first 1000 files"):
        refreshed(of(server.url + LIST), QUICK)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html>", "expected GitHub's JSON"),
        (b'{"message": "API rate limit exceeded"}', "expected GitHub's JSON"),
        (b"[1, 2]", "expected GitHub's JSON"),
        (b'[{"type": "file"}]', "expected GitHub's JSON"),
        (b'[{"type": "file", "name": "MODEL_CNN_33U.h5", "size": "x"}]', "expected GitHub's JSON"),
        (b"[]", "lists no MODEL_CNN_"),
    ],
)
def test_an_odd_answer_is_refused(server, content, says):
    server.files[LIST] = content
    with pytest.raises(RequestError, match=says):
        refreshed(of(server.url + LIST), QUICK)


def test_a_busy_or_boundless_server(server):
    server.script[LIST] = [Status(503), Status(429, {"Retry-After": "0"})]
    assert refreshed(of(server.url + LIST), QUICK).complete
    server.script[LIST] = [Status(403)]
    with pytest.raises(RequestError, match="answers 403"):
        refreshed(of(server.url + LIST), QUICK)
    server.script[LIST] = [Length(10**9)]
    with pytest.raises(RequestError, match="states 1000000000 bytes, expected at most"):
        refreshed(of(server.url + LIST), QUICK)


def test_a_folder_is_its_own_list(tmp_path):
    for name in ("MODEL_CNN_33U.h5", "MODEL_CNN_5Q.h5", "MODEL_CNN_33U.h5.part", "notes.txt"):
        (tmp_path / name).touch()
    assert listing_of(str(tmp_path)) == str(tmp_path)
    manifest = refreshed(of(str(tmp_path)), QUICK)
    assert manifest.complete
    assert [(m.zone, m.file) for m in manifest.models] == [
        ("05Q", "MODEL_CNN_5Q.h5"),
        ("33U", "MODEL_CNN_33U.h5"),
    ]
    with pytest.raises(RequestError, match="lists no MODEL_CNN"):
        refreshed(of(str(tmp_path / "absent")), QUICK)


def test_where_a_list_is():
    raw = "https://raw.githubusercontent.com/someone/models/v1.2/a/b/"
    assert listing_of(raw) == "https://api.github.com/repos/someone/models/contents/a/b?ref=v1.2"
    assert listing_of("s3://bucket/models") == "s3://bucket/models"
    assert listing_of("https://host/models") == "https://host/models"


def test_without_a_manifest_the_jrcs_list_holds(tmp_path):
    assert read_manifest(str(tmp_path / "absent")) == published_manifest()


def test_a_part_of_a_list_is_refused_with_the_remedy(tmp_path):
    part = published_manifest().model_copy(update={"complete": False, "models": ()})
    write_manifest(str(tmp_path), part)
    with pytest.raises(RequestError, match="ghsl-beam models refresh --folder"):
        read_manifest(str(tmp_path))
    assert stored_manifest(str(tmp_path)) == part


@pytest.mark.parametrize("text", ["", "[]", '{"models": [{"zone": "33U"}]}', '{"counts": 3}'])
def test_a_file_that_is_no_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RequestError, match=r"manifest\.json: is not a manifest"):
        read_manifest(str(tmp_path))
