"""The whole job in buckets: archive, models, classifier, work area and products."""

import pytest
import yaml

from ghsl_beam.configuration import load_job
from ghsl_beam.launch import run
from tests.support.jobs import MODELS, differing, layers
from tests.support.object_storage import (
    get_folder,
    make_bucket,
    put_folder,
    s3_service,
    using,
)
from transforms.raster import storage


@pytest.fixture(scope="module")
def bucket():
    with s3_service() as address, using(address):
        yield make_bucket("products")


@pytest.fixture(scope="module")
def job_in_bucket(bucket, job_file, archive, tmp_path_factory):
    """The job of the other tests, with everything it reads and writes in the bucket."""
    content = yaml.safe_load(job_file.read_text())
    eodata = put_folder(archive, f"{bucket}/eodata/Sentinel-2/MSI/L1C/2020/06/15")
    models = put_folder(MODELS, f"{bucket}/models")
    content["input"]["archive"] = eodata.partition("/Sentinel-2")[0]
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
