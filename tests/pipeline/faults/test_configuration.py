"""Job files that are wrong: one line that names the key, nothing written."""

import json
import os
import re
import time

import numpy as np
import pyogrio
import pytest
import shapely
import yaml

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.plan import make_plan
from ghsl_beam.planning.roads import roads_fingerprint
from ghsl_beam.running.launch import run
from ghsl_beam.tools.training import read_labels
from tests.pipeline.faults.conftest import ULX, ULY
from tests.pipeline.faults.table import fault
from tests.support.file_server import FileServer
from tests.support.hostile_vectors import AREAS, HOSTILE
from transforms.elements import RequestError
from transforms.storage import vector_zip

REFUSED = "one line that names the key, what was given and what is allowed; nothing written; 2"


def unknown_key(content):
    content["greeness"] = {"radius_m": 30}
    return yaml.safe_dump(content)


def wrong_type(content):
    content["block_size"] = "large"
    return yaml.safe_dump(content)


def yaml_bomb(content):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(30))
    return bomb + yaml.safe_dump(content)


def python_tag(content):
    return yaml.safe_dump(content) + "more: !!python/object/apply:os.system ['true']\n"


def path_outside(content):
    content["name"] = "../../town"
    return yaml.safe_dump(content)


def key_twice(content):
    return yaml.safe_dump(content) + "epoch: 2019\n"


def yes_for_a_number(content):
    content["composite"] = {"percentile": True}
    return yaml.safe_dump(content)


def huge_hexadecimal(content):
    return yaml.safe_dump(content) + f"strict: 0x{'f' * 9000}\n"


def deep_nesting(content):
    return yaml.safe_dump(content) + "grids: " + "[" * 100_000


def key_that_is_a_list(content):
    return yaml.safe_dump(content) + "? [a, b]\n: 1\n"


def many_values(content):
    return yaml.safe_dump(content) + f"more: [{'x, ' * 300_000}]\n"


def control_characters(content):
    content["\x1b[31mred\nline"] = 1
    return yaml.safe_dump(content)


def nul(content):
    return yaml.safe_dump(content) + "\0"


def latin_1(content):
    return (yaml.safe_dump(content) + "# gr\xfc\xdfe\n").encode("latin-1")


def utf_16(content):
    return yaml.safe_dump(content).encode("utf-16")


def geopackage(content):
    return b"SQLite format 3\0" + bytes(84)


def base_60(content):
    return yaml.safe_dump(content) + f"strict: {':'.join(['59'] * 9000)}.5\n"


def number_as_a_key(content):
    return yaml.safe_dump(content) + "1: 2\n"


def long_key(content):
    return yaml.safe_dump(content) + f"? {'x' * 5000}\n: 1\n"


def no_finite_number(content):
    content["cleaning"] = {"minimum": float("nan")}
    return yaml.safe_dump(content)


def tiny_resolution(content):
    content["grids"] = [{"resolutions": [1e-9]}]
    return yaml.safe_dump(content)


def one_crs_twice(content):
    content["grids"] = [{"crs": crs, "resolutions": [30]} for crs in ("EPSG:4326", "epsg:4326")]
    return yaml.safe_dump(content)


