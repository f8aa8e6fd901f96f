"""The whole job in buckets: archive, models, classifier, work area and products."""

import json
import os
import subprocess
import sys

import pyogrio
import pystac
import pytest
import rasterio
import yaml

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.running.launch import run
from ghsl_beam.tools.stats.results import write
from ghsl_beam.tools.stats.stats import stats
from tests.pipeline.test_bad_requests import spoiled
from tests.pipeline.test_observation import FAILING
from tests.support.command import without_progress
from tests.support.jobs import differing, layers, models_folder
from tests.support.object_storage import (
    KEY_ID,
    SECRET,
    Front,
    get_folder,
    make_bucket,
    put_folder,
    s3_service,
    using,
)
from transforms.elements import RequestError
from transforms.storage import storage


def launch(file, *options):
    """In a process of its own: a client remembers its keys as long as a process lives."""
    command = [sys.executable, "-m", "ghsl_beam", "run", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def bucket():
    with s3_service() as address, using(address):
        yield make_bucket("products")


@pytest.fixture(scope="module")
def job_in_bucket(bucket, job_file, archive, tmp_path_factory):
    """The job of the other tests, with everything it reads and writes in the bucket."""
    content = yaml.safe_load(job_file.read_text())
    eodata = put_folder(archive, f"{bucket}/eodata/Sentinel-2/MSI/L1C/2020/06/15")
    models = put_folder(models_folder(tmp_path_factory.mktemp("models")), f"{bucket}/models")
    content["input"]["archive"] = eodata.partition("/Sentinel-2")[0]
    content["models"] = {"folder": models}
    content["residential"]["model"] = f"{models}/DEMONSTRATION_residential.skops"
    content["output"] = f"{bucket}/runs/town"
    file = tmp_path_factory.mktemp("bucket") / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture(scope="module")
def made_in_bucket(job_in_bucket):
    job = load_job(job_in_bucket)
    return job.output, run(job)


def test_the_same_pixels_as_on_a_local_disk(made_in_bucket, made, tmp_path):
    url, record = made_in_bucket
    assert (record["exit_code"], record["losses"]) == (0, [])
    folder = get_folder(url, tmp_path)
    assert not any(differing(layers(made[0]), layers(folder)).values())


def test_what_is_left_is_what_a_local_run_leaves(made_in_bucket, made):
    url, _ = made_in_bucket
    local = {str(path.relative_to(made[0])) for path in made[0].rglob("*") if path.is_file()}
    assert set(storage.objects_below(url)) == local
    assert not storage.is_folder(f"{url}/work")


def test_a_second_run_computes_nothing(made_in_bucket, job_in_bucket):
    url, first = made_in_bucket
    before = storage.objects_below(f"{url}/utm")
    record = run(load_job(job_in_bucket))
    assert (record["computed"], record["reused"]) == (0, first["computed"])
    assert record["exit_code"] == 0
    assert storage.objects_below(f"{url}/utm") == before
    assert not storage.is_folder(f"{url}/work")


def test_record_report_and_catalogue_can_be_read(made_in_bucket, made, tmp_path):
    url, record = made_in_bucket
    written = json.loads(storage.read_bytes(f"{url}/run.json", 1 << 20))
    assert written == json.loads(json.dumps(record))
    assert written["configuration"]["output"] == url
    page = storage.read_bytes(f"{url}/report/index.html", 1 << 24).decode()
    assert page.count("data:image/webp;base64") >= 6
    catalog = pystac.Catalog.from_file(str(get_folder(url, tmp_path) / "catalog.json"))
    (item,) = [item for item in catalog.get_items(recursive=True) if item.id.endswith("33UUU")]
    with rasterio.open(item.assets["BUFRAC"].get_absolute_href()) as source:
        assert (
            source.tags()["GHSL_FINGERPRINT"]
            == item.assets["BUFRAC"].extra_fields["ghsl:fingerprint"]
        )


def test_totals_are_counted_in_the_bucket(made_in_bucket, districts, tmp_path):
    url, record = made_in_bucket
    counted = stats(url, str(districts), "name")
    assert [row.totals for row in counted.rows] == [
        {key: value for key, value in one.items() if key != "name"}
        for one in record["totals"]["districts"]
    ]
    write(counted, f"{url.rpartition('/')[0]}/stats.gpkg")
    folder = get_folder(url.rpartition("/")[0], tmp_path)
    assert pyogrio.read_info(folder / "stats.gpkg")["features"] == 3


def test_no_credential_is_left_behind(made_in_bucket):
    url, _ = made_in_bucket
    for name in storage.objects_below(url):
        data = storage.read_bytes(f"{url}/{name}", 1 << 28)
        assert SECRET.encode() not in data, name
        assert KEY_ID.encode() not in data, name


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("output", "s3://nowhere-at-all/town", "output: s3://nowhere-at-all/town is not writable"),
        ("output", "s3://key:hidden@products/town", "output: is a URL with credentials"),
        ("output", "ftp://host/town", "output: has scheme 'ftp'"),
        ("input.archive", "s3://nowhere-at-all/eodata", "input.archive: no such folder"),
        ("residential.model", "s3://products/none.skops", "residential.model"),
        ("cleaning.roads", "s3://products/none.gpkg", "cleaning.roads: no such file"),
        ("area", {"file": "s3://products/none.geojson"}, "none.geojson: no such file"),
    ],
)
def test_what_is_not_there_ends_in_one_line(job_in_bucket, tmp_path, key, value, named):
    assert named in one_line(job_in_bucket, tmp_path, key, value)


