"""Compares the built-up area of a run with a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ghsl_beam.area.area_of_interest import Area, read_area
from ghsl_beam.tools import area_mean
from ghsl_beam.tools.area_mean import Grid, area_sums, source_windows
from ghsl_beam.tools.burnt_polygons import FINE, burnt, parts_near, samples_of
from ghsl_beam.tools.layer_files import LayerFiles
from ghsl_beam.tools.plain_rasters import absence, opened_reference, unreadable_reference
from ghsl_beam.tools.reference import (
    Meaning,
    Seen,
    check_seen,
    fractions,
    look_around,
    meaning,
)
from transforms.elements import RequestError
from transforms.storage import storage

_VECTORS = {".gpkg", ".geojson", ".json", ".shp", ".fgb", ".wkt"}
_BLOCK = 1024
_COARSER = 1.02
"""A reference is coarser if its pixel has more than this many times the area of ours."""
_WHOLE = 0.999
"""A pixel counts if at least this share of it is known in the finer of the two."""
_LITTLE = 50.0
"""Percent of overlap below which there is a warning."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Sums over pixels from which all measures are computed; sums of parts can be added."""

    count: int = 0
    error: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0
    product_m2: float = 0.0
    reference_m2: float = 0.0
    compared_m2: float = 0.0
    both: int = 0
    product_only: int = 0
    reference_only: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(*(getattr(self, k) + getattr(other, k) for k in self.__slots__))


def compare(
    product: NDArray[np.floating[Any]],
    reference: NDArray[np.floating[Any]],
    threshold: float = 0.5,
    pixel_m2: float | Floats = 1.0,
) -> Agreement:
    """Agreement of two arrays of built-up fraction.

    Args:
        product: fraction 0..1, any shape, NaN without data.
        reference: the same shape and unit.
        threshold: a pixel is built-up if its fraction is at least this.
        pixel_m2: area of a pixel in m², of the same shape or broadcastable to it.

    Returns:
        Sums over the pixels that both have.
    """
    valid = np.isfinite(product) & np.isfinite(reference)
    # In sums of parts, a fraction exactly at the threshold may be slightly off.
    ours, theirs = (a[valid].astype(np.float64).round(9) for a in (product, reference))
    area = np.broadcast_to(np.asarray(pixel_m2, np.float64), valid.shape)[valid]
    error = ours - theirs
    built, expected = ours >= threshold, theirs >= threshold
    return Agreement(
        count=int(valid.sum()),
        error=float(error.sum()),
        absolute=float(np.abs(error).sum()),
        squared=float((error**2).sum()),
        product_m2=float((ours * area).sum()),
        reference_m2=float((theirs * area).sum()),
        compared_m2=float(area.sum()),
        both=int((built & expected).sum()),
        product_only=int((built & ~expected).sum()),
        reference_only=int((~built & expected).sum()),
    )


