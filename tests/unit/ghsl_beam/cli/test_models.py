"""ghsl-beam models, as a person calls it."""

import hashlib
import json
import re
import shlex
from functools import partial

import pytest

from ghsl_beam.models.manifest import published_manifest, write_manifest
from tests.support import command
from tests.support.file_server import FileServer
from tests.support.jobs import NETWORK, models_folder
from transforms.elements import RequestError
from transforms.inference.models import resolve

GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()
BLOB = hashlib.sha1(b"blob %d\0" % len(GOOD) + GOOD, usedforsecurity=False).hexdigest()
LIST = "/repos/a/b/contents/Pretrained_models?ref=main"


@pytest.fixture
def server():
    with FileServer().running() as running:
        entries = [
            {"type": "file", "name": f"MODEL_CNN_{zone}.h5", "size": len(GOOD), "sha": BLOB}
            for zone in ("32U", "33U", "33T")
        ]
        running.files[LIST] = json.dumps(entries).encode()
        for zone in ("32U", "33U"):
            running.files[f"/models/MODEL_CNN_{zone}.h5"] = GOOD
        yield running


@pytest.fixture
def folder(server, tmp_path):
    """A folder whose manifest, as an earlier version wrote it, names the loopback server."""
    changes = {"base": f"{server.url}/models", "listing": server.url + LIST, "complete": False}
    write_manifest(str(tmp_path / "models"), published_manifest().model_copy(update=changes))
    return tmp_path / "models"


@pytest.fixture
def call(monkeypatch, capfd):
    return partial(command.call, monkeypatch, capfd, "models")


def test_an_area_from_nothing_to_good(call, folder, server):
    aoi = "--aoi=11.7,52.3,12.6,52.5"
    code, _, err = call("list", aoi, "--folder", folder)
    assert code == 2
    assert f"ghsl-beam models refresh --folder {folder}" in err
    code, out, _ = call("refresh", "--folder", folder)
    assert code == 0
    assert f"3 published at {server.url}/models" in out
    code, out, _ = call("list", aoi, "--folder", folder)
    assert (code, out.count("published")) == (0, 2 + 1 + 1)
    code, out, err = call("fetch", aoi, "--folder", folder)
    assert code == 0
    path = folder / "MODEL_CNN_32U.h5"
    assert sorted(out.splitlines())[0] == f"32U\tfetched\t{DIGEST}\t{path}"
    code, out, _ = call("list", aoi, "--folder", folder)
    assert (code, "2 here" in out) == (0, True)
    assert "3 published at" in out
    code, out, _ = call("verify", "--folder", folder)
    assert code == 0
    assert out.splitlines()[0] == f"32U\tgood\t{DIGEST}\t{path}"
    before = len(server.requests)
    code, out, _ = call("fetch", aoi, "--folder", folder)
    assert code == 0
    assert [line.split("\t")[1] for line in out.splitlines()] == ["here", "here"]
    assert len(server.requests) == before


def test_what_fails_is_named_and_the_rest_is_there(call, folder, server):
    call("refresh", "--folder", folder)
    zones = [f"--zone={zone}" for zone in ("33U", "34U", "33T")]
    code, out, err = call("fetch", *zones, "--folder", folder)
    assert code == 1
    lines = {line.split("\t")[0]: line for line in out.splitlines()}
    assert lines["33U"].split("\t")[1:3] == ["fetched", DIGEST]
    assert "\tfailed\t" in lines["34U"]
    assert (
        "no model is published for this zone; fetch the nearest published one, 33U" in lines["34U"]
    )
    assert not any("34U" in request.path for request in server.requests)
    assert "MODEL_CNN_33T.h5: the server answers 404" in lines["33T"]
    assert err.splitlines()[-1] == "failed: 33T, 34U"


def test_a_source_of_ones_own_is_not_held_to_the_list(call, folder, server):
    entries = [{"type": "file", "name": "MODEL_CNN_33U.h5", "size": 17_400_000, "sha": "a" * 40}]
    server.files[LIST] = json.dumps(entries).encode()
    call("refresh", "--folder", folder)
    code, out, _ = call("fetch", "--zone", "33U", "--folder", folder)
    assert code == 1
    assert "expected 17400000 by the manifest" in out
    assert not (folder / "MODEL_CNN_33U.h5").exists()
    server.files["/own/MODEL_CNN_33U.h5"] = GOOD
    code, out, _ = call("fetch", "--zone", "33U", "--from", f"{server.url}/own", "--folder", folder)
    assert (code, out.split("\t")[1]) == (0, "fetched")


