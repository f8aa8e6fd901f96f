"""Trains a GHS-S2Net on the composites of a run and polygons of built-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize
from scipy.ndimage import map_coordinates, maximum_filter
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from ghsl_beam.tools.label_file import read_polygons
from ghsl_beam.tools.plain_rasters import opened_product, read_all
from ghsl_beam.tools.training import tiles_of_run
from ghsl_beam.tools.training_checks import check_model, check_place, keep_earlier
from transforms.elements import RequestError, package_version
from transforms.inference.engines import EXACT, choose
from transforms.inference.network import collapse
from transforms.inference.predict import HALO, prepare, valid
from transforms.inference.training import LabelledImage, TrainingSettings, train
from transforms.inference.weights import TRAINED, NetworkWeights, save_weights
from transforms.storage import storage

_SIDES = (2000.0, 1000.0, 500.0, 250.0)
"""Sides of the blocks of ground in metres; the largest side that gives enough blocks is used."""
_ENOUGH = 8
_HELD = 4
"""One of this number of blocks is held out."""
_APART = 10
"""Pixels around held-out blocks that are not used for training."""
_METRES = 111_195.0
_NODES = 64
"""Pixels between computed positions; the positions between them are interpolated."""
_MOST_TESTED = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Image:
    """A tile: its S2 (4, rows, columns), labels, weights, metres east and north."""

    s2: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    weights: NDArray[np.float32]
    places: tuple[Floats, Floats]


def train_network(
    output: str,
    polygons: str,
    model: str,
    unlabelled: float,
    epochs: int,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train on the S2 layers of a run: pixels inside the polygons are built-up, others are not.

    A quarter of the blocks of ground is held out. A network that never saw them is tested on them.
    Then the final network is trained on everything.

    Args:
        output: folder of a run; all its tiles are read into memory at once.
        polygons: vector file of built-up; with a layer as `file.gpkg|layer`.
        model: weight file to write, in the JRC's layout; it says that it is not of the JRC.
        unlabelled: weight of a pixel outside the polygons, 0..1, because it may be built-up too.
        epochs: passes over the drawn pixels.
        overwrite: whether a file of this name may be replaced; otherwise it is kept under another
            name.

    Returns:
        Number of built-up pixels and of all pixels that count; the held-out scores, which are None
        if the ground is too small to hold out a part; and the name under which an earlier model is
        `kept`.

    Raises:
        RequestError: the polygons cannot be used, or cover no valid pixel of the run, or the model
            cannot be written.
        RasterError: a layer of the run is damaged.
    """
    check_model(model, overwrite)
    shapes = read_polygons(polygons).polygons
    origin = shapely.get_coordinates(shapes[0])[0]
    paths = [path for path, _ in tiles_of_run(output)]
    check_place(polygons, shapes, output, paths)
    images = [_image(output, path, shapes, unlabelled, origin) for path in paths]
    if not images:
        raise RequestError(f"{output}: has no S2 layer to train on")
    if not _has_both(images, [image.weights for image in images]):
        raise RequestError(f"{polygons}: must cover some but not all valid pixels of {output}")
    settings = TrainingSettings(epochs=epochs)
    held_out = _held_out(images, settings)
    trained = _train(images, [image.weights for image in images], settings)
    about = {
        TRAINED: f"by ghsl-beam {package_version('ghsl-beam')} on {storage.name(polygons)} "
        f"and the composites of {storage.name(output)}"
    }
    kept = keep_earlier(model, overwrite)
    save_weights(model, trained, about)
    built = sum(int((i.weights[i.labels == 1] > 0).sum()) for i in images)
    pixels = sum(int((i.weights > 0).sum()) for i in images)
    return {"kept": kept, "built_up": built, "pixels": pixels, **held_out}


def _image(
    output: str, path: str, shapes: NDArray[Any], unlabelled: float, origin: NDArray[np.float64]
) -> _Image:
    with opened_product(path, output) as source:
        dn = read_all(source, path)
        into = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True)
        burnt = rasterize(
            list(shapely.transform(shapes, into.transform, interleaved=False)),
            out_shape=dn.shape[1:],
            transform=source.transform,
            default_value=1,
            dtype="uint8",
        )
        places = _places(source, origin)
    counts = np.where(burnt == 1, 1.0, unlabelled).astype(np.float32)
    return _Image(dn, burnt, np.where(valid(dn), counts, np.float32(0)), places)


