"""Training a residential classifier on the layers of a run and labelled polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from pyproj import Transformer
from rasterio.features import rasterize

from ghsl_beam.products import utm_path
from ghsl_beam.report import MAX_RECORD_BYTES
from transforms.classification import (
    NON_RESIDENTIAL,
    RESIDENTIAL,
    feature_table,
    held_out_scores,
    train,
)
from transforms.elements import Layer, RequestError, StorageError, request_error
from transforms.raster import storage
from transforms.raster.files import opened
from transforms.raster.vectors import on_this_machine


@dataclass(frozen=True)
class Labels:
    """Polygons (longitude, latitude) with a class each."""

    polygons: list[Any]
    classes: NDArray[np.uint8]


def read_labels(file: str, field: str, residential: str, non_residential: str) -> Labels:
    """Polygons whose field says one of two words; others are left out.

    Raises:
        RequestError: the file cannot be read, has no such field, or one class is absent.
    """
    try:
        meta, _, geometries, columns = pyogrio.raw.read(on_this_machine(file), columns=[field])
    except (StorageError, DataSourceError, OSError, ValueError) as error:
        raise request_error(f"{file}: cannot read the labels: {error}", error) from error
    if field not in list(meta["fields"]):
        raise RequestError(f"{file}: has no field {field!r}")
    into = Transformer.from_crs(meta["crs"] or "OGC:CRS84", "OGC:CRS84", always_xy=True)
    words = {residential: RESIDENTIAL, non_residential: NON_RESIDENTIAL}
    chosen = [i for i, word in enumerate(columns[0]) if str(word) in words]
    classes = np.array([words[str(columns[0][i])] for i in chosen], np.uint8)
    if len(set(classes.tolist())) != 2:
        both = f"{residential!r} and {non_residential!r}"
        raise RequestError(f"{file}: {field} must hold both {both}")
    polygons = shapely.transform(
        shapely.from_wkb(geometries[chosen]), into.transform, interleaved=False
    )
    return Labels(list(polygons), classes)


def tiles_of_run(output: str) -> Iterator[tuple[str, str]]:
    """S2 and BUFRAC of each tile of a run."""
    try:
        record = json.loads(storage.read_bytes(storage.join(output, "run.json"), MAX_RECORD_BYTES))
    except (StorageError, ValueError) as error:
        raise RequestError(f"{output}: no run.json that can be read: {error}") from error
    for tile in record["tiles"]:
        s2, bufrac = (
            storage.join(output, utm_path(tile["tile"], layer, record["epoch"], record["name"]))
            for layer in (Layer.S2, Layer.BUFRAC)
        )
        if storage.is_file(s2) and storage.is_file(bufrac):
            yield s2, bufrac


def train_residential(
    output: str, labels: Labels, feature_set: str, model: str, description: str
) -> dict[str, float]:
    """Train on the built pixels inside the polygons; scores are held out by polygon.

    Returns:
        Number of pixels and the held-out scores.

    Raises:
        RequestError: too few built pixels of a class lie in the polygons.
    """
    tables, classes, groups = [], [], []
    for s2_path, bufrac_path in tiles_of_run(output):
        with opened(s2_path) as source, opened(bufrac_path) as built:
            s2, bufrac = source.read(), built.read(1)
            project = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True).transform
            shapes = shapely.transform(np.array(labels.polygons), project, interleaved=False)
            owner = rasterize(
                [(shape, number) for number, shape in enumerate(shapes, 1)],
                out_shape=bufrac.shape,
                transform=source.transform,
                dtype="int32",
            )
        chosen = (owner > 0) & (bufrac > 0) & (bufrac != 255)
        tables.append(feature_table(bufrac, s2, chosen, feature_set))
        groups.append(owner[chosen] - 1)
        classes.append(labels.classes[owner[chosen] - 1])
    if not tables:
        raise RequestError(f"{output}: holds no S2 and BUFRAC to train on")
    x, y, group = np.concatenate(tables), np.concatenate(classes), np.concatenate(groups)
    polygons = [len(np.unique(group[y == label])) for label in (RESIDENTIAL, NON_RESIDENTIAL)]
    if min(polygons) < 2:
        raise RequestError(
            f"labels: built pixels lie in {polygons[0]} residential and {polygons[1]} "
            "non-residential polygons; at least 2 of each are needed"
        )
    scores = held_out_scores(x, y, group.astype(np.int64), feature_set, folds=min(5, *polygons))
    train(x, y, feature_set, description).save(model)
    return {
        "pixels": len(y),
        "accuracy": float(scores.accuracy),
        "balanced_accuracy": float(scores.balanced_accuracy),
    }