def measures(sums: Agreement) -> dict[str, float | int | None]:
    """RMSE, MAE and bias of the fraction; precision, recall, F1, IoU at the threshold; areas.

    Returns:
        By name; None if a measure is undefined (nothing built-up, no pixels).
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
        "product_m2": sums.product_m2,
        "reference_m2": sums.reference_m2,
    }


def validate(
    output: str,
    reference: str,
    *,
    layer: str = "BUFRAC",
    product: str | None = None,
    grid: str | None = None,
    unit: str | None = None,
    nodata: str | None = None,
    built: str | None = None,
    band: int | None = None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compare a layer of a run with a reference.

    Where tiles overlap, the ground counts once: for the tile with the nearest centre, of those with
    data there. A reference with finer or about equal pixels is averaged over the layer's pixels by
    area. If the reference is coarser, the layer is averaged over its pixels.

    Args:
        output: the run's folder, a location.
        reference: location of a raster of built-up, or of polygons of built-up (they are converted
            to fractions; ground in several polygons counts once); a layer of a GeoPackage as
            `file.gpkg|layer`.
        layer: BUFRAC (tiles in UTM) or BUILT_S (an output grid).
        product: epoch and name as in the files, `E2017_berlin`; needed if there are several.
        grid: name of the output grid, `54009_100`; needed if there are several.
        unit: the meaning of a raster's values, a name of `reference.UNITS`; needed if the file does
            not prove it.
        nodata: a raster's nodata, or `none`; replaces the one in the file.
        built: the built-up values of a raster of classes, separated by commas.
        band: number of the band, if a raster has several.
        threshold: pixels are built-up from this fraction on.

    Returns:
        The measures over all files, the percent of the layer's ground that the reference covers,
        and warnings. If the layer's own pixels are compared, also the measures of each file under
        `files`.

    Raises:
        RequestError: there is no such layer, product or reference; there are several and none is
            named; the reference cannot be read, has no CRS or unit, has values outside the unit, or
            shares no ground with the layer.
        RasterError: a raster of the output cannot be read.
    """
    file_of_polygons = reference.partition("|")[0]
    vector = PurePath(file_of_polygons).suffix.lower() in _VECTORS
    file = file_of_polygons if vector else reference
    if not storage.is_file(file):
        raise RequestError(f"{reference}: {absence(file)}; give a raster or polygons of built-up")
    try:
        files = LayerFiles.find(output, layer, product, grid)
        if vector:
            given = {"--unit": unit, "--nodata": nodata, "--built": built, "--band": band}
            odd = ", ".join(name for name, value in given.items() if value is not None)
            if odd:
                raise RequestError(
                    f"{reference}: has polygons; leave out {odd}, which is for rasters"
                )
            found = _with_polygons(files, read_area(reference, "."), threshold)
        else:
            with opened_reference(reference) as source:
                how = meaning(source, reference, unit=unit, nodata=nodata, built=built, band=band)
                found = _with_raster(files, source, reference, how, threshold)
    except (OSError, RasterioError) as error:  # files of the output raise errors of their own
        raise unreadable_reference(reference, error) from error
    total = sum(found.by_file.values(), found.rest)
    if not total.count:
        raise RequestError(
            f"{reference}: does not overlap {layer} of {output} where both have data: nothing "
            "to compare"
        )
    overlap = 100 * min(1.0, found.covered_m2 / found.layer_m2)
    warnings = list(found.warnings)
    if overlap < _LITTLE:
        warnings.append(f"the reference covers {overlap:.3g} % of the layer's ground")
    if not vector and total.product_m2 > 0 == total.reference_m2:
        warnings.append("nothing is built-up in the reference where both are compared")
    return {
        "layer": layer,
        "product": files.product,
        "reference": reference,
        **found.about,
        "overlap_percent": round(overlap, 3),
        "threshold": threshold,
        "warnings": warnings,
        **measures(total),
        "files": {file: measures(sums) for file, sums in found.by_file.items()},
    }


@dataclass(slots=True)
class _Found:
    """The result of a comparison: sums by file, and sums that belong to no single file."""

    by_file: dict[str, Agreement]
    rest: Agreement
    layer_m2: float
    covered_m2: float
    about: dict[str, Any]
    warnings: list[str]


def _ratio(part: float, whole: float, *, root: bool = False) -> float | None:
    if not whole:
        return None
    return (part / whole) ** 0.5 if root else part / whole


def _with_raster(
    files: LayerFiles, source: Any, location: str, how: Meaning, threshold: float
) -> _Found:
    theirs, ours = Grid.of(source), files.grids[0]
    # The size of a pixel depends on its place, above all in degrees.
    near = (window for grid in files.grids for window in source_windows(theirs, grid))
    place = next((theirs.part(window) for window in near), theirs)
    coarser = area_mean.mean_pixel_area(place) > _COARSER * area_mean.mean_pixel_area(ours)
    seen = Seen()
    if coarser:
        found = _on_reference(files, source, how, seen, threshold)
    else:
        found = _on_layer(files, source, how, seen, threshold)
    if not how.certain:
        look_around(source, how, seen)
    found.warnings += check_seen(location, how, seen)
    size = math.sqrt(area_mean.mean_pixel_area(place if coarser else ours))
    found.about = {
        "unit": how.unit,
        "unit_from": how.proof,
        "nodata": None if how.nodata is None else f"{how.nodata:g}",
        "compared_at": f"{size:.4g} m, pixels of the {'reference' if coarser else 'layer'}",
    }
    return found


def _on_layer(files: LayerFiles, source: Any, how: Meaning, seen: Seen, threshold: float) -> _Found:
    """Compare on the layer's own pixels."""
    found = _Found({}, Agreement(), 0.0, 0.0, {}, [])
    theirs = Grid.of(source)
    for number, file in enumerate(files.paths):
        found.by_file[file] = Agreement()
        with files.opened(number) as layer:
            ours = files.grids[number]
            for window in ours.windows(min(_BLOCK, area_mean.side(theirs, ours))):
                values = files.fractions(layer, number, window)
                if not np.isfinite(values).any():
                    continue
                part = ours.part(window)
                area = part.pixel_areas()
                found.layer_m2 += float((np.isfinite(values) * area).sum())
                expected = _means(source, theirs, part, how, seen)
                sums = compare(values, expected, threshold, area)
                found.by_file[file] += sums
                found.covered_m2 += sums.compared_m2
    return found


