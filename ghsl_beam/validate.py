"""A run's built-up area against a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pyproj
import rasterio.features
import rasterio.windows
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from transforms.elements import RasterError, RequestError
from transforms.raster import storage
from transforms.raster.files import opened

from .area import Area, read_area, to_crs, within

_VECTORS = {".gpkg", ".geojson", ".json", ".shp", ".fgb", ".wkt"}
_BLOCK = 1024
_FINE = 5
_MARGIN = 1.0
"""Degrees about a raster within which polygons count: its bounds in degrees are approximate."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Sums over pixels from which every measure follows; sums of parts add up."""

    count: int = 0
    error: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0
    product_sum: float = 0.0
    reference_sum: float = 0.0
    both: int = 0
    product_only: int = 0
    reference_only: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(*(getattr(self, k) + getattr(other, k) for k in self.__slots__))


def compare(
    product: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]], threshold: float = 0.5
) -> Agreement:
    """Agreement of two arrays of built-up fraction.

    Args:
        product: fraction 0..1, any shape, NaN where there is none.
        reference: the same shape and unit.
        threshold: a pixel is built-up where its fraction is at least this.

    Returns:
        Sums over the pixels that both have.
    """
    valid = np.isfinite(product) & np.isfinite(reference)
    ours, theirs = product[valid].astype(np.float64), reference[valid].astype(np.float64)
    error = ours - theirs
    built, expected = ours >= threshold, theirs >= threshold
    return Agreement(
        count=int(valid.sum()),
        error=float(error.sum()),
        absolute=float(np.abs(error).sum()),
        squared=float((error**2).sum()),
        product_sum=float(ours.sum()),
        reference_sum=float(theirs.sum()),
        both=int((built & expected).sum()),
        product_only=int((built & ~expected).sum()),
        reference_only=int((~built & expected).sum()),
    )


def measures(sums: Agreement, pixel_m2: float) -> dict[str, float | int | None]:
    """RMSE, MAE and bias of the fraction; precision, recall, F1, IoU at the threshold; areas.

    Args:
        sums: over all pixels.
        pixel_m2: area of a pixel in m².

    Returns:
        None where a measure is undefined (nothing built-up, no pixels).
    """
    n = sums.count
    return {
        "pixels": n,
        "rmse": _ratio(sums.squared, n, root=True),
        "mae": _ratio(sums.absolute, n),
        "bias": _ratio(sums.error, n),
        "precision": _ratio(sums.both, sums.both + sums.product_only),
        "recall": _ratio(sums.both, sums.both + sums.reference_only),
        "f1": _ratio(2 * sums.both, 2 * sums.both + sums.product_only + sums.reference_only),
        "iou": _ratio(sums.both, sums.both + sums.product_only + sums.reference_only),
        "product_m2": sums.product_sum * pixel_m2,
        "reference_m2": sums.reference_sum * pixel_m2,
    }


