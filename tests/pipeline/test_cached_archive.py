"""Whole jobs whose archive lies in a bucket, read through the cache: same pixels, few requests."""

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml

from ghsl_beam.estimating.plan_summary import summary
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.plan import make_plan
from ghsl_beam.planning.scenes.access import access_of
from ghsl_beam.running.launch import run
from tests.pipeline.faults.conftest import COLS, ROWS, ULX, ULY, small_job
from tests.support.archive import Product, write_product
from tests.support.command import without_progress
from tests.support.jobs import differing, layers
from tests.support.object_storage import fronted, make_bucket, put_folder, s3_service
from transforms.storage import storage

MOST_REQUESTS_A_SCENE = 40


@pytest.fixture(scope="module")
def front():
    with s3_service() as address, fronted(address) as front:
        yield front


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_job(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def made(small):
    """Layers of the job with its archive on a disk."""
    return layers(small.run()[0])


@pytest.fixture(scope="module")
def bucket(front, small, made, tmp_path_factory):
    """The archive in a bucket, with a product of the next day that is cloud from rim to rim."""
    right, bottom = ULX + 10 * COLS, ULY - 10 * ROWS
    cloud = f"{ULX} {ULY} {right} {ULY} {right} {bottom} {ULX} {bottom} {ULX} {ULY}"
    folder = tmp_path_factory.mktemp("cloudy")
    day = date(2020, 6, 16)
    write_product(
        folder, Product("33UUU", 32633, ULX, ULY, small.first, day=day, cloud_polygons=[cloud])
    )
    url = make_bucket("cached")
    put_folder(small.file.parent / "archive", f"{url}/eodata")
    put_folder(folder, f"{url}/eodata")
    return url


@pytest.fixture
def job(small, bucket, tmp_path):
    """Makes the job with its archive in the bucket and a cache of its own; further keys change."""

    def make(**keys):
        content = small.content()
        content["input"]["archive"] = f"{bucket}/eodata"
        content["input"]["cache"] = {"folder": str(tmp_path / "cache")}
        content["output"] = str(tmp_path / "output")
        for key, value in keys.items():
            section, _, name = key.partition("__")
            content[section] = {**content[section], name: value} if name else value
        file = tmp_path / "job.yaml"
        file.write_text(yaml.safe_dump(content))
        return load_job(file)

    return make


def files_asked(front):
    """GETs of bands and masks, by path."""
    found = (line.removeprefix("GET ") for line in front.asked if line.startswith("GET "))
    return Counter(path for path in found if path.endswith((".jp2", ".gml", ".zip")))


def same_pixels(output, made):
    return not any(differing(made, layers(Path(output))).values())


def test_the_same_pixels_and_each_file_is_asked_for_once(job, front, made, tmp_path):
    """Whatever the block size; the bands of a scene that is all cloud are not asked for."""
    front.asked.clear()
    first = job(block_size=64)
    record = run(first)
    assert (record["exit_code"], record["losses"]) == (0, [])
    assert same_pixels(first.output, made)
    found = files_asked(front)
    assert set(found.values()) == {1}
    assert Counter(Path(path).suffix for path in found) == {".gml": 3, ".jp2": 8}
    assert not [path for path in found if "20200616" in path and path.endswith(".jp2")]
    assert len(front.asked) <= 3 * MOST_REQUESTS_A_SCENE

    front.asked.clear()
    again = job(block_size=128, output=f"{tmp_path}/again")
    assert run(again)["exit_code"] == 0
    assert not files_asked(front)
    assert same_pixels(again.output, made)


def test_a_zip_is_fetched_whole_and_once(job, small, bucket, made, tmp_path):
    archive, url, sizes = small.file.parent / "archive", f"{bucket}/zips", []
    for safe in sorted(archive.glob("*.SAFE")):
        packed = tmp_path / f"{safe.stem}.zip"
        with zipfile.ZipFile(packed, "w") as target:
            for path in safe.rglob("*"):
                target.write(path, path.relative_to(archive))
        storage.write_whole(f"{url}/{packed.name}", packed.read_bytes())
        sizes.append(packed.stat().st_size)
    zipped = job(input__archive=url)
    assert run(zipped)["exit_code"] == 0
    assert same_pixels(zipped.output, made)
    kept = [path for path in Path(zipped.input.cache.folder).iterdir() if path.suffix == ".zip"]
    assert sorted(path.stat().st_size for path in kept) == sorted(sizes)


def command(*arguments):
    """In a process of its own, as a person gives it."""
    return subprocess.run(
        [sys.executable, "-m", "ghsl_beam", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_fetch_fills_the_cache_ahead_of_a_run(job, front, made, tmp_path):
    job()
    file = tmp_path / "job.yaml"
    front.asked.clear()
    ended = command("fetch", file, "--json")
    assert (ended.returncode, without_progress(ended.stderr)) == (0, "")
    first = json.loads(ended.stdout)
    assert (first["scenes"], first["scenes_with_bands"], first["files"]) == (3, 2, 11)
    assert (first["files_there"], first["losses"]) == (0, [])
    found = files_asked(front)
    assert sum(found.values()) == 11
    assert not [path for path in found if "20200616" in path and path.endswith(".jp2")]

    front.asked.clear()
    (again,) = [json.loads(command("fetch", file, "--json").stdout)]
    assert (again["files"], again["files_there"], again["bytes_there"]) == (0, 11, first["bytes"])
    record = run(load_job(file))
    assert record["exit_code"] == 0
    assert same_pixels(load_job(file).output, made)
    assert not files_asked(front)
    ended = command("fetch", file, "--quiet")
    assert "scenes: 0, of them 0 whose bands are needed" in ended.stdout.splitlines()


def test_plan_says_what_is_to_be_fetched(job, front, tmp_path):
    plan = make_plan(job())
    content = summary(plan)
    (tile,) = content["tiles"]
    (scenes,) = [planned.scenes for planned in plan.tiles]
    files = [f for scene in scenes for f in (*scene.band_files, scene.mask_file)]
    assert tile["bytes_to_fetch"] == sum(file.size for file in files)
    assert content["cache"]["bytes_at_most"] == 50 * 10**9
    assert not os.path.exists(content["cache"]["folder"])
    with access_of(plan.job).cache.held(files[0]):
        pass
    assert summary(plan)["tiles"][0]["bytes_to_fetch"] == sum(file.size for file in files[1:])


def test_what_cannot_be_fetched_is_named(job, front, tmp_path):
    job()
    front.denied = "B08.jp2"
    try:
        ended = command("fetch", tmp_path / "job.yaml")
    finally:
        front.denied = ""
    assert ended.returncode == 3
    lost = [line for line in ended.stdout.splitlines() if line.startswith("lost")]
    assert len(lost) == 2
    assert lost[0].startswith("lost in fetch: 33UUU S2A_MSIL1C_20200610")
    assert "B08.jp2: " in lost[0]
    assert "scenes: 3, of them 2 whose bands are needed" in ended.stdout


def test_fetch_of_an_archive_that_is_read_directly_is_refused(job, front, tmp_path):
    job(input__access="direct")
    ended = command("fetch", tmp_path / "job.yaml")
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert line.endswith("set input.access: download")