def _means(source: Any, grid: Grid, target: Grid, how: Meaning, seen: Seen) -> Floats:
    """The reference's mean on each pixel of a target that it covers; NaN elsewhere."""
    total, share = np.zeros(target.shape), np.zeros(target.shape)
    for window in source_windows(grid, target):
        values = fractions(source, window, how, seen)
        sums = area_sums(values, grid.part(window), target)
        total, share = total + sums[0], share + sums[1]
    return _divided(total, share)


def _divided(total: Floats, share: Floats) -> Floats:
    whole = share >= _WHOLE
    return np.where(whole, total / np.where(whole, share, 1), np.nan)


def _on_reference(
    files: LayerFiles, source: Any, how: Meaning, seen: Seen, threshold: float
) -> _Found:
    """Compare on the pixels of a coarser reference; the layer is averaged over them."""
    found = _Found({}, Agreement(), 0.0, 0.0, {}, [])
    theirs = Grid.of(source)
    for number in range(len(files.paths)):
        with files.opened(number) as layer:
            for window in files.grids[number].windows(_BLOCK):
                values = files.fractions(layer, number, window)
                area = files.grids[number].part(window).pixel_areas()
                found.layer_m2 += float((np.isfinite(values) * area).sum())
    for place in _near(files, theirs):
        for piece in _pieces(place, area_mean.side(files.grids[0], theirs.part(place))):
            target = theirs.part(piece)
            expected = fractions(source, piece, how, seen)
            total, share = np.zeros(target.shape), np.zeros(target.shape)
            for number, ours in enumerate(files.grids):
                windows = source_windows(ours, target)
                if not windows:
                    continue
                with files.opened(number) as layer:
                    for window in (p for w in windows for p in _pieces(w, _BLOCK)):
                        values = files.fractions(layer, number, window)
                        sums = area_sums(values, ours.part(window), target)
                        total, share = total + sums[0], share + sums[1]
            values = _divided(total, share)
            found.rest += compare(values, expected, threshold, target.pixel_areas())
    found.covered_m2 = found.rest.compared_m2
    return found


def _near(files: LayerFiles, theirs: Grid) -> list[Window]:
    """Windows of a reference that contain all files of the layer, without overlap."""
    boxes = [
        shapely.box(w.col_off, w.row_off, w.col_off + w.width, w.row_off + w.height)
        for ours in files.grids
        for w in source_windows(theirs, ours)
    ]
    # Kept apart, so that the part of a world-wide reference between them is not read.
    while boxes:
        merged = [shapely.box(*part.bounds) for part in shapely.get_parts(shapely.union_all(boxes))]
        if len(merged) == len(boxes):
            break
        boxes = merged
    windows = []
    for box in boxes:
        left, top, right, bottom = (int(edge) for edge in box.bounds)
        windows.append(Window(left, top, right - left, bottom - top))
    return windows


def _pieces(place: Window, side: int) -> Iterator[Window]:
    for row in range(place.row_off, place.row_off + place.height, side):
        for col in range(place.col_off, place.col_off + place.width, side):
            yield Window(
                col,
                row,
                min(side, place.col_off + place.width - col),
                min(side, place.row_off + place.height - row),
            )


def _with_polygons(files: LayerFiles, polygons: Area, threshold: float) -> _Found:
    about = {"unit": "polygons", "compared_at": "pixels of the layer"}
    found = _Found({}, Agreement(), 0.0, 0.0, about, list(polygons.warnings))
    around = Area(shapely.MultiPolygon([shapely.box(*polygons.bounds)]))
    for number, file in enumerate(files.paths):
        found.by_file[file] = Agreement()
        with files.opened(number) as layer:
            ours = files.grids[number]
            # Far polygons have no position in the raster's CRS.
            shapes, reach = (parts_near(area, ours) for area in (polygons, around))
            times = samples_of(ours)
            for window in ours.windows(max(1, _BLOCK * FINE[0] // times)):
                values = files.fractions(layer, number, window)
                part = ours.part(window)
                area = part.pixel_areas()
                found.layer_m2 += float((np.isfinite(values) * area).sum())
                within_reach = burnt(part, reach, 1)
                found.covered_m2 += float((np.isfinite(values) * within_reach * area).sum())
                expected = burnt(part, shapes, times)
                found.by_file[file] += compare(values, expected, threshold, area)
    if not found.covered_m2:
        found.by_file = {}
    elif not sum(found.by_file.values(), Agreement()).reference_m2:
        found.warnings.append("no polygon lies inside the layer, only around it")
    return found
