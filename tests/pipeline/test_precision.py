"""The two precisions of prediction through the whole job."""

import shutil

import numpy as np
import pytest
import rasterio

from tests.support.jobs import differing, layers, make
from transforms.inference.engines import choose

RAW = "utm/33UUU/BUFRAC_RAW_E2020_town_33UUU.tif"


@pytest.fixture(scope="module")
def made_fast(job_file, tmp_path_factory):
    settings = (f"output={tmp_path_factory.mktemp('fast') / 'output'}", "models.precision=fast")
    return make(job_file, settings=settings)


def test_the_record_and_the_layer_name_the_engine(made, made_fast):
    for (output, record), asked in ((made, "exact"), (made_fast, "fast")):
        chosen = choose(asked)
        assert record["prediction"] == {
            "asked": asked,
            "precision": chosen.precision,
            "engine": chosen.engine,
        }
        with rasterio.open(output / RAW) as source:
            assert chosen.engine in source.tags().values()
        counted = record["stages"]["inference"]
        assert counted[f"blocks_{chosen.engine}"] == counted["blocks"]


def test_fast_keeps_to_its_bounds(made, made_fast):
    exact, fast = (layers(output)[RAW].astype(int) for output, _ in (made, made_fast))
    np.testing.assert_array_equal(exact == 65535, fast == 65535)
    difference = np.abs(exact - fast)[exact != 65535]
    assert difference.max() <= 150
    assert difference.mean() <= 2
    if choose("fast").precision == "fast":
        assert difference.any(), "fast was exact: nothing was tested"


def test_fast_has_no_seams_either(made_fast, job_file, tmp_path):
    settings = (f"output={tmp_path / 'other'}", "models.precision=fast", "block_size=200")
    other, record = make(job_file, settings=settings)
    assert record["exit_code"] == 0
    assert set(differing(layers(made_fast[0]), layers(other)).values()) == {0}


def test_another_precision_predicts_anew(made, job_file, tmp_path):
    """The composite is kept; the prediction and what follows are made again."""
    if choose("fast") == choose("exact"):
        pytest.skip("this machine has one engine for both precisions")
    shutil.copytree(made[0], tmp_path / "copy")
    settings = (f"output={tmp_path / 'copy'}", "models.precision=fast")
    _, record = make(job_file, settings=settings)
    assert "assembly" not in record["stages"]
    assert record["stages"]["inference"]["blocks"] > 0
