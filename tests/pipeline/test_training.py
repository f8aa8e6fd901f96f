"""Training on the layers of a run, and running with what was trained."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer

from ghsl_beam.tools.network import NetworkRequest, train_network
from ghsl_beam.tools.training import models_of, read_labels, train_residential
from tests.pipeline.conftest import ULX, ULY
from tests.support.jobs import layers, make
from transforms.elements import RequestError


@pytest.fixture(scope="module")
def labels_file(tmp_path_factory):
    into = Transformer.from_crs(32633, 4326, always_xy=True).transform
    features = []
    for number in range(16):
        left, top = ULX + 500 * number + 200, ULY - 800 - 300 * (number % 4)
        box = shapely.transform(
            shapely.box(left, top - 900, left + 400, top), into, interleaved=False
        )
        kind = ("home", "works")[number % 2]
        geometry = json.loads(shapely.to_geojson(box))
        features.append({"type": "Feature", "properties": {"use": kind}, "geometry": geometry})
    file = tmp_path_factory.mktemp("labels") / "labels.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def test_a_classifier_trained_on_a_run_serves_the_next(made, job_file, labels_file, tmp_path):
    output, _ = made
    labels = read_labels(str(labels_file), "use", "home", "works")
    model = tmp_path / "own.skops"
    scores = train_residential(
        str(output), labels, models_of("spectral")[-1:], str(model), "a test"
    )
    assert scores["pixels"] > 100
    assert 0 <= scores["balanced_accuracy"] <= 1
    settings = (f"residential.model={model}", f"output={tmp_path / 'out'}")
    other, record = make(job_file, settings=settings)
    assert record["exit_code"] == 0
    assert record["classifier"]["demonstration"] is False
    assert not any("another network" in warning for warning in record["warnings"])
    classes = layers(other)["utm/33UUU/RES_NRES_E2020_town_33UUU.tif"]
    assert set(np.unique(classes)) >= {0, 1, 2}


def test_labels_that_do_not_fit(labels_file):
    with pytest.raises(RequestError, match="has no field 'class'"):
        read_labels(str(labels_file), "class", "home", "works")
    with pytest.raises(RequestError, match="must have both"):
        read_labels(str(labels_file), "use", "home", "shop")


def test_a_network_trained_on_a_run_serves_the_next(made, job_file, labels_file, tmp_path):
    output, _ = made
    model = tmp_path / "MODEL_CNN_33U.h5"
    request = NetworkRequest(
        str(model), outputs=(str(output),), built_up=(str(labels_file),), epochs=1, author="A. Test"
    )
    told = []
    report = train_network(request, told.append)
    assert report["pixels"] > report["built_up"] > 1000
    assert all(0 <= report["scores"][score] <= 1 for score in ("f1", "auc", "average_precision"))
    assert report["scores"]["pixels"] > 1000
    assert report["held_out"]["by"].startswith("blocks of ")
    assert list(report["by_image"]) == report["images"]
    assert report.pop("kept") is None
    assert json.loads((tmp_path / "MODEL_CNN_33U.scores.json").read_text()) == report
    assert [line.split(":")[0] for line in told] == ["trial network", "final network"]
    assert not list(tmp_path.glob("*.state"))
    models = f"models={{folder: {tmp_path}}}"
    other, record = make(job_file, settings=(models, f"output={tmp_path / 'out'}"))
    assert record["exit_code"] == 0
    assert record["tiles"][0]["model"]["demonstration"] is False
    said = (
        "model MODEL_CNN_33U.h5 is your own, not a model of the JRC, though its name is like theirs"
    )
    assert said in record["warnings"]
    assert "Joint Research Centre" not in json.dumps(record["credits"])
    with rasterio.open(other / "utm/33UUU/BUFRAC_E2020_town_33UUU.tif") as source:
        assert "no model of the JRC: by A. Test with ghsl-beam" in source.tags()["CREDITS"]
    catalog = (other / "catalog.json").read_text()
    assert "Joint Research Centre" not in catalog
    assert "MODEL_CNN_33U.h5" in catalog
