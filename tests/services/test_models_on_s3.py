"""Models in a bucket: read from there, fetched from there, listed there."""

import hashlib

import pytest

from ghsl_beam.models.checksums import Verdict, verify
from ghsl_beam.models.download import fetch_model
from ghsl_beam.models.manifest import published_manifest, refreshed
from tests.support.jobs import NETWORK
from transforms.elements import ModelError, RequestError
from transforms.inference.models import ZoneModel, resolve
from transforms.inference.weights import load_model
from transforms.storage.remote import Limits

GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()
URL = "s3://bucket/models"


@pytest.fixture(scope="module")
def endpoint():
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planted-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage = s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True)
    if not storage.exists("bucket"):
        storage.mkdir("bucket")
    storage.pipe_file("bucket/models/MODEL_CNN_33U.h5", GOOD)
    storage.pipe_file("bucket/models/MODEL_CNN_5Q.h5", GOOD[:1000])
    storage.pipe_file("bucket/models/README.md", b"models")
    yield storage
    storage.rm("bucket/models", recursive=True)


def test_models_are_found_and_read(bucket):
    assert resolve(["33U", "05Q"], URL) == (
        ZoneModel("05Q", "05Q", f"{URL}/MODEL_CNN_5Q.h5"),
        ZoneModel("33U", "33U", f"{URL}/MODEL_CNN_33U.h5"),
    )
    assert resolve(["34U"], URL, "nearest")[0].of == "33U"
    weights, digest = load_model(f"{URL}/MODEL_CNN_33U.h5")
    assert (weights.parameters, digest) == (1_448_578, DIGEST)
    with pytest.raises(RequestError, match=f"no file for grid zone 32T in {URL}"):
        resolve(["32T"], URL)
    with pytest.raises(ModelError, match=rf"{URL}/MODEL_CNN_5Q\.h5: .*truncated"):
        load_model(f"{URL}/MODEL_CNN_5Q.h5")
    with pytest.raises(ModelError, match=r"MODEL_CNN_32T\.h5: does not exist"):
        load_model(f"{URL}/MODEL_CNN_32T.h5")


def test_models_are_fetched(bucket, tmp_path):
    found = fetch_model("33U", URL, tmp_path, limits=Limits(attempts=1))
    assert (found.path.read_bytes(), found.sha256) == (GOOD, DIGEST)
    with pytest.raises(ModelError, match=r"MODEL_CNN_32T\.h5: there is no such file"):
        fetch_model("32T", URL, tmp_path, limits=Limits(attempts=1))
    with pytest.raises(ModelError, match="s3://absent/") as caught:
        fetch_model("33U", "s3://absent/models", tmp_path / "other", limits=Limits(attempts=1))
    assert "planted" not in str(caught.value)


def test_models_are_listed_and_verified(bucket):
    manifest = refreshed(published_manifest().model_copy(update={"listing": URL}))
    assert [model.file for model in manifest.models] == ["MODEL_CNN_5Q.h5", "MODEL_CNN_33U.h5"]
    found = {checked.zone: checked.verdict for checked in verify(URL)}
    assert found == {"33U": Verdict.NEW, "5Q": Verdict.BROKEN}
    assert not bucket.exists("bucket/models/SHA256SUMS")
    bucket.pipe_file("bucket/models/SHA256SUMS", f"{DIGEST}  MODEL_CNN_33U.h5\n".encode())
    assert next(iter(verify(URL))).verdict is Verdict.GOOD


def test_a_bucket_that_cannot_be_asked_is_not_an_empty_one(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RequestError, match=f"models: {URL}: cannot be listed"):
        resolve(["33U"], URL)
