"""Training a GHS-S2Net on the composites of a run and polygons of built-up."""

from __future__ import annotations

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataSourceError
from pyproj import Transformer
from rasterio.features import rasterize

from ghsl_beam.training import tiles_of_run
from transforms.elements import RequestError, StorageError, request_error
from transforms.inference.predict import prepare, valid
from transforms.inference.training import TrainingSettings, train
from transforms.inference.weights import save_weights
from transforms.raster import storage
from transforms.raster.files import opened
from transforms.raster.vectors import on_this_machine


def train_network(
    output: str, polygons: str, model: str, unlabelled: float, epochs: int
) -> dict[str, int]:
    """Train on the S2 layers of a run: inside the polygons built-up, elsewhere not.

    Args:
        output: folder of a run; all its tiles are read into memory at once.
        polygons: vector file of built-up.
        model: weight file to write, in the JRC's layout.
        unlabelled: weight of a pixel outside the polygons, 0..1: there may be built-up there too.
        epochs: passes over the pixels drawn.

    Returns:
        Number of built-up pixels, and of all that count.

    Raises:
        RequestError: the polygons cannot be read, or meet no valid pixel of the run.
    """
    try:
        meta, _, geometries, _ = pyogrio.raw.read(on_this_machine(polygons), columns=[])
    except (StorageError, DataSourceError, OSError, ValueError) as error:
        raise request_error(f"{polygons}: cannot read the polygons: {error}", error) from error
    shapes = shapely.from_wkb(geometries)
    images, labels, weights = [], [], []
    for s2_path, _ in tiles_of_run(output):
        with opened(s2_path) as source:
            dn = source.read()
            into = Transformer.from_crs(meta["crs"] or "OGC:CRS84", source.crs, always_xy=True)
            burnt = rasterize(
                list(shapely.transform(shapes, into.transform, interleaved=False)),
                out_shape=dn.shape[1:],
                transform=source.transform,
                default_value=1,
                dtype="uint8",
            )
        counts = np.where(burnt == 1, 1.0, unlabelled).astype(np.float32)
        images.append(prepare(dn))
        labels.append(burnt)
        weights.append(np.where(valid(dn), counts, np.float32(0)))
    if not images:
        raise RequestError(f"{output}: holds no S2 layer to train on")
    # One below the other; pixels at a seam may see a few of the tile beside.
    width = max(image.shape[1] for image in images)
    x, y, w = (
        np.concatenate(
            [
                np.pad(a, ((0, 0), (0, width - a.shape[1]), *(((0, 0),) * (a.ndim - 2))))
                for a in parts
            ]
        )
        for parts in (images, labels, weights)
    )
    if not (w[y == 1] > 0).any() or not (w[y == 0] > 0).any():
        raise RequestError(f"{polygons}: must cover some but not all valid pixels of {output}")
    trained = train(x, y, w, TrainingSettings(epochs=epochs))
    about = {"trained": f"{storage.name(polygons)} on the composites of {storage.name(output)}"}
    save_weights(model, trained, about)
    return {"built_up": int((w[y == 1] > 0).sum()), "pixels": int((w > 0).sum())}