def test_list_as_json_and_for_all(call, folder):
    assert call("refresh", "--folder", folder)[0] == 0
    code, out, _ = call("list", "--aoi=17.9,52.3,18.2,52.5", "--folder", folder, "--json")
    assert code == 0
    content = json.loads(out)
    states = {row["zone"]: row["state"] for row in content["zones"]}
    assert states == {"33U": "published", "34U": "needs fallback"}
    (row,) = [row for row in content["zones"] if row["zone"] == "34U"]
    assert row["nearest_published"] == "33U"
    assert row["nearest_here"] is None
    assert content["published"]["count"] == 3
    code, out, _ = call("list", "--folder", folder)
    assert "3 published" in out
    assert content["starter"] == {"file": "STARTER_MODEL_CNN.h5", "sha256": DIGEST}
    assert "STARTER_MODEL_CNN.h5, the starter network (models.starter: true" in out
    code, out, _ = call("list", "--folder", models_folder(folder / "own"))
    assert "MODEL_CNN_33U.h5" in out


def test_verify_says_what_is_wrong(call, folder):
    (folder / "MODEL_CNN_33U.h5").write_bytes(GOOD[:1000])
    code, out, _ = call("verify", "--folder", folder)
    assert code == 1
    assert out.startswith("33U\tbroken\t")
    assert "truncated" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fetch"], "either --aoi or --zone"),
        (["fetch", "--zone", "33U", "--aoi=1,2,3,4"], "either --aoi or --zone"),
        (["fetch", "--zone", "32X"], "grid zone '32X'"),
        (["list", "nowhere.yaml", "--aoi=1,2,3,4"], "give either --aoi or --zone or a job file"),
        (["list", "nowhere.yaml"], "nowhere.yaml: cannot read the job file"),
        (["list", "--aoi", "nowhere.gpkg"], "no such file"),
        (["refresh", "--from", "https://u:planted@host/m"], "the URL holds credentials"),
        (["list", "--folder", "ftp://host/m"], "scheme 'ftp'"),
    ],
)
def test_wrong_requests(call, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith("ghsl-beam: ")
    assert says in line
    assert "planted" not in line + out
    assert list(tmp_path.iterdir()) == []


def test_credentials_are_not_shown(call, folder, server):
    call("refresh", "--folder", folder)
    source = f"http://planted-user:planted-word@127.0.0.1:{server.port}/models"
    code, out, err = call("fetch", "--zone=33U", "--zone=34U", "--from", source, "--folder", folder)
    assert code == 1
    assert "33U\tfetched" in out
    assert f"***@127.0.0.1:{server.port}/models/MODEL_CNN_34U.h5: the server answers 404" in out
    kept = "".join(path.read_text() for path in folder.iterdir() if path.suffix != ".h5")
    assert "planted" not in out + err + kept


def test_a_folder_without_a_model_is_no_success(call, tmp_path):
    code, _, err = call("verify", "--folder", tmp_path)
    assert code == 2
    assert f"no MODEL_CNN_<zone>.h5 in {tmp_path}" in err
    (tmp_path / "OWN_MODEL_CNN_33U.h5").write_bytes(GOOD)
    assert call("verify", "--folder", tmp_path)[0] == 2  # it has a prefix
    code, out, _ = call("verify", "--folder", tmp_path, "--prefix", "OWN_")
    assert (code, "1 models" in out) == (0, True)


def test_the_remedies_work_as_they_are_printed(call, folder, tmp_path):
    """From a folder without a model and with half a list, by what the messages say alone."""
    spaced = tmp_path / "my models"
    folder.rename(spaced)
    _, _, err = call("list", "--folder", spaced)
    remedy = re.search(r"ghsl-beam models (refresh .*)$", err.strip())[1]
    assert call(*shlex.split(remedy))[0] == 0
    with pytest.raises(RequestError) as lacking:
        resolve(["33U"], str(spaced))
    remedy = re.search(r"\(ghsl-beam models (fetch .*?)\), or", str(lacking.value))[1]
    assert call(*shlex.split(remedy))[0] == 0
    assert [model.of for model in resolve(["33U"], str(spaced))] == ["33U"]
