"""Train the starter network on EuroSAT tiles, or print how good it is on tiles it has not seen.

EuroSAT (Helber et al., 2019, MIT; contains modified Copernicus Sentinel data) has L1C tiles of
64 x 64 pixels with one label each. Pixels of Residential and Industrial tiles count as built-up,
except green and wet ones, which are left out. Pixels of Highway tiles are left out. All other
pixels count as not built-up.

    python examples/train_starter_network.py --eurosat EUROSAT            # writes the network
    python examples/train_starter_network.py --eurosat EUROSAT --scores   # prints the scores

The scores come from networks with the same settings that never saw the tiles they are tested on:
the tiles of each class are dealt at random into five parts, and each part is held out once. With
--sample (from arrange_sample.py) and --series (folders of YYYYMMDD_B02B03B04B08_10m.tif), the
scores also say what the shipped network predicts there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from transforms.elements import GhslBeamError, RasterError, RequestError
from transforms.inference.engines import EXACT, Engine, choose
from transforms.inference.network import collapse
from transforms.inference.starter import starter_file
from transforms.inference.training import Epoch, LabelledImage, TrainingSettings, train
from transforms.inference.weights import (
    STARTER,
    TRAINED,
    NetworkWeights,
    save_weights,
)
from transforms.inference.whole import load_engine, probabilities

BUILT_UP = ("Residential", "Industrial")
LEFT_OUT = "Highway"
BANDS = [4, 3, 2, 8]  # red, green, blue, near infrared among B01..B12, B8A
TEN_BANDS = [*BANDS, 5, 6, 7, 13, 11, 12]
SETTINGS = TrainingSettings(
    samples=16_000,
    built_share=0.22,  # that of the tiles: 20 of 90
    epochs=14,
    batch=64,
    gain=0.3,
    haze=0.06,
    recolour=0.2,
)
GREEN = 0.6
"""A pixel of a built-up tile with a higher NDVI is a garden or a park, and is left out."""
PARTS = 5
ABOUT = {
    STARTER: "Starter network of ghsl-beam, for any grid zone; not a model of the JRC. "
    "docs/starter-models.md says what it was trained on, how good it is, and what it is bad at.",
    TRAINED: "by examples/train_starter_network.py on EuroSAT tiles (Helber et al. 2019, MIT)",
    "pixels": "contains modified Copernicus Sentinel data",
}

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A tile of EuroSAT: name, class, and (bands, 64, 64) digital numbers, R G B NIR first."""

    name: str
    label: str
    s2: NDArray[np.uint16]

    @property
    def built_up(self) -> bool:
        """Whether its class is a built-up one."""
        return self.label in BUILT_UP


def read_tiles(eurosat: Path, bands: Sequence[int] = BANDS) -> list[Tile]:
    """All tiles with some of their bands, by class and by name.

    Raises:
        RequestError: a class is missing.
        RasterError: a tile cannot be read, or has other bands.
    """
    tiles = []
    labels = sorted(path.name for path in eurosat.iterdir() if path.is_dir())
    if missing := {*BUILT_UP, "SeaLake", "Forest"} - set(labels):
        raise RequestError(f"{eurosat}: has no folder {', '.join(sorted(missing))} of EuroSAT")
    for label in labels:
        for path in sorted((eurosat / label).glob("*.tif")):
            try:
                with rasterio.open(path) as file:
                    if file.count != 13 or file.dtypes[0] != "uint16":
                        raise RasterError(f"{path}: expected 13 bands of uint16")
                    tiles.append(Tile(path.stem, label, np.asarray(file.read(list(bands)))))
            except RasterioError as error:
                raise RasterError(f"{path}: {error}") from error
    return tiles


