"""Checks before a training, which may take hours."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from ghsl_beam.tools.plain_rasters import opened_product
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage

_MAX_MODEL_BYTES = 1 << 28


class _OnlyTriedError(Exception):
    """Ends a test write before it is published."""


def check_model(model: str, overwrite: bool) -> None:
    """Check that a model can be written, and that an earlier one with its name can be kept.

    Args:
        model: a location.
        overwrite: whether an earlier model may be replaced.

    Raises:
        RequestError: it is not possible.
        UnavailableError: the storage does not answer now.
    """
    where = storage.masked(model)
    if not storage.is_url(model):
        if os.path.isdir(model) or model.endswith("/"):
            raise RequestError(f"--model {where}: is a folder, expected the name of a file in it")
        if os.path.exists(model) and not os.path.isfile(model):
            raise RequestError(f"--model {where}: is a pipe or a device, expected a file")
    try:
        if not overwrite and storage.is_file(model):
            if storage.size(model) > _MAX_MODEL_BYTES:
                raise RequestError(
                    f"--model {where}: a file of this name exists and is too large for a "
                    "model; give another name"
                )
            storage.sha256(model)
        _try_to_write(model)
    except StorageError as error:
        raise request_error(f"--model {error}", error) from error


def keep_earlier(model: str, overwrite: bool) -> str | None:
    """Keep a copy of a model before a new one with the same name replaces it.

    Returns:
        The location of the copy: the name with the beginning of the SHA-256; None if there is no
        model, or it may be replaced.

    Raises:
        StorageError: it cannot be read, or the copy cannot be written.
    """
    if overwrite or not storage.is_file(model):
        return None
    kept = f"{model}.{storage.sha256(model)[:8]}"
    storage.write_whole(kept, storage.read_bytes(model, _MAX_MODEL_BYTES))
    return kept


def check_place(
    label: str, polygons: Sequence[Any] | NDArray[Any], output: str, paths: Iterable[str]
) -> None:
    """Refuse polygons that are all outside the tiles of a run.

    Args:
        label: name of the polygons in the message.
        polygons: longitude and latitude.
        output: folder of the run.
        paths: a layer of each of its tiles.

    Raises:
        RequestError: no polygon touches a tile.
        RasterError: a layer cannot be opened.
    """
    shapes, tiles = np.array(polygons), []
    for path in paths:
        with opened_product(path, output) as source:
            ground, crs = shapely.box(*source.bounds), source.crs
        into = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform
        projected = shapely.transform(shapes, into, interleaved=False)
        # Far polygons have no position in the tile's CRS.
        near = projected[np.isfinite(shapely.bounds(projected)).all(axis=1)]
        if shapely.intersects(near, ground).any():
            return
        back = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform
        lon, lat = back(ground.centroid.x, ground.centroid.y)
        tiles.append(f"{path.split('/')[-2]} about {lon:.2f}, {lat:.2f}")
    if tiles:
        west, south, east, north = shapely.total_bounds(shapes)
        more = f" and {len(tiles) - 4} more" if len(tiles) > 4 else ""
        raise RequestError(
            f"{label}: are outside the run: they span longitude {west:.2f} to {east:.2f} "
            f"and latitude {south:.2f} to {north:.2f}, but the run's tiles are "
            f"{', '.join(tiles[:4])}{more}; give polygons inside these tiles"
        )


def _try_to_write(model: str) -> None:
    if storage.is_url(model):
        beside = f"{model}.tried"
        storage.write_whole(beside, b"")
        storage.remove(beside)
        return
    with suppress(_OnlyTriedError), storage.published(model) as partial:
        partial.write_bytes(b"x")
        raise _OnlyTriedError
