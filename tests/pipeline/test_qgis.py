"""Styles, names of classes and the project of an output, also with QGIS itself."""

import json
import os
import re
import shutil
import subprocess

import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.outputs import qgis
from ghsl_beam.outputs.qgis.style import MARK
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.plan import make_plan
from tests.conftest import ROOT
from tests.support.jobs import make
from transforms.elements import LAYERS

PYTHON = os.environ.get("GHSL_BEAM_QGIS_PYTHON", "/usr/bin/python3")
"""The Python that QGIS is installed for."""


def test_a_style_is_beside_every_layer_and_every_mosaic(made):
    output, record = made
    paths = [output / product["path"] for product in record["products"]]
    paths += output.glob("utm/*.vrt")
    assert len(paths) > len(record["products"])
    for path in paths:
        assert MARK in path.with_suffix(".qml").read_text(), path
        layer = LAYERS[path.name.partition("_E2020")[0]]
        if path.suffix == ".tif":
            named = path.with_name(f"{path.name}.aux.xml")
            assert named.is_file() == bool(layer.picture.classes), path
    assert (output / qgis.PROJECT).is_file()


def test_what_a_person_changed_stays_and_what_is_missing_is_made_again(made, job_file, tmp_path):
    output = tmp_path / "copy"
    shutil.copytree(made[0], output)
    project, (style, other, *_) = output / qgis.PROJECT, sorted(output.glob("utm/33UUU/*.qml"))
    before = other.read_bytes()
    project.write_text("<qgis/>")
    style.write_text("<qgis/>")
    other.unlink()
    _, record = make(job_file, settings=(f"output={output}",))
    assert record["computed"] == 0
    assert project.read_text() == style.read_text() == "<qgis/>"
    assert other.read_bytes() == before

    project.unlink()  # products of another epoch are in the project too, in their own group
    for path in output.glob("utm/33UUU/*_E2020_*.tif"):
        shutil.copy(path, str(path).replace("E2020", "E2016"))
    plan = make_plan(load_job(job_file, (f"output={output}",)))
    qgis.write_styles(plan, read_inventory(plan).products)
    groups = re.findall(r'layer-tree-group name="(E[^"]*)"', project.read_text())
    assert groups == ["E2020 town", "E2016 town"]
    assert "./utm/33UUU/RES_NRES_E2016_town_33UUU.tif" in project.read_text()
    assert (output / "utm/33UUU/RES_NRES_E2016_town_33UUU.qml").is_file()


@pytest.fixture(scope="module")
def seen(made, tmp_path_factory):
    """What QGIS says about the project, with the colours of each layer's picture."""
    if subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True).returncode:
        pytest.skip(f"{PYTHON} has no QGIS (Debian: python3-qgis)")
    folder = tmp_path_factory.mktemp("pictures")
    script = ROOT / "tests" / "support" / "qgis_pictures.py"
    command = [PYTHON, str(script), str(made[0] / qgis.PROJECT), str(folder)]
    # The project's own libraries are not those of QGIS.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GDAL", "PROJ"))}
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_qgis_opens_and_draws_every_layer(seen, made):
    _, record = made
    assert (seen["read"], seen["error"], seen["crs"]) == (True, "", "EPSG:32633")
    layers = seen["layers"]
    assert len(layers) == len({(p["grid"], p["layer"]) for p in record["products"]})
    for layer in layers:
        assert layer["valid"], layer
        assert not os.path.isabs(layer["source"])
        name = os.path.basename(layer["source"]).partition("_E2020")[0]
        picture, colours = LAYERS[name].picture, layer["colours"]
        assert layer["scale"] == LAYERS[name].scale
        opaque = {f"#{colour[3:]}" for colour in colours if colour.startswith("#ff")}
        if picture.classes:
            names, known = (set(part) for part in zip(*picture.classes, strict=True))
            assert set(layer["legend"]) == names
            assert opaque <= known, "no colour is mixed, and no value has a colour of its own"
            assert len(opaque) == (1 if name == "S2_QUALITY" else 3)
        elif picture.counts:
            assert len(opaque) == 2, "0 and 1"
        else:
            assert len(colours) > 10
            assert any(len({c[3:5], c[5:7], c[7:]}) > 1 for c in colours), "it is not grey"
    drawn = [layer["title"] for layer in layers if layer["shown"]]
    assert len(drawn) == 2
    assert len(seen["map"]) > 1000
    assert layers[0]["groups"] == ["UTM, 10 m", "Built-up"]
    assert {layer["groups"][0] for layer in layers} == {
        "UTM, 10 m",
        "Grid 54009, 100 m",
        "Grid 54009, 1000 m",
    }
