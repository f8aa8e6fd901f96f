"""ghsl-beam init: a job file that is complete, valid and commented."""

from datetime import date

import pytest

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.cli.starting import Place
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.tools.starting.new_job import Catalogue, new_job, season
from transforms.elements import RequestError

TODAY = date(2026, 6, 1)
BOX = "12.53,52.455,12.72,52.515"


def uncommented(text):
    """The file with every optional key in use, as a person would make it."""
    head, mark, optional = text.partition("# What follows")
    lines = optional.splitlines()[1:]
    return head + mark + "\n" + "\n".join(line[2:] for line in lines) + "\n"


@pytest.mark.parametrize("catalogue", Catalogue)
def test_it_is_valid_and_so_it_stays_with_every_key_in_use(tmp_path, catalogue):
    file = tmp_path / "berlin 1.yaml"
    archive = "s3://bucket/scenes" if catalogue is Catalogue.ARCHIVE else None
    job = new_job(file, BOX, catalogue, archive=archive, today=TODAY)
    assert (job.name, job.output) == ("berlin-1", str(tmp_path / "output" / "berlin-1"))
    assert job.area.bbox == (12.53, 52.455, 12.72, 52.515)
    assert (job.period.start, job.period.end) == (date(2025, 5, 1), date(2025, 9, 30))
    assert job.models.starter
    text = file.read_text()
    assert "this area may need 32U, 33U." in text
    assert "ghsl-beam doctor 'berlin 1.yaml'" in text.replace(str(tmp_path) + "/", "")
    assert all(len(line) <= 120 for line in text.splitlines() if str(tmp_path) not in line)
    file.write_text(uncommented(text))
    whole = load_job(file, today=TODAY)
    for key in ("cleaning", "scenes", "composite", "greenness", "grids", "masks", "tiles"):
        assert getattr(whole, key) == getattr(job, key), key
    assert {"cleaning", "grids", "strict", "tiles"} <= whole.model_fields_set
    assert [one.name for one in tmp_path.iterdir()] == ["berlin 1.yaml"]


def test_the_area_is_a_tile_a_file_or_wkt(tmp_path):
    job = new_job(tmp_path / "a.yaml", "t33uuu", Catalogue.GOOGLE, today=TODAY)
    assert read_area(job.area.wkt, tmp_path).area_km2 == pytest.approx(109.8**2, rel=1e-3)
    wkt = "POLYGON ((14.4 52.3, 14.6 52.3, 14.6 52.5, 14.4 52.5, 14.4 52.3))"
    (tmp_path / "area.wkt").write_text(wkt)
    job = new_job(tmp_path / "b.yaml", str(tmp_path / "area.wkt"), Catalogue.GOOGLE, today=TODAY)
    assert job.area.file == str(tmp_path / "area.wkt")
    assert '  file: "area.wkt"' in (tmp_path / "b.yaml").read_text()
    job = new_job(tmp_path / "c.yaml", wkt, Catalogue.GOOGLE, period="2024-Q3", today=TODAY)
    assert (job.area.wkt, job.period.end) == (wkt, date(2024, 9, 30))


@pytest.mark.parametrize(
    ("area", "more", "says"),
    [
        ("1,2,3", {}, "no such file"),
        ("33XUU", {}, "33XUU: zone 33X has no such MGRS square"),
        (BOX, {"period": "2024-13"}, "a.yaml: not written: period: "),
        (BOX, {"name": "a_b"}, "a.yaml: not written: name: '_' at character 2"),
        (BOX, {"archive": "/data"}, "--catalogue archive and --archive need each other"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path, area, more, says):
    with pytest.raises(RequestError, match=says):
        new_job(tmp_path / "a.yaml", area, Catalogue.COPERNICUS, today=TODAY, **more)
    assert list(tmp_path.iterdir()) == []


def test_it_replaces_no_file(tmp_path):
    (tmp_path / "a.yaml").write_text("mine")
    with pytest.raises(RequestError, match="exists; name another file"):
        new_job(tmp_path / "a.yaml", BOX, Catalogue.COPERNICUS, today=TODAY)
    assert (tmp_path / "a.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("south", "today", "days"),
    [
        (52, date(2026, 12, 1), "2026-05-01/2026-09-30"),
        (-35, date(2026, 12, 1), "2025-11-01/2026-03-31"),
        (-35, date(2026, 3, 1), "2024-11-01/2025-03-31"),
        (5, date(2026, 12, 1), "2025"),
    ],
)
def test_the_period_is_a_season_with_leaves_that_is_over(south, today, days):
    assert season(read_area([10, south, 10.1, south + 0.1], "."), today) == days


def test_the_command_line_knows_the_same_catalogues():
    assert list(map(str, Place)) == list(map(str, Catalogue))