def test_wrong_credentials_end_in_one_line(bucket, job_in_bucket, tmp_path):
    front = Front(os.environ["AWS_ENDPOINT_URL"])
    body = f"<Error><Code>InvalidAccessKeyId</Code><Message>no key {KEY_ID}</Message></Error>"
    front.faults += [("PUT", 403, {}, body)]
    with using(front.address):
        line = one_line(job_in_bucket, tmp_path, "output", "s3://products/other")
    front.close()
    assert "output: s3://products/other is not writable" in line


def test_no_credentials_end_in_one_line(job_in_bucket, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    ended = launch(job_in_bucket, "--output", "s3://products/other")
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert "credentials" in line


def test_a_launch_without_a_bucket_ends_with_2(job_in_bucket, tmp_path):
    ended = launch(job_in_bucket, "--output", "s3://nowhere-at-all/town")
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert "output: s3://nowhere-at-all/town is not writable" in line
    assert SECRET not in line


@pytest.mark.parametrize("raised", ["ZeroDivisionError", "ghsl_beam.running.launch.LaunchError"])
def test_the_log_of_a_run_that_fails_has_the_error_and_lies_in_the_output(
    job_in_bucket, bucket, tmp_path, raised
):
    url = f"{bucket}/failing-{raised}"
    arguments = ["run", str(job_in_bucket), "--quiet", "--output", url]
    script = FAILING.replace("ZeroDivisionError", raised)
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=120,
    )
    assert ended.returncode == 1
    (line,) = without_progress(ended.stderr).splitlines()
    (name,) = storage.objects_below(f"{url}/logs")
    log = storage.read_bytes(f"{url}/logs/{name}", 1 << 20).decode()
    assert "broken at https://***@host/" in log.splitlines()[-1]
    if raised == "ZeroDivisionError":
        assert line.endswith(f"(traceback: {url}/logs/{name})")
        assert "in fail" in log
    assert not list(tmp_path.glob("ghsl-beam-*"))


def one_line(job_file, folder, key, value):
    """What a launch of the job with one key changed says: that the request is wrong."""
    content = yaml.safe_load(job_file.read_text())
    spoiled(content, key, value)
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(RequestError) as caught:
        run(load_job(file))
    line = str(caught.value)
    assert not any(part in line for part in ("\n", "hidden", SECRET, KEY_ID))
    return line
