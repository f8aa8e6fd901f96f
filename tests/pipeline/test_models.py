"""Models at a URL through the whole job, and what the products say of them."""

import hashlib
import json
import re

import numpy as np
import rasterio

from ghsl_beam.models.calibration import HeldOut
from tests.support.archive import Product, write_product
from tests.support.file_server import FileServer
from tests.support.jobs import NETWORK, layers, lonlat_box, make, write_job
from tests.support.scenes import town
from transforms.cleaning import Curve, calibrate

ULX, ULY = 330000, 5820000
GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()


def test_a_fallback_at_a_url_is_named_wherever_it_was_used(tmp_path):
    write_product(tmp_path / "archive", Product("33UUU", 32633, ULX, ULY, town(150, 140)))
    area = lonlat_box(32633, ULX, ULY - 1500, ULX + 1400, ULY)
    with FileServer().running() as server:
        server.files["/m/MODEL_CNN_32T.h5"] = GOOD
        models = {"folder": f"{server.url}/m", "fallback": "32T"}
        file = write_job(tmp_path / "job", area, tmp_path / "archive", models=models)
        output, record = make(file)
        assert record["exit_code"] == 0, record["losses"]
        served = [r for r in server.seen("/m/MODEL_CNN_32T.h5") if r.sent == len(GOOD)]
        assert len(served) <= 3  # whether it is there, the plan, the worker

        expected = {
            "file": "MODEL_CNN_32T.h5",
            "sha256": DIGEST,
            "origin": "starter",  # its file says so, whatever its name
            "demonstration": False,
            "fallback": True,
        }
        (tile,) = record["tiles"]
        assert (tile["zone"], tile["model"]) == ("33U", expected)
        assert "zone 33U: uses model MODEL_CNN_32T.h5 of another zone" in record["warnings"]
        said = "model MODEL_CNN_32T.h5 is the starter network of ghsl-beam"
        assert any(warning.startswith(said) for warning in record["warnings"])
        made = layers(output)
        for path in made:
            with rasterio.open(output / path) as source:
                tags = source.tags()
            found = {key: value for key, value in tags.items() if key.startswith("MODEL")}
            if path.startswith("grid/"):
                assert found == {"MODELS": f"33U: MODEL_CNN_32T.h5 (fallback) {DIGEST}"}
            elif re.match(r"S2(_COUNT)?_", path.rpartition("/")[2]):
                assert found == {}
            else:
                assert found == {
                    "MODEL": "MODEL_CNN_32T.h5",
                    "MODEL_SHA256": DIGEST,
                    "MODEL_ORIGIN": "starter",
                    "MODEL_GRID_ZONE": "33U",
                    "MODEL_FALLBACK": "yes",
                }
        items = [
            json.loads(path.read_text())
            for path in sorted(output.glob("stac/*/*.json"))
            if path.name != "collection.json"
        ]
        assert items
        for item in items:
            assert item["properties"]["ghsl:fallback"]
            assert item["properties"]["ghsl:models"] == [{"zone": "33U", **expected}]

    assert json.loads((output / "run.json").read_text())["calibration"] is None
    assert "BUFRAC is an uncalibrated probability" in (output / "report/index.html").read_text()
    curve = Curve(((0, 0, 900), (1000, 200, 900), (10000, 6000, 3100)))
    calibration = calibration_of(tmp_path / "own.json", curve)
    here, record = make(
        file,
        settings=(
            f"output={tmp_path / 'here'}",
            f"models={{starter: true, calibration: {calibration}}}",
            "cleaning.minimum=0.1",  # the default of a network from a folder
        ),
    )
    (tile,) = record["tiles"]
    assert tile["model"]["file"] == "STARTER_MODEL_CNN.h5"
    assert not tile["model"]["fallback"]
    other = layers(here)
    alike = [path for path in made if not re.search(r"/(BUFRAC|BUILT_S|BUILT_S_NRES)_E", path)]
    assert len(alike) > 5
    assert all(np.array_equal(made[path], other[path]) for path in alike)
    check_calibrated(here, record, made, other, curve, calibration)


