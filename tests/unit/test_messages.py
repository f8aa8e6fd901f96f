"""What a person reads who asked for something in a way that does not work."""

import pytest

from ghsl_beam.area import read_area
from ghsl_beam.configuration import load_job
from ghsl_beam.wkt import mistake
from transforms.elements import RequestError

GOOD = """
name: city
area: {file: area.gpkg}
period: {start: 2020-05-01, end: 2020-08-31}
input: {archive: scenes}
residential: {model: classifier.skops}
output: out
"""


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("name=mein_gebiet", "'_' at character 5 is not allowed; .*, such as mein-gebiet, given"),
        ("name=größe", "'ö' at character 3 is not allowed; .*, such as gr-e, given"),
        ("name=-x", "name: 1 to 41 letters"),
        ("period.end=2017-02-01", r"before .*given {'start': '2020-05-01', 'end': '2017-02-01'}"),
        ("period.end=2017-02-30x", "given '2017-02-30x'"),
        ("grids=[{crs: EPSG:54009}]", "did you mean ESRI:54009?"),
        ("grids=[{crs: ESRI:3035}]", "did you mean EPSG:3035?"),
        ("area.bbox=[1, 2, 3, 4]", r"found file and bbox; .*--set 'area={bbox: \["),
        (
            "area={wkt: here}",
            "area.wkt: not WKT such as POLYGON .* unknown word 'here' at character 1",
        ),
    ],
)
def test_a_job_file(tmp_path, setting, says):
    (tmp_path / "job.yaml").write_text(GOOD)
    with pytest.raises(RequestError, match=says) as refused:
        load_job(tmp_path / "job.yaml", (setting,))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ([330_000, 5_810_000, 340_000, 5_820_000], "degrees; these look like metres of a project"),
        ([13, 200, 14, 300], "south and north must lie within -90..90 degrees$"),
        ("POLYGN((13 52, 14 52, 14 53, 13 52))", "WKT with a mistake: unknown word 'POLYGN' at"),
        ("POLYGON((13 52, 14 52, 14 53; 13 52))", "unexpected ';' at character 29"),
        ("POLYGON((13 52, 14, 14 53, 13 52))", "one number, expected two, at character 19"),
        ("POLYGON((13 52, 14 52, 14 53, 13 52)", "1 closing bracket missing at character 37"),
        ("POLYGON((13 52, 14 52)))", r"unexpected '\)' at character 24"),
        ("POLYGON((13 52, 14 52, 14 53, 13 53))", "the last like the first"),
        ("POLYGON[[13 52]]", r"unexpected '\[' at character 8"),
        ("POLYGON((13°0' 52, 14 52))", "unexpected '°' at character 12"),
        ("POLYGON((13 52 14 52 14 53))", "more than 4 numbers at character 22: a comma"),
    ],
)
def test_an_area(tmp_path, source, says):
    with pytest.raises(RequestError, match=says) as refused:
        read_area(source, tmp_path)
    assert str(refused.value).isprintable()


def test_a_mistake_is_named_whatever_the_text():
    for text in (
        "",
        "(",
        ")",
        "POLYGON",
        "POLYGON EMPTY x",
        "SRID=4326;POLYGON((",
        "POINT Z (1 2)",
    ):
        assert mistake(text).isprintable()


def test_a_bow_tie_is_taken_with_a_warning():
    area = read_area("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", ".")
    (warning,) = area.warnings
    assert "1 of 1 polygons not valid, the first by Self-intersection[1 1]; taken as 2" in warning
    assert read_area("POLYGON ((0 0, 2 0, 2 2, 0 0))", ".").warnings == ()
