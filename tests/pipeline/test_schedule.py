"""What a scheduler relies on: the same launch again does nothing, soon, and says so."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date

from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, make, write_job
from tests.support.scenes import town
from tests.support.tile_plans import tile_plan
from transforms.observe.events import FOLDER
from transforms.work import work_files
from transforms.work.plans import Plans

LEFT, TOP = 330000, 5820000


def launch(file, *options):
    command = [sys.executable, "-m", "ghsl_beam", "run", str(file), *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def stamps(output):
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def test_a_relative_period_is_that_of_its_dates(made, job_file):
    output, first = made
    before = stamps(output)
    _, record = make(job_file, settings=("period=last_month",), today=date(2020, 7, 31))
    assert (record["exit_code"], record["computed"]) == (0, 0)
    assert record["reused"] == first["computed"]
    assert record["configuration"]["period"] == {"start": "2020-06-01", "end": "2020-06-30"}
    assert stamps(output) == before


def test_a_launch_that_finds_nothing_new_says_so(made, job_file):
    output, first = made
    before = stamps(output)
    ended = launch(job_file, "--set", "period=last_quarter", "--today", "2020-08-01")
    assert ended.returncode == 0, ended.stderr
    assert f"nothing to do: all {first['computed']} products exist" in ended.stdout
    assert stamps(output) == before


def test_what_goes_with_the_layers_is_made_again_where_it_is_missing(tmp_path):
    write_product(tmp_path / "archive", Product("33UUU", 32633, LEFT, TOP, town(64, 64)))
    area = lonlat_box(32633, LEFT, TOP - 640, LEFT + 640, TOP)
    grids = [{"crs": "ESRI:54009", "resolutions": [10, 100]}]
    output, first = make(write_job(tmp_path, area, tmp_path / "archive", grids=grids))
    mosaic, *_ = output.glob("grid/*/*.vrt")
    before = stamps(output)
    for paths in ([mosaic, output / "report/index.html"], [output / "catalog.json"], []):
        contents = {path: path.read_bytes() for path in paths}
        for path in paths:
            path.unlink()
        work_files.claim(str(output / "work"))
        (output / "work" / "events").mkdir(parents=True)
        _, record = make(tmp_path / "job.yaml")
        assert (record["exit_code"], record["computed"]) == (0, 0)
        assert {path: path.read_bytes() for path in paths} == contents
        assert not (output / "work").exists()
        assert before.keys() == stamps(output).keys()
        stored = json.loads((output / "run.json").read_text())
        assert stored["computed"] == first["computed"], "the record of what made the layers stays"
    before = stamps(output)
    make(tmp_path / "job.yaml")
    assert stamps(output) == before


def test_what_another_job_left_stays_as_it_is(made, job_file, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    output, _ = made
    work_files.claim(str(output / "work"))
    Plans(str(output / "work")).write(tile_plan("33UVU", 4 * 10**5))
    before = stamps(output)
    assert make(job_file)[1]["computed"] == 0
    assert stamps(output) == before
    shutil.rmtree(output / "work")


def test_a_whole_run_removes_what_is_its_own_alone(tmp_path):
    write_product(tmp_path / "archive", Product("33UUU", 32633, LEFT, TOP, town(64, 64)))
    area = lonlat_box(32633, LEFT, TOP - 640, LEFT + 640, TOP)
    file = write_job(tmp_path, area, tmp_path / "archive")
    work = tmp_path / "output" / "work"
    work_files.claim(str(work))
    Plans(str(work)).write(tile_plan("33UVU", 4 * 10**5))
    block = work / "blocks" / "S2" / "33UVU" / "r0_c0_64x64.tif"
    block.parent.mkdir(parents=True)
    block.write_bytes(b"made")
    output, record = make(file)
    assert record["exit_code"] == 0
    assert [path.name for path in (work / "plan").iterdir()] == ["33UVU.json"]
    assert [path for path in work.glob("blocks/*/*/*") if path.is_file()] == [block]
    before = stamps(output)
    make(file)
    assert stamps(output) == before


def test_every_period_has_its_own_output(made, job_file, tmp_path):
    shutil.copytree(made[0], tmp_path / "2020-06")
    where = f"output={tmp_path}/{{period}}"
    june, july = date(2020, 7, 1), date(2020, 8, 1)
    output, record = make(job_file, settings=("period=last_month", where), today=june)
    assert (output, record["computed"]) == (tmp_path / "2020-06", 0)
    written = json.loads((output / "run.json").read_text())
    assert written["configuration"]["period"] == {"start": "2020-06-01", "end": "2020-06-30"}
    ended = launch(job_file, "--set", "period=last_month", "--set", where, "--today", str(july))
    assert ended.returncode == 2, ended.stdout
    assert "no L1C scene" in ended.stderr
    assert "from 2020-07-01 to 2020-07-31" in ended.stderr
    assert not (tmp_path / "2020-07").exists()


def test_losses_of_another_job_of_the_same_output_are_its_own(tmp_path):
    """Two periods in one output: what July lost stays July's."""
    dn = town(64, 64)
    for day in (date(2020, 6, 10), date(2020, 7, 10)):
        last = write_product(tmp_path / "archive", Product("33UUU", 32633, LEFT, TOP, dn, day))
    (red,) = last.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    red.write_bytes(red.read_bytes()[:300])
    area = lonlat_box(32633, LEFT, TOP - 640, LEFT + 640, TOP)
    file = write_job(tmp_path, area, tmp_path / "archive", name="town-{period}")
    june, july = ("period=2020-06",), ("period=2020-07",)
    output, record = make(file, settings=june)
    assert record["exit_code"] == 0
    _, record = make(file, settings=july)
    assert record["exit_code"] == 3
    assert {loss["scene"] for loss in record["losses"]} == {last.name.removesuffix(".SAFE")}
    _, record = make(file, settings=june)
    assert (record["exit_code"], record["losses"], record["computed"]) == (0, [], 0)
    assert json.loads((output / "run.json").read_text())["exit_code"] == 0
    assert list(output.glob("work/plan/*")), "July's work area is July's still"


def test_what_a_launch_without_work_lost_is_in_record_and_report(tmp_path):
    archive = tmp_path / "archive"
    name = write_product(archive, Product("33UUU", 32633, LEFT, TOP, town(64, 64))).name
    area = lonlat_box(32633, LEFT, TOP - 640, LEFT + 640, TOP)
    file = write_job(tmp_path, area, archive)
    names = [name.replace("20200615", f"202006{day}") for day in (20, 25)]
    for broken in names:
        (archive / broken).mkdir()
        output, record = make(file)
        assert record["exit_code"] == 3
        stored = json.loads((output / "run.json").read_text())
        report = (output / "report" / "index.html").read_text()
        assert stored["losses"] == record["losses"]
        assert stored["scenes_set_aside"] == record["scenes_set_aside"]
        assert broken in str(stored["losses"])
        assert broken in report
    assert (record["computed"], len(record["losses"])) == (0, 2)
    before = stamps(output)
    assert make(file)[1]["losses"] == record["losses"]
    assert stamps(output) == before


def test_a_day_that_is_none_is_refused(job_file):
    ended = launch(job_file, "--today", "yesterday")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "--today" in line
