"""Labels of a network: polygons and rasters on the grid of an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from ghsl_beam.tools.label_file import read_polygons
from ghsl_beam.tools.network.request import NetworkRequest, Unit
from ghsl_beam.tools.plain_rasters import absence, opened_reference, unreadable_reference
from transforms.elements import RequestError
from transforms.inference.training import BUILT_UP
from transforms.storage import storage

_SLACK = 1e-6
"""Rounding that a fraction may have beyond its bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """All labels of a training: polygons in longitude and latitude, and names of rasters."""

    built_up: NDArray[Any]
    not_built: NDArray[Any]
    fractions: tuple[str, ...]
    unit: Unit | None
    unlabelled: float

    @classmethod
    def read(cls, request: NetworkRequest) -> Labels:
        """Read the polygons, and check that the rasters can be used.

        Raises:
            RequestError: a file cannot be used.
        """
        for file in request.fractions:
            _check_raster(file, request.unit)
        return cls(
            _polygons(request.built_up),
            _polygons(request.not_built),
            request.fractions,
            request.unit,
            request.weight_elsewhere,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Burnt:
    """Labels on the grid of an image.

    Attributes:
        built_up: axes (row, column), float32, fraction 0..1.
        weights: axes (row, column), float32; 0 where a pixel is not used.
        contradictory: Pixels in polygons of both kinds, which are not used.
    """

    built_up: NDArray[np.float32]
    weights: NDArray[np.float32]
    contradictory: int


def burn(labels: Labels, source: Any, usable: NDArray[np.bool_]) -> Burnt:
    """The labels of the pixels of an open raster.

    A polygon counts more than a raster of fractions.

    Args:
        labels: all labels.
        source: the image, opened with rasterio.
        usable: axes (row, column), pixels with data.

    Raises:
        RequestError: a raster has values outside its unit, or cannot be read.
    """
    fraction, weights = np.zeros(source.shape, np.float32), np.zeros(source.shape, np.float32)
    weights += np.float32(labels.unlabelled)
    for file in labels.fractions:
        values = _on_grid(file, labels.unit, source)
        known = np.isfinite(values)
        fraction[known], weights[known] = values[known], 1
    built, other = (_inside(shapes, source) for shapes in (labels.built_up, labels.not_built))
    fraction[other], weights[other] = 0, 1
    fraction[built], weights[built] = 1, 1
    both = built & other
    weights[both | ~usable] = 0
    return Burnt(fraction, weights, int((both & usable).sum()))


def _polygons(files: Iterable[str]) -> NDArray[Any]:
    read = [read_polygons(file).polygons for file in files]
    return np.concatenate(read) if read else np.empty(0, object)


def _inside(shapes: NDArray[Any], source: Any) -> NDArray[np.bool_]:
    """Pixels whose centre is in a polygon."""
    if not len(shapes):
        return np.zeros(source.shape, bool)
    into = Transformer.from_crs("OGC:CRS84", source.crs, always_xy=True)
    projected = shapely.transform(shapes, into.transform, interleaved=False)
    near = projected[np.isfinite(shapely.bounds(projected)).all(axis=1)]
    if not len(near):
        return np.zeros(source.shape, bool)
    burnt = rasterize(list(near), out_shape=source.shape, transform=source.transform, dtype="uint8")
    return np.asarray(burnt == 1)


def _check_raster(file: str, unit: Unit | None) -> None:
    where = storage.masked(file)
    if not storage.is_file(file):
        raise RequestError(f"{where}: {absence(file)}; give a raster of the built-up fraction")
    try:
        with opened_reference(file) as source:
            if source.crs is None:
                raise RequestError(f"{where}: has no CRS; assign one and save it again")
            if source.count != 1:
                raise RequestError(
                    f"{where}: has {source.count} bands, expected 1, the built-up fraction"
                )
            if unit is Unit.PERCENT and source.dtypes[0] == "uint8" and source.nodata is None:
                raise RequestError(
                    f"{where}: states no nodata value; state it with gdal_edit -a_nodata 255"
                )
    except RasterioError as error:
        raise unreadable_reference(file, error) from error


def _on_grid(file: str, unit: Unit | None, image: Any) -> NDArray[np.float32]:
    """A raster of fractions, averaged on the pixels of an image; NaN without data."""
    most = 100.0 if unit is Unit.PERCENT else 1.0
    try:
        with (
            opened_reference(file) as source,
            WarpedVRT(
                source,
                crs=image.crs,
                transform=image.transform,
                width=image.width,
                height=image.height,
                resampling=Resampling.average,
                dtype="float32",
                nodata=np.nan,
                src_nodata=source.nodata,
            ) as there,
        ):
            values = np.asarray(there.read(1), np.float32)
    except RasterioError as error:
        raise unreadable_reference(file, error) from error
    known = values[np.isfinite(values)]
    if known.size and (known.min() < -_SLACK * most or known.max() > most * (1 + _SLACK)):
        raise RequestError(
            f"{storage.masked(file)}: found values from {known.min():g} to {known.max():g}, "
            f"expected 0 to {most:g} for --unit {unit}; give the right --unit, or state the "
            "nodata value of the raster"
        )
    return np.clip(values / np.float32(most), 0, 1)


def sides(built_up: Sequence[NDArray[np.float32]], weights: Sequence[NDArray[np.float32]]) -> bool:
    """Whether some pixels that count are built-up (a fraction of at least 0.5), and others not."""
    found = {
        bool(side)
        for fraction, weight in zip(built_up, weights, strict=True)
        for side in np.unique(fraction[weight > 0] >= BUILT_UP)
    }
    return found == {True, False}