def _places(source: Any, origin: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Metres east and north of an origin, the same in all tiles."""
    height, width = source.shape
    rows, cols = (np.arange(0, n + _NODES, _NODES, dtype=float) for n in (height, width))
    x = source.transform.a * np.broadcast_to(cols, (len(rows), len(cols))) + source.transform.c
    y = source.transform.e * np.broadcast_to(rows[:, None], x.shape) + source.transform.f
    lon, lat = Transformer.from_crs(source.crs, "OGC:CRS84", always_xy=True).transform(x, y)
    east = ((np.asarray(lon) - origin[0] + 180) % 360 - 180) * np.cos(np.radians(origin[1]))
    at = np.meshgrid(np.arange(height) / _NODES, np.arange(width) / _NODES, indexing="ij")
    nodes = (east * _METRES, (np.asarray(lat) - origin[1]) * _METRES)
    one, other = (map_coordinates(node, at, order=1, output=np.float32) for node in nodes)
    return one, other


def _has_both(images: list[_Image], weights: list[NDArray[np.float32]]) -> bool:
    """Whether some pixels that count are built-up, and others are not."""
    labels = {
        label
        for image, weight in zip(images, weights, strict=True)
        for label in (0, 1)
        if (weight[image.labels == label] > 0).any()
    }
    return labels == {0, 1}


def _train(
    images: list[_Image], weights: list[NDArray[np.float32]], settings: TrainingSettings
) -> NetworkWeights:
    labelled = [
        LabelledImage(image.s2, image.labels.astype(np.float32), weight)
        for image, weight in zip(images, weights, strict=True)
    ]
    return train(labelled, settings).weights


def _held_out(images: list[_Image], settings: TrainingSettings) -> dict[str, Any]:
    """Scores of a network on blocks of ground that were not in its training, with a margin."""
    undefined = {"f1": None, "auc": None, "balanced_accuracy": None, "held_out": None}
    for side in _SIDES:
        blocks = [_blocks(image, side) for image in images]
        held = _choose(images, blocks, settings.seed)
        if held is None:
            continue
        inside = [np.isin(block, held) for block in blocks]
        weights = [
            np.where(maximum_filter(part, 2 * _APART + 1), np.float32(0), image.weights)
            for image, part in zip(images, inside, strict=True)
        ]
        tested = [image.weights * part for image, part in zip(images, inside, strict=True)]
        if not _has_both(images, weights) or not _has_both(images, tested):
            continue
        network = _train(images, weights, settings)
        truth, guess = _predictions(network, images, inside)
        if len(np.unique(truth)) != 2:
            continue
        number = len(np.unique(np.concatenate([np.unique(block) for block in blocks])))
        return {
            "f1": round(float(f1_score(truth, guess >= 0.5)), 4),
            "auc": round(float(roc_auc_score(truth, guess)), 4),
            "balanced_accuracy": round(float(balanced_accuracy_score(truth, guess >= 0.5)), 4),
            "held_out": {
                "by": f"blocks of {side:g} m",
                "blocks": len(held),
                "of": number,
                "pixels": len(truth),
            },
        }
    return undefined


def _blocks(image: _Image, side: float) -> NDArray[np.int64]:
    """Number of the block of ground of each pixel, the same in all tiles."""
    east, north = (np.floor(part / side).astype(np.int64) for part in image.places)
    return np.asarray(north * (1 << 24) + east)


def _choose(
    images: list[_Image], blocks: list[NDArray[np.int64]], seed: int
) -> NDArray[np.int64] | None:
    """Choose blocks to hold out, with and without built-up; None if there are too few."""
    counted = [block[image.weights > 0] for image, block in zip(images, blocks, strict=True)]
    built = [
        block[(image.weights > 0) & (image.labels == 1)]
        for image, block in zip(images, blocks, strict=True)
    ]
    every, with_built = (
        np.unique(np.concatenate([np.unique(part) for part in parts])) for parts in (counted, built)
    )
    if len(every) < _ENOUGH or len(with_built) < 2:
        return None
    random = np.random.default_rng(seed)
    chosen = []
    for group in (with_built, np.setdiff1d(every, with_built)):
        number = max(1, len(group) // _HELD) if len(group) > 1 else 0
        chosen.append(random.choice(group, number, replace=False))
    return np.concatenate(chosen)


def _predictions(
    network: NetworkWeights, images: list[_Image], inside: list[NDArray[np.bool_]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Labels and probabilities of held-out valid pixels, of as many tiles as are needed."""
    engine = choose(EXACT).make(collapse(network))
    truth, guess, number = [], [], 0
    for image, part in zip(images, inside, strict=True):
        tested = part & (image.weights > 0)
        if not tested.any() or number > _MOST_TESTED:
            continue
        margin = ((0, 0), (HALO, HALO), (HALO, HALO))
        padded = np.pad(image.s2, margin, mode="reflect")
        probability = engine.probabilities(prepare(padded), valid=tested)
        truth.append(image.labels[tested])
        guess.append(probability[tested])
        number += int(tested.sum())
    if not truth:
        return np.empty(0, np.uint8), np.empty(0, np.float32)
    return np.concatenate(truth), np.concatenate(guess)
