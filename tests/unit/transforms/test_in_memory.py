"""Every stage runs on elements made in memory: no job, no plan, no work area."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
import shapely

from tests.support import jobs
from tests.support.archive import Product, write_product
from tests.support.scenes import town
from transforms.aggregation import cells_of_source, ghsl_mollweide
from transforms.aggregation.in_memory import ReprojectAndAggregate, source_of
from transforms.assembly import assemble_block, read_scene
from transforms.assembly.transform import AssembleScenes
from transforms.classification.transform import ClassifyResidential
from transforms.cleaning import CleaningParameters, clean
from transforms.cleaning.transform import CleanBuiltUp
from transforms.elements import BlockTask, Layer, Pixels, SceneError, utm_grid
from transforms.greenness import GreennessParameters
from transforms.greenness.transform import MeasureGreenness
from transforms.inference.handler import GhsS2NetHandler
from transforms.inference.transform import PredictBuiltUp

GRID = utm_grid(32633, 330000, 5820000, 96, 120)
NETWORK = str(jobs.NETWORK)
CLASSIFIER = str(jobs.CLASSIFIER)
KEPT = []
LEFT_HALF = shapely.box(330000, 5819040, 330600, 5820000)


@pytest.fixture(autouse=True)
def _nothing_of_a_job(monkeypatch, tmp_path):
    """Whatever would be written beside the test shows in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GHSL_BEAM_EVENTS", raising=False)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    product = Product("33UUU", 32633, 330000, 5820000, town(96, 120))
    return read_scene(str(write_product(folder, product)))


def outputs(elements, transform, main="pixels"):
    """What a transform makes of elements in a pipeline: main outputs, and losses."""
    KEPT.clear()
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        made = pipeline | beam.Create(elements) | transform
        for name in (main, "losses"):
            _ = made[name] | name >> beam.Map(keep, name)
    return [[element for of, element in KEPT if of == name] for name in (main, "losses")]


def keep(element, name):
    """The pipeline runs in this process."""
    KEPT.append((name, element))


def test_scenes_become_a_composite(scene, tmp_path):
    (pixels,), losses = outputs([BlockTask.of([scene], GRID)], AssembleScenes())
    assert losses == []
    assert pixels.grid == GRID
    assert np.array_equal(pixels[Layer.S2], assemble_block([scene], GRID).composite)
    (cut,), _ = outputs([BlockTask.of([scene], GRID, LEFT_HALF)], AssembleScenes())
    assert not cut[Layer.S2][:, :, 60:].any()
    assert np.array_equal(cut[Layer.S2][:, :, :60], pixels[Layer.S2][:, :, :60])
    assert not list(tmp_path.iterdir())


def test_a_scene_that_cannot_be_read_is_a_loss(scene):
    bad = dataclasses.replace(scene, id="BAD", bands=("/absent", *scene.bands[1:]))
    (pixels,), (loss,) = outputs([BlockTask.of([bad], GRID)], AssembleScenes())
    assert (loss.stage, loss.tile, loss.scene) == ("assembly", "33UUU", "BAD")
    assert not pixels.whole
    with pytest.raises(ValueError, match="has no plan of its tile"):
        next(AssembleScenes().assemble(BlockTask(pixels.block)))


def test_a_composite_becomes_a_prediction_and_that_all_layers(scene):
    s2 = assemble_block([scene], GRID).composite
    handler = GhsS2NetHandler((("33U", NETWORK),))
    (whole,), losses = outputs([Pixels.of("33UUU", GRID, S2=s2)], PredictBuiltUp(handler))
    assert losses == []
    (cut,), _ = outputs([Pixels.of("33UUU", GRID, LEFT_HALF, S2=s2)], PredictBuiltUp(handler))
    raw = whole[Layer.BUFRAC_RAW]
    assert 0 < np.where(raw == 65535, 0, raw).max() <= 10_000
    assert (cut[Layer.BUFRAC_RAW][:, 60:] == 65535).all()
    assert np.array_equal(cut[Layer.BUFRAC_RAW][:, :60], raw[:, :60])

    parameters = CleaningParameters(minimum=0.01, ndvi_above=None, minimum_pixels=None)
    pixels = Pixels.of("33UUU", GRID, S2=s2, BUFRAC_RAW=raw)
    for stage in (
        CleanBuiltUp(parameters),
        ClassifyResidential(CLASSIFIER),
        MeasureGreenness(GreennessParameters(100.0)),
    ):
        (pixels,), losses = outputs([pixels], stage)
        assert losses == []
    assert np.array_equal(pixels[Layer.BUFRAC], clean(raw, s2, parameters))
    assert {1, 2} & set(np.unique(pixels[Layer.RES_NRES]))
    assert (pixels[Layer.GREENNESS] != -32768).any()

    grid = ghsl_mollweide()
    (cell, *_) = cells_of_source(grid, source_of(pixels))
    chunks, losses = outputs(
        [(grid.cell_key(cell), [pixels])], ReprojectAndAggregate(grid), "chunks"
    )
    assert losses == []
    built = sum(int(chunk.levels[-1].layers["BUILT_S"].max() > 0) for _, chunk in chunks)
    assert built > 0


def test_a_zone_without_a_model_and_a_model_that_is_none_are_told(scene, tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"no model")
    handler = GhsS2NetHandler((("33U", str(tmp_path / "broken.h5")),))
    s2 = assemble_block([scene], GRID).composite
    pixels, (loss,) = outputs([Pixels.of("33UUU", GRID, S2=s2)], PredictBuiltUp(handler))
    assert pixels == []
    assert (loss.stage, loss.tile) == ("inference", "33UUU")
    assert "broken.h5" in loss.file


def test_a_scene_of_another_zone_is_set_aside(scene):
    made = assemble_block([scene], utm_grid(32632, 330000, 5820000, 96, 120))
    ((failed, error),) = made.failures
    assert failed == scene
    assert isinstance(error, SceneError)
    assert "EPSG:32633, expected EPSG:32632 of the tile" in str(error)
