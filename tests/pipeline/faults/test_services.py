"""One job with its archive, its models and its output at services that refuse each other's keys."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.pipeline.faults.conftest import small_job
from tests.pipeline.faults.table import fault
from tests.support.command import without_progress
from tests.support.jobs import differing, layers, models_folder
from tests.support.object_storage import get_folder, make_bucket, put_folder, s3_service, using
from tests.support.storage_services import KEYS, PLANTED, Service, keys
from transforms.storage import storage

FAR, OWN, OPEN = "far-archive", "own-output", "open-models"


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three services: the archive's, one's own, and one that is open to everybody."""
    with s3_service() as address:
        services = (
            Service(address, KEYS["FAR"][0], FAR),
            Service(address, KEYS["AWS"][0], OWN),
            Service(address, "", OPEN),
        )
        with using(address):
            job = small_job(tmp_path_factory.mktemp("job"))
            for bucket in (FAR, OWN, OPEN):
                make_bucket(bucket)
            put_folder(job.good.parent, f"s3://{FAR}/archive")
            put_folder(models_folder(tmp_path_factory.mktemp("models")), f"s3://{OPEN}/models")
        yield address, job, *services
        for service in services:
            service.close()


@pytest.fixture(scope="module")
def undisturbed(three):
    return layers(three[1].run()[0])