SPOILED = {
    "unknown key": (unknown_key, "did you mean greenness?"),
    "wrong type": (wrong_type, "block_size"),
    "YAML bomb": (yaml_bomb, "aliases"),
    "YAML that builds objects": (python_tag, "not valid YAML"),
    "key twice": (key_twice, "the key epoch appears twice"),
    "yes for a number": (yes_for_a_number, "composite.percentile: expected a number"),
    "NaN": (no_finite_number, "cleaning.minimum"),
    "tiny resolution": (tiny_resolution, "grids.0: resolutions: 1e-09 is out of bounds"),
    "one CRS in two spellings": (one_crs_twice, "grids: the same CRS is given twice"),
    "a number of 9000 digits": (huge_hexadecimal, "a number has more than 4000 digits"),
    "100 000 brackets": (deep_nesting, "not valid YAML"),
    "a list as a key": (key_that_is_a_list, "unhashable key"),
    "300 000 values": (many_values, "more than 10000 keys and values"),
    "control characters in a key": (control_characters, "\\x1b[31mred line: unknown key"),
    "NUL in the text": (nul, "special characters are not allowed"),
    "another encoding (Latin-1)": (latin_1, "is not a UTF-8 text (byte 0xfc"),
    "another encoding (UTF-16)": (utf_16, "is not a UTF-8 text (byte 0xff at 0)"),
    "a GeoPackage as job file": (
        geopackage,
        "this is a GeoPackage or SQLite file; give a job file",
    ),
    "a number of base 60": (base_60, "cannot be read as float"),
    "a number as a key": (number_as_a_key, "1: Keys should be strings"),
    "a key of 5000 characters": (long_key, "unknown key"),
    "path outside (in a name)": (path_outside, "../../town"),
}
for name in SPOILED:
    fault("configuration", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_a_wrong_job_file(job, tmp_path, name):
    spoil, said = SPOILED[name]
    content, begun = spoil(job.content()), time.monotonic()
    job.file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError) as refused:
        load_job(job.file)
    line = str(refused.value)
    assert said in line
    assert line.isprintable()
    assert len(line) < 600
    assert time.monotonic() - begun < 30
    assert not (tmp_path / "output").exists()


ROADS_REFUSED = "one line with the file, what was found and expected; nothing written; 2"
LINE = shapely.LineString([(ULX, ULY - 300), (ULX + 900, ULY - 300)])
ROADS = {
    "roads that are not a vector file": (None, "is named like a GeoPackage, but is not one"),
    "roads without the field": ((LINE, "breadth", 10.0), "no field 'width'"),
    "roads that are not lines": ((LINE.buffer(5), "width", 10.0), "Polygon, expected lines"),
    "a road without a width": ((LINE, "width", np.nan), "no width"),
    "a road wider than 200 m": ((LINE, "width", 500.0), "500 m, expected metres from 0 to 200"),
}
for name in ROADS:
    fault("configuration", name, ROADS_REFUSED)


@pytest.mark.parametrize("name", ROADS)
def test_wrong_roads(job, tmp_path, name):
    content, said = ROADS[name]
    file = tmp_path / "roads.gpkg"
    if content is None:
        file.write_text("hello")
    else:
        shape, field, width = content
        wkb, widths = shapely.to_wkb(np.array([shape])), [np.array([width])]
        place = {"crs": "EPSG:32633", "geometry_type": shape.geom_type}
        pyogrio.raw.write(file, wkb, widths, [field], driver="GPKG", **place)
    changed = load_job(job.file, (f"cleaning.roads={file}",))
    with pytest.raises(RequestError) as refused:
        run(changed)
    line = str(refused.value)
    assert line.startswith(f"cleaning.roads: {file}: ")
    assert said in line
    assert "\n" not in line
    assert not (tmp_path / "output").exists()


VECTORS_REFUSED = (
    "as area, roads or labels: one line with the file and what was found, in seconds; no other "
    "host is asked, nothing is written; 2"
)
for name in HOSTILE:
    fault("configuration", name, VECTORS_REFUSED)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_vector_file(job, tmp_path, monkeypatch, name):
    monkeypatch.setattr(vector_zip, "_MAX_BYTES", 64 << 20)
    folder, begun, server = tmp_path / "vectors", time.monotonic(), FileServer()
    folder.mkdir()
    with server.running():
        file = HOSTILE[name][0](folder, server.url)
        for read in (
            lambda: make_plan(load_job(job.file, (f"area={{file: {file}}}",))),
            lambda: roads_fingerprint(load_job(job.file, (f"cleaning.roads={file}",))),
            lambda: read_labels(str(file), "width", "1", "2"),
        ):
            with pytest.raises(RequestError) as refused:
                read()
            assert file.name in str(refused.value)
            assert str(refused.value).isprintable()
    assert not server.requests
    assert time.monotonic() - begun < 60
    assert not (tmp_path / "output").exists()


AREA_REFUSED = "one line with the file and what was found, in seconds; nothing written; 2"
for name, (_, said) in AREAS.items():
    if said:
        fault("configuration", f"as area: {name}", AREA_REFUSED)