def index(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> Float32:
    """The normalised difference of two bands; 0 where both are 0."""
    high, low = one.astype(np.float32), other.astype(np.float32)
    return (high - low) / np.maximum(high + low, 1)


def is_clear(tile: Tile) -> NDArray[np.bool_]:
    """Pixels whose label is trusted: in built-up tiles, those that are neither green nor water."""
    red, green, _, infrared = tile.s2
    if not tile.built_up:
        return np.ones(red.shape, bool)
    return (index(infrared, red) <= GREEN) & (index(green, infrared) <= 0)


def labelled(tile: Tile) -> LabelledImage:
    """A tile with its labels: all pixels those of the tile, or not used."""
    clear = is_clear(tile)
    return LabelledImage(
        tile.s2, np.full(clear.shape, tile.built_up, np.float32), clear.astype(np.float32)
    )


def fit(tiles: Iterable[Tile], settings: TrainingSettings, title: str) -> NetworkWeights:
    """Train on tiles, with a line on standard error for each epoch."""

    def say(epoch: Epoch) -> None:
        print(
            f"{title}: epoch {epoch.number} of {epoch.of}, loss {epoch.loss:.4f}", file=sys.stderr
        )

    images = [labelled(tile) for tile in tiles if tile.label != LEFT_OUT]
    return train(images, settings, progress=say).weights


def engine_of(weights: NetworkWeights) -> Engine:
    """A network, ready to predict."""
    return choose(EXACT).make(collapse(weights))


def parts(tiles: list[Tile], seed: int) -> NDArray[np.intp]:
    """The part of each tile, 0..PARTS - 1; the tiles of each class are dealt at random."""
    random = np.random.default_rng(seed)
    dealt = np.empty(len(tiles), np.intp)
    for label in sorted({tile.label for tile in tiles}):
        own = [number for number, tile in enumerate(tiles) if tile.label == label]
        dealt[random.permutation(own)] = np.arange(len(own)) % PARTS
    return dealt


def held_out(
    tiles: list[Tile], settings: TrainingSettings, seed: int
) -> Iterator[dict[str, float]]:
    """The scores of each part, by a network that was trained on the others."""
    dealt = parts(tiles, seed)
    for part in range(PARTS):
        learnt = [tile for tile, of in zip(tiles, dealt, strict=True) if of != part]
        tested = [tile for tile, of in zip(tiles, dealt, strict=True) if of == part]
        own = replace(settings, seed=settings.seed + PARTS * seed + part)
        engine = engine_of(fit(learnt, own, f"part {part + 1} of {PARTS}"))
        yield scores(tested, [probabilities(tile.s2, engine) for tile in tested])


def scores(tiles: list[Tile], found: list[Float32]) -> dict[str, float]:
    """AUC, average precision and F1 at 0.5 by pixel, and the share called built-up by class.

    "all pixels" has every pixel with the label of its tile, "trusted" leaves out the green and the
    wet pixels of built-up tiles. Highway tiles are left out of both.
    """
    result = {}
    used = [(tile, p) for tile, p in zip(tiles, found, strict=True) if tile.label != LEFT_OUT]
    truth = np.concatenate([np.full(p.size, tile.built_up) for tile, p in used])
    guess = np.concatenate([p.ravel() for _, p in used])
    clear = np.concatenate([is_clear(tile).ravel() for tile, _ in used])
    for name, chosen in (("trusted pixels", clear), ("all pixels", np.ones_like(clear))):
        y, p = truth[chosen], guess[chosen]
        result[f"AUC, {name}"] = float(roc_auc_score(y, p))
        result[f"average precision, {name}"] = float(average_precision_score(y, p))
        result[f"F1 at 0.5, {name}"] = float(f1_score(y, p >= 0.5))
    for label in sorted({tile.label for tile in tiles}):
        own = [p for tile, p in zip(tiles, found, strict=True) if tile.label == label]
        result[f"called built-up: {label}"] = float((np.concatenate(own) >= 0.5).mean())
    return result


def print_table(rows: list[dict[str, float]]) -> None:
    """Mean, standard deviation, lowest and highest of each score, as a table of Markdown."""
    print("| score | mean | spread | lowest | highest |\n|---|---|---|---|---|")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        print(
            f"| {name} | {values.mean():.2f} | {values.std():.2f} "
            f"| {values.min():.2f} | {values.max():.2f} |"
        )


def land_use(sample: Path) -> tuple[NDArray[np.uint16], dict[str, NDArray[np.bool_]]]:
    """The demonstration's scene, R G B NIR, and its pixels by OpenStreetMap's land use."""
    bands = []
    for band in ("B04", "B03", "B02", "B08"):
        [file] = sorted(sample.rglob(f"*_{band}.jp2"))
        with rasterio.open(file) as stored:
            bands.append(stored.read(1))
            transform, shape = stored.transform, stored.shape
    frame = pyogrio.raw.read(sample / "landuse.gpkg", columns=["fclass"])
    kinds, shapes = frame[3][0], shapely.from_wkb(frame[2])
    inside = {
        kind: rasterize(list(shapes[kinds == kind]), out_shape=shape, transform=transform) == 1
        for kind in sorted(set(kinds))
    }
    return np.stack(bands).astype(np.uint16), inside


def on_sample(sample: Path, engine: Engine) -> None:
    """What a network predicts on the demonstration's scene, by OpenStreetMap's land use."""
    s2, inside = land_use(sample)
    found = probabilities(s2, engine)
    print("\n| land use | mean probability | called built-up |\n|---|---|---|")
    print(f"| the whole scene | {found.mean():.2f} | {(found >= 0.5).mean():.2f} |")
    for kind, mask in inside.items():
        if mask.sum() > 2000:
            p = found[mask]
            print(f"| {kind} | {p.mean():.2f} | {(p >= 0.5).mean():.2f} |")
    any_kind = np.any(list(inside.values()), axis=0)
    auc = roc_auc_score(inside["residential"][any_kind], found[any_kind])
    print(f"\nAUC, residential against other polygons: {auc:.2f}")


def clear_images(place: Path) -> list[NDArray[np.uint16]]:
    """All clear dates of a place of the time series: (4, rows, columns), R G B NIR."""
    images = []
    for path in sorted(place.glob("*_B02B03B04B08_10m.tif")):
        with rasterio.open(path) as file:
            blue, green, red, infrared = file.read()
        with rasterio.open(path.with_name(f"{path.name[:8]}_SCL_20m.tif")) as file:
            clear = np.isin(file.read(1), (4, 5, 6, 7))
        if clear.mean() > 0.95 and (red > 0).all():
            images.append(np.stack([red, green, blue, infrared]))
    return images


def on_series(series: Path, engine: Engine) -> None:
    """What a network predicts over the seasons, on the clear dates of each place."""
    print("\n| place | dates | called built-up: mean | spread | lowest | highest |")
    print("|---|---|---|---|---|---|")
    for place in sorted(path for path in series.iterdir() if path.is_dir()):
        p = np.array([(probabilities(s2, engine) >= 0.5).mean() for s2 in clear_images(place)])
        print(
            f"| {place.name} | {len(p)} | {p.mean():.2f} | {p.std():.2f} | {p.min():.2f} "
            f"| {p.max():.2f} |"
        )


def main() -> int:
    """Print the scores, or train on all tiles and write the network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--eurosat", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--scores", action="store_true", help="print scores; write nothing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the parts that are held out")
    parser.add_argument("--sample", type=Path, help="folder that arrange_sample.py made")
    parser.add_argument("--series", type=Path, help="folder of time series")
    parser.add_argument("--output", type=Path, default=starter_file())
    wanted = parser.parse_args()
    try:
        return run(wanted)
    except (GhslBeamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(wanted: argparse.Namespace) -> int:
    """Do what the options ask for; return the exit code."""
    tiles = read_tiles(wanted.eurosat)
    if not wanted.scores:
        weights = fit([*tiles], SETTINGS, "all tiles")
        number = sum(tile.label != LEFT_OUT for tile in tiles)
        about = ABOUT | {TRAINED: f"{ABOUT[TRAINED]}, {number} tiles"}
        save_weights(wanted.output, weights, about)
        print(f"{wanted.output}: {wanted.output.stat().st_size} bytes, trained on {number} tiles")
        return 0
    print_table(list(held_out(tiles, SETTINGS, wanted.seed)))
    engine = load_engine(wanted.output)
    if wanted.sample:
        on_sample(wanted.sample, engine)
    if wanted.series:
        on_series(wanted.series, engine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
