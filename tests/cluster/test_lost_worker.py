"""A worker and its pool that are gone in the middle of a job."""

import subprocess
import time
from collections import Counter
from contextlib import contextmanager

import boto3

from tests.cluster.conftest import in_bucket
from tests.support.jobs import differing, layers
from tests.support.object_storage import get_folder
from transforms.storage import storage

MADE = 4
"""Predicted blocks after which the worker is lost."""


def times_written(bucket, prefix):
    """How often each object below the prefix was written, by its name below the bucket."""
    pages = boto3.client("s3").get_paginator("list_object_versions")
    found = Counter()
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        found.update(version["Key"] for version in page.get("Versions", []))
    return found


@contextmanager
def one_worker_less(cluster):
    """Within, one of the workers is gone; another takes its place afterwards."""
    cluster.lose_worker()
    try:
        yield
    finally:
        cluster.add_worker()
        cluster.wait()


def stored_blocks(url):
    return {f"blocks/{name}" for name in storage.objects_below(f"{url}/work/blocks")}


def predicted(blocks):
    return [name for name in blocks if name.startswith("blocks/BUFRAC_RAW/")]


def test_the_job_goes_on(running, four_tiles_job, four_tiles_archive, four_tiles_made, tmp_path):
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    url = f"{running.bucket}/lost-worker/products"
    # The workers that are left must have room for all of a job's tasks.
    few = ["--parallelism=2"] if running.engine == "flink" else []
    command = running.command(file, url, "--quiet", "--set", "block_size=96", *few)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as launch:
        try:
            until = time.monotonic() + 240
            while len(predicted(before := stored_blocks(url))) < MADE:
                assert launch.poll() is None, launch.stderr.read()
                assert time.monotonic() < until, "no block was predicted"
                time.sleep(0.1)
            with one_worker_less(running.cluster):
                _, errors = launch.communicate(timeout=400)
        finally:
            launch.kill()
    assert (launch.returncode, errors) == (0, "")
    folder = get_folder(url, tmp_path / "got")
    assert not any(differing(layers(four_tiles_made[0]), layers(folder)).values())

    prefix = "lost-worker/products/work/"
    times = {
        key.removeprefix(prefix): number
        for key, number in times_written(running.engine, f"{prefix}blocks/").items()
    }
    assert len(predicted(times)) > len(predicted(before)), "the worker was lost too late"
    assert {name: times[name] for name in before if times[name] != 1} == {}
