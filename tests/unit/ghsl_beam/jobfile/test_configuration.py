import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ghsl_beam.jobfile.configuration import load_job, schema
from transforms.elements import RequestError

GOOD = """
name: city
epoch: 2020
area: {bbox: [12.5, 52.4, 12.7, 52.5]}
period: {start: 2020-05-01, end: 2020-08-31}
input: {archive: scenes}
residential: {model: classifier.skops}
output: out
"""


@pytest.fixture
def job_file(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(GOOD)
    return file


def test_paths_count_from_the_job_file(job_file):
    job = load_job(job_file)
    assert job.input.archive == str(job_file.parent / "scenes")
    assert job.output == str(job_file.parent / "out")


def test_settings_and_output_go_over_the_file(job_file, tmp_path):
    job = load_job(job_file, ("cleaning.ndvi_above=null", "block_size=256"), f"{tmp_path}/else")
    assert job.cleaning.ndvi_above is None
    assert job.block_size == 256
    assert job.output == f"{tmp_path}/else"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("period.end=2020-04-01", "period: end 2020-04-01 is before start 2020-05-01"),
        ("input.max_cloud=10", "did you mean max_cloud_cover?"),
        ("blok_size=10", "did you mean block_size?"),
        ("cleaning.minimum=12", "cleaning.minimum: .*less than or equal to 1, given 12"),
        ("greenness.radius_m=300 m", "greenness.radius_m: .*given '300 m'"),
        ("input.level=L3", "input.level: .*'L1C' or 'L2A'"),
        ("models.fallback=33I", "models.fallback"),
        ("area.wkt=POINT (1 2)", "exactly one of file, wkt, bbox"),
        ("name=../up", "name: "),
        (
            "grids=[{resolution: [10]}]",
            "grids.0.resolution: unknown key; did you mean resolutions?",
        ),
        ("grids=[{resolutions: [.inf]}]", "grids.0"),
        ("grids=[{resolutions: [.nan]}]", "grids.0"),
        (
            "grids=[{resolutions: [0]}]",
            "grids.0: resolutions: 0 is out of bounds, expected 1 to 100000 met",
        ),
        (
            "grids=[{resolutions: [0.01]}]",
            "grids.0: resolutions: 0.01 is out of bounds, expected 1 to",
        ),
        ("grids=[{resolutions: [1.0e-9, 10]}]", "grids.0: resolutions: 1e-09 is out of bounds"),
        (
            "grids=[{crs: EPSG:4326, resolutions: [0.001]}]",
            "grids.0: resolutions: 0.001 is out of bounds, expected 0.03 to 3600 arc seconds",
        ),
        ("grids=[{resolutions: [100, 250]}]", "grids.0: resolutions: 250 is not a multiple of 100"),
        ("grids=[{crs: EPSG:999999}]", "grids.0: EPSG:999999 is not a coordinate reference system"),
        (
            "grids=[{crs: EPSG:4326, resolutions: [3]}, {crs: epsg:4326, resolutions: [30]}]",
            "grids: the same CRS is given twice .EPSG:4326, epsg:4326.: give it once, with all",
        ),
        ("input.max_cloud_cover=true", "input.max_cloud_cover: expected a number, given True"),
        ("input.max_cloud_cover=.nan", "input.max_cloud_cover: .* finite number, given nan"),
        ("composite.percentile=yes", "composite.percentile: expected a number, given True"),
        ("cleaning.minimum=true", "cleaning.minimum: expected a number, given True"),
        ("cleaning.ndvi_above=.nan", "cleaning.ndvi_above: .* finite number"),
        ("cleaning.minimum_area_m2=true", "cleaning.minimum_area_m2: expected a number"),
        ("greenness.radius_m=.inf", "greenness.radius_m: .* finite number"),
        ("area.bbox=[.inf, 1, true, 2]", "area.bbox.0: .* finite number"),
        ("area.bbox=[0, 1, true, 2]", "area.bbox.2: expected a number, given True"),
        ("epoch=true", "epoch: expected a number, given True"),
        ("period={start: 0, end: 86400}", "period.start: expected a day, YYYY-MM-DD, given 0"),
        ('period={start: "0", end: 2020-01-01}', "period.start: expected a day, YYYY-MM-DD"),
        ("period={start: true, end: 2020-01-01}", "period.start: expected a day, YYYY-MM-DD"),
        ("period={start: 2020-02-30, end: 2020-03-01}", "period: not valid YAML: day is out of"),
        ("models.fallback=99U", "models.fallback: .*given '99U'"),
        ("models.fallback=00U", "models.fallback: .*given '00U'"),
        ("models.fallback=33O", "models.fallback: .*given '33O'"),
        ("cleaning={minimum: 0.1, minimum: 0.2}", "the key minimum appears twice"),
        ("block_size", "expected key.path=value"),
        ("strict=!!bool maybe", "strict: not valid YAML: line 1: 'maybe' cannot be read as bool"),
        ("block_size=!!int ''", "block_size: not valid YAML: line 1: '' cannot be read as int"),
        (
            "greenness.radius_m=!!float ''",
            "radius_m: not valid YAML: line 1: '' cannot be read as float",
        ),
        (
            "period.end=!!timestamp x",
            "period.end: not valid YAML: line 1: 'x' cannot be read as timestamp",
        ),
        ("area={bbox: [1, !!bool x]}", "area: not valid YAML: line 1: 'x' cannot be read as bool"),
        ("grids=!!set [a]", "grids: not valid YAML: expected a mapping"),
        ("grids=!!map [a]", "grids: not valid YAML: expected a mapping"),
        ("output=~nobodyhere/out", "output: .*given '~nobodyhere/out'$"),
        ("input.archive=~nobodyhere/in", "input.archive: .*given '~nobodyhere/in'$"),
        (
            "grids=[{crs: ESRI:102476}]",
            "grids.0: Cape_Lo27: cannot be computed .*; name a CRS with",
        ),
        (f"block_size={10**400}", "block_size: "),
        (f"area.bbox=[0, 1, 2, {10**400}]", "area.bbox.3: "),
        (f"grids=[{{resolutions: [{10**400}]}}]", "grids.0"),
        ("period=2025-Q5", "period: not a period; allowed: last_month, .*given '2025-Q5'$"),
        ("period=2025-06-01", "period: not a period; allowed: "),
        ("period=2025-03-31/2025-01-01", "period: the period ends on 2025-01-01, before"),
        ("period={start: 2025-01-01}", "period.end: is missing"),
        ("epoch=20", "epoch: .*greater than or equal to 2015, given 20$"),
        ("output=out/{month}", "output: only {period} and {epoch} are allowed in braces"),
        ("name=city-{period", "name: only {period}"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(job_file, setting, named):
    with pytest.raises(RequestError, match=named) as caught:
        load_job(job_file, (setting,))
    assert "\n" not in str(caught.value)


def test_a_location_that_leads_nowhere_is_one_line_that_names_the_key(job_file, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for settings, output in ((("output=loop/out",), None), ((), f"{tmp_path}/loop/out")):
        with pytest.raises(RequestError, match=r"output: .*given '.*loop/out'$") as caught:
            load_job(job_file, settings, output)
        assert "\n" not in str(caught.value)
    with pytest.raises(RequestError, match=r"output: .*given '~nobodyhere/out'$"):
        load_job(job_file, output="~nobodyhere/out")


def test_locations_count_from_where_the_job_file_is_named(job_file, tmp_path):
    """A link to a job file elsewhere is a job file here."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "job.yaml").symlink_to(job_file)
    job = load_job(here / "job.yaml", ("output=products",))
    assert job.output == str(here / "products")


def test_numbers_and_days_in_any_of_their_spellings(job_file):
    job = load_job(
        job_file,
        (
            "input.max_cloud_cover=20",
            "composite.percentile=2.5e1",
            "cleaning.minimum=1e-1",
            'greenness.radius_m="300"',
            "block_size=256",
            "models.fallback=5Q",
            'period={start: "2020-05-01", end: 2020-05-31}',
        ),
    )
    assert (job.input.max_cloud_cover, job.composite.percentile) == (20, 25)
    assert (job.cleaning.minimum, job.greenness.radius_m) == (0.1, 300)
    assert (job.block_size, job.models.fallback) == (256, "5Q")
    assert (job.period.start, job.period.end) == (date(2020, 5, 1), date(2020, 5, 31))


@pytest.mark.parametrize(
    ("settings", "minimum"),
    [
        ((), 0.1),
        (("models.starter=true",), 0.3),
        (("models.starter=true", "cleaning.ndvi_above=0.3"), 0.3),
        (("models.starter=true", "cleaning.minimum=0.1"), 0.1),
        (("models.starter=true", "cleaning.minimum=null"), None),
    ],
)
def test_the_default_minimum_is_that_of_the_network(job_file, settings, minimum):
    assert load_job(job_file, settings).cleaning.minimum == minimum


def test_a_key_that_is_there_twice_is_refused(job_file):
    job_file.write_text(job_file.read_text() + "epoch: 2019\n")
    with pytest.raises(RequestError, match=r"the key epoch appears twice \(line 9\)"):
        load_job(job_file)


def test_a_period_counts_from_the_day_of_the_launch(job_file):
    job = load_job(job_file, ("period=last_quarter",), today=date(2025, 1, 1))
    assert (job.period.start, job.period.end) == (date(2024, 10, 1), date(2024, 12, 31))


def test_a_period_may_end_on_the_last_day_of_all(job_file):
    given = "period={start: 2025-01-01, end: 9999-12-31}"
    job = load_job(job_file, (given, "epoch=2025", "name=city-{period}"))
    assert job.name == "city-20250101-99991231"


def test_the_day_of_the_launch_is_todays_in_utc(job_file):
    before = datetime.now(UTC).date()
    job = load_job(job_file, ("period=last_month",))
    ends = {day.replace(day=1).toordinal() - 1 for day in (before, datetime.now(UTC).date())}
    assert job.period.end.toordinal() in ends


def test_output_and_name_differ_by_period_where_they_say_so(tmp_path):
    file = tmp_path / "job.yaml"
    text = GOOD.replace("{start: 2020-05-01, end: 2020-08-31}", "last_month")
    text = text.replace("epoch: 2020\n", "").replace("name: city", "name: city-{period}")
    file.write_text(text.replace("output: out", "output: out/{epoch}/{period}"))
    job = load_job(file, today=date(2026, 1, 15))
    assert (job.epoch, job.name) == (2025, "city-2025-12")
    assert job.output == str(tmp_path / "out" / "2025" / "2025-12")
    year = load_job(file, ("period=2024", "epoch=2025"))
    assert (year.epoch, year.output) == (2025, str(tmp_path / "out/2025/2024"))


def test_the_command_lines_output_may_differ_by_period(job_file, tmp_path):
    job = load_job(job_file, ("period=2025-Q1",), str(tmp_path / "else-{period}"))
    assert job.output == str(tmp_path / "else-2025-Q1")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 1]\nb: [*a, *a]",
        "name: !!python/object/apply:os.system ['true']",
        "- a list",
        "{" * 5000,
        "a: [",
    ],
)
def test_yaml_that_is_no_job_is_refused(tmp_path, text):
    file = tmp_path / "job.yaml"
    file.write_text(text)
    with pytest.raises(RequestError, match=r"job\.yaml"):
        load_job(file)


def test_a_job_file_that_is_not_there():
    with pytest.raises(RequestError, match="No such file"):
        load_job(Path("/nowhere/job.yaml"))


def test_schema_states_units_and_bounds():
    text = str(schema())
    for expected in ("metres", "cloud cover of a scene, percent", "'maximum': 100", "YYYY-MM-DD"):
        assert expected in text
    assert "last_month" in str(schema()["properties"]["period"])
    assert "period" in schema()["required"]
    assert "epoch" not in schema()["required"]
    assert re.fullmatch(schema()["properties"]["name"]["pattern"], "city-{period}")
