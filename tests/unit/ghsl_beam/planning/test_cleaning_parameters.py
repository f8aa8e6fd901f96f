"""The job's settings of the cleaning, in the cleaning's units."""

import numpy as np
import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.lines import cleaning_parameters
from tests.support.jobs import write_job
from transforms.rasters.sieve import small_components

BOX = "POLYGON ((12 52, 12.1 52, 12.1 52.1, 12 52))"


@pytest.mark.parametrize("size", [None, 0, 1, 99, 100, 101, 400, 450, 499, 500, 10_000_000])
def test_a_component_under_the_size_goes(tmp_path, size):
    cleaning = {"minimum_area_m2": size}
    file = write_job(tmp_path, BOX, tmp_path, cleaning=cleaning)
    found = cleaning_parameters(load_job(file)).minimum_pixels
    if not size:
        assert found is None
        return
    support = np.zeros((12, 12), bool)
    for row, pixels in ((0, 1), (2, 2), (4, 4), (6, 5), (8, 6)):
        support[row, :pixels] = True
    kept = support & ~small_components(support, found)
    for row, area in ((0, 100), (2, 200), (4, 400), (6, 500), (8, 600)):
        assert kept[row].any() == (area >= size)
