"""Which service a bucket lies at, and how limits are divided."""

import pickle

import pytest

from transforms.storage import services
from transforms.storage.services import SHIPPED, Service, ServiceError, Services

COPERNICUS, GOOGLE, *_ = SHIPPED
FAR = Service("far", ("far-bucket",), "http://far.example:9000", keys="env:FAR", connections=6)


def test_the_usual_case_needs_no_section(bare):
    """Copernicus for the archive, by its own keys; the output where the environment says."""
    bare.setenv("COPERNICUS_ACCESS_KEY_ID", "PLANTED-1")
    bare.setenv("AWS_ENDPOINT_URL", "https://own.example")
    assert services.of("s3://eodata/Sentinel-2") == COPERNICUS
    assert services.of("s3://gcp-public-data-sentinel-2/tiles") == GOOGLE
    own = services.of("s3://my-bucket/run")
    assert (own.endpoint, own.keys, own.limited) == ("https://own.example", "default", False)


def test_the_archive_needs_no_endpoint_in_the_environment(bare):
    assert services.of("s3://eodata/x") == COPERNICUS


def test_the_environment_serves_copernicus_buckets_as_it_did_before(bare):
    """Its endpoint is named, and Copernicus has no keys of its own."""
    bare.setenv("AWS_ENDPOINT_URL", "http://data.cloudferro.com")
    found = services.of("s3://eodata/x")
    assert (found.endpoint, found.keys) == ("http://data.cloudferro.com", "default")
    assert not found.limited


def test_the_limits_are_those_of_the_endpoint(bare):
    bare.setenv("AWS_ENDPOINT_URL", "https://eodata.dataspace.copernicus.eu/")
    found = services.of("s3://eodata/x")
    assert (found.keys, found.connections, found.requests_per_minute) == ("default", 4, 2000)
    assert services.limited("s3://eodata/x")


@pytest.mark.parametrize("location", ["/eodata/x", "eodata", "gs://eodata/x", "https://eodata/x"])
def test_other_locations_have_no_service(bare, location):
    assert services.of(location) is None
    assert not services.limited(location)


def test_a_bucket_of_a_named_service(bare):
    services.use(Services((FAR, *SHIPPED)))
    assert services.of("s3://far-bucket/a/b") == FAR
    assert services.of("s3://far-bucket-2/a").name == "environment"


def test_who_unpickles_services_knows_them(bare):
    sent = pickle.dumps({"work": Services((FAR,))})
    services.use(Services())
    assert services.of("s3://far-bucket/a").name == "environment"
    assert pickle.loads(sent)["work"] == services.current() == Services((FAR,))  # noqa: S301
    assert services.of("s3://far-bucket/a") == FAR


def test_services_within(bare):
    with services.known(Services((FAR,))):
        assert services.of("s3://far-bucket/a") == FAR
    assert services.current() == Services()


def test_limits_are_divided_where_they_are_used(bare):
    services.use(known := Services((FAR, *SHIPPED)))
    far, *others = known.divided(3, ["s3://far-bucket/a", "/local", "s3://any"]).known
    assert (far.machines, far.slots) == (3, 2)
    assert tuple(others) == SHIPPED


@pytest.mark.parametrize(
    ("machines", "changes", "named"),
    [
        (5, {"connections": 4}, "4 connections, .* 5 machines; lower --parallelism to 4"),
        (30, {"connections": None, "requests_per_minute": 80}, "80 requests a minute, .* to 10"),
        (9, {"connections": 8, "requests_per_minute": 2000}, "8 connections and 2000 requests"),
    ],
)
def test_too_many_machines_are_one_line(bare, machines, changes, named):
    service = Service("far", ("far-bucket",), "http://far.example", **changes)
    services.use(known := Services((service,)))
    with pytest.raises(ServiceError, match=named) as caught:
        known.divided(machines, ["s3://far-bucket/a"])
    assert "\n" not in str(caught.value)
    assert known.divided(machines, ["s3://other/a"]) == known


def test_the_limits_hold_for_the_environment_too(bare):
    bare.setenv("AWS_ENDPOINT_URL", "https://eodata.dataspace.copernicus.eu")
    services.use(services.current().divided(2, ["s3://eodata/x"]))
    assert services.of("s3://eodata/x").slots == 2


def test_a_bucket_whose_service_has_no_keys_is_said_to_be_looked_for_elsewhere(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.org")
    monkeypatch.delenv("COPERNICUS_ACCESS_KEY_ID", raising=False)
    told = services.replaced("s3://eodata/Sentinel-2")
    assert told.startswith("the request went to https://s3.example.org: ")
    assert "COPERNICUS_ACCESS_KEY_ID" in told
    assert services.replaced("s3://mine/a") is None
    assert services.replaced("/eodata") is None
    monkeypatch.setenv("COPERNICUS_ACCESS_KEY_ID", "any")
    assert services.replaced("s3://eodata/Sentinel-2") is None
