"""On a cluster, archive and output at services that refuse each other's keys."""

import json

import pytest
import yaml

from tests.cluster.conftest import in_bucket
from tests.support.jobs import differing, layers
from tests.support.object_storage import get_folder
from tests.support.storage_services import KEYS, PLANTED, Service
from transforms.storage import storage

SHARES = {"flink": (4, 1), "spark": (2, 2)}
"""Machines that share the connections, and the connections of each."""


@pytest.fixture
def services(running, four_tiles_job, four_tiles_archive, tmp_path):
    """The archive's service and the output's, and a job of both."""
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    bucket = running.bucket.removeprefix("s3://")
    far, own, models = f"far-{bucket}", f"own-{bucket}", f"models-{bucket}"
    content = yaml.safe_load(file.read_text())
    for name, place in ((far, "archive"), (models, "models")):
        _copy(f"{running.bucket}/{content['name']}/{place}", f"s3://{name}/{place}")
    _made(f"s3://{own}")
    content["input"]["archive"] = f"s3://{far}/archive"
    content["input"]["cache"] = {"folder": str(tmp_path / "cache")}
    content["models"] = {"folder": f"s3://{models}/models"}
    content["residential"]["model"] = f"s3://{models}/models/DEMONSTRATION_residential.skops"
    fronts = (
        Service(running.service, KEYS["FAR"][0], far, host=running.address),
        Service(running.service, KEYS["OWN"][0], own, host=running.address),
        Service(running.service, KEYS["FAR"][0], models, host=running.address),
    )
    names = ("far", "own", "models")
    content["storage"] = {
        name: {
            "buckets": list(front.buckets),
            "endpoint": front.address,
            "region": "default",
            "keys": "env:OWN" if name == "own" else "env:FAR",
        }
        for name, front in zip(names, fronts, strict=True)
    }
    for name in ("far", "models"):
        content["storage"][name] |= {"connections": 4, "requests_per_minute": 1200}
    file.write_text(yaml.safe_dump(content))
    yield file, f"s3://{own}/{tmp_path.name}", *fronts
    for front in fronts:
        front.close()


def _made(url):
    import boto3
    from botocore.exceptions import ClientError

    try:
        boto3.client("s3").create_bucket(Bucket=url.removeprefix("s3://"))
    except ClientError as error:
        if "BucketAlreadyOwnedByYou" not in str(error):
            raise


def _copy(source, target):
    bucket, _, _ = target.removeprefix("s3://").partition("/")
    _made(f"s3://{bucket}")
    for name in storage.objects_below(source):
        storage.write_whole(f"{target}/{name}", storage.read_bytes(f"{source}/{name}", 1 << 28))


def options(running):
    return ["--worker_machines=2"] if running.engine == "spark" else []


def test_more_machines_than_connections(running, services):
    file, url, far, _, models = services
    ended = running.launch(file, url, "--worker_machines=5")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "storage service models allows 4 connections" in line
    assert not far.arrivals + models.arrivals


def test_keys_that_expire_then_the_same_pixels_and_limits_that_hold(
    running, services, four_tiles_made, tmp_path
):
    """The launch says in one line that keys are refused; the next one goes on to the end."""
    file, url, far, own, models = services
    far.expires = ".jp2", 6
    ended = running.launch(file, url, *options(running))
    far.expires = None
    assert far.refused
    assert ended.returncode == 1, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "storage service far refuses the keys in FAR_ACCESS_KEY_ID" in line
    assert not any(planted in line for planted in PLANTED)

    refused = far.refused
    ended = running.launch(file, url, *options(running))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [front.refused for front in (far, own, models)] == [refused, 0, 0]
    assert 0 < models.most <= 4
    assert 0 < far.most <= 4
    folder = get_folder(url, tmp_path / "got")
    assert not any(differing(layers(four_tiles_made[0]), layers(folder)).values())
    record = json.loads((folder / "run.json").read_text())
    (told,) = [one for one in record["storage"] if one["service"] == "models"]
    assert (told["machines"], told["connections_each"]) == SHARES[running.engine]
    text = (folder / "run.json").read_text() + ended.stdout
    assert not any(planted in text for planted in PLANTED)
