"""What a person reads who asked for something in a way that does not work."""

import pytest

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.area.wkt import mistake
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.models.chosen import chosen_classifier
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
        ("name=-x", "name: give 1 to 41 letters"),
        ("period.end=2017-02-01", r"before .*given {'start': '2020-05-01', 'end': '2017-02-01'}"),
        ("period.end=2017-02-30x", "given '2017-02-30x'"),
        ("grids=[{crs: EPSG:54009}]", "did you mean ESRI:54009?"),
        ("grids=[{crs: ESRI:3035}]", "did you mean EPSG:3035?"),
        ("area.bbox=[1, 2, 3, 4]", r"found file and bbox; .*--set 'area={bbox: \["),
        (
            "residential={}",
            r"residential: no model is given; .* \(models: {starter: true}\), given",
        ),
        (
            "area={file: 'POLYGON((13 52,,13 53'}",
            "area.file: this is WKT, not a file: write area: {wkt: ",
        ),
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
    ("content", "says"),
    [
        (GOOD.replace("name:", "nmae:"), "nmae: unknown key; did you mean name?"),
        (GOOD.replace("start:", "begin:"), "period.start: is missing"),
        ("", "expected keys with values, found nothing"),
    ],
)
def test_a_job_file_without_a_key(tmp_path, content, says):
    (tmp_path / "job.yaml").write_text(content)
    with pytest.raises(RequestError) as refused:
        load_job(tmp_path / "job.yaml")
    assert str(refused.value) == f"{tmp_path / 'job.yaml'}: {says}"


def test_a_job_file_without_a_classifier(tmp_path):
    (tmp_path / "job.yaml").write_text(GOOD.replace("residential: {model: classifier.skops}\n", ""))
    says = r"residential: no model is given; .* \(models: {starter: true}\)$"
    with pytest.raises(RequestError, match=says):
        load_job(tmp_path / "job.yaml")
    load_job(tmp_path / "job.yaml", ("models.starter=true",))
    job = load_job(tmp_path / "job.yaml", ("residential.starter=true",))
    assert chosen_classifier(job).starter
    with pytest.raises(RequestError, match=r"residential: found both .*: give one of them"):
        load_job(tmp_path / "job.yaml", ("residential={model: own.skops, starter: true}",))


TEXT_AREAS = {
    "berlin.gpkg": "{file: berlin.gpkg} (or wkt or bbox), given 'berlin.gpkg'",
    "s3://bob:secret@b/a.gpkg": "{file: s3://***@b/a.gpkg} (or wkt or bbox), given",
    '"POLYGON((12 52, 13 52, 13 53, 12 52))"': '{wkt: "POLYGON ((12 52, 13 52, 13 53, 12 52))"}',
    '"12.5, 52,13,53"': "{bbox: [12.5, 52, 13, 53]} (or file or wkt), given",
    "[12.5, 52, 13, 53]": "{bbox: [12.5, 52, 13, 53]} (or file or wkt), given",
    "[]": "{bbox: [12.5, 52.4, 12.7, 52.5]} (or file or wkt), given []",
    "7": "{file: area.gpkg} (or wkt or bbox), given 7",
    '"\\u001b[2J"': "given",
}


@pytest.mark.parametrize("area", TEXT_AREAS)
def test_an_area_without_its_key(tmp_path, area):
    (tmp_path / "job.yaml").write_text(GOOD)
    with pytest.raises(RequestError) as refused:
        load_job(tmp_path / "job.yaml", (f"area={area}",))
    said = str(refused.value)
    assert "job.yaml: area: expected one of the keys file, wkt, bbox: write area: {" in said
    assert TEXT_AREAS[area] in said
    assert "secret" not in said
    assert said.isprintable()


FOUR = "area.bbox: expected a list of four numbers: west, south, east, north, given "


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (
            "grids=[{resolutions: []}]",
            "grids.0.resolutions: expected at least 1, found 0, given []",
        ),
        ("grids=[{resolutions: 10}]", "grids.0.resolutions: expected a list [...], given 10"),
        ("grids=ESRI:54009", "grids: expected a list [...], given 'ESRI:54009'"),
        (
            "grids=[ESRI:54009]",
            "grids.0: expected keys with values: crs, resolutions, extent, given 'ESRI:54009'",
        ),
        ("input=scenes", "input: expected keys with values: source, archive, catalogue"),
        ("input=", "input: expected keys with values: source, archive, catalogue"),
        ("area={bbox: []}", f"{FOUR}[]"),
        ("area={bbox: [1, 2, 3]}", f"{FOUR}[1, 2, 3]"),
        ("area={bbox: [1, 2, 3, 4, 5]}", f"{FOUR}[1, 2, 3, 4, 5]"),
        ("area={bbox: '1, 2, 3, 4'}", f"{FOUR}'1, 2, 3, 4'"),
        (
            "area={bbox: [340000, 5810000, 350000, 5820000]}",
            "area.bbox: west and east must differ and be within -360..360 degrees; these look "
            "like metres",
        ),
        ("area={bbox: [13, 53, 14, 52]}", "area.bbox: south must be less than north, in degrees"),
        ("area={bbox: [13, 80, 14, 95]}", "area.bbox: south and north must be within -90..90"),
        ("input.archive=[]", "input.archive: expected a text, given []"),
        ("name=", "name: expected a text, given None"),
        ("epoch=a", "epoch: expected a whole number, given 'a'"),
        ("epoch=2020.5", "epoch: expected a whole number, given 2020.5"),
        ("strict=maybe", "strict: expected true or false, given 'maybe'"),
        ("models.prefix=a b", "models.prefix: expected a text that fits the pattern ^"),
        ("input.max_cloud_cover=101", "expected less than or equal to 100, given 101"),
        ("input.level=L3", "input.level: expected 'L1C' or 'L2A', given 'L3'"),
    ],
)
def test_a_value_of_the_wrong_kind_in_our_words(tmp_path, setting, says):
    (tmp_path / "job.yaml").write_text(GOOD)
    setting = setting.replace("area={", "area={file: null, ")
    with pytest.raises(RequestError) as refused:
        load_job(tmp_path / "job.yaml", (setting,))
    said = str(refused.value)
    assert f"{tmp_path}/job.yaml: " in said
    assert says in said
    for word in ("Input", "Tuple", "String", "valid", "instance"):
        assert word not in said


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ([330_000, 5_810_000, 340_000, 5_820_000], "degrees; these look like metres of a project"),
        ([13, 200, 14, 300], "south and north must be within -90..90 degrees$"),
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
    assert (
        "1 of 1 polygons are not valid, the first by Self-intersection[1 1]; they are used as 2"
        in warning
    )
    assert read_area("POLYGON ((0 0, 2 0, 2 2, 0 0))", ".").warnings == ()
