"""What is found out before a training begins."""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import shapely

from ghsl_beam.tools import training
from ghsl_beam.tools.label_file import read_polygons
from ghsl_beam.tools.network import NetworkRequest, images, train_network
from ghsl_beam.tools.network import training as network_training
from ghsl_beam.tools.training import Labels, train_residential
from ghsl_beam.tools.training_checks import check_model
from tests.laws.test_training import labels_by_chance, run_of  # noqa: F401
from tests.unit.ghsl_beam.tools.test_plain_rasters import Host, host, in_degrees, virtual  # noqa: F401
from tests.unit.ghsl_beam.tools.test_validate import boxes
from transforms.classification.search import candidates
from transforms.elements import RasterError, RequestError, StorageError

NOT_WRITABLE = {
    "/proc/x.skops": "cannot be written",
    "a folder": "is a folder, expected the name of a file",
    "new/": "is a folder, expected the name of a file",
    ".": "is a folder",
    "below a file": "cannot be written",
    "a pipe": "is a pipe or a device",
    "/dev/null": "is a pipe or a device",
    "https://example.org/m.h5": "read-only",
    "too long": "cannot be written",
}


def asked(run: Path | str, polygons: str, model: str) -> NetworkRequest:
    """A training on one run and one file of polygons."""
    return NetworkRequest(model, outputs=(str(run),), built_up=(polygons,), epochs=1)


def name_of(folder: Path, case: str) -> str:
    if case == "a folder":
        (folder / "there").mkdir()
        return str(folder / "there")
    if case == "a pipe":
        os.mkfifo(folder / "pipe")
        return str(folder / "pipe")
    if case == "below a file":
        (folder / "file").write_text("")
        return str(folder / "file/m.h5")
    if case == "too long":
        return str(folder / ("m" * 300))
    return case if case[0] in "/.h" else f"{folder}/{case}"


@pytest.mark.parametrize("case", NOT_WRITABLE)
@pytest.mark.parametrize("kind", ["network", "residential"])
def test_a_model_that_cannot_be_written_is_found_out_first(
    run_of: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    kind: str,
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("trained before the model's name was looked at")

    monkeypatch.setattr(training, "search", too_late)
    monkeypatch.setattr(network_training, "train", too_late)
    for module in (training, images):
        monkeypatch.setattr(module, "tiles_of_run", too_late)
    model = name_of(tmp_path, case)
    there = sorted(tmp_path.rglob("*"))
    train = {
        "network": partial(train_network, asked(run_of, "none.gpkg", model)),
        "residential": partial(
            train_residential, str(run_of), labels_by_chance(12, 12, 8), candidates(), model, ""
        ),
    }[kind]
    with pytest.raises(RequestError, match=NOT_WRITABLE[case]) as caught:
        train()
    assert str(caught.value).startswith("--model ")
    assert sorted(tmp_path.rglob("*")) == there


def test_a_model_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    model = tmp_path / "own.h5"
    check_model(str(model), overwrite=False)
    assert not list(tmp_path.iterdir())
    model.write_text("precious")
    check_model(str(model), overwrite=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_an_earlier_model_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "own.h5"
    with model.open("wb") as file:
        file.truncate(1 << 29)
    with pytest.raises(RequestError, match="too large for a model"):
        check_model(str(model), overwrite=False)
    check_model(str(model), overwrite=True)
    model.write_text("precious")

    def denied(location: str) -> str:
        raise StorageError(location, "Permission denied")

    monkeypatch.setattr("ghsl_beam.tools.training_checks.storage.sha256", denied)
    with pytest.raises(RequestError, match=r"--model .*own\.h5: Permission denied"):
        check_model(str(model), overwrite=False)


@pytest.mark.parametrize("east", [0.2, 40.0, -120.0])
def test_labels_outside_the_run_say_where_both_lie(
    run_of: Path,  # noqa: F811
    tmp_path: Path,
    east: float,
) -> None:
    labels = labels_by_chance(12, 12, 8)
    away = [
        shapely.transform(shape, lambda at: at + np.array([east, 0])) for shape in labels.polygons
    ]
    west = shapely.total_bounds(away)[0]
    said = rf"are outside the run: .* longitude {west:.2f} to .* 33UUU about 12\.65, 52\.50"
    with pytest.raises(RequestError, match=f"labels: {said}"):
        train_residential(
            str(run_of), Labels(away, labels.classes, {}), candidates(), f"{tmp_path}/m", ""
        )
    boxes(tmp_path / "away.gpkg", *away)
    with pytest.raises(RequestError, match=rf"away\.gpkg: {said}"):
        train_network(asked(run_of, f"{tmp_path}/away.gpkg", f"{tmp_path}/m.h5"))


def test_labels_that_are_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gpkg")
    with pytest.raises(RequestError, match=r"pipe\.gpkg: is a pipe or a device, expected a file"):
        read_polygons(f"{tmp_path}/pipe.gpkg")


@pytest.mark.parametrize("layer", ["S2", "BUFRAC"])
@pytest.mark.parametrize("fault", ["cut", "leads elsewhere"])
def test_a_layer_that_cannot_be_read_is_named(
    run_of: Path,  # noqa: F811
    tmp_path: Path,
    host: Host,  # noqa: F811
    layer: str,
    fault: str,
) -> None:
    shutil.copytree(run_of, tmp_path / "run")
    path = tmp_path / f"run/utm/33UUU/{layer}_E2020_x_33UUU.tif"
    if fault == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_text(virtual(f"/vsicurl/{host.url}/x.tif"))
    labels, run = labels_by_chance(12, 12, 8), str(tmp_path / "run")
    with pytest.raises(RasterError, match=rf"{layer}_E2020_x_33UUU\.tif: is damaged"):
        train_residential(run, labels, candidates(), f"{tmp_path}/m", "")
    if layer == "S2":
        ground = in_degrees(shapely.box(340100, 5819000, 340500, 5819900))
        boxes(tmp_path / "built.gpkg", ground)
        with pytest.raises(RasterError, match=r"S2_E2020_x_33UUU\.tif: is damaged"):
            train_network(asked(run, f"{tmp_path}/built.gpkg", f"{tmp_path}/m.h5"))
    assert not host.was_asked()
