from pathlib import Path

import pytest

from transforms.elements import StorageError
from transforms.storage.gdal_access import (
    gdal_options,
    gdal_path,
    location_of,
    source_of,
    split_zip_path,
)
from transforms.storage.locations import absolute, is_url, join, masked, name, problem


def test_names_of_urls_and_paths():
    assert is_url("s3://bucket/key")
    assert not is_url("/a/b")
    assert not is_url("a/b:c")
    assert join("s3://bucket/a/", "b", "c.tif") == "s3://bucket/a/b/c.tif"
    assert join("/a", "b", "c.tif") == "/a/b/c.tif"
    assert name("s3://bucket/a/b.tif") == name("/a/b.tif") == "b.tif"
    assert name("s3://bucket/a/") == "a"


def test_relative_paths_count_from_the_folder(tmp_path):
    assert absolute("out", tmp_path) == str(tmp_path / "out")
    assert absolute("../out", tmp_path / "x") == str(tmp_path / "out")
    assert absolute("/elsewhere", tmp_path) == "/elsewhere"
    assert absolute("s3://bucket/a/", tmp_path) == "s3://bucket/a"


def test_a_link_keeps_its_own_name(tmp_path):
    """What it points to may be called anything: names say what a file is, and lie side by side."""
    (tmp_path / "data").mkdir()
    (tmp_path / "area.wkt").symlink_to("data/blob")
    (tmp_path / "folder").symlink_to("data")
    assert absolute("area.wkt", tmp_path) == str(tmp_path / "area.wkt")
    assert absolute("./folder//area.wkt", tmp_path) == str(tmp_path / "folder" / "area.wkt")
    (tmp_path / "loop").symlink_to("loop")
    assert absolute("loop/out", tmp_path) == str(tmp_path / "loop" / "out")


def test_a_relative_folder_counts_from_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = str(Path.cwd())
    assert absolute("out", ".") == f"{here}/out"
    assert absolute("../out", "x") == f"{here}/out"


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert absolute("~/out", "/elsewhere") == str(tmp_path / "out")
    with pytest.raises(RuntimeError, match="home"):
        absolute("~nobody-here/out", "/elsewhere")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "empty"),
        ("a\nb", "control character"),
        ("ftp://host/a", "scheme 'ftp', expected a local path or one of s3"),
        ("file:///a", "scheme 'file'"),
        ("s3://", "without a bucket"),
        ("s3://key:secret@bucket/a", "URL with credentials"),
        ("https://host/a?X-Amz-Signature=1", "'?'"),
        ("s3://bucket/../a", "'..'"),
        ("s3://bucket//a", "empty part"),
        ("s3://bucket/a::s3://bucket/b", "chain"),
    ],
)
def test_what_is_refused(location, said):
    assert said in (problem(location) or "")
    with pytest.raises(StorageError) as caught:
        gdal_path(location)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("s3://bucket/a/b.tif", "/vsis3/bucket/a/b.tif"),
        ("gs://bucket/a.tif", "/vsigs/bucket/a.tif"),
        ("https://host/a.tif", "/vsicurl/https://host/a.tif"),
        ("http://host/a.tif", "/vsicurl/http://host/a.tif"),
        ("/local/a.tif", "/local/a.tif"),
    ],
)
def test_names_for_gdal_and_back(location, path):
    assert gdal_path(location) == path
    assert location_of(path) == location


def test_the_zip_of_a_member(tmp_path):
    assert split_zip_path("/a/b.tif") is None
    assert source_of("/vsis3/bucket/b.tif") == "s3://bucket/b.tif"
    in_bucket = "/vsizip//vsis3/bucket/a.ZIP/b/c.jp2"
    assert split_zip_path(in_bucket) == ("s3://bucket/a.ZIP", "b/c.jp2")
    assert source_of(in_bucket) == "s3://bucket/a.ZIP"
    outer = tmp_path / "folder.zip" / "product.zip"
    outer.parent.mkdir()
    outer.write_bytes(b"")
    member = f"/vsizip/{outer}/inner.zip/c.jp2"
    assert split_zip_path(member) == (str(outer), "inner.zip/c.jp2")
    assert source_of(member) == str(outer)


@pytest.mark.parametrize(
    ("address", "host", "https"),
    [
        ("http://127.0.0.1:9000", "127.0.0.1:9000", "NO"),
        ("https://eodata.dataspace.copernicus.eu/", "eodata.dataspace.copernicus.eu", "YES"),
    ],
)
def test_gdal_goes_where_the_aws_tools_go(monkeypatch, address, host, https):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    options = gdal_options()
    assert (options["AWS_S3_ENDPOINT"], options["AWS_HTTPS"]) == (host, https)
    assert options["AWS_VIRTUAL_HOSTING"] == "FALSE"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert "AWS_S3_ENDPOINT" not in gdal_options()


def test_credentials_are_masked(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    text = masked("https://user:pass@host/a?X-Amz-Signature=abc\nplanted-secret refused")
    assert not any(part in text for part in ("user", "pass", "abc", "planted-secret", "\n"))
    assert "refused" in text