def calibration_of(path, curve):
    """A calibration of the starter network, fitted with the default cleaning."""
    held_out = dict.fromkeys(HeldOut.model_fields, 0.5) | {"blocks": 5}
    model = {
        "file": "STARTER_MODEL_CNN.h5",
        "form": "isotonic",
        "why": "many",
        "pixels": 5000,
        "omitted_percent": 3.0,
        "omitted": "included",
        "knots": curve.knots,
        "held_out": held_out,
        "parts": [],
    }
    cleaning = {
        "minimum": 0.1,
        "ndvi_above": 0.5,
        "ndwi_above": 0.0,
        "minimum_area_m2": 400,
        "roads": False,
    }
    about = {"made_by": "x", "reference": "houses; streets.gpkg", "unit": "polygons"}
    about |= {"product": "E2019_x", "cleaning": cleaning}
    path.write_text(json.dumps({"models": {DIGEST: model | about}}))
    return path


def check_calibrated(output, record, plain, made, curve, file):
    """Files, page and items of the run say what is calibrated, and by what."""
    paths = {
        layer: f"utm/33UUU/{layer}_E2020_town_33UUU.tif"
        for layer in ("BUFRAC", "BUFRAC_RAW", "BUFRAC_SD")
    }
    assert set(made) - set(plain) == {paths["BUFRAC_SD"]}
    bufrac, raw, before = made[paths["BUFRAC"]], made[paths["BUFRAC_RAW"]], plain[paths["BUFRAC"]]
    kept = (before > 0) & (before < 255)
    assert kept.sum() > 100
    assert np.array_equal(bufrac[~kept], before[~kept])
    assert np.array_equal(bufrac[kept], (curve.fractions(raw[kept]) + 50) // 100)
    assert np.array_equal(made[paths["BUFRAC_SD"]], calibrate(raw, before, curve)[1])

    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    credit = f"calibration own.json (SHA-256 {sha256[:12]}), fitted by ghsl-beam on houses, "
    for path in made:
        with rasterio.open(output / path) as source:
            tags = source.tags()
        calibrated = re.search(r"/(BUFRAC|BUFRAC_SD|BUILT_S|BUILT_S_NRES)_E", path)
        found = {key: value for key, value in tags.items() if key.startswith("CALIBRATION")}
        assert found == (
            {"CALIBRATION": "own.json", "CALIBRATION_SHA256": sha256} if calibrated else {}
        )
        assert (credit in tags["CREDITS"]) == bool(calibrated)
        assert ("ncalibrated" in tags["VALUES"]) == ("_RAW_" in path)
    assert record["calibration"] == {
        "file": "own.json",
        "sha256": sha256,
        "reference": "houses; streets.gpkg",
    }
    assert any(line.startswith(credit) for line in record["credits"])
    (warning,) = (line for line in record["warnings"] if line.startswith("calibration own.json"))
    assert (
        "was fitted for another cleaning (cleaning.ndvi_above is 0.6, fitted with 0.5)" in warning
    )
    page = (output / "report/index.html").read_text()
    assert "BUFRAC is a fraction of the pixel" in page
    assert "Built-up area (calibrated)" in page
    assert page.count("uncalibrated") == page.count("as predicted (uncalibrated)") > 0
    for path in sorted(output.glob("stac/*/*.json")):
        if path.name != "collection.json":
            item = json.loads(path.read_text())
            assert item["properties"]["ghsl:calibration"] == record["calibration"]
            titles = {key: asset["title"] for key, asset in item["assets"].items()}
            assert {key for key, text in titles.items() if "ncalibrated" in text} <= {"BUFRAC_RAW"}
            assert titles.get("BUILT_S", "Calibrated built-up area, m²").endswith("area, m²")
