"""The section `storage` of a job file: what it changes, and what it refuses."""

import pytest

from ghsl_beam.jobfile.configuration import make_job
from ghsl_beam.jobfile.storage_services import VARIABLE, use_those_of_environment
from tests.support.jobs import CLASSIFIER
from transforms.elements import RequestError
from transforms.storage import services
from transforms.storage.services import SHIPPED

JOB = {
    "name": "town",
    "area": {"bbox": [12, 52, 13, 53]},
    "period": 2020,
    "input": {"archive": "s3://eodata"},
    "residential": {"model": str(CLASSIFIER.with_name("x.skops"))},
    "output": "s3://mine/run",
}
MINE = {"buckets": ["mine"], "endpoint": "https://s3.example.org"}


def known(section):
    make_job({**JOB, "storage": section}, {})
    return {one.name: one for one in services.current().known}


def test_the_shipped_services_need_no_section():
    make_job(JOB, {})
    assert services.current().known == SHIPPED


def test_a_service_of_ones_own():
    found = known({"my-minio": {**MINE, "keys": "env:MINIO", "requester_pays": True}})
    mine = found["my-minio"]
    assert (mine.buckets, mine.endpoint, mine.path_style) == (("mine",), MINE["endpoint"], True)
    assert (mine.keys, mine.requester_pays, mine.limited) == ("env:MINIO", True, False)
    assert found["copernicus"] == SHIPPED[0]


def test_amazon_has_the_bucket_in_the_name_of_the_host():
    found = known({"aws": {"buckets": ["mine"], "region": "eu-central-1", "keys": "profile:work"}})
    assert (found["aws"].endpoint, found["aws"].path_style) == (None, False)


def test_a_shipped_service_is_changed_where_it_is_told():
    found = known({"copernicus": {"connections": 20, "keys": "profile:cdse"}})["copernicus"]
    assert (found.connections, found.keys, found.gives_way) == (20, "profile:cdse", False)
    assert (found.buckets, found.endpoint) == (SHIPPED[0].buckets, SHIPPED[0].endpoint)
    assert not known({"copernicus": {"connections": None, "requests_per_minute": None}})[
        "copernicus"
    ].limited


def test_a_bucket_is_taken_from_a_shipped_service(monkeypatch):
    known({"creodias": {"buckets": ["eodata"], "endpoint": "http://data.cloudferro.com"}})
    assert services.of("s3://eodata/x").name == "creodias"


def test_services_of_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "{mine: {buckets: [mine], endpoint: 'https://s3.example.org'}}")
    found = known({"mine": {"keys": "env:MINE"}})["mine"]
    assert (found.endpoint, found.keys) == (MINE["endpoint"], "env:MINE")
    services.use(services.Services())
    use_those_of_environment()
    assert services.of("s3://mine/x").endpoint == MINE["endpoint"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[1]", f"{VARIABLE}: expected services by name"),
        ("{mine: {bucket: [x]}}", f"{VARIABLE}: storage.mine.bucket: unknown key; did you mean b"),
        ("{mine: {}}", f"{VARIABLE}: mine: give its buckets"),
    ],
)
def test_mistakes_in_the_environment(monkeypatch, text, named):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(RequestError, match=named):
        use_those_of_environment()


SECRET = "Pl4nted/secret+0f40characters0000000000"  # noqa: S105 - no key of anything


@pytest.mark.parametrize(
    ("section", "named"),
    [
        (
            {"mine": {**MINE, "secret_access_key": SECRET}},
            "mine: 'secret_access_key' is not allowed; a job",
        ),
        (
            {"mine": {**MINE, "access_key_id": SECRET}},
            "mine: 'access_key_id' is not allowed; a job",
        ),
        (
            {"mine": {**MINE, "aws_session_token": SECRET}},
            "aws_session_token' is not allowed",
        ),
        (
            {"mine": {**MINE, "key": SECRET}},
            "storage.mine: 'key' is not allowed; a job file must not contain a key",
        ),
        ({"mine": {**MINE, "keys": SECRET}}, "storage.mine.keys: expected default, anonymous, "),
        ({"mine": {**MINE, "keys": f"env:{SECRET}"}}, "storage.mine.keys: expected default"),
        ({"mine": {**MINE, "endpoint": f"https://me:{SECRET}@host"}}, "without user and query"),
    ],
)
def test_a_key_is_refused_and_not_shown(section, named):
    with pytest.raises(RequestError) as caught:
        known(section)
    line = str(caught.value)
    assert named in line
    assert SECRET not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"mine": {}}, "storage: mine: give its buckets"),
        ({"Mine": MINE}, "storage: 'Mine': expected a name of a-z"),
        ({"a": MINE, "b": MINE}, "storage: a and b both have bucket mine"),
        ({"mine": {**MINE, "buckets": ["s3://mine"]}}, "is not the name of a bucket"),
        ({"mine": {**MINE, "endpoint": "s3.example.org"}}, "expected http://HOST or https://HOST"),
        ({"mine": {**MINE, "endpoint": "https://s3 .example.org"}}, "expected http://HOST"),
        (
            {"mine": {**MINE, "endpoint": "https://s3.example.org/mine/"}},
            "with the bucket mine",
        ),
        ({"environment": MINE}, "environment is the name of the service of AWS_..."),
        ({"mine": {**MINE, "connections": 0}}, "storage.mine.connections: expected"),
        (
            {"mine": {**MINE, "requests_per_minute": 5}},
            "mine.requests_per_minute: expected",
        ),
        ({"mine": {**MINE, "path-style": True}}, "unknown key; did you mean path_style?"),
        ({"mine": "https://s3.example.org"}, "storage.mine: expected keys with values: buckets"),
        (["mine"], "storage: expected"),
    ],
)
def test_a_mistake_is_one_line(section, named):
    with pytest.raises(RequestError) as caught:
        known(section)
    assert named in str(caught.value)
