"""The model store: which file for which grid zone, in a folder or at a URL."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.file_server import BreakOff, FileServer, Status
from tests.support.jobs import NETWORK
from transforms.elements import ModelError, RequestError, Window
from transforms.inference.handler import ModelBank, PredictionInput
from transforms.inference.models import ZoneModel, available, model_names, resolve, zone_of_file
from transforms.inference.weights import load_model, load_weights

GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name in ("MODEL_CNN_33U.h5", "MODEL_CNN_32T.h5", "MODEL_CNN_5Q.h5"):
        (tmp_path / name).touch()
    for name in ("OWN_MODEL_CNN_34U.h5", "MODEL_CNN_34U.h5.part", "MODEL_CNN_34I.h5"):
        (tmp_path / name).touch()
    return str(tmp_path)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer().running() as running:
        yield running


def paths(models: tuple[ZoneModel, ...]) -> dict[str, str]:
    return {model.zone: model.path for model in models}


def test_names(folder: str) -> None:
    assert model_names("33U", "D_") == ["D_MODEL_CNN_33U.h5"]
    assert model_names("05Q") == ["MODEL_CNN_05Q.h5", "MODEL_CNN_5Q.h5"]
    assert model_names("5Q") == ["MODEL_CNN_5Q.h5", "MODEL_CNN_05Q.h5"]
    assert zone_of_file("MODEL_CNN_5Q.h5") == "5Q"
    assert zone_of_file("D_MODEL_CNN_5Q.h5") is None
    assert sorted(available(folder)) == ["32T", "33U", "5Q"]
    assert sorted(available(folder, prefix="OWN_")) == ["34U"]
    assert available(f"{folder}/absent") == {}


def test_found(folder: str) -> None:
    found = resolve(["33U", "32T", "33U", "05Q"], folder)
    assert found == (
        ZoneModel("05Q", "05Q", f"{folder}/MODEL_CNN_5Q.h5"),
        ZoneModel("32T", "32T", f"{folder}/MODEL_CNN_32T.h5"),
        ZoneModel("33U", "33U", f"{folder}/MODEL_CNN_33U.h5"),
    )
    assert not any(model.fallback for model in found)


def test_all_missing_zones_are_named_with_the_remedy(folder: str) -> None:
    with pytest.raises(RequestError, match=r"34U, 60C .*models fetch.*models\.fallback") as caught:
        resolve(["60C", "33U", "34U"], folder)
    assert "\n" not in str(caught.value)
    remedy = f"ghsl-beam models fetch --zone 34U --zone 60C --folder {folder})"
    assert remedy in str(caught.value)
    with pytest.raises(RequestError, match="no file for the fallback 21M"):
        resolve(["34U"], folder, "21M")


def test_a_prefix_only_when_asked_for(folder: str) -> None:
    with pytest.raises(RequestError):
        resolve(["34U"], folder)
    found = paths(resolve(["34U"], folder, prefix="OWN_"))
    assert found == {"34U": f"{folder}/OWN_MODEL_CNN_34U.h5"}
    assert "OWN" not in paths(resolve(["34U"], folder, "nearest"))["34U"]


def test_fallbacks(folder: str) -> None:
    one, other = resolve(["34U", "33U"], folder, "nearest")
    assert one == ZoneModel("33U", "33U", f"{folder}/MODEL_CNN_33U.h5")
    assert other == ZoneModel("34U", "33U", f"{folder}/MODEL_CNN_33U.h5")
    assert (one.fallback, other.fallback) == (False, True)
    assert paths(resolve(["31T"], folder, "nearest"))["31T"].endswith("_32T.h5")
    assert resolve(["34U"], folder, "32T")[0].of == "32T"
    assert resolve(["34U"], folder, "5Q")[0].of == "05Q"
    with pytest.raises(RequestError, match="the folder has no other: put the files there"):
        resolve(["34U"], f"{folder}/absent", "nearest")


def test_a_url_that_gives_files_and_no_list(server: FileServer) -> None:
    server.files["/models/MODEL_CNN_33U.h5"] = GOOD
    server.files["/models/MODEL_CNN_5Q.h5"] = GOOD
    url = f"{server.url}/models"
    assert available(url) == {}
    assert paths(resolve(["33U", "05Q"], url)) == {
        "33U": f"{url}/MODEL_CNN_33U.h5",
        "05Q": f"{url}/MODEL_CNN_5Q.h5",
    }
    assert resolve(["34U"], url, "33U") == (ZoneModel("34U", "33U", f"{url}/MODEL_CNN_33U.h5"),)
    with pytest.raises(RequestError, match=f"no file for grid zone 34U in {url}"):
        resolve(["33U", "34U"], url)
    with pytest.raises(RequestError, match="cannot be listed to find the nearest"):
        resolve(["33U", "34U"], url, "nearest")  # what else is there is not known


def test_a_url_that_lists_its_files(server: FileServer) -> None:
    server.files["/models"] = server.files["/models/"] = (
        b'<html><a href="../">up</a><a href="MODEL_CNN_33U.h5">MODEL_CNN_33U.h5</a>'
        b'<a href="/models/MODEL_CNN_32T.h5">32T</a><a href="notes.txt">notes</a></html>'
    )
    url = f"{server.url}/models"
    assert sorted(available(url)) == ["32T", "33U"]
    assert resolve(["34U"], url, "nearest")[0].path == f"{url}/MODEL_CNN_33U.h5"


def test_a_url_that_does_not_answer_is_not_taken_for_one_without_models(server: FileServer) -> None:
    server.script["/models/MODEL_CNN_33U.h5"] = [Status(403)]
    with pytest.raises(RequestError, match=r"MODEL_CNN_33U\.h5: the server answers 403"):
        resolve(["33U"], f"{server.url}/models")


def test_a_model_at_a_url_is_read_into_memory(server: FileServer, tmp_path: Path) -> None:
    server.files["/MODEL_CNN_33U.h5"] = GOOD
    server.script["/MODEL_CNN_33U.h5"] = [BreakOff(1000), Status(503, {"Retry-After": "0"})]
    url = f"{server.url}/MODEL_CNN_33U.h5"
    weights, digest = load_model(url)
    here = load_weights(NETWORK)
    assert digest == DIGEST
    assert all(np.array_equal(weights[key], here[key]) for key in here.arrays)
    assert len(server.requests) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "answers 404"),
        (b"<html>", "a web page"),
        (GOOD[:1000], "truncated"),
        (b"\x80\x04", "a Python pickle"),
        (bytes(64 * 2**20 + 1), "states 67108865 bytes"),
    ],
)
def test_what_is_no_model_at_a_url(server: FileServer, content: bytes | None, says: str) -> None:
    if content is not None:
        server.files["/MODEL_CNN_33U.h5"] = content
    url = server.url.replace("://", "://planted-user:planted-word@") + "/MODEL_CNN_33U.h5"
    with pytest.raises(ModelError, match=says) as caught:
        load_weights(url)
    assert caught.value.file.endswith("/MODEL_CNN_33U.h5")
    assert "planted" not in str(caught.value)


def test_too_large_a_file(tmp_path: Path) -> None:
    with (tmp_path / "MODEL_CNN_33U.h5").open("wb") as sparse:
        sparse.truncate(64 * 2**20 + 1)
    with pytest.raises(ModelError, match="larger than 67108864 bytes"):
        load_weights(tmp_path / "MODEL_CNN_33U.h5")


def test_threads_of_a_worker_load_a_model_once(server: FileServer) -> None:
    server.files["/MODEL_CNN_33U.h5"] = GOOD
    bank = ModelBank({"33U": f"{server.url}/MODEL_CNN_33U.h5"}, 2)
    start = threading.Barrier(6)

    def predict(seed: int) -> np.ndarray:
        dn = np.random.default_rng(seed % 2).integers(1, 4000, (4, 12, 12), np.uint16)
        start.wait(timeout=60)
        return bank.predict(PredictionInput("33U", "33UUU", Window(0, 0, 8, 8), dn)).bufrac_raw

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(predict, range(6)))
    assert len(server.requests) == bank.loads == 1
    for seed, raw in enumerate(found):
        assert np.array_equal(raw, found[seed % 2])
    assert not np.array_equal(found[0], found[1])
