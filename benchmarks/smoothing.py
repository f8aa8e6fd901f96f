"""Compares the ways to smooth RES_NRES: none, majority, objects.

The first table is of EuroSAT tiles whose classifier has not seen them: the tiles of the two classes
are split at random into five parts, several times, and a classifier is trained without the part
that it is tested on. Every tile has one class, so a wide vote is always right at its rim. So the
tiles are also joined to one image, where residential tiles lie beside industrial ones, and each
class is wrong beyond the border. Both have the balanced accuracy of the built-up pixels.

The second table is of the demonstration, whose true classes are unknown.

    python benchmarks/smoothing.py --eurosat EUROSAT [--run OUTPUT] [--splits N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import train_starter_network as starter

from transforms.classification import (
    FEATURE_SETS,
    NON_RESIDENTIAL,
    RESIDENTIAL,
    ResidentialClassifier,
    feature_table,
    majority,
    object_majority,
    predict_classes,
    train,
)
from transforms.cleaning import CleaningParameters, clean
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict

Bytes = NDArray[np.uint8]
Smooth = Callable[[Bytes, Bytes], Bytes]

LABELS = {"Residential": RESIDENTIAL, "Industrial": NON_RESIDENTIAL}
CLEANING = CleaningParameters(minimum=0.5)
"""The starter network's own threshold; a class is given to likely built-up only."""
PARTS = 5
ACROSS = 5  # tiles in a row of the joined image: an odd number, so that neighbours differ
WAYS: dict[str, Smooth] = {
    "none": lambda classes, bufrac: classes,
    "majority": majority,
    **{
        f"objects, {reach} steps": lambda classes, bufrac, reach=reach: object_majority(  # type: ignore[misc]
            classes, bufrac, reach
        )
        for reach in (3, 5, 7, 10, 15)
    },
}


def mixed_share(classes: Bytes) -> float:
    """The share of built pixels that have both classes in their 3 x 3 pixels."""
    near = [ndimage.binary_dilation(classes == label, np.ones((3, 3))) for label in LABELS.values()]
    built = np.isin(classes, list(LABELS.values()))
    return float((near[0] & near[1])[built].mean())


def small_share(classes: Bytes) -> float:
    """The share of residential objects (8-connected) that have at most 3 pixels."""
    objects, number = ndimage.label(classes == RESIDENTIAL, structure=np.ones((3, 3)))
    return float((np.bincount(objects.ravel())[1:] <= 3).mean()) if number else float("nan")


def balanced(truth: Bytes, classes: Bytes) -> float:
    """The balanced accuracy of the built pixels."""
    built = np.isin(classes, list(LABELS.values()))
    return float(balanced_accuracy_score(truth[built], classes[built]))


def joined(tiles: list[Bytes]) -> Bytes:
    """One image of tiles, row by row."""
    rows = [np.hstack(tiles[first : first + ACROSS]) for first in range(0, len(tiles), ACROSS)]
    return np.vstack(rows)


def on_tiles(eurosat: Path, feature_set: str, splits: int) -> dict[str, float]:
    """Print the first table; returns the balanced accuracy on the joined image."""
    engine = load_engine(starter_file())
    found = {name: [t for t in starter.read_tiles(eurosat) if t.label == name] for name in LABELS}
    number = min(len(tiles) for tiles in found.values()) // ACROSS * ACROSS
    # Alternating, so that each tile in the joined image has tiles of the other class around it.
    tiles = [tile for pair in zip(*found.values(), strict=False) for tile in pair][: 2 * number]
    labels = np.array([LABELS[tile.label] for tile in tiles], np.uint8)
    bufracs = [clean(predict(tile.s2, engine), tile.s2, CLEANING) for tile in tiles]
    tables = [
        feature_table(bufrac, tile.s2, (bufrac > 0) & (bufrac <= 100), feature_set)
        for bufrac, tile in zip(bufracs, tiles, strict=True)
    ]
    truth = [np.full(bufrac.shape, label) for bufrac, label in zip(bufracs, labels, strict=True)]
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in WAYS}
    for seed in range(splits):
        guessed: list[Bytes] = [np.zeros(0, np.uint8)] * len(tiles)
        for known, held in StratifiedKFold(PARTS, shuffle=True, random_state=seed).split(
            labels, labels
        ):
            classifier = train(
                np.concatenate([tables[n] for n in known]),
                np.concatenate([np.full(len(tables[n]), labels[n]) for n in known]),
                feature_set,
                "",
            )
            for n in held:
                guessed[n] = predict_classes(bufracs[n], tiles[n].s2, classifier)
        for name, smooth in WAYS.items():
            single = [smooth(*pair) for pair in zip(guessed, bufracs, strict=True)]
            image = smooth(joined(guessed), joined(bufracs))
            rows[name].append(
                (
                    balanced(np.stack(truth), np.stack(single)),
                    balanced(joined(truth), image),
                    float(np.mean([mixed_share(one) for one in single if one.any()])),
                    small_share(joined([np.pad(one, 1) for one in single])),
                )
            )
    print("| smoothing | balanced accuracy | spread | joined | spread | both classes | small |")
    print("|---|---|---|---|---|---|---|")
    for name, values in rows.items():
        single_accuracy, accuracy, mixed, small = np.mean(values, axis=0)
        spread, joined_spread = np.std(values, axis=0)[:2]
        print(
            f"| {name} | {single_accuracy:.3f} | {spread:.3f} | {accuracy:.3f} "
            f"| {joined_spread:.3f} | {mixed:.3f} | {small:.2f} |"
        )
    return {name: float(np.mean([one[1] for one in values])) for name, values in rows.items()}


def on_run(output: Path) -> None:
    """Print the second table: what smoothing does to the layers of a run."""
    job = json.loads((output / "run.json").read_text())["configuration"]
    classifier = ResidentialClassifier.load(job["residential"]["model"])
    print("\n| tile | smoothing | both classes | small | residential | seconds |")
    print("|---|---|---|---|---|---|")
    for path in sorted(output.glob("utm/*/BUFRAC_E*.tif")):
        with rasterio.open(path) as file:
            bufrac = file.read(1)
        with rasterio.open(path.with_name(path.name.replace("BUFRAC_", "S2_", 1))) as file:
            s2 = file.read()
        classes = predict_classes(bufrac, s2, classifier)
        for name, smooth in WAYS.items():
            started = time.perf_counter()
            result = smooth(classes, bufrac)
            seconds = time.perf_counter() - started
            residential = (result == RESIDENTIAL).sum() / np.isin(result, (1, 2)).sum()
            print(
                f"| {path.parent.name} | {name} | {mixed_share(result):.3f} "
                f"| {small_share(result):.2f} | {residential:.2f} | {seconds:.2f} |"
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--eurosat", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--run", type=Path, help="output of a run, such as the demonstration's")
    parser.add_argument("--feature-set", choices=FEATURE_SETS, default="spectral_texture")
    parser.add_argument("--splits", type=int, default=5, help="random splits of the tiles")
    wanted = parser.parse_args()
    found = on_tiles(wanted.eurosat, wanted.feature_set, wanted.splits)
    if wanted.run:
        on_run(wanted.run)
    best = max(found, key=lambda name: found[name])
    print(f"result: majority={found['majority']:.3f} best={found[best]:.3f} best_is={best!r}")


if __name__ == "__main__":
    main()
