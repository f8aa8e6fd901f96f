"""MaskScenes: one mask a scene, made once; the scenes of a tile in the order of their use."""

from dataclasses import replace
from datetime import UTC, datetime

import apache_beam as beam
import pytest

from transforms.assembly.masks import transform
from transforms.assembly.masks.choice import ChoiceParameters, Order
from transforms.assembly.masks.mask_files import MaskFiles
from transforms.assembly.masks.parameters import MaskParameters
from transforms.assembly.masks.transform import MaskScenes
from transforms.elements import RasterError, StoredTile
from transforms.work.work_area import WorkArea

KEPT = []
PRODUCT = MaskParameters()
CHOICE = ChoiceParameters(Order.CLEAREST, datetime(2020, 6, 18, tzinfo=UTC))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Runs the stage for a plan; returns tiles, losses and the numbers of the masks made."""
    real, numbers = transform.make_mask, []

    def counted(scene, plan, *args):
        numbers.append(plan.scenes.index(scene))
        return real(scene, plan, *args)

    monkeypatch.setattr(transform, "make_mask", counted)

    def run(plan, parameters=PRODUCT, choice=CHOICE):
        KEPT.clear()
        numbers.clear()
        work = WorkArea(str(tmp_path / "work"), launch=str(id(plan)))
        work.plans.write(plan)
        files = MaskFiles(str(tmp_path), "E2020_town")
        stage = MaskScenes(work, files, parameters, choice)
        with beam.Pipeline(runner="DirectRunner") as pipeline:
            found = pipeline | beam.Create([StoredTile(plan.tile)]) | stage
            for name in ("tiles", "losses"):
                _ = found[name] | name >> beam.Map(keep, name)
        tiles, losses = ([one for of, one in KEPT if of == name] for name in ("tiles", "losses"))
        return tiles, losses, sorted(numbers)

    return run


def keep(element, name):
    """The pipeline runs in this process."""
    KEPT.append((name, element))


def test_a_mask_is_made_once(made, plan):
    (tile,), losses, numbers = made(plan)
    assert losses == []
    assert numbers == list(range(6))
    assert tile.whole
    assert sorted(tile.scenes) == list(range(6))
    assert made(plan) == ([tile], [], [])
    assert made(plan, replace(PRODUCT, cloud_m=20))[2] == list(range(6))


def test_a_further_scene_makes_one_mask_more(made, plan):
    few = replace(plan, scenes=plan.scenes[1:])
    assert made(few)[2] == list(range(5))
    assert made(plan)[2] == [0]


def test_a_scene_that_cannot_be_masked_is_lost_and_the_others_are_used(made, plan, tmp_path):
    bad = replace(plan.scenes[3], mask=str(tmp_path / "absent.gml"))
    (tile,), (loss,), _ = made(replace(plan, scenes=(*plan.scenes[:3], bad, *plan.scenes[4:])))
    assert (loss.stage, loss.scene, loss.tile) == ("assembly", bad.id, "33UUU")
    assert loss.file == bad.mask
    assert not tile.whole
    assert sorted(tile.scenes) == [0, 1, 2, 4, 5]


def test_a_tile_without_any_mask_goes_on_without_scenes(made, plan, tmp_path):
    bad = tuple(replace(scene, mask=str(tmp_path / "absent.gml")) for scene in plan.scenes)
    (tile,), losses, _ = made(replace(plan, scenes=bad))
    assert tile.scenes == ()
    assert not tile.whole
    assert len(losses) == 6


def test_a_mask_that_cannot_be_read_loses_the_tile(made, plan, monkeypatch):
    def fails(*args):
        raise RasterError("a mask: cannot be read")

    monkeypatch.setattr(transform, "choose_scenes", fails)
    tiles, (loss,), _ = made(plan)
    assert tiles == []
    assert (loss.stage, loss.reason) == ("assembly", "a mask: cannot be read")
