"""Train the demonstration's residential classifier on EuroSAT tiles.

EuroSAT (Helber et al., 2019, MIT; contains modified Copernicus Sentinel data) has L1C tiles of
64 x 64 pixels with one label each. The network predicts, and the job's own cleaning then finds the
built-up pixels. Every built-up pixel of a Residential tile counts as residential, and every one of
an Industrial tile as non-residential. A street or a shop in a residential tile gets a wrong label,
and the tiles are few: the result shows how training works, and its maps mean nothing.

    python examples/train_demo_classifier.py --eurosat EUROSAT
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from transforms.classification import (
    FEATURE_SETS,
    NON_RESIDENTIAL,
    RESIDENTIAL,
    feature_table,
    held_out_scores,
    train,
)
from transforms.cleaning import CleaningParameters, clean
from transforms.elements import GhslBeamError, RasterError, RequestError
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict

LABELS = {"Residential": RESIDENTIAL, "Industrial": NON_RESIDENTIAL}
BANDS = [4, 3, 2, 8]  # red, green, blue, near infrared among B01..B12, B8A
FEW_PIXELS = 500
MODEL = Path(__file__).parent / "models" / "DEMONSTRATION_residential.skops"


def tiles(folder: Path) -> Iterator[tuple[Path, int]]:
    """Files of the two classes and their labels, by class and name."""
    for name, label in LABELS.items():
        files = sorted((folder / name).glob("*.tif"))
        if not files:
            raise RequestError(f"{folder / name}: has no *.tif")
        yield from ((file, label) for file in files)


def read(path: Path) -> NDArray[np.uint16]:
    """Red, green, blue, near infrared of a tile: (4, rows, columns), nodata 0."""
    try:
        with rasterio.open(path) as file:
            if file.count != 13 or file.dtypes[0] != "uint16":
                raise RasterError(f"{path}: expected 13 bands of uint16")
            return np.asarray(file.read(BANDS))
    except RasterioError as error:
        raise RasterError(f"{path}: {error}") from error


def main() -> int:
    """Train, print the scores, write the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--eurosat", type=Path, required=True, help="folder of class folders")
    parser.add_argument(
        "--network", type=Path, default=starter_file(), help="weights of the job's network (.h5)"
    )
    parser.add_argument("--feature-set", choices=FEATURE_SETS, default="spectral_texture")
    parser.add_argument("--output", type=Path, default=MODEL)
    wanted = parser.parse_args()
    try:
        return run(wanted.eurosat, wanted.network, wanted.feature_set, wanted.output)
    except (GhslBeamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(eurosat: Path, network: Path, feature_set: str, output: Path) -> int:
    """Train, print and write; return the exit code."""
    engine, source = load_engine(network), f"the built-up fraction of {network.name}"
    tables, labels, groups, numbers = [], [], [], dict.fromkeys(LABELS.values(), 0)
    for group, (path, label) in enumerate(tiles(eurosat)):
        s2 = read(path)
        # Pixels with little vegetation: a garden says little about the use of a building.
        bufrac = clean(predict(s2, engine), s2, CleaningParameters(ndvi_above=0.3))
        table = feature_table(bufrac, s2, (bufrac > 0) & (bufrac != 255), feature_set)
        tables.append(table)
        labels.append(np.full(len(table), label, np.uint8))
        groups.append(np.full(len(table), group, np.int64))
        numbers[label] += len(table) > 0
    x, y, group_of = np.concatenate(tables), np.concatenate(labels), np.concatenate(groups)
    for name, label in LABELS.items():
        pixels = int((y == label).sum())
        print(f"{name}: {pixels} built-up pixels in {numbers[label]} tiles")
        if pixels < FEW_PIXELS or numbers[label] < 2:
            raise RequestError(
                f"{eurosat / name}: has too few built-up pixels to train on, by {source}"
            )
    folds = min(5, *numbers.values())
    scores = held_out_scores(x, y, group_of, feature_set, folds=folds)
    residential, other = scores.recalls
    print(
        f"held out by tile, {folds} folds: accuracy {scores.accuracy:.3f}, balanced "
        f"{scores.balanced_accuracy:.3f}, residential found {residential:.3f}, "
        f"non-residential found {other:.3f}"
    )
    description = (
        f"EuroSAT L1C tiles, {numbers[RESIDENTIAL]} Residential and {numbers[NON_RESIDENTIAL]} "
        f"Industrial, {len(y)} pixels labelled by tile, with {source}; balanced accuracy "
        f"{scores.balanced_accuracy:.3f} held out by tile"
    )
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    train(x, y, feature_set, description, demonstration=True, networks=(digest,)).save(output)
    print(f"{output}: {output.stat().st_size} bytes, for demonstration only")
    return 0


if __name__ == "__main__":
    sys.exit(main())
