"""What the measurement of a plan reads: nothing is fetched for it."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from ghsl_beam.estimating.calibration import SCENES, _kept
from ghsl_beam.running.pipeline import assembler_of
from tests.support import plans
from transforms.elements import TEN_BANDS, RasterError, SourceFile
from transforms.storage.caching import DIRECT, Access, Cache
from transforms.work.reporter import SILENT


@dataclass(frozen=True)
class Tile:
    scenes: tuple


def scenes_of(server, number):
    """So many scenes, each with a mask and one band."""
    return tuple(
        SimpleNamespace(
            mask_file=SourceFile(f"{server}/{n}/mask", 3),
            band_files=(SourceFile(f"{server}/{n}/band", 4),),
            mask_band_files=(),
        )
        for n in range(number)
    )


def plan_of(place):
    return SimpleNamespace(job=SimpleNamespace(input=SimpleNamespace(places=(place,))))


@pytest.fixture
def some(tmp_path, monkeypatch):
    """An access whose cache has some files, and the list of these."""
    there = []
    monkeypatch.setattr(Cache, "has", lambda self, file: file in there)
    return Access(Cache(str(tmp_path / "cache"), 100)), there


def test_scenes_in_the_cache_are_read_there(some):
    access, there = some
    scenes = scenes_of("s3://eodata", 6)
    there += [file for one in scenes[1:] for file in (one.mask_file, *one.band_files)]
    there.remove(scenes[2].band_files[0])
    tile, found = _kept(Tile(scenes), plan_of("s3://eodata"), access)
    assert tile.scenes == (scenes[1], scenes[3], scenes[4])
    assert len(tile.scenes) == SCENES
    assert found is access


def test_without_them_a_service_with_limits_is_not_asked(some):
    access, _ = some
    scenes = scenes_of("s3://eodata", 6)
    with pytest.raises(RasterError, match="no scene is in the cache; `ghsl-beam fetch` fills it"):
        _kept(Tile(scenes), plan_of("s3://eodata"), access)
    for place, how in (("s3://mine", access), ("/eodata", DIRECT)):
        tile, found = _kept(Tile(scenes), plan_of(place), how)
        assert tile.scenes == scenes[:SCENES]
        assert found.cache is None


def test_it_assembles_the_bands_of_the_job(tmp_path):
    """As the run does: both make the step here."""
    given = {"composite.bands": "ten", "composite.percentile": 40}
    plan = plans.plan_of(plans.job_in(tmp_path, **given), plans.tile_plan("33UUU"))
    made = assembler_of(plan, SILENT, DIRECT)
    assert (made.bands, made.percentile) == (TEN_BANDS, 40)
    assert made.margin == plan.lines.assembly.margin > 0
