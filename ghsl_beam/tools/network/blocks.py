"""Divides the ground: parts that are tested, that decide when to stop, and that are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.ndimage import map_coordinates, maximum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ghsl_beam.tools.network.labels import sides
from transforms.inference.training import BUILT_UP, LabelledImage

SIDES = (2000.0, 1000.0, 500.0, 250.0)
"""Sides of the blocks of ground in metres; the largest side that gives enough blocks is used."""
_ENOUGH = 8
_TESTED = 4
"""One of this number of blocks is tested."""
_VALIDATED = 8
"""One of this number of blocks decides when the training stops."""
_APART = 10
"""Pixels around held-out blocks that are not used for training."""
_METRES = 111_195.0
_NODES = 64
"""Pixels between computed positions; the positions between them are interpolated."""

Floats = NDArray[np.float64]
Weights = list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Weights of the pixels of each image in each part; a pixel counts in at most one.

    Attributes:
        learnt: To train on; not within 100 m of a part that is held out.
        validated: Decides when the training stops.
        tested: Gives the scores.
        by: How the ground was divided, for people.
        held: Number of blocks or images that are tested.
        of: Number of all of them.
    """

    learnt: Weights
    validated: Weights
    tested: Weights
    by: str
    held: int
    of: int


def places_of(source: Any, origin: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Metres east and north of an origin, the same in all images.

    Args:
        source: a raster, opened with rasterio.
        origin: longitude and latitude.
    """
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


def blocks_of(places: tuple[Floats, Floats], side: float) -> NDArray[np.int64]:
    """Number of the block of ground of each pixel, the same in all images."""
    east, north = (np.floor(part / side).astype(np.int64) for part in places)
    return np.asarray(north * (1 << 24) + east)


def by_blocks(
    images: Sequence[LabelledImage],
    places: Sequence[tuple[Floats, Floats]],
    sizes: Sequence[float],
    seed: int,
) -> Parts | None:
    """Divide the ground by blocks of the first of some sizes that leaves enough in each part.

    Args:
        images: labelled images.
        places: metres east and north of each pixel of each image.
        sizes: sides of a block in metres, in order of preference.
        seed: seed of the choice.

    Returns:
        The parts; None if no size serves.
    """
    for side in sizes:
        groups = [blocks_of(place, side) for place in places]
        if parts := _divided(images, groups, f"blocks of {side:g} m", seed, _ENOUGH):
            return parts
    return None


def by_images(
    images: Sequence[LabelledImage], places: Sequence[tuple[Floats, Floats]], seed: int
) -> Parts | None:
    """Hold out whole images; None if they are too few, or have too few labels.

    Images of the same ground, such as two dates, are held out together.

    Args:
        images: labelled images.
        places: metres east and north of each pixel of each image.
        seed: seed of the choice.
    """
    numbers = _same_ground(places)
    groups = [
        np.full(image.weights.shape, number, np.int64)
        for image, number in zip(images, numbers, strict=True)
    ]
    return _divided(images, groups, "whole images", seed, enough=3)


def _same_ground(places: Sequence[tuple[Floats, Floats]]) -> NDArray[np.int64]:
    """A number for each image; images that overlap, or that are close, have the same one."""
    margin = 10.0 * _APART / 2
    low, high = (
        np.array([[of(east), of(north)] for east, north in places]) for of in (np.min, np.max)
    )
    boxes = shapely.box(*(low - margin).T, *(high + margin).T)
    one, other = shapely.STRtree(boxes).query(boxes, predicate="intersects")
    touching = coo_array((np.ones(len(one)), (one, other)), (len(boxes), len(boxes)))
    return np.asarray(connected_components(touching, directed=False)[1], np.int64)


def _divided(
    images: Sequence[LabelledImage],
    groups: Sequence[NDArray[np.int64]],
    by: str,
    seed: int,
    enough: int,
) -> Parts | None:
    every, with_built = (
        np.unique(
            np.concatenate(
                [
                    np.unique(group[(image.weights > 0) & (image.built_up >= least)])
                    for image, group in zip(images, groups, strict=True)
                ]
            )
        )
        for least in (0.0, BUILT_UP)
    )
    if len(every) < enough or len(with_built) < 3:
        return None
    random = np.random.default_rng(seed)
    tested, validated = [], []
    for kind in (with_built, np.setdiff1d(every, with_built)):
        order = random.permutation(kind)
        first = max(1, len(kind) // _TESTED) if len(kind) > 2 else 0
        second = max(1, len(kind) // _VALIDATED) if len(kind) > 2 else 0
        tested.append(order[:first])
        validated.append(order[first : first + second])
    held = np.concatenate(tested)
    inside = [np.isin(group, held) for group in groups]
    judged = [np.isin(group, np.concatenate(validated)) for group in groups]
    weights = [image.weights for image in images]
    near = [_around(one | other) for one, other in zip(inside, judged, strict=True)]
    parts = Parts(
        [np.where(far, np.float32(0), weight) for far, weight in zip(near, weights, strict=True)],
        [
            np.where(part & ~_around(test), weight, np.float32(0))
            for part, test, weight in zip(judged, inside, weights, strict=True)
        ],
        [
            np.where(part, weight, np.float32(0))
            for part, weight in zip(inside, weights, strict=True)
        ],
        by,
        len(held),
        len(every),
    )
    fractions = [image.built_up for image in images]
    both = all(sides(fractions, part) for part in (parts.learnt, parts.validated, parts.tested))
    return parts if both else None


def _around(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(maximum_filter(part, 2 * _APART + 1)) if part.any() else part
