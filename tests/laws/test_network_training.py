"""Whole trainings of a network: what it learns, when it stops, and where it goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from ghsl_beam.tools.network import NetworkRequest, train_network
from tests.unit.ghsl_beam.tools.network.test_network import SIDE, bright_towns, ground, towns
from tests.unit.ghsl_beam.tools.test_validate import boxes
from transforms.inference.engines import EXACT, choose
from transforms.inference.network import collapse
from transforms.inference.predict import prepare
from transforms.inference.training import Epoch, LabelledImage, TrainingSettings, train
from transforms.inference.weights import load_weights, save_weights


def bright_square() -> LabelledImage:
    random = np.random.default_rng(0)
    built_up = np.zeros((60, 60), np.float32)
    built_up[20:40, 20:40] = 1
    x = random.normal(0.1, 0.01, (4, 60, 60)) + 0.05 * built_up
    return LabelledImage((x * 10_000).astype(np.uint16), built_up, np.ones((60, 60), np.float32))


def test_learns_a_bright_square(tmp_path: Path) -> None:
    square = bright_square()
    settings = TrainingSettings(samples=300, epochs=8, batch=64)
    heard: list[Epoch] = []
    trained = train([square], settings, progress=heard.append)
    assert [epoch.number for epoch in trained.epochs] == list(range(1, 9))
    assert tuple(heard) == trained.epochs
    assert trained.epochs[-1].loss < trained.epochs[0].loss
    path = tmp_path / "MODEL_CNN_33U.h5"
    save_weights(path, trained.weights)
    padded = np.pad(square.s2, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    found = choose(EXACT).make(collapse(load_weights(path))).probabilities(prepare(padded))
    assert ((found > 0.5) == (square.built_up == 1)).mean() > 0.95


def test_stops_early_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    square = bright_square()
    wrong = replace(square, built_up=1 - square.built_up)
    settings = TrainingSettings(samples=100, epochs=6, batch=64, patience=2)
    stopped = train([square], settings, validation=[wrong])
    assert len(stopped.epochs) < 6
    assert not any(epoch.best for epoch in stopped.epochs[-2:])

    class StopHereError(Exception):
        pass

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise StopHereError

    state = tmp_path / "state"
    with pytest.raises(StopHereError):
        train([square], settings, checkpoint=state, progress=interrupt)
    rest: list[Epoch] = []
    resumed = train([square], settings, checkpoint=state, progress=rest.append)
    assert [epoch.number for epoch in rest] == [3, 4, 5, 6]
    at_once = train([square], settings)
    assert resumed.epochs == at_once.epochs
    for key, array in at_once.weights.arrays.items():
        assert array.tobytes() == resumed.weights.arrays[key].tobytes(), key
    other: list[Epoch] = []
    train([square], replace(settings, epochs=1), checkpoint=state, progress=other.append)
    assert [epoch.number for epoch in other] == [1]  # the state is of another training


def test_one_image_with_both_kinds_of_polygons(tmp_path: Path) -> None:
    """The trial is judged, the state is removed, and a second training keeps the first model."""
    rest = shapely.difference(
        ground(2, 2, SIDE - 2, SIDE - 2),
        shapely.union_all([ground(c, r, c + 10, r + 10)
                           for r in range(15, SIDE, 40) for c in range(15, SIDE, 40)]),
    )  # fmt: skip
    boxes(tmp_path / "other.gpkg", rest)
    request = NetworkRequest(
        str(tmp_path / "OWN_MODEL_CNN_33U.h5"),
        images=(bright_towns(tmp_path),),
        built_up=(towns(tmp_path),),
        not_built=(str(tmp_path / "other.gpkg"),),
        built_share=0.3,
        epochs=4,
    )
    told: list[str] = []
    report = train_network(request, told.append)
    assert report["scores"]["auc"] > 0.95
    assert report["by_image"].keys() == {"image.tif"}
    assert report["held_out"]["by"].startswith("blocks of ")
    assert 1 <= report["epochs"] <= 4
    assert any("validation" in line and "left" in line for line in told)
    assert sorted(path.name for path in tmp_path.glob("OWN*")) == [
        "OWN_MODEL_CNN_33U.h5",
        "OWN_MODEL_CNN_33U.scores.json",
    ]
    again = train_network(replace(request, epochs=1), told.append)
    assert again["kept"].startswith(f"{request.model}.")
