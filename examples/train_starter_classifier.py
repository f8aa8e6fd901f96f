"""Train the starter classifier on EuroSAT tiles, or print how good it is on tiles it has not seen.

EuroSAT (Helber et al., 2019, MIT; contains modified Copernicus Sentinel data) has L1C tiles of
64 x 64 pixels with one label each. The starter network and the job's own cleaning find the built-up
pixels. Those of Residential tiles count as residential, those of Industrial tiles as
non-residential.

    python examples/train_starter_classifier.py --eurosat EUROSAT            # writes the classifier
    python examples/train_starter_classifier.py --eurosat EUROSAT --scores   # prints the scores

A tile shows a town or a plant from edge to edge. On a map there are villages in fields, haze and
other light. So each tile is also used in variants: turned, with other light and haze, and cut out
and laid on a tile of fields or forest. The scores come from classifiers with the same settings that
never saw the tiles they are tested on: the tiles of each class are dealt at random into five parts,
several times, and each part is held out once. A second table holds out whole blocks of ground: no
tile of a training is then within 150 km of a tile that is tested.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
import train_starter_network as network
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.features import rasterize
from rasterio.warp import transform_bounds
from scipy.sparse.csgraph import connected_components

from transforms.classification import (
    NON_RESIDENTIAL,
    RESIDENTIAL,
    LinearFit,
    ResidentialClassifier,
    Scores,
    classify,
    feature_table,
    train,
)
from transforms.classification.starter import starter_classifier_file
from transforms.classification.training import counted
from transforms.cleaning import CleaningParameters, clean
from transforms.elements import GhslBeamError
from transforms.inference.engines import Engine
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict

LABELS = {"Residential": RESIDENTIAL, "Industrial": NON_RESIDENTIAL}
BACKGROUNDS = ("AnnualCrop", "Forest", "HerbaceousVegetation", "Pasture", "PermanentCrop")
FEATURE_SET = "multiscale_bands"
STRENGTH = 0.01
BUILT_UP = CleaningParameters(minimum=0.5)
"""Built-up pixels are those that the network gives a probability of 0.5 or more."""
LIT = 4
"""Variants of a tile with other light alone."""
CUT = 12
"""Variants of a tile that lie on another tile, with other light."""
GAIN, HAZE = 0.35, 600
"""Light: at most exp(0.35) times as much or as little, and at most 0.06 of reflectance added."""
PIXELS = 300
"""Pixels of a variant that are used, drawn at random."""
DEALS, PARTS = 4, 5
APART = 150_000
"""Tiles nearer to each other than this, in metres, are in one block of ground."""
SHARE = 0.07
"""Share of the built-up that GHSL calls non-residential."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A tile or a variant of one: ten bands, BUFRAC, and its built-up pixels to use."""

    tile: int
    label: int
    s2: NDArray[np.uint16]
    bufrac: NDArray[np.uint8]
    used: NDArray[np.bool_]


@cache
def table_of(one: Image, feature_set: str) -> NDArray[np.float32]:
    """The features of the used pixels of an image."""
    return feature_table(one.bufrac, one.s2, one.used, feature_set)


def image(tile: int, label: int, s2: NDArray[np.uint16], engine: Engine) -> Image:
    """A tile with its built-up pixels."""
    seen = s2[:4]  # by the network
    bufrac = clean(predict(seen, engine), seen, BUILT_UP)
    return Image(tile, label, s2, bufrac, (bufrac > 0) & (bufrac != 255))


def in_other_light(s2: NDArray[np.uint16], dice: np.random.Generator) -> NDArray[np.uint16]:
    """A tile with other light and haze."""
    gain, haze = np.exp(dice.uniform(-GAIN, GAIN)), dice.uniform(0, HAZE)
    return np.clip(s2 * gain + haze, 1, 65535).astype(np.uint16)