def validate(
    output: str,
    reference: str,
    *,
    layer: str = "BUFRAC",
    product: str | None = None,
    scale: float | None = None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compare a layer of a run with a reference on the layer's own pixels.

    Args:
        output: the run's folder, a location.
        reference: location of a raster of built-up (read by nearest neighbour), or of polygons of
            built-up (rasterised to fractions); a layer of a GeoPackage as `file.gpkg|layer`.
        layer: BUFRAC (tiles in UTM) or BUILT_S (the output grid).
        product: epoch and name as in the files, `E2017_berlin`; needed where there are several.
        scale: what a raster's values are multiplied by to be fractions. Without it: 1 for
            floating point and for 0/1 rasters, 0.01 for bytes, 0.0001 for other integers.
        threshold: built-up at and above this fraction.

    Returns:
        The measures over all files, and the same for each file under `files`. Where tiles
        overlap, the overlap counts for each.

    Raises:
        RequestError: no such layer, product or reference, or several products and none is named.
        RasterError: a raster cannot be read.
    """
    file_of_polygons = reference.partition("|")[0]
    vector = PurePath(file_of_polygons).suffix.lower() in _VECTORS
    if not storage.is_file(file_of_polygons if vector else reference):
        raise RequestError(f"{reference}: no such file; give a raster or polygons of built-up")
    product, files = _files(output, layer, product)
    polygons = read_area(reference, ".") if vector else None
    found: dict[str, dict[str, Any]] = {}
    total, pixel = Agreement(), 0.0
    try:
        factor = 1.0 if polygons is not None else scale or _guess_scale(reference)
        for file in files:
            with opened(storage.join(output, file)) as source:
                if pixel and abs(source.transform.a) ** 2 != pixel:
                    continue  # another resolution of the same grid
                pixel = abs(source.transform.a) ** 2
                expected = (
                    _from_raster(source, reference, factor)
                    if polygons is None
                    else _from_polygons(source, polygons)
                )
                whole = 100.0 if layer == "BUFRAC" else pixel
                sums = Agreement()
                for window, theirs in expected:
                    values = source.read(1, window=window).astype(np.float64)
                    values[values == source.nodata] = np.nan
                    sums += compare(values / whole, theirs, threshold)
            found[file] = measures(sums, pixel)
            total += sums
    except (OSError, RasterioError) as error:
        raise RasterError(
            f"cannot compare with {reference}: {storage.masked(str(error))}"
        ) from error
    if not total.count:
        raise RequestError(f"{reference}: shares no pixel with {layer} of {output}")
    return {
        "layer": layer,
        "product": product,
        "reference": reference,
        "scale": factor,
        "threshold": threshold,
        **measures(total, pixel),
        "files": found,
    }


def _files(output: str, layer: str, product: str | None) -> tuple[str, list[str]]:
    """Epoch and name of the one product of a layer that is asked for, and its files."""
    pattern = {"BUFRAC": "utm/*/BUFRAC_E*.tif", "BUILT_S": "grid/*/BUILT_S_E*.tif"}.get(layer)
    files: dict[str, list[str]] = {}
    for file in storage.glob(output, pattern) if pattern else []:
        parts = storage.name(file).removesuffix(".tif").removeprefix(f"{layer}_").split("_")
        files.setdefault("_".join(parts[:2]), []).append(file)
    if not files:
        raise RequestError(f"{output}: holds no {layer}; give the folder of a run, BUFRAC, BUILT_S")
    there = ", ".join(sorted(files))
    if product is None and len(files) > 1:
        raise RequestError(
            f"{output}: holds {layer} of {there}; name one with --product, "
            f"as --product {min(files)}"
        )
    product = product or min(files)
    if product not in files:
        raise RequestError(f"{output}: holds no {layer} of {product}; it has {there}")
    return product, files[product]


def _ratio(part: float, whole: float, *, root: bool = False) -> float | None:
    if not whole:
        return None
    return (part / whole) ** 0.5 if root else part / whole


def _guess_scale(path: str) -> float:
    with opened(path) as source:
        kind = np.dtype(source.dtypes[0])
        if kind.kind == "f":
            return 1.0
        if kind.itemsize > 1:
            return 1e-4
        highest = 0
        for _, window in source.block_windows(1):
            block = source.read(1, window=window, masked=True)
            highest = max(highest, int(block.max()) if block.count() else 0)
            if highest > 1:
                return 0.01
        return 1.0


def _windows(source: Any) -> Iterator[Window]:
    for row in range(0, source.height, _BLOCK):
        for col in range(0, source.width, _BLOCK):
            yield Window(
                col, row, min(_BLOCK, source.width - col), min(_BLOCK, source.height - row)
            )


def _from_raster(
    source: Any, path: str, scale: float
) -> Iterator[tuple[Window, NDArray[np.float64]]]:
    with (
        opened(path) as reference,
        WarpedVRT(
            reference,
            crs=source.crs,
            transform=source.transform,
            width=source.width,
            height=source.height,
            resampling=Resampling.nearest,
            nodata=np.nan,
            dtype="float64",
        ) as warped,
    ):
        for window in _windows(source):
            yield window, warped.read(1, window=window) * scale


def _from_polygons(source: Any, polygons: Area) -> Iterator[tuple[Window, NDArray[np.float64]]]:
    # What lies far away has no place in the raster's CRS.
    near_by = within(polygons, _lonlat_bounds(source))
    shapes = shapely.get_parts(to_crs(near_by, source.crs.to_wkt()))
    tree = shapely.STRtree(shapes)
    step = abs(source.transform.a) / _FINE
    for window in _windows(source):
        left, _, _, top = rasterio.windows.bounds(window, source.transform)
        near = shapes[tree.query(shapely.box(*rasterio.windows.bounds(window, source.transform)))]
        if not len(near):
            yield window, np.zeros((window.height, window.width))
            continue
        fine = rasterio.features.rasterize(
            near,
            out_shape=(window.height * _FINE, window.width * _FINE),
            transform=from_origin(left, top, step, step),
            dtype="uint8",
        )
        shape = (window.height, _FINE, window.width, _FINE)
        yield window, fine.reshape(shape).mean(axis=(1, 3))


def _lonlat_bounds(source: Any) -> tuple[float, float, float, float]:
    """Degrees about a raster, past 180 where it crosses the antimeridian; else all the world."""
    to_degrees = pyproj.Transformer.from_crs(source.crs.to_wkt(), "EPSG:4326", always_xy=True)
    left, bottom, right, top = source.bounds
    west, south, east, north = to_degrees.transform_bounds(left, bottom, right, top, 101)
    if not all(math.isfinite(degrees) for degrees in (west, south, east, north)):
        return -180.0, -90.0, 180.0, 90.0
    east += 360 if west > east else 0
    return west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN
