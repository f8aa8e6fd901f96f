"""ghsl-beam roads, as a person calls it."""

import json

import pytest

from tests.support import command
from tests.support.osm_pbf import write_pbf

LINE = [(13.0, 52.0), (13.01, 52.0)]


@pytest.fixture
def pbf(tmp_path):
    ways = [({"highway": kind}, LINE) for kind in ("motorway", "track", "footway")]
    return write_pbf(tmp_path / "a.osm.pbf", ways)


def test_the_summary_is_json(monkeypatch, capfd, pbf, tmp_path):
    out = tmp_path / "roads.gpkg"
    options = ("--out", out, "--classes", "roads,track", "--aoi", "12,51,14,53")
    code, printed, errors = command.call(monkeypatch, capfd, "roads", pbf, *options)
    assert (code, errors) == (0, "")
    found = json.loads(printed)
    assert found["by_class"] == {"motorway": 1, "track": 1}
    assert found["left_out"] == {"class not requested": 1}
    code, printed, errors = command.call(monkeypatch, capfd, "roads", pbf, *options)
    assert (code, printed) == (2, "")
    assert errors.endswith(f"--out {out}: exists; give another name, or add --overwrite\n")
    assert command.call(monkeypatch, capfd, "roads", pbf, *options, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.osm.pbf", "--out", "a.gpkg"], "none.osm.pbf: no such file"),
        (["a.osm.pbf", "--out", "a.shp"], "--out a.shp: expected the name of a GeoPackage"),
        (["a.osm.pbf", "--out", "a.gpkg", "--classes", "big"], "--classes: unknown class 'big'"),
        (["a.osm.pbf", "--out", "a.gpkg", "--aoi", "1,2,3"], "1,2,3: no such file"),
        (["a.osm.pbf"], "--out"),
    ],
)
def test_one_line_for_a_wrong_request(monkeypatch, capfd, pbf, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, printed, errors = command.call(monkeypatch, capfd, "roads", *arguments)
    assert (code, printed) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.osm.pbf"]