def turned(array: NDArray[Any], quarters: int, mirrored: bool) -> NDArray[Any]:
    """The last two axes of an array, turned by quarters and mirrored."""
    array = np.rot90(array, quarters, (-2, -1))
    return np.ascontiguousarray(array[..., ::-1] if mirrored else array)


def variants(
    tile: int,
    label: int,
    s2: NDArray[np.uint16],
    backgrounds: list[NDArray[np.uint16]],
    engine: Engine,
    dice: np.random.Generator,
) -> Iterator[Image]:
    """Variants of a tile, each with at most `PIXELS` used pixels."""
    side = s2.shape[1]
    for number in range(LIT + CUT):
        inside = np.ones((side, side), bool)
        if number >= LIT:
            high, wide = dice.integers(10, 56, 2)
            row, col = dice.integers(0, side - high + 1), dice.integers(0, side - wide + 1)
            inside[:] = False
            inside[row : row + high, col : col + wide] = True
        below = backgrounds[dice.integers(len(backgrounds))]
        how = int(dice.integers(4)), bool(dice.integers(2))
        shown = turned(in_other_light(np.where(inside, s2, below), dice), *how)
        made = image(tile, label, shown, engine)
        used = np.flatnonzero(made.used & turned(inside, *how))
        chosen = np.zeros(side * side, bool)
        chosen[dice.permutation(used)[:PIXELS]] = True
        yield Image(tile, label, shown, made.bufrac, chosen.reshape(side, side))


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The tiles as they are, and their variants: for training, and others for tests."""

    plain: list[Image]
    training: list[Image]
    testing: list[Image]


def material(tiles: list[network.Tile], engine: Engine) -> Material:
    """All images; training and tests have other backgrounds."""
    fields = [tile.s2 for tile in tiles if tile.label in BACKGROUNDS]
    town = [(LABELS[tile.label], tile.s2) for tile in tiles if tile.label in LABELS]
    dice = np.random.default_rng(0)
    plain, training, testing = [], [], []
    for number, (label, s2) in enumerate(town):
        plain.append(image(number, label, s2, engine))
        training += list(variants(number, label, s2, fields[::2], engine, dice))
        testing += list(variants(number, label, s2, fields[1::2], engine, dice))[LIT:]
    return Material(plain, training, testing)


def fit(
    images: Iterable[Image],
    description: str = "",
    networks: tuple[str, ...] = (),
    feature_set: str = FEATURE_SET,
    starter: bool = False,
) -> ResidentialClassifier:
    """Train on the used pixels of images."""
    images = [one for one in images if one.used.any()]
    tables = [table_of(one, feature_set) for one in images]
    labels = np.repeat([one.label for one in images], [len(table) for table in tables])
    return train(
        np.concatenate(tables),
        labels.astype(np.uint8),
        feature_set,
        description,
        networks=networks,
        starter=starter,
        estimator=LinearFit(STRENGTH),
    )


def score(classifier: ResidentialClassifier, images: Iterable[Image]) -> Scores:
    """The scores of the pixels of images, before the majority."""
    images = [one for one in images if one.used.any()]
    guesses = [classifier.predict(table_of(one, classifier.feature_set)) for one in images]
    labels = np.repeat([one.label for one in images], [len(guess) for guess in guesses])
    return counted(labels.astype(np.uint8), np.concatenate(guesses))


def deals(plain: list[Image]) -> Iterator[set[int]]:
    """The tiles of each part that is held out: those of each class are dealt at random."""
    for seed in range(DEALS):
        dice = np.random.default_rng(seed)
        part = {}
        for label in LABELS.values():
            own = [one.tile for one in plain if one.label == label]
            part |= {tile: n % PARTS for n, tile in enumerate(dice.permutation(own))}
        yield from ({tile for tile, of in part.items() if of == n} for n in range(PARTS))


def blocks_of_ground(places: NDArray[np.float64]) -> NDArray[np.intp]:
    """The block of each tile: tiles are in one if a chain of them has gaps of at most `APART`.

    Args:
        places: (tiles, 2), longitude and latitude in degrees.
    """
    lon, lat = places.T
    pairs = np.meshgrid(np.arange(len(lon)), np.arange(len(lon)))
    _, _, metres = Geod(ellps="WGS84").inv(*(v[p.ravel()] for p in pairs for v in (lon, lat)))
    near = metres.reshape(len(lon), -1) <= APART
    return np.asarray(connected_components(near)[1])


def print_scores_by_blocks(images: Material, places: NDArray[np.float64]) -> None:
    """Scores of the starter classifier where whole blocks of ground are held out.

    A part of the blocks may have one class alone, so the pixels of all parts of a deal are counted
    together.
    """
    block = blocks_of_ground(places)
    taught = [*images.plain, *images.training]
    rows = []
    for seed in range(DEALS):
        part = np.random.default_rng(seed).permutation(np.arange(block.max() + 1) % PARTS)[block]
        made = [fit(one for one in taught if part[one.tile] != held) for held in range(PARTS)]
        row = []
        for some in (images.plain, images.testing):
            tested = [one for one in some if one.used.any()]
            guesses = [made[part[one.tile]].predict(table_of(one, FEATURE_SET)) for one in tested]
            labels = np.repeat([one.label for one in tested], [len(one) for one in guesses])
            row.append(counted(labels.astype(np.uint8), np.concatenate(guesses)).balanced_accuracy)
        rows.append(row)
    mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
    print(f"\n{block.max() + 1} blocks of ground; mean and standard deviation over {DEALS} deals\n")
    print("| held out | whole tiles | cut out, on fields, in other light |\n|---|---|---|")
    print(f"| blocks | {mean[0]:.2f} ± {spread[0]:.2f} | {mean[1]:.2f} ± {spread[1]:.2f} |")


def print_scores(images: Material) -> None:
    """Scores on tiles that were held out, of the starter classifier and of simpler ones."""
    both = [*images.plain, *images.training]
    ways: dict[str, tuple[list[Image], str]] = {
        "starter: bands of several sizes, with variants": (both, FEATURE_SET),
        "the same, tiles alone": (images.plain, FEATURE_SET),
        "with BUFRAC of several sizes, tiles alone": (images.plain, "multiscale"),
        "5 x 5 texture, tiles alone": (images.plain, "spectral_texture"),
        "ten bands of several sizes, with variants": (both, "multiscale_bands_ten"),
        "ten bands of several sizes, tiles alone": (images.plain, "multiscale_bands_ten"),
    }
    parts = list(deals(images.plain))
    print(f"{DEALS} deals of {PARTS} parts; mean and standard deviation over the parts\n")
    names = ("whole tiles", "cut out, on fields, in other light")
    print(f"| classifier | balanced accuracy: {names[0]} | {names[1]} |\n|---|---|---|")
    first: list[Scores] = []
    for way, (taught, feature_set) in ways.items():
        rows = []
        for held in parts:
            made = fit((one for one in taught if one.tile not in held), feature_set=feature_set)
            tested = [
                score(made, [one for one in some if one.tile in held])
                for some in (images.plain, images.testing)
            ]
            rows.append([one.balanced_accuracy for one in tested])
            if way.startswith("starter"):
                first.append(tested[0])
        values = np.array(rows)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        print(f"| {way} | {mean[0]:.2f} ± {spread[0]:.2f} | {mean[1]:.2f} ± {spread[1]:.2f} |")
    print("\n| starter, whole tiles | mean | spread | lowest | highest |\n|---|---|---|---|---|")
    facts: dict[str, Callable[[Scores], float]] = {
        "balanced accuracy": lambda s: s.balanced_accuracy,
        "residential: recall": lambda s: s.recalls[0],
        "non-residential: recall": lambda s: s.recalls[1],
        f"non-residential: precision at a share of {SHARE:.0%}": lambda s: s.precisions_at(SHARE)[
            1
        ],
    }
    for name, of in facts.items():
        values = np.array([of(one) for one in first])
        print(
            f"| {name} | {values.mean():.2f} | {values.std():.2f} | {values.min():.2f} "
            f"| {values.max():.2f} |"
        )


def on_sample(sample: Path, engine: Engine) -> None:
    """What the shipped classifier says inside OpenStreetMap's residential polygons of the scene."""
    s2, transform, kinds, shapes = read_sample(sample)
    bufrac = clean(predict(s2, engine), s2, CleaningParameters(minimum=0.5, ndvi_above=0.5))
    classes = classify(bufrac, s2, ResidentialClassifier.load(starter_classifier_file()))
    home = rasterize(
        list(shapes[kinds == "residential"]), out_shape=bufrac.shape, transform=transform
    )
    built = (classes == RESIDENTIAL) | (classes == NON_RESIDENTIAL)
    print("\n| built-up pixels of the scene | pixels | called residential |\n|---|---|---|")
    for name, where in (("inside residential polygons", home == 1), ("outside", home == 0)):
        chosen = classes[built & where]
        print(f"| {name} | {len(chosen)} | {(chosen == RESIDENTIAL).mean():.2f} |")


