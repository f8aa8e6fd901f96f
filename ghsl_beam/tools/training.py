"""Trains a residential classifier on the layers of a run and labelled polygons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ghsl_beam.outputs.stored_record import MAX_RECORD_BYTES
from ghsl_beam.planning.products import utm_path
from ghsl_beam.tools.label_file import found_values, read_polygons
from ghsl_beam.tools.plain_rasters import opened_product, read_all
from ghsl_beam.tools.training_checks import check_model, check_place, keep_earlier
from transforms.classification import (
    FEATURE_SETS,
    NON_RESIDENTIAL,
    RESIDENTIAL,
    Scores,
    bands_of,
    choose_blocks,
)
from transforms.classification.features import feature_table_in_strips
from transforms.classification.search import (
    Candidate,
    Found,
    Labelled,
    candidates,
    importances,
    search,
)
from transforms.elements import BANDS, Layer, RequestError, StorageError
from transforms.storage import storage

_METRES = 111_195.0
"""Metres of a degree on a sphere; positions are only used to find neighbours."""
_TOUCHING = 20.0
"""Metres; polygons of one class within this distance are one patch: two pixels, half a texture."""
_FOLDS = 5
NON_RESIDENTIAL_SHARE = 0.07
"""Share of the built-up that GHSL calls non-residential."""


@dataclass(frozen=True)
class Labels:
    """Polygons (longitude, latitude), each with a class; `left_out` counts the others by reason."""

    polygons: list[Any]
    classes: NDArray[np.uint8]
    left_out: dict[str, int]


def check_feature_set(feature_set: str) -> None:
    """Refuse a name that is not a feature set.

    Raises:
        RequestError: it is not.
    """
    if feature_set not in FEATURE_SETS:
        raise RequestError(
            f"--feature-set {feature_set!r}: expected one of {', '.join(FEATURE_SETS)}"
        )


def read_labels(file: str, field: str, residential: str, non_residential: str) -> Labels:
    """Read polygons whose field has one of two values; others are left out and counted.

    Raises:
        RequestError: `read_polygons` refuses the file, or one class is missing.
    """
    if residential == non_residential:
        raise RequestError(f"labels: {residential!r} cannot mean both classes")
    file_labels = read_polygons(file, field)
    words = {residential: RESIDENTIAL, non_residential: NON_RESIDENTIAL}
    chosen = [i for i, value in enumerate(file_labels.values) if value in words]
    classes = np.array([words[str(file_labels.values[i])] for i in chosen], np.uint8)
    if len(set(classes.tolist())) != 2:
        raise RequestError(
            f"{file}: {field} must have both {residential!r} and {non_residential!r}; it has "
            f"{found_values(file_labels.values)}: name its values with --residential and "
            "--non-residential"
        )
    nulls = sum(value is None for value in file_labels.values)
    left_out = {
        "NULL": nulls,
        "other values": len(file_labels.values) - nulls - len(chosen),
        "no geometry": file_labels.no_geometry,
    }
    return Labels(list(file_labels.polygons[chosen]), classes, left_out)


def tiles_of_run(output: str, ten: bool = False) -> Iterator[tuple[str, ...]]:
    """S2 and BUFRAC of each tile of a run, and S2_20M if `ten` bands are needed.

    A file of S2_20M counts only if the record lists it: otherwise it is from an earlier run in the
    same folder, and may be of other scenes than S2.

    Raises:
        RequestError: it is not the folder of a run.
    """
    try:
        record = json.loads(storage.read_bytes(storage.join(output, "run.json"), MAX_RECORD_BYTES))
        tiles = [
            tuple(
                storage.join(output, utm_path(tile["tile"], layer, record["epoch"], record["name"]))
                for layer in (Layer.S2, Layer.BUFRAC, *((Layer.S2_20M,) if ten else ()))
            )
            for tile in record["tiles"]
        ]
        if ten:
            own = {storage.join(output, product["path"]) for product in record["products"]}
            tiles = [paths for paths in tiles if paths[-1] in own]
    except (StorageError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{output}: has no run.json that can be read: {error}") from error
    for paths in tiles:
        if all(storage.is_file(path) for path in paths):
            yield paths


def patches_of(labels: Labels) -> NDArray[np.int64]:
    """Number of the patch of each polygon; touching polygons of one class are one patch.

    The pixels of a built-up patch are similar, however it is cut into polygons.
    """
    shapes = np.array(labels.polygons)
    origin = shapely.get_coordinates(shapes[0])[0]
    places = shapely.transform(shapes, partial(_places, origin=origin), interleaved=False)
    one, other = shapely.STRtree(places).query(places, predicate="dwithin", distance=_TOUCHING)
    same = labels.classes[one] == labels.classes[other]
    number = len(shapes)
    touching = coo_array((np.ones(same.sum()), (one[same], other[same])), (number, number))
    return np.asarray(connected_components(touching, directed=False)[1], np.int64)


def _places(
    lon: NDArray[np.float64], lat: NDArray[np.float64], origin: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres east and north of an origin in degrees, accurate enough to find neighbours."""
    east = (lon - origin[0] + 180) % 360 - 180
    return east * _METRES * np.cos(np.radians(origin[1])), (lat - origin[1]) * _METRES


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Labelled built pixels of a tile."""

    tables: dict[str, NDArray[np.float32]]
    classes: NDArray[np.uint8]
    patches: NDArray[np.int64]
    places: NDArray[np.float64]
    contradictory: int
    network: str | None


def _pixels(
    output: str,
    paths: Sequence[str],
    labels: Labels,
    patches: NDArray[np.int64],
    feature_sets: Iterable[str],
) -> _Pixels:
    """The training pixels of a tile, without pixels in polygons of both classes."""
    s2_path, bufrac_path, *further = paths
    with opened_product(s2_path, output) as source, opened_product(bufrac_path, output) as built:
        s2, bufrac = read_all(source, s2_path), read_all(built, bufrac_path)[0]
        network = built.tags().get("MODEL_SHA256")
        project = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True).transform
        shapes = shapely.transform(np.array(labels.polygons), project, interleaved=False)
        owners = {
            label: rasterize(
                [
                    (shape, patch + 1)
                    for shape, patch, of in zip(shapes, patches, labels.classes, strict=True)
                    if of == label
                ],
                out_shape=bufrac.shape,
                transform=source.transform,
                dtype="int32",
            )
            for label in (RESIDENTIAL, NON_RESIDENTIAL)
        }
        transform, crs = source.transform, source.crs
    for path in further:
        with opened_product(path, output) as source:
            s2 = np.concatenate((s2, read_all(source, path)))
    data = (bufrac > 0) & (bufrac != 255) & (s2 > 0).all(axis=0)
    home, other = owners[RESIDENTIAL] > 0, owners[NON_RESIDENTIAL] > 0
    chosen = (home ^ other) & data
    rows, cols = np.nonzero(chosen)
    x, y = transform.a * (cols + 0.5) + transform.c, transform.e * (rows + 0.5) + transform.f
    lon, lat = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    origin = shapely.get_coordinates(labels.polygons[0])[0]
    owner = np.where(home, owners[RESIDENTIAL], owners[NON_RESIDENTIAL])[chosen]
    return _Pixels(
        {name: feature_table_in_strips(bufrac, s2, chosen, name) for name in feature_sets},
        np.where(home, RESIDENTIAL, NON_RESIDENTIAL)[chosen].astype(np.uint8),
        owner.astype(np.int64) - 1,
        np.stack(_places(np.asarray(lon), np.asarray(lat), origin), axis=1),
        int((home & other & data).sum()),
        network,
    )


def models_of(feature_set: str | None) -> tuple[Candidate, ...]:
    """The models to search, of one feature set or of all that are worth it.

    Raises:
        RequestError: there is no such feature set.
    """
    if feature_set is None:
        return candidates()
    check_feature_set(feature_set)
    return candidates([feature_set])


def train_residential(
    output: str,
    labels: Labels,
    models: Sequence[Candidate],
    model: str,
    description: str,
    *,
    share: float = NON_RESIDENTIAL_SHARE,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train on the built pixels inside the polygons; scores are held out by blocks of ground.

    Args:
        output: folder of a run, with its S2 and BUFRAC.
        labels: from `read_labels`.
        models: the models to search, from `models_of`.
        model: classifier file to write; the report is written beside it, see `scores_file`.
        description: description of the training data.
        share: share of non-residential pixels at which precision is stated, 0..1.
        overwrite: whether a file of this name may be replaced; otherwise it is kept under another
            name.
        progress: gets a line about each part of the search.

    Returns:
        Number of pixels, the chosen model, the held-out scores and how they were held out, the
        numbers of what was left out, and the name under which an earlier model is `kept`.

    Raises:
        RequestError: the model cannot be written, or the polygons have too few built pixels of a
            class, or only close to each other.
        RasterError: a layer of the run is damaged.
    """
    check_model(model, overwrite)
    check_model(scores_file(model), overwrite)
    feature_sets = tuple(dict.fromkeys(one.feature_set for one in models))
    ten = any(bands_of(name) > len(BANDS) for name in feature_sets)
    tiles = list(tiles_of_run(output, ten))
    if not tiles:
        raise RequestError(
            f"{output}: S2, BUFRAC and S2_20M are needed, and one is missing; run its job with "
            "composite.bands: ten, or choose a feature set of four bands"
            if ten
            else f"{output}: has no S2 and BUFRAC to train on"
        )
    check_place("labels", labels.polygons, output, (paths[0] for paths in tiles))
    patches = patches_of(labels)
    by_tile = [_pixels(output, paths, labels, patches, feature_sets) for paths in tiles]
    y, patch, place = (
        np.concatenate([getattr(pixels, part) for pixels in by_tile])
        for part in ("classes", "patches", "places")
    )
    tables = {
        name: np.concatenate([pixels.tables[name] for pixels in by_tile]) for name in feature_sets
    }
    numbers = [int((y == label).sum()) for label in (RESIDENTIAL, NON_RESIDENTIAL)]
    if not all(numbers):
        raise RequestError(
            f"labels: {numbers[0]} built-up pixels are in residential and {numbers[1]} in "
            "non-residential polygons; both are needed"
        )
    blocks, side, fewer = choose_blocks(place, patch, y)
    if fewer < 2:
        raise RequestError(
            f"labels: the built-up pixels of a class are in one block of {side:g} m only, and each "
            "class needs at least 2, so that one can be held out; draw both classes in more places"
        )
    labelled = Labelled(tables, y, blocks, place)
    folds = min(_FOLDS, fewer)
    try:
        found = search(labelled, models, folds=folds, progress=progress)
    except ValueError as error:
        raise RequestError(
            f"labels: cannot compute a held-out score: {error}; label more places, far apart"
        ) from error
    networks = tuple(sorted({pixels.network for pixels in by_tile if pixels.network}))
    trained = labelled.fit_at_last(found.chosen, description, networks)
    kept = keep_earlier(model, overwrite)
    trained.save(model)
    report = {
        "kept": kept,
        "pixels": len(y),
        "residential": numbers[0],
        "non_residential": numbers[1],
        "model": found.chosen.name,
        **scores_of(found.scores, share),
        "held_out": {
            "by": f"blocks of {side:g} m",
            "blocks": int(blocks.max()) + 1,
            "folds": folds,
            "pixels": sum(map(sum, found.scores.counts)),
        },
        "search": _search_report(found),
        "importances": {
            name: round(loss, 4) for name, loss in importances(found, labelled).items()
        },
        "left_out": labels.left_out
        | {"pixels of both classes": sum(pixels.contradictory for pixels in by_tile)},
        "networks": list(networks),
    }
    keep_earlier(scores_file(model), overwrite)
    storage.write_whole(scores_file(model), (json.dumps(report, indent=2) + "\n").encode())
    return report


