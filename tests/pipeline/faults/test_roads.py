"""`ghsl-beam roads`, as the command line shows a file of roads that it cannot use."""

import json

import pytest

from tests.pipeline.faults.table import fault
from tests.support.command import call
from tests.support.osm_pbf import write_pbf

LINE = [(13.0, 52.0), (13.01, 52.0)]
REFUSED = "one line with the file and what was found; nothing is written; 2"


def of_overture(schema):
    def write(path):
        feature = {
            "type": "Feature",
            "properties": schema,
            "geometry": {"type": "LineString", "coordinates": LINE},
        }
        path.write_text(json.dumps(feature) + "\n")

    return write


def damaged(change):
    def write(path):
        ways = [({"highway": "motorway"}, LINE)] * 500
        write_pbf(path, ways, compress=False)
        path.write_bytes(change(path.read_bytes()))

    return write


def overwritten(content):
    middle = len(content) // 2
    return content[:middle] + b"\xff" * 64 + content[middle + 64 :]


FILES = {
    "an .osm.pbf that is cut": ("a.osm.pbf", damaged(lambda content: content[:-7])),
    "an .osm.pbf that is overwritten": ("a.osm.pbf", damaged(overwritten)),
    "an empty .osm.pbf": ("a.osm.pbf", damaged(lambda content: b"")),
    "HTML named .osm.pbf": ("a.osm.pbf", damaged(lambda content: b"<html>Sign in</html>" * 99)),
    "an unknown schema": ("a.geojsonseq", of_overture({"road": "big"})),
    "no road at all": ("a.geojsonseq", of_overture({"highway": "footway"})),
    "JSON that is cut": ("a.geojsonseq", lambda path: path.write_text('{"type": "Feat')),
}
for name in FILES:
    fault("roads", name, REFUSED)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_used(monkeypatch, capfd, tmp_path, name):
    file, write = FILES[name]
    write(tmp_path / file)
    out = tmp_path / "roads.gpkg"
    code, printed, errors = call(monkeypatch, capfd, "roads", tmp_path / file, "--out", out)
    assert (code, printed, errors.count("\n")) == (2, "", 1), errors
    assert str(tmp_path / file) in errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == [file]


fault("roads", "an output that exists", "it stays, one line says how to replace it; 2")


def test_an_output_that_exists(monkeypatch, capfd, tmp_path):
    file = write_pbf(tmp_path / "a.osm.pbf", [({"highway": "motorway"}, LINE)])
    out = tmp_path / "roads.gpkg"
    out.write_text("mine")
    code, printed, errors = call(monkeypatch, capfd, "roads", file, "--out", out)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert f"--out {out}: exists; give another name, or add --overwrite" in errors
    assert out.read_text() == "mine"
