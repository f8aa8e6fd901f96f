"""Which services of a job its machines share, without a run."""

from apache_beam.options.pipeline_options import PipelineOptions

from ghsl_beam.jobfile.configuration import make_job
from ghsl_beam.runners.beam_options import ClusterOptions
from ghsl_beam.running.shares import _divided
from tests.support.jobs import CLASSIFIER


def test_every_place_of_an_api_is_shared():
    """The products of an API may lie at two services, and each has its own limits."""
    l1c = {"name": "sentinel-2-l1c", "roots": ["s3://one/s2", "s3://two/s2"], "safe": True}
    job = {
        "name": "town",
        "area": {"bbox": [12, 52, 13, 53]},
        "period": 2020,
        "input": {
            "source": "stac",
            "api": {"name": "mine", "address": "https://stac.example.org", "l1c": l1c},
        },
        "residential": {"model": str(CLASSIFIER.with_name("x.skops"))},
        "storage": {
            name: {"buckets": [name], "endpoint": f"https://{name}.example.org", "connections": 8}
            for name in ("one", "two")
        },
        "output": "s3://mine/run",
    }
    options = PipelineOptions()
    options.view_as(ClusterOptions).worker_machines = 4
    for archive in (True, False):
        shared = _divided(make_job(job, {}), options, archive=archive)
        slots = {one.name: one.slots for one in shared.known}
        assert (slots["one"], slots["two"]) == (2, 2)