def scores_file(model: str) -> str:
    """The location of the report about a classifier: the same name, with `.scores.json`."""
    return f"{model.removesuffix('.skops')}.scores.json"


def scores_of(scores: Scores, share: float) -> dict[str, Any]:
    """Scores for a report.

    Args:
        scores: of held-out pixels with both classes.
        share: share of non-residential pixels at which precision is stated, 0..1.
    """
    names = ("residential", "non_residential")
    by_class = zip(names, scores.precisions, scores.recalls, scores.f1, strict=True)
    return {
        "accuracy": round(scores.accuracy, 4),
        "balanced_accuracy": round(scores.balanced_accuracy, 4),
        "confusion": {
            f"{true}_as_{guess}": number
            for true, row in zip(names, scores.counts, strict=True)
            for guess, number in zip(names, row, strict=True)
        },
        "by_class": {
            name: {"precision": round(p, 4), "recall": round(r, 4), "f1": round(f, 4)}
            for name, p, r, f in by_class
        },
        "precision_at_share": {
            "non_residential_share": share,
            **{
                name: round(value, 4)
                for name, value in zip(names, scores.precisions_at(share), strict=True)
            },
        },
    }


def _search_report(found: Found) -> dict[str, Any]:
    """How the model was chosen, and how much its score varies among the parts."""
    both = [part for part in found.parts if all(sum(row) for row in part.scores.counts)]
    accuracies = [part.scores.balanced_accuracy for part in both]
    return {
        "nested": found.nested,
        "balanced_accuracy_of_candidates": {
            name: round(value, 4) for name, value in found.compared.items()
        },
        "by_part": [
            {"model": part.of_search, "balanced_accuracy": round(part.scores.balanced_accuracy, 4)}
            for part in both
        ],
        "spread": round(float(np.std(accuracies)), 4) if accuracies else None,
    }
