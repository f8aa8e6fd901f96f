"""What `plan` says against what is counted here, and against what a run then makes."""

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ghsl_beam.estimating.calibration import Throughput
from ghsl_beam.estimating.estimate import bytes_to_write, peak_memory, seconds_by_stage, tile_works
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.observing.progress import totals
from ghsl_beam.outputs.run_record import new_record
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.plan import make_plan
from ghsl_beam.running.pipeline import work_area
from tests.conftest import ROOT
from tests.pipeline.conftest import COLS, ROWS, ULX, ULY
from tests.support.command import without_progress
from tests.support.jobs import CLASSIFIER, NETWORK, lonlat_box
from tests.support.plans import MADE
from transforms.elements import DTYPE, NODATA, Block, Layer, RequestError

BLOCK = 512
BLOCKS = math.ceil(ROWS / BLOCK) * math.ceil(COLS / BLOCK)


def planned(job_file, *options):
    command = [sys.executable, "-m", "ghsl_beam", "plan", str(job_file), *map(str, options)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, without_progress(ended.stderr)) == (0, "")
    return ended.stdout


def tree(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def bytes_of_bands(archive):
    return sum(
        path.stat().st_size
        for path in archive.rglob("*.jp2")
        if path.stem[-3:] in ("B02", "B03", "B04", "B08")
    )


@pytest.fixture(scope="module")
def fresh(job_file, archive, tmp_path_factory):
    """The plan of a job that nothing exists of; the folders before and after."""
    folder = tmp_path_factory.mktemp("plan")
    temporary = tmp_path_factory.mktemp("temporary")
    before = tree(folder), tree(archive), tree(job_file.parent)
    os.environ["TMPDIR"], old = str(temporary), os.environ.get("TMPDIR")
    try:
        text = planned(job_file, "--json", "--output", folder / "output")
    finally:
        os.environ.pop("TMPDIR") if old is None else os.environ.update(TMPDIR=old)
    after = tree(folder), tree(archive), tree(job_file.parent)
    assert list(temporary.iterdir()) == [], "the calibration left something behind"
    return json.loads(text), before, after


def test_it_writes_nothing(fresh):
    _, before, after = fresh
    assert before == after


def test_tiles_scenes_blocks_and_bytes(fresh, archive):
    content, _, _ = fresh
    (tile,) = content["tiles"]
    assert (tile["tile"], tile["zone"]) == ("33UUU", "33U")
    assert tile["model"] == "STARTER_MODEL_CNN.h5"
    (scene,) = tile["scenes"]
    assert scene["sensing"].startswith("2020-06-15")
    assert scene["cloud_cover"] == 0
    assert tile["blocks"] == BLOCKS
    assert tile["blocks_to_do"] == {"assembly": BLOCKS, "inference": BLOCKS, "layers": BLOCKS}
    assert tile["bytes_to_read"] == bytes_of_bands(archive)
    assert tile["exists"] == []


def test_the_estimate_says_what_it_rests_on(fresh):
    estimate = fresh[0]["estimate"]
    assert estimate["seconds"] == pytest.approx(sum(estimate["stages"].values()), abs=0.1)
    assert estimate["hours"] == pytest.approx(estimate["seconds"] / 3600, abs=0.001)
    assert {"assembly", "inference", "classification", "aggregation"} <= set(estimate["stages"])
    assert min(estimate["stages"].values()) >= 0
    assert estimate["peak_bytes_a_worker"] > 100e6
    assert "one process on this machine" in estimate["basis"]
    assert "33UUU" in estimate["basis"]


def test_bytes_to_write_are_near_what_is_written(fresh, made):
    output, _ = made
    written = sum(path.stat().st_size for path in output.glob("*/**/*.tif"))
    assert written / 2 < fresh[0]["estimate"]["bytes_to_write"] < written * 2


def test_half_an_area_reads_less(job_file, archive, tmp_path):
    """The west 256 columns of the scene: blocks of 256 in one column of three, and a halo."""
    area = lonlat_box(32633, ULX, ULY - 10 * ROWS, ULX + 2500, ULY)
    job = load_job(
        job_file, (f"area={{wkt: '{area}'}}", "block_size=256"), str(tmp_path / "output")
    )
    plan = make_plan(job)
    (tile,) = plan.tiles
    (work,) = tile_works(read_inventory(plan))
    window = tile.window
    share = window.height * window.width / (ROWS * COLS)
    assert share < 0.3
    assert work.by_line[plan.lines.inference].total == len(list(window.split(256)))
    to_read = work.bytes_to_read(plan.lines.assembly)
    assert to_read == pytest.approx(share * bytes_of_bands(archive), rel=1e-6)


def test_what_exists_costs_nothing(job_file, made):
    content = json.loads(planned(job_file, "--json"))
    (tile,) = content["tiles"]
    assert set(tile["exists"]) == {str(layer) for layer in MADE}
    assert set(tile["blocks_to_do"].values()) == {0}
    assert tile["bytes_to_read"] == 0
    assert content["estimate"]["seconds"] is None
    assert content["estimate"]["basis"] == "nothing to do"
    assert [grid["missing"] for grid in content["grids"]] == [0]


@pytest.mark.parametrize(
    ("setting", "layer"),
    [("residential.smoothing=none", Layer.RES_NRES), ("greenness.minimum=0.4", Layer.GREENNESS)],
)
def test_a_changed_key_of_one_layer_costs_that_layer(job_file, made, setting, layer):
    (before,) = json.loads(planned(job_file, "--json"))["tiles"]
    (after,) = json.loads(planned(job_file, "--json", "--set", setting))["tiles"]
    assert set(after["exists"]) == set(before["exists"]) - {layer} != set(before["exists"])


def test_a_product_that_is_gone_is_all_that_costs(job_file, made, tmp_path):
    output, _ = made
    shutil.copytree(output, tmp_path / "output")
    next((tmp_path / "output").glob("utm/33UUU/GREENNESS_*")).unlink()
    plan = make_plan(load_job(job_file, (), str(tmp_path / "output")))
    inventory = read_inventory(plan)
    (work,) = tile_works(inventory)
    assert [len(work.by_line[line].todo) for line in plan.lines] == [0, 0, BLOCKS]
    assert work.bytes_to_read(plan.lines.assembly) == 0
    assert totals(inventory) == {"greenness": BLOCKS, "publish": 1}


def test_stored_blocks_count_as_done(job_file, tmp_path):
    plan = make_plan(load_job(job_file, (), str(tmp_path / "output")))
    (tile,) = plan.tiles
    work = work_area(plan)
    work.plans.write(tile)
    first, other = (Block(tile.tile, window) for window in list(tile.window.split(BLOCK))[:2])
    for layer in (Layer.S2, Layer.S2_COUNT, Layer.S2_QUALITY):
        shape = (512, 512) if len(layer.spec.bands) == 1 else (len(layer.spec.bands), 512, 512)
        array = np.full(shape, NODATA[layer], DTYPE[layer])
        work.blocks.write(layer, first, array, whole=True)
    work.blocks.write(Layer.S2, other, np.zeros((4, *other.window.shape), "uint16"), whole=True)
    left = tile_works(read_inventory(plan))[0].by_line[plan.lines.assembly].todo
    assert first not in left
    assert other in left, "two of its layers are not stored"
    assert len(left) == BLOCKS - 1


SPEED = Throughput(
    start_up=5,
    masks=1e-8,
    assembly=1e-6,
    prediction=1e-5,
    layers=1e-7,
    classification=1e-6,
    storing=1e-8,
    publishing=1e-7,
    chunk=1e-7,
    cell=2,
    grid_file=0.1,
    product=0.5,
    product_bytes=dict.fromkeys(Layer, 2.0),
    cell_bytes=1000,
    scenes=1,
    peak_bytes=10**9,
)


def test_seconds_follow_from_the_throughput(job_file, tmp_path):
    plan = make_plan(load_job(job_file, (), str(tmp_path / "output")))
    inventory = read_inventory(plan)
    works = tile_works(inventory)
    found = seconds_by_stage(inventory, works, SPEED)
    pixels = ROWS * COLS
    area = pixels  # the area of interest reaches past the scene: what is past it costs nothing
    assert found["start"] == 5
    assert found["assembly"] == pytest.approx(pixels * 1e-6, abs=0.01)
    assert found["inference"] == pytest.approx(area * 1e-5, abs=0.01)
    assert found["store"] == pytest.approx(pixels * 7e-8, abs=0.01)
    cells = len(plan.grids[0].cells)
    assert found["aggregation"] == pytest.approx(2 * cells + area * 1e-7, abs=0.01)
    assert found["publish"] == pytest.approx(pixels * 7e-7 + 6 * 0.1, abs=0.01)
    assert found["catalogue and report"] == pytest.approx((7 + 6) * 0.5)
    assert bytes_to_write(inventory, works, SPEED) == pytest.approx(14 * area + 1000 * cells, abs=2)


def test_more_scenes_take_more_memory_up_to_a_bound(job_file, tmp_path):
    plan = make_plan(load_job(job_file, (), str(tmp_path / "output")))
    (tile,) = plan.tiles
    several = [
        peak_memory(replace(plan, tiles=(replace(tile, scenes=tile.scenes * n),)), SPEED)
        for n in (1, 2, 10, 100, 1000)
    ]
    assert several[0] == SPEED.peak_bytes
    assert several == sorted(several)
    assert several[1] > several[0]
    assert several[-1] == several[-2] <= several[0] + 320 * 2**20


def test_for_people(job_file, tmp_path):
    text = planned(job_file, "--output", tmp_path / "output")
    for part in ("33UUU", "2020-06-15", "to read", "to write", "memory of a worker", "time: about"):
        assert part in text
    assert not (tmp_path / "output").exists()


def test_the_models_of_this_program_by_another_name_are_theirs_still(job_file, tmp_path):
    shutil.copy(NETWORK, tmp_path / "MODEL_CNN_33U.h5")
    shutil.copy(CLASSIFIER, tmp_path / "own.skops")
    settings = (f"models={{folder: {tmp_path}}}", f"residential.model={tmp_path / 'own.skops'}")
    plan = make_plan(load_job(job_file, settings, str(tmp_path / "output")))
    said = "model MODEL_CNN_33U.h5 is the starter network of ghsl-beam, not a model of the JRC"
    assert any(warning.startswith(said) for warning in plan.warnings)
    assert "classifier own.skops is a demonstration" in plan.warnings
    record = new_record(plan)
    assert record["tiles"][0]["model"]["origin"] == "starter"
    assert record["tiles"][0]["model"]["demonstration"] is False
    assert record["classifier"]["demonstration"] is True


def test_keys_that_the_starter_network_makes_useless_are_named(job_file, tmp_path):
    models = "models={starter: true, folder: elsewhere, fallback: nearest}"
    plan = make_plan(load_job(job_file, (models,), str(tmp_path / "output")))
    assert {model.file for model in plan.models} == {"STARTER_MODEL_CNN.h5"}
    assert "models.folder, models.fallback: not used, because of models.starter" in plan.warnings


def test_the_starter_classifier_is_used_if_the_starter_models_are_asked_for(job_file, tmp_path):
    output = str(tmp_path / "output")
    plan = make_plan(load_job(job_file, ("residential.model=null",), output))
    record = new_record(plan)
    assert record["classifier"]["file"] == "STARTER_residential.skops"
    assert record["classifier"]["origin"] == "starter"
    said = "classifier STARTER_residential.skops is the starter classifier of ghsl-beam, not of the"
    assert len([warning for warning in plan.warnings if warning.startswith(said)]) == 1
    assert not any("another network" in warning for warning in plan.warnings)
    credit = (
        "classifier STARTER_residential.skops: starter classifier of ghsl-beam, not of the JRC: "
    )
    assert credit in record["credits"][-1]
    (tile,) = plan.tiles
    assert credit in tile.tags[Layer.RES_NRES]["CREDITS"]
    assert tile.tags[Layer.RES_NRES]["CLASSIFIER_ORIGIN"] == "starter"
    assert "classifier" not in tile.tags[Layer.BUFRAC]["CREDITS"]
    for grid in plan.grids:
        for cell in grid.spec.cells:
            assert credit in " ".join(cell.class_credits)
            assert "classifier" not in " ".join(cell.credits), "it has no part in BUILT_S"
    with pytest.raises(
        RequestError, match=r"residential: no model is given; give the file of a cl"
    ):
        load_job(job_file, ("residential.model=null", "models.starter=false"), output)


def test_the_network_of_earlier_demonstrations_is_still_found(job_file, tmp_path):
    folder = ROOT / "examples" / "models"
    models = f"models={{folder: {folder}, prefix: DEMONSTRATION_}}"
    plan = make_plan(load_job(job_file, (models,), str(tmp_path / "output")))
    assert "model DEMONSTRATION_MODEL_CNN_33U.h5 is a demonstration" in plan.warnings
