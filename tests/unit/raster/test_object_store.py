"""Which service object storage is, as the AWS tools are told it."""

import pytest

from transforms.raster.gdal_access import gdal_options
from transforms.raster.object_store import endpoint

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
