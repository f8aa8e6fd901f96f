"""Job files that are wrong: one line that names the key, nothing written."""

import numpy as np
import pyogrio
import pytest
import shapely
import yaml

from ghsl_beam.configuration import load_job
from ghsl_beam.launch import run
from tests.pipeline.faults.conftest import ULX, ULY
from tests.pipeline.faults.table import fault
from transforms.elements import RequestError

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
    "key twice": (key_twice, "the key epoch is there twice"),
    "yes for a number": (yes_for_a_number, "composite.percentile: a number is expected"),
    "NaN": (no_finite_number, "cleaning.minimum"),
    "tiny resolution": (tiny_resolution, "grids.0: resolutions: 1e-09 is out of bounds"),
    "one CRS in two spellings": (one_crs_twice, "grids: the same CRS twice"),
    "path outside (in a name)": (path_outside, "../../town"),
}
for name in SPOILED:
    fault("configuration", name, REFUSED)


@pytest.mark.parametrize("name", SPOILED)
def test_a_wrong_job_file(job, tmp_path, name):
    spoil, said = SPOILED[name]
    job.file.write_text(spoil(job.content()))
    with pytest.raises(RequestError) as refused:
        load_job(job.file)
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
    assert len(line) < 400
    assert not (tmp_path / "output").exists()


ROADS_REFUSED = "one line with the file, what was found and expected; nothing written; 2"
LINE = shapely.LineString([(ULX, ULY - 300), (ULX + 900, ULY - 300)])
ROADS = {
    "roads that are no vector file": (None, "named like a GeoPackage and is none"),
    "roads without the field": ((LINE, "breadth", 10.0), "no field 'width'"),
    "roads that are no lines": ((LINE.buffer(5), "width", 10.0), "Polygon, expected lines"),
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
