"""Shows what each step of the cleaning does to the built-up that the starter network predicts.

Three tables are printed. The first has the scores on EuroSAT tiles that the network has not seen:
the tiles are dealt into parts, as in examples/train_starter_network.py, and a network is trained
without the part that it is tested on. Green pixels of built-up tiles count as built-up there,
because cleaning must not remove gardens and streets with trees. The second table has the share that
is built-up on all clear dates of a place, which should be the same on every date. The third table
needs no network: it has the share of pixels above an NDWI by land cover, of tiles of one class and
of the demonstration's land use.

    python benchmarks/cleaning.py --eurosat EUROSAT [--series SERIES] [--sample SAMPLE] [--parts N]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_score, recall_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import train_starter_network as starter

from transforms.cleaning import CleaningParameters, clean
from transforms.inference.engines import Engine
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict
from transforms.rasters.spectral import index_above

NOTHING = CleaningParameters(None, None, None, streets=False, minimum_pixels=None)
STEPS = {
    f"{minimum} alone": replace(NOTHING, minimum=minimum) for minimum in (0.1, 0.2, 0.3, 0.4, 0.5)
}
"""The first step alone, and then one step more."""
STEPS |= {
    f"0.3, NDVI at most {ndvi}": replace(NOTHING, minimum=0.3, ndvi_above=ndvi)
    for ndvi in (0.3, 0.4, 0.5, 0.6)
}
STEPS |= {
    f"0.3, NDWI at most {ndwi}": replace(NOTHING, minimum=0.3, ndwi_above=ndwi)
    for ndwi in (0, 0.05, 0.1, 0.2)
}
STEPS |= {
    f"0.3, at least {size} pixels": replace(NOTHING, minimum=0.3, minimum_pixels=size)
    for size in (4, 10, 50)
}
STEPS |= {
    "the defaults": CleaningParameters(),
    "the defaults for the starter network": CleaningParameters(minimum=0.3),
    "the same, NDVI 0.3": CleaningParameters(minimum=0.3, ndvi_above=0.3),
    "the same, NDWI 0.1": CleaningParameters(minimum=0.3, ndwi_above=0.1),
}
WATER = (0.0, 0.05, 0.1, 0.2)


def built_up(
    s2: NDArray[np.uint16], engine: Engine, steps: CleaningParameters
) -> NDArray[np.bool_]:
    """Pixels with a BUFRAC above 0, axes (row, column)."""
    bufrac = clean(predict(s2, engine), s2, steps)
    return (bufrac > 0) & (bufrac <= 100)


def on_tiles(eurosat: Path, number: int) -> dict[str, float]:
    """Print the first table; the scores of the parts are averaged. Returns F1 by steps."""
    tiles = [tile for tile in starter.read_tiles(eurosat) if tile.label != starter.LEFT_OUT]
    dealt = starter.parts(tiles, seed=0)
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in STEPS}
    for part in range(number):
        learnt = [tile for tile, of in zip(tiles, dealt, strict=True) if of != part]
        tested = [tile for tile, of in zip(tiles, dealt, strict=True) if of == part]
        engine = starter.engine_of(starter.fit(learnt, starter.SETTINGS, f"part {part + 1}"))
        truth = np.concatenate([np.full(tile.s2[0].size, tile.built_up) for tile in tested])
        of_class = [
            np.concatenate([np.full(tile.s2[0].size, tile.label == label) for tile in tested])
            for label in starter.BUILT_UP
        ]
        for name, steps in STEPS.items():
            found = np.concatenate([built_up(t.s2, engine, steps).ravel() for t in tested])
            rows[name].append(
                (
                    float(f1_score(truth, found)),
                    float(precision_score(truth, found)),
                    float(recall_score(truth, found)),
                    *(float(found[inside].mean()) for inside in of_class),
                )
            )
    print("| steps | F1 | spread | better in | precision | recall | residential | industrial |")
    print("|---|---|---|---|---|---|---|---|")
    usual = np.array(rows["the defaults"])[:, 0]
    for name, parts in rows.items():
        scores = np.array(parts)
        f1, precision, recall, *shares = scores.mean(axis=0)
        better = (scores[:, 0] > usual).sum()
        print(
            f"| {name} | {f1:.2f} | {scores[:, 0].std():.2f} | {better} | {precision:.2f} "
            f"| {recall:.2f} | {shares[0]:.2f} | {shares[1]:.2f} |"
        )
    return {name: float(np.mean([one[0] for one in parts])) for name, parts in rows.items()}


def on_series(series: Path) -> None:
    """The second table, with the shipped network."""
    engine = load_engine(starter_file())
    print("\n| place | steps | dates | mean | lowest | highest | highest / lowest |")
    print("|---|---|---|---|---|---|---|")
    for place in sorted(path for path in series.iterdir() if path.is_dir()):
        images = starter.clear_images(place)
        for name, steps in STEPS.items():
            shares = np.array([built_up(image, engine, steps).mean() for image in images])
            # A tenth of the dates at each end are left out: one date with haze says little.
            low, high = np.percentile(shares, [10, 90])
            print(
                f"| {place.name} | {name} | {len(shares)} | {shares.mean():.2f} | {low:.2f} "
                f"| {high:.2f} | {high / max(low, 0.001):.1f} |"
            )


def print_water(name: str, pixels: NDArray[np.uint16]) -> None:
    """A row of the third table; `pixels` has the axes (band, pixel)."""
    red, green, _, infrared = pixels
    shares = (f"{index_above(green, infrared, limit).mean():.3f}" for limit in WATER)
    print(f"| {name} | {len(red)} | {' | '.join(shares)} |")


def on_water(eurosat: Path, sample: Path | None) -> None:
    """The third table."""
    print(f"\n| land cover | pixels | {' | '.join(f'above {limit:g}' for limit in WATER)} |")
    print("|---|---|" + "---|" * len(WATER))
    tiles = starter.read_tiles(eurosat)
    for label in sorted({tile.label for tile in tiles}):
        own = [tile.s2.reshape(4, -1) for tile in tiles if tile.label == label]
        print_water(label, np.concatenate(own, axis=1))
    if sample:
        s2, uses = starter.land_use(sample)
        for use, inside in uses.items():
            print_water(f"the demonstration: {use}", s2[:, inside])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--eurosat", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--series", type=Path, help="folder of time series")
    parser.add_argument("--sample", type=Path, help="folder that arrange_sample.py made")
    parser.add_argument("--parts", type=int, default=starter.PARTS, help="parts to hold out")
    wanted = parser.parse_args()
    found = on_tiles(wanted.eurosat, min(wanted.parts, starter.PARTS))
    if wanted.series:
        on_series(wanted.series)
    on_water(wanted.eurosat, wanted.sample)
    best = max(found, key=lambda name: found[name])
    print(
        f"result: defaults_f1={found['the defaults']:.3f} best_f1={found[best]:.3f} best={best!r}"
    )


if __name__ == "__main__":
    main()