def job_file(three, folder, **over):
    """The small job with each part at another service."""
    _, job, far, _, anyone = three
    content = job.content()
    content["input"]["archive"] = f"s3://{FAR}/archive"
    content["input"]["cache"] = {"folder": str(folder / "cache")}
    content["models"] = {"folder": f"s3://{OPEN}/models"}
    content["residential"]["model"] = f"s3://{OPEN}/models/DEMONSTRATION_residential.skops"
    content["output"] = f"s3://{OWN}/{folder.name}"
    content["storage"] = {
        "far": {"buckets": [FAR], "endpoint": far.address, "region": "default", "keys": "env:FAR"},
        "open": {"buckets": [OPEN], "endpoint": anyone.address, "keys": "anonymous"},
    }
    for name, changes in over.items():
        content["storage"].setdefault(name, {}).update(changes)
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def launch(file, own, *options, command="run", prefixes=("FAR", "AWS"), **variables):
    """In a process of its own, as keys are remembered as long as a process lives."""
    with keys(*prefixes):
        environment = {**os.environ, "AWS_ENDPOINT_URL": own.address, **variables}
        return subprocess.run(
            [sys.executable, "-m", "ghsl_beam", command, str(file), "--quiet", *options],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
        )


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_each_part_at_its_own_service(three, undisturbed, tmp_path, mode):
    address, _, far, own, anyone = three
    for service in (far, own, anyone):
        service.refused = 0
    options = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    ended = launch(job_file(three, tmp_path), own, *options)
    assert without_progress(ended.stderr) == ""
    assert ended.returncode == 0
    assert (far.refused, own.refused, anyone.refused) == (0, 0, 0)
    assert len(far.arrivals) > 10
    with using(address):
        folder = get_folder(f"s3://{OWN}/{tmp_path.name}", tmp_path / "got")
    assert not any(differing(layers(folder), undisturbed).values())
    texts = [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
    assert not [text for text in [*texts, ended.stdout] for key in PLANTED if key in text]
    record = json.loads((folder / "run.json").read_text())
    assert [one["service"] for one in record["storage"]] == ["environment", "far", "open"]
    assert [one["keys"] for one in record["storage"]] == ["default", "env:FAR", "anonymous"]


fault("services", "keys of another service", "one line names service and variables; 2")


def test_a_key_of_another_service_is_one_line(three, tmp_path):
    file = job_file(three, tmp_path, far={"keys": "default"})
    ended = launch(file, three[3])
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert "input.archive: " in line
    assert "storage service far refuses the keys in AWS_ACCESS_KEY_ID" in line
    assert not any(planted in line for planted in PLANTED)


fault("services", "no keys", "one line names service and variables; 2")


def test_a_missing_key_is_one_line(three, tmp_path):
    ended = launch(job_file(three, tmp_path), three[3], prefixes=("AWS",))
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert "storage service far has no credentials here; set FAR_ACCESS_KEY_ID" in line


fault(
    "services",
    "more machines than a service allows connections",
    "one line says how many may work; no file of the archive is read, nothing is written; 2",
)


def test_more_machines_than_connections_are_refused(three, tmp_path):
    """Unless all that the workers would read there is in the cache."""
    _, _, far, own, anyone = three
    file = job_file(three, tmp_path, far={"connections": 4, "requests_per_minute": 2000})
    far.asked.clear()
    ended = launch(file, own, "--worker_machines=5")
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert "storage service far allows 4 connections and 2000 requests a minute" in line
    assert "lower --parallelism to 4" in line
    assert "first run `ghsl-beam fetch`" in line
    assert not [ask for ask in far.asked if ask.startswith("GET") and ".jp2" in ask]
    assert launch(file, own, command="fetch").returncode == 0
    far.asked.clear()
    ended = launch(file, own, "--worker_machines=5")
    assert without_progress(ended.stderr) == ""
    assert ended.returncode == 0
    assert not [ask for ask in far.asked if ask.startswith("GET") and ".jp2" in ask]
    anyone.asked.clear()
    file = job_file(three, tmp_path, open={"connections": 4})
    ended = launch(file, own, "--worker_machines=5")
    assert ended.returncode == 2
    assert not anyone.asked, "something was asked for before the limits were looked at"


fault(
    "services", "archive read directly at a service with limits", "one line, nothing is written; 2"
)


def test_a_direct_archive_with_limits_is_refused(three, tmp_path):
    file = job_file(three, tmp_path, far={"connections": 4})
    ended = launch(file, three[3], "--set", "input.access=direct")
    assert ended.returncode == 2
    (line,) = without_progress(ended.stderr).splitlines()
    assert f"input.access: direct: s3://{FAR}/archive is at storage service far" in line
    assert line.endswith("set input.access: download")


fault("services", "output at a service with limits", "one line, nothing is written; 2")


def test_an_output_with_limits_is_refused(three, tmp_path):
    own = {"buckets": [OWN], "endpoint": three[3].address, "connections": 4}
    ended = launch(job_file(three, tmp_path, own=own), three[3])
    assert ended.returncode == 2
    assert "output: s3://own-output/" in ended.stderr
    assert "which limits requests" in ended.stderr


def test_limits_hold_for_a_whole_job(three, undisturbed, tmp_path):
    """Archive and models lie at services with limits; two processes share them."""
    address, _, far, own, anyone = three
    content = yaml.safe_load(job_file(three, tmp_path).read_text())
    limits = {"connections": 1, "requests_per_minute": 600}
    content["storage"]["open"] |= limits
    content["storage"]["far"] |= limits
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    for front in (far, anyone):
        front.most, front.slow = 0, 0.02
    options = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    ended = launch(file, own, *options, TMPDIR=str(tmp_path))
    far.slow = anyone.slow = 0.0
    assert without_progress(ended.stderr) == ""
    assert ended.returncode == 0
    assert (far.most, anyone.most) == (1, 1)
    with using(address):
        folder = get_folder(f"s3://{OWN}/{tmp_path.name}", tmp_path / "got")
    assert not any(differing(layers(folder), undisturbed).values())
    record = json.loads((folder / "run.json").read_text())
    (told,) = [one for one in record["storage"] if one["service"] == "open"]
    expected = {**limits, "machines": 1, "connections_each": 1, "requests_per_minute_each": 543.6}
    assert {key: told[key] for key in expected} == expected


EXPIRED = (
    "the run ends with one line that names service and variables; no file is half published; a "
    "rerun with new keys continues; 1"
)
fault("services", "keys of the archive expire in the middle", EXPIRED)
fault("services", "keys of the output expire in the middle", EXPIRED)


@pytest.mark.parametrize(
    ("which", "mode", "expires"),
    [("archive", "multi_processing", (".jp2", 6)), ("output", "in_memory", ("work/blocks", 6))],
    ids=["archive", "output"],
)
def test_keys_that_expire_in_the_middle(three, undisturbed, tmp_path, which, mode, expires):
    """The run ends, no file is half published, and a rerun with new keys continues."""
    address, _, far, own, _ = three
    front = far if which == "archive" else own
    file = job_file(three, tmp_path)
    options = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
    front.expires = expires
    ended = launch(file, own, *options)
    front.expires = None
    assert ended.returncode == 1, ended.stderr
    told = ended.stderr.splitlines()
    (line,) = [line for line in told if line.startswith("ghsl-beam: ")]
    others = [text for text in told if text != line]
    # Where the output is at fault, lock, record and log cannot be written, and a warning says so.
    assert all("level=warning" in text for text in others)
    assert which == "output" or not others
    named = "storage service far" if which == "archive" else "storage service of the environment"
    assert named in line
    assert "(ExpiredToken); make new ones" in line
    assert not any(planted in line for planted in PLANTED)
    with using(address):
        broken = layers(get_folder(f"s3://{OWN}/{tmp_path.name}", tmp_path / "broken"))
        assert not any((undisturbed[path] != values).any() for path, values in broken.items())
        assert len(broken) < len(undisturbed)
        storage.remove(f"s3://{OWN}/{tmp_path.name}/work/launch.lock")  # or wait for a minute
    ended = launch(file, own, *options)
    assert without_progress(ended.stderr) == ""
    assert ended.returncode == 0
    with using(address):
        folder = get_folder(f"s3://{OWN}/{tmp_path.name}", tmp_path / "got")
    assert not any(differing(layers(folder), undisturbed).values())