@pytest.mark.parametrize("name", [name for name, (_, said) in AREAS.items() if said])
def test_a_hostile_area(job, tmp_path, name):
    make, said = AREAS[name]
    file, begun = make(tmp_path, ""), time.monotonic()
    with pytest.raises(RequestError, match=said):
        make_plan(load_job(job.file, (f"area={{file: {file}}}",)))
    assert time.monotonic() - begun < 60
    assert not (tmp_path / "output").exists()


fault("configuration", "a pipe as job file", REFUSED)


def test_a_pipe_as_job_file(tmp_path):
    os.mkfifo(tmp_path / "job.yaml")
    with pytest.raises(RequestError, match="a pipe or a device, expected a file"):
        load_job(tmp_path / "job.yaml")


NO_SCENE = {
    "an archive that is a zip": (
        "input.archive={zip}",
        "is a file, expected the folder that contains it",
    ),
    "longitude and latitude swapped": (
        "area={{bbox: [52.5, 12.5, 52.6, 12.6]}}",
        "the archive has L1C of 33UUU from 2020-06-10 to 2020-06-15; longitude and latitude may",
    ),
    "all scenes cloudier than allowed": (
        "input.max_cloud_cover=0.9",
        "max_cloud_cover is in percent; 2 scenes are too cloudy, the clearest has 98.9 %: "
        "raise input.max_cloud_cover (--set input.max_cloud_cover=99): S2A_MSIL1C_",
    ),
}
for name in NO_SCENE:
    fault("configuration", name, "one line says what the archive has and what to change; 2")


def cloudy(job, percent):
    for safe in (job.good, job.spoiled):
        file = safe / "MTD_MSIL1C.xml"
        text = re.sub("(<Cloud_Coverage_Assessment>)[^<]*", rf"\g<1>{percent}", file.read_text())
        file.write_text(text)
        assert str(percent) in text


@pytest.mark.parametrize("name", NO_SCENE)
def test_no_scene(job, tmp_path, name):
    setting, said = NO_SCENE[name]
    (tmp_path / "S2.zip").write_bytes(b"PK")
    cloudy(job, 98.9)
    setting = setting.format(zip=tmp_path / "S2.zip")
    with pytest.raises(RequestError) as refused:
        make_plan(load_job(job.file, (setting,)))
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


fault(
    "configuration",
    "a bow-tie as area",
    "a warning says where it crosses itself and what is used instead; 0",
)
fault(
    "configuration",
    "a bow-tie as area, in a projected CRS",
    "both its halves are used, and a warning says where it crosses itself; 0",
)
fault("configuration", "a cloud cover below 1", "a warning says that it is percent; 0")


def test_a_bow_tie_in_metres_is_a_warning(job, tmp_path):
    ring = [[330e3, 5.81e6], [340e3, 5.82e6], [340e3, 5.81e6], [330e3, 5.82e6], [330e3, 5.81e6]]
    area = {
        "type": "Polygon",
        "coordinates": [ring],
        "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
    }
    (tmp_path / "bow.geojson").write_text(json.dumps(area))
    plan = make_plan(load_job(job.file, (f"area={{file: '{tmp_path}/bow.geojson'}}",)))
    assert "1 of 1 polygons are not valid" in " | ".join(plan.warnings)
    assert "used as 2 polygons of 50.0" in " | ".join(plan.warnings)


def test_what_is_doubtful_is_a_warning(job):
    bow_tie = "POLYGON ((12.4 52.4, 12.8 52.8, 12.8 52.4, 12.4 52.8, 12.4 52.4))"
    cloudy(job, 0.1)
    settings = (f"area={{wkt: '{bow_tie}'}}", "input.max_cloud_cover=0.5")
    warnings = " | ".join(make_plan(load_job(job.file, settings)).warnings)
    assert "1 of 1 polygons are not valid, the first by Self-intersection[12.6 52.6]" in warnings
    assert "input.max_cloud_cover: 0.5 is less than 1 %; write 50 for 50 %" in warnings