def place(eurosat: Path, label: str, name: str) -> tuple[float, float]:
    """Longitude and latitude of the middle of a tile, degrees."""
    with rasterio.open(eurosat / label / f"{name}.tif") as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    return (west + east) / 2, (south + north) / 2


def read_sample(
    sample: Path,
) -> tuple[NDArray[np.uint16], rasterio.Affine, NDArray[np.object_], NDArray[np.object_]]:
    """Bands and place of the demonstration's scene, and the kinds and polygons of its land use."""
    bands = []
    for band in ("B04", "B03", "B02", "B08"):
        [file] = sorted(sample.rglob(f"*_{band}.jp2"))
        with rasterio.open(file) as stored:
            bands.append(stored.read(1))
            transform = stored.transform
    frame = pyogrio.raw.read(sample / "landuse.gpkg", columns=["fclass"])
    return np.stack(bands).astype(np.uint16), transform, frame[3][0], shapely.from_wkb(frame[2])


def main() -> int:
    """Print the scores, or train on all tiles and write the classifier."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--eurosat", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--scores", action="store_true", help="print scores; write nothing")
    parser.add_argument("--sample", type=Path, help="folder that arrange_sample.py made")
    parser.add_argument("--output", type=Path, default=starter_classifier_file())
    wanted = parser.parse_args()
    try:
        return run(wanted)
    except (GhslBeamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(wanted: argparse.Namespace) -> int:
    """Do what the options ask for; return the exit code."""
    engine = load_engine(starter_file())
    tiles = network.read_tiles(wanted.eurosat, network.TEN_BANDS)
    images = material(tiles, engine)
    if wanted.scores:
        print_scores(images)
        names = [(tile.label, tile.name) for tile in tiles if tile.label in LABELS]
        print_scores_by_blocks(images, np.array([place(wanted.eurosat, *one) for one in names]))
        if wanted.sample:
            on_sample(wanted.sample, engine)
        return 0
    numbers = [sum(one.label == label for one in images.plain) for label in LABELS.values()]
    description = (
        f"by examples/train_starter_classifier.py on EuroSAT tiles (Helber et al. 2019, MIT), "
        f"{numbers[0]} Residential and {numbers[1]} Industrial"
    )
    digest = hashlib.sha256(starter_file().read_bytes()).hexdigest()
    made = fit([*images.plain, *images.training], description, (digest,), starter=True)
    made.save(wanted.output)
    print(f"{wanted.output}: {wanted.output.stat().st_size} bytes, trained on {sum(numbers)} tiles")
    return 0


if __name__ == "__main__":
    sys.exit(main())
