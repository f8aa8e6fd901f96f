from pathlib import Path

import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.scenes.access import access_kind
from ghsl_beam.planning.scenes.catalogue import catalogue_of

EXAMPLES = Path(__file__).resolve().parents[5] / "examples"
COPERNICUS = "https://stac.dataspace.copernicus.eu/v1/"
EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
ODATA = "https://catalogue.dataspace.copernicus.eu/odata/v1"
GOOGLE = "s3://gcp-public-data-sentinel-2/tiles"
COGS = "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a"


@pytest.mark.parametrize(
    ("example", "asked", "place", "access"),
    [
        ("copernicus", COPERNICUS, "s3://eodata", "download"),
        ("creodias", ODATA, "/eodata", "direct"),
        ("google", GOOGLE, GOOGLE, "download"),
        ("earth-search", EARTH_SEARCH, COGS, "direct"),
    ],
)
def test_the_examples_ask_and_read_where_they_say(example, asked, place, access):
    job = load_job(EXAMPLES / f"{example}.yaml")
    assert catalogue_of(job.input).place == asked
    assert (job.input.place, access_kind(job)) == (place, access)
