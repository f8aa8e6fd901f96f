"""Which service object storage is, as the AWS tools are told it."""

import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import rasterio
import s3fs

from transforms.elements import StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import gdal_environment, gdal_options
from transforms.storage.services import endpoint

FILE = """
[default]
region = nowhere
{line}
[profile other]
services = mine
[services mine]
s3 =
  endpoint_url = http://of-the-service:1
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Write the tools' file with a line, and set variables."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def tell(line="", **variables):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.config"
        file.write_text(FILE.format(line=line))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return tell


def test_amazon_where_nothing_is_told(told):
    told(AWS_ENDPOINT_URL="")
    assert endpoint() is None
    assert "AWS_S3_ENDPOINT" not in gdal_options()


def test_the_tools_file(told):
    told("endpoint_url = http://of-the-file:1/")
    assert endpoint() == "http://of-the-file:1/"
    assert gdal_options()["AWS_S3_ENDPOINT"] == "of-the-file:1"


def test_a_profile_s_services(told):
    told("endpoint_url = http://of-the-file:1", AWS_PROFILE="other")
    assert endpoint() == "http://of-the-service:1"


def test_the_environment_wins(told):
    told("endpoint_url = http://of-the-file:1", AWS_ENDPOINT_URL="http://of-the-environment:1")
    assert endpoint() == "http://of-the-environment:1"


def test_a_profile_that_is_not_there(told):
    told(AWS_PROFILE="no-such")
    assert endpoint() is None


KEYS = "[default]\naws_access_key_id = OF-DEFAULT\naws_secret_access_key = planted-1\n"
KEYS += "[other]\naws_access_key_id = OF-OTHER\naws_secret_access_key = planted-2\n"
KEYS += "aws_session_token = planted-token\n"


@pytest.fixture
def asked():
    """A service that refuses all, and whose keys each client signed with, by client."""
    found = {}

    class Service(BaseHTTPRequestHandler):
        def do_GET(self):
            client = "GDAL" if "GDAL" in self.headers.get("User-Agent", "") else "s3fs"
            signed = re.search(r"Credential=([^/]*)/", self.headers.get("Authorization", ""))
            token = self.headers.get("x-amz-security-token")
            found.setdefault(client, set()).add((signed and signed[1], token))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"AWS_SHARED_CREDENTIALS_FILE": KEYS}, ("OF-DEFAULT", None)),
        (
            {"AWS_SHARED_CREDENTIALS_FILE": KEYS, "AWS_PROFILE": "other"},
            ("OF-OTHER", "planted-token"),
        ),
        (
            {"AWS_CONFIG_FILE": KEYS.replace("[other]", "[profile other]"), "AWS_PROFILE": "other"},
            ("OF-OTHER", "planted-token"),
        ),
        (
            {
                "AWS_ACCESS_KEY_ID": "OF-ENVIRONMENT",
                "AWS_SECRET_ACCESS_KEY": "planted-3",
                "AWS_SHARED_CREDENTIALS_FILE": KEYS,
            },
            ("OF-ENVIRONMENT", None),
        ),
    ],
    ids=["file", "profile", "profile of the configuration", "environment"],
)
def test_gdal_signs_with_the_keys_that_s3fs_signs_with(
    told, expected, asked, tmp_path, monkeypatch
):
    address, found = asked
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    for name, value in told.items():
        if name.endswith("_FILE"):
            (tmp_path / name).write_text(value)
            value = str(tmp_path / name)
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError):
        storage.size("s3://bucket/a.tif")
    with (
        gdal_environment("/vsis3/bucket/a.tif"),
        pytest.raises(rasterio.errors.RasterioIOError),
    ):
        rasterio.open("/vsis3/bucket/a.tif")
    assert found == {"s3fs": {expected}, "GDAL": {expected}}
    s3fs.S3FileSystem.clear_instance_cache()
