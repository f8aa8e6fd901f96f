"""Training of a network: labels, parts of the ground, scores, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from ghsl_beam.tools.network import NetworkRequest, Split, Unit, train_network
from ghsl_beam.tools.network.blocks import blocks_of, by_blocks, by_images
from ghsl_beam.tools.network.labels import Labels, burn
from ghsl_beam.tools.network.scores import best_threshold, reliability, scores
from tests.unit.ghsl_beam.tools.test_validate import boxes
from transforms.elements import RequestError
from transforms.inference.training import LabelledImage

LEFT, TOP, SIDE = 340000, 5820000, 160


def ground(left: int, top: int, right: int, bottom: int) -> shapely.Polygon:
    """Pixels of the image as a polygon in degrees."""
    into = Transformer.from_crs(32633, "OGC:CRS84", always_xy=True).transform
    box = shapely.box(LEFT + 10 * left, TOP - 10 * bottom, LEFT + 10 * right, TOP - 10 * top)
    return shapely.transform(box, into, interleaved=False)


def raster(path: Path, values: np.ndarray, step: float = 10, left: int = LEFT, **about) -> str:
    values = values if values.ndim == 3 else values[np.newaxis]
    profile = {
        "driver": "GTiff",
        "crs": "EPSG:32633",
        "transform": from_origin(left, TOP, step, step),
        "dtype": str(values.dtype),
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
    } | about
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return str(path)


def bright_towns(folder: Path, name: str = "image.tif", left: int = LEFT) -> str:
    """An image with a bright town of 10 x 10 pixels in every part of 40 x 40."""
    x = np.random.default_rng(0).normal(1000, 60, (4, SIDE, SIDE))
    for row in range(15, SIDE, 40):
        for col in range(15, SIDE, 40):
            x[:, row : row + 10, col : col + 10] += 600
    return raster(folder / name, x.astype(np.uint16), left=left)


def towns(folder: Path) -> str:
    boxes(
        folder / "built.gpkg",
        *(ground(c, r, c + 10, r + 10) for r in range(15, SIDE, 40) for c in range(15, SIDE, 40)),
    )
    return str(folder / "built.gpkg")


def test_polygons_and_fractions_become_labels(tmp_path: Path) -> None:
    boxes(tmp_path / "built.gpkg", ground(10, 10, 20, 20))
    boxes(tmp_path / "other.gpkg", ground(15, 10, 30, 20))
    fine = np.full((SIDE, SIDE), 255, np.uint8)  # pixels of 5 m on the left half of the image
    fine[:, : SIDE // 2], fine[::2, ::2] = 40, 80
    fine[:, SIDE // 2 :] = 255
    request = NetworkRequest(
        "m.h5",
        built_up=(str(tmp_path / "built.gpkg"),),
        not_built=(str(tmp_path / "other.gpkg"),),
        fractions=(raster(tmp_path / "f.tif", fine, step=5, nodata=255),),
        unit=Unit.PERCENT,
    )
    usable = np.ones((SIDE, SIDE), bool)
    usable[12, 12] = False
    with rasterio.open(bright_towns(tmp_path)) as image:
        burnt = burn(Labels.read(request), image, usable)
    assert burnt.built_up[0, 0] == pytest.approx(0.5)  # the mean of 40, 40, 40 and 80
    assert burnt.weights[0, 0] == 1
    assert burnt.weights[0, 100] == 0  # no label
    assert (burnt.built_up[11, 11], burnt.weights[11, 11]) == (1, 1)
    assert (burnt.built_up[11, 25], burnt.weights[11, 25]) == (0, 1)
    assert burnt.weights[11, 17] == 0  # both
    assert burnt.contradictory == 50
    assert burnt.weights[12, 12] == 0
    assert NetworkRequest("m.h5", built_up=("a",)).weight_elsewhere == 0.2
    assert replace(request, unlabelled=0.1).weight_elsewhere == 0.1


def labelled(side: int = 200) -> tuple[LabelledImage, tuple[np.ndarray, np.ndarray]]:
    """An image of 2 km with towns everywhere, and the places of its pixels."""
    rows, cols = np.indices((side, side))
    built = ((rows % 20 < 8) & (cols % 20 < 8)).astype(np.float32)
    image = LabelledImage(np.ones((4, side, side), np.uint16), built, np.ones_like(built))
    return image, (10.0 * cols, -10.0 * rows)


def test_parts_of_the_ground_lie_apart() -> None:
    image, places = labelled()
    parts = by_blocks([image], [places], (2000.0, 500.0), 1)
    assert parts is not None
    assert (parts.by, parts.of) == ("blocks of 500 m", 20)
    learnt, validated, tested = (
        part[0] > 0 for part in (parts.learnt, parts.validated, parts.tested)
    )
    assert not (learnt & tested).any()
    assert not (validated & tested).any()
    rows, cols = np.nonzero(tested)
    for part in (learnt, validated):
        near = np.zeros_like(part)
        for row, col in zip(rows[::7], cols[::7], strict=True):
            near[max(row - 10, 0) : row + 11, max(col - 10, 0) : col + 11] = True
        assert not (near & part).any()
    held = np.unique(blocks_of(places, 500.0)[tested])
    assert len(held) == parts.held
    assert by_blocks([image], [places], (2000.0,), 1) is None


def test_images_of_the_same_ground_are_held_out_together() -> None:
    image, (east, north) = labelled(80)
    places = [(east + 5000 * (number // 2), north) for number in range(8)]
    parts = by_images([image] * 8, places, 1)
    assert parts is not None
    assert (parts.by, parts.of) == ("whole images", 4)
    tested = [bool(part.any()) for part in parts.tested]
    assert tested[::2] == tested[1::2]
    assert sum(tested) == 2
    assert by_images([image] * 2, places[:2], 1) is None


def test_scores_agree_with_their_definitions() -> None:
    random = np.random.default_rng(3)
    probability = random.random(5000).astype(np.float32)
    fraction = (random.random(5000) < probability**2).astype(np.float32)
    found = scores(fraction, probability)
    truth = fraction >= 0.5
    assert found["auc"] == pytest.approx(roc_auc_score(truth, probability), abs=1e-4)
    assert found["average_precision"] == pytest.approx(
        average_precision_score(truth, probability), abs=1e-4
    )
    best = max(f1_score(truth, probability >= t) for t in np.unique(probability)[::20])
    assert found["f1_at_threshold"] >= round(best, 4)
    threshold, f1 = best_threshold(truth, probability)
    assert f1 == pytest.approx(f1_score(truth, probability >= threshold))
    curve = reliability(fraction, probability)
    assert sum(part["pixels"] for part in curve) == 5000
    for part in curve:
        assert part["from"] <= part["probability"] <= part["to"]
        assert part["fraction"] == pytest.approx(part["probability"] ** 2, abs=0.08)
    alone = scores(np.zeros(10, np.float32), probability[:10])
    assert (alone["auc"], alone["built_up"], alone["pixels"]) == (None, 0, 10)


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    image, built = bright_towns(tmp_path), towns(tmp_path)
    good = NetworkRequest(str(tmp_path / "m.h5"), images=(image,), built_up=(built,))
    share = raster(tmp_path / "share.tif", np.full((SIDE, SIDE), 0.5, np.float32))
    wrong = raster(tmp_path / "wrong.tif", np.full((SIDE, SIDE), 90.0, np.float32))
    three = raster(tmp_path / "three.tif", np.ones((3, SIDE, SIDE), np.uint16))
    away = raster(tmp_path / "away.tif", np.ones((4, SIDE, SIDE), np.uint16), left=LEFT + 90000)
    cases = {
        "has no image": replace(good, images=()),
        "has no built-up": replace(good, built_up=()),
        "needs the unit": replace(good, fractions=(share,)),
        "values from 90 to 90, expected 0 to 1": replace(good, fractions=(wrong,), unit=Unit.SHARE),
        "has 4 bands, expected 1": replace(good, fractions=(image,), unit=Unit.SHARE),
        "found 3 bands of uint16": replace(good, images=(three,)),
        "is named twice": replace(good, images=(image, image)),
        "no built-up pixel": replace(good, images=(away,)),
        "whole images; remove|is for --split blocks": replace(
            good, split=Split.IMAGES, block_size=500
        ),
        "1 images are too few": replace(good, split=Split.IMAGES),
        "too few blocks of this size": replace(good, block_size=50000),
        "becomes a part of the credits": replace(good, author="a; b"),
    }
    for said, request in cases.items():
        with pytest.raises(RequestError, match=said) as refused:
            train_network(request, lambda line: None)
        assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("m*"))
