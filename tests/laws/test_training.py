"""Scores of a classifier trained on labels in a finished run."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from ghsl_beam.cli.main import app
from ghsl_beam.tools.training import Labels, patches_of, tiles_of_run, train_residential
from transforms.classification import FEATURE_SETS, ResidentialClassifier, choose_blocks
from transforms.classification.holding_out import blocks, near
from transforms.classification.search import Candidate, candidates
from transforms.elements import RequestError

SIDE = 140
NETWORK = "ab" * 32


def one_model(feature_set: str) -> tuple[Candidate, ...]:
    """The fastest model alone."""
    return candidates([feature_set])[-1:]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 1.6 km: all built, pixels that resemble their neighbours."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "utm/33UUU").mkdir(parents=True)
    random = np.random.default_rng(1)
    fields = [gaussian_filter(random.standard_normal((SIDE, SIDE)), 6) for _ in range(4)]
    s2 = np.stack([1000 + 8000 * field for field in fields]).clip(1, 9000).astype("uint16")
    place = {"crs": "EPSG:32633", "transform": from_origin(340000, 5820000, 10, 10)}
    size = {"driver": "GTiff", "height": SIDE, "width": SIDE, **place}
    built = np.full((SIDE, SIDE), 60, "uint8")
    with rasterio.open(
        folder / "utm/33UUU/BUFRAC_E2020_x_33UUU.tif", "w", **size, count=1, dtype="uint8"
    ) as target:
        target.write(built, 1)
        target.update_tags(MODEL_SHA256=NETWORK)
    with rasterio.open(
        folder / "utm/33UUU/S2_E2020_x_33UUU.tif", "w", **size, count=4, dtype="uint16"
    ) as target:
        target.write(s2)
    record = {"name": "x", "epoch": 2020, "tiles": [{"tile": "33UUU"}]}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def labels_by_chance(patch: int, part: int, gap: int) -> Labels:
    """Patches labelled by chance, each drawn in touching strips; pixels wide."""
    into = Transformer.from_crs(32633, "OGC:CRS84", always_xy=True).transform
    random = np.random.default_rng(5)
    corners = range(0, SIDE - patch + 1, patch + gap)
    chance = random.permutation([1, 2] * (len(corners) ** 2 // 2 + 1))
    shapes, classes = [], []
    for number, (row, col) in enumerate((r, c) for r in corners for c in corners):
        for left in range(col, col + patch, part):
            x, y = 340000 + 10 * left, 5820000 - 10 * row
            shapes.append(shapely.box(x, y - 10 * patch, x + 10 * part, y))
            classes.append(chance[number])
    polygons = shapely.transform(np.array(shapes), into, interleaved=False)
    return Labels(list(polygons), np.array(classes, np.uint8), {})


@pytest.mark.parametrize(("patch", "part", "gap"), [(12, 2, 8), (20, 5, 0)])
def test_labels_by_chance_score_as_chance(
    run_of: Path, tmp_path: Path, patch: int, part: int, gap: int
) -> None:
    labels = labels_by_chance(patch, part, gap)
    found = train_residential(
        str(run_of), labels, one_model("spectral_texture"), str(tmp_path / "m"), ""
    )
    assert 0.35 < found["balanced_accuracy"] < 0.65
    assert found["held_out"]["by"].startswith("blocks of")


def test_what_there_is_to_learn_scores(run_of: Path, tmp_path: Path) -> None:
    """Labels that follow the pixels are found in blocks that were held out."""
    labels = labels_by_chance(12, 12, 8)
    with rasterio.open(run_of / "utm/33UUU/S2_E2020_x_33UUU.tif") as source:
        into = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True)
        centres = shapely.get_coordinates(shapely.centroid(labels.polygons))
        x, y = into.transform(centres[:, 0], centres[:, 1])
        red = np.array([value[0] for value in source.sample(zip(x, y, strict=True))])
    classes = np.where(red > np.median(red), 1, 2).astype(np.uint8)
    model = tmp_path / "own.skops"
    found = train_residential(
        str(run_of),
        Labels(labels.polygons, classes, {}),
        candidates(["spectral"])[1:3],
        str(model),
        "noise",
    )
    assert found["balanced_accuracy"] > 0.65
    assert found["networks"] == [NETWORK]
    assert json.loads((tmp_path / "own.scores.json").read_text()) == found
    assert found["search"]["nested"]
    assert found["model"] in found["search"]["balanced_accuracy_of_candidates"]
    assert len(found["search"]["by_part"]) == found["held_out"]["folds"] > 1
    assert sum(found["confusion"].values()) == found["held_out"]["pixels"]
    assert next(iter(found["importances"])) == "red"
    precision = found["precision_at_share"]
    right, wrong = (
        found["by_class"][name]["recall"] for name in ("non_residential", "residential")
    )
    expected = 0.07 * right / (0.07 * right + 0.93 * (1 - wrong))
    assert precision["non_residential"] == pytest.approx(expected, abs=1e-3)
    assert ResidentialClassifier.load(model).networks == (NETWORK,)


def test_an_earlier_model_of_that_name_is_kept(run_of: Path, tmp_path: Path) -> None:
    labels, model = labels_by_chance(12, 12, 8), tmp_path / "own.skops"
    model.write_text("precious")
    scores = tmp_path / "own.scores.json"
    scores.mkdir()
    with pytest.raises(RequestError, match=r"own\.scores\.json: is a folder"):
        train_residential(str(run_of), labels, one_model("spectral"), str(model), "")
    scores.rmdir()
    scores.write_text("scores")
    found = train_residential(str(run_of), labels, one_model("spectral"), str(model), "")
    assert ResidentialClassifier.load(model).feature_set == "spectral"
    digest = hashlib.sha256(b"precious").hexdigest()
    assert found["kept"] == f"{model}.{digest[:8]}"
    assert Path(found["kept"]).read_text() == "precious"
    assert next(tmp_path.glob("own.scores.json.*")).read_text() == "scores"
    again = train_residential(
        str(run_of), labels, one_model("spectral"), str(model), "", overwrite=True
    )
    assert again["kept"] is None
    assert len(list(tmp_path.iterdir())) == 4  # the model and its scores, and the earlier ones


def test_ten_bands_are_those_of_the_same_run(run_of: Path, tmp_path: Path) -> None:
    """An earlier run in this folder left its bands at 20 m, perhaps of other scenes."""
    shutil.copytree(run_of, tmp_path / "run")
    path = "utm/33UUU/S2_20M_E2020_x_33UUU.tif"
    with rasterio.open(run_of / "utm/33UUU/S2_E2020_x_33UUU.tif") as source:
        bands, profile = source.read([1, 2, 3, 4, 1, 2]), source.profile | {"count": 6}
    with rasterio.open(tmp_path / "run" / path, "w", **profile) as target:
        target.write(bands)
    record = json.loads((run_of / "run.json").read_text())
    for products, found in (([], 0), ([{"path": path}], 1)):
        content = json.dumps(record | {"products": products})
        (tmp_path / "run/run.json").write_text(content)
        assert len(list(tiles_of_run(str(tmp_path / "run"), ten=True))) == found
        assert len(list(tiles_of_run(str(tmp_path / "run")))) == 1


def test_a_feature_set_that_is_none(tmp_path: Path) -> None:
    """Told before the labels are looked at."""
    arguments = ["train", "residential", "none", "--labels", "none", "--feature-set", "foo"]
    ended = CliRunner().invoke(app, [*arguments, "--model", str(tmp_path / "m")])
    assert isinstance(ended.exception, RequestError)
    known = ", ".join(FEATURE_SETS)
    assert str(ended.exception) == f"--feature-set 'foo': expected one of {known}"


def test_pixels_of_both_classes_are_left_out(run_of: Path, tmp_path: Path) -> None:
    labels = labels_by_chance(12, 12, 8)
    twice = labels.polygons[:3]
    far = shapely.box(-168, 10, -167.9, 10.1)  # it has no place in the CRS of the tile
    both = Labels(
        [*labels.polygons, *twice, far],
        np.concatenate([labels.classes, 3 - labels.classes[:3], [1]]).astype(np.uint8),
        {},
    )
    model = str(tmp_path / "m")
    found = train_residential(str(run_of), both, one_model("spectral"), model, "")
    assert found["left_out"] == {"pixels of both classes": 3 * 144}
    near_by = Labels(labels.polygons[:2], np.array([1, 2], np.uint8), {})
    with pytest.raises(
        RequestError,
        match=r"are in one block of .* only, .* needs at least 2, .*; draw both classes",
    ):
        train_residential(str(run_of), near_by, one_model("spectral"), f"{model}2", "")


def test_patches_are_of_one_class_and_touch() -> None:
    at = [(0, 1), (0.0001, 1), (0.0002, 2), (0.001, 1)]  # degrees east and class
    shapes = [shapely.box(12 + east, 0, 12 + east + 0.0001, 0.0001) for east, _ in at]
    found = patches_of(Labels(shapes, np.array([kind for _, kind in at], np.uint8), {}))
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def test_blocks_keep_small_patches_whole() -> None:
    places = np.array([[240, 10], [260, 10], [10, 10], [990, 10]], float)
    patches = np.array([0, 0, 1, 1])
    found = blocks(places, patches, 250)
    assert found[0] == found[1]
    assert found[2] != found[3]
    labels = np.array([1, 2, 2, 1], np.uint8)
    _, side, fewer = choose_blocks(places, np.arange(4), labels)
    assert (side, fewer) == (250, 2)


def test_near_is_within_a_distance() -> None:
    random = np.random.default_rng(0)
    places, held = random.random((500, 2)) * 3000 - 1000, random.random(500) < 0.05
    away = np.sqrt(((places[:, None] - places[None, held]) ** 2).sum(-1)).min(axis=1)
    found = near(places, held, 100)
    assert found[away <= 100].all()
    assert not found[away > 300].any()
