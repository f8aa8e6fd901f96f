"""The laws of the lines: who makes a layer, and what is there when a line reads it."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from ghsl_beam.jobfile.sections import Composite
from ghsl_beam.planning.lines import cleaning_parameters, greenness_parameters, lines_of
from tests.support.plans import CLASSIFIER, job_in, plan_of, tile_plan
from transforms.classification import smoothing_halo
from transforms.elements import DTYPE, LAYERS, NODATA, GridLayer, Layer, Overviews
from transforms.inference.predict import CONTEXT


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path)


@pytest.fixture
def lines(job):
    return lines_of(job, CLASSIFIER.halo)


@pytest.mark.parametrize("calibration", [None, "calibration.json"])
def test_each_layer_is_made_by_exactly_one_line(tmp_path, calibration):
    lines = lines_of(job_in(tmp_path, **{"models.calibration": calibration}), CLASSIFIER.halo)
    made = [layer for line in lines for layer in line.makes]
    asked = {layer for layer in Layer if not layer.spec.optional}
    expected = asked - (set() if calibration else {Layer.BUFRAC_SD})
    assert sorted(made) == sorted(expected)
    for layer in made:
        (maker,) = (line for line in lines if layer in line.makes)
        assert maker.name == layer.spec.line
        assert lines.maker(layer) is maker


def test_ten_bands_are_a_layer_more(job):
    ten = job.model_copy(update={"composite": Composite(bands="ten")})
    makes = lines_of(ten, CLASSIFIER.halo).assembly.makes
    assert makes == (Layer.S2, Layer.S2_20M, Layer.S2_COUNT, Layer.S2_QUALITY)


def test_each_layer_in_time_is_made_if_it_is_asked_for(job):
    asked = job.model_copy(update={"composite": Composite(layers=["day", "ndvi"])})
    makes = lines_of(asked, CLASSIFIER.halo).assembly.makes
    assert set(makes) == {Layer.S2, Layer.S2_COUNT, Layer.S2_QUALITY, Layer.S2_NDVI, Layer.S2_DAY}


def test_no_line_of_the_tiles_makes_a_layer_of_a_grid(lines):
    assert {layer.spec.line for layer in GridLayer}.isdisjoint(line.name for line in lines)


def test_a_line_reads_only_layers_that_an_earlier_line_makes(lines):
    made = set()
    for line in lines:
        assert set(line.reads) <= made
        made |= set(line.makes)
    assert lines.assembly.reads == (), "scenes are no layer"


def test_a_line_goes_through_the_stages_of_its_layers(lines):
    assert [line.stages for line in lines] == [
        ("assembly",),
        ("inference",),
        ("cleaning", "classification", "greenness"),
    ]


def test_what_the_network_reads_beside_the_area_is_assembled(lines):
    """The network looks at a block that begins one pixel beside the area."""
    assert lines.assembly.margin >= lines.inference.halo == CONTEXT
    whole = tile_plan("33UUU")
    left, bottom, _, top = whole.area.bounds
    area = shapely.box(left, bottom, left + 10 * 31, top)
    tile = replace(whole, area_wkb=shapely.to_wkb(area, hex=True))
    last = [max(block.window.col for block in line.blocks(tile, 16)) for line in lines]
    assert last == [32, 16, 16]


def test_the_last_line_looks_as_far_as_its_stages(job):
    for settings in ({"greenness.radius_m": 20}, {"cleaning.minimum_area_m2": 5000}):
        changed = job_in(Path(job.output).parent, **settings)
        clean = cleaning_parameters(changed).halo
        green = greenness_parameters(changed).halo
        for smoothing in ("none", "majority", "objects"):
            smoothed = job_in(
                Path(job.output).parent, **settings, **{"residential.smoothing": smoothing}
            )
            reach = smoothing_halo(smoothing)
            for classes in (1, 1000):
                expected = clean + max(classes + reach, green)
                assert lines_of(smoothed, classes).layers.halo == expected


def test_a_plan_gives_the_lines_of_its_job_and_its_classifier(job):
    plan = plan_of(job, tile_plan("33UUU"))
    assert plan.lines == lines_of(job, plan.classifier.halo)
    far = replace(plan, classifier=replace(plan.classifier, halo=1000))
    reach = smoothing_halo(job.residential.smoothing)
    assert far.lines.layers.halo == cleaning_parameters(job).halo + 1000 + reach


def test_the_facts_of_a_layer_stand_in_its_entry():
    assert list(LAYERS) == [*Layer, "BUILT_S", "BUILT_S_NRES", "BUILT_C_FUN"]
    for layer in (*Layer, *GridLayer):
        assert layer.spec.name == layer == LAYERS[layer].name
        assert len(set(layer.spec.bands)) == len(layer.spec.bands) > 0
        assert (layer.spec.overviews is Overviews.MODE) == bool(layer.spec.picture.classes)
    for layer in Layer:
        limits = np.iinfo(DTYPE[layer])
        assert limits.min <= NODATA[layer] <= limits.max
        assert pickle.loads(pickle.dumps(layer)) is layer  # noqa: S301 - its own bytes
        assert Layer(str(layer)) is layer
