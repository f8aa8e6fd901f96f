"""The layer and its reference on the same pixels, piece by piece, so that memory is limited."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from ghsl_beam.area.antimeridian import within_180
from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.tools import area_mean
from ghsl_beam.tools.area_mean import Grid, area_sums, place, source_windows
from ghsl_beam.tools.burnt_polygons import FINE, burnt, parts_near, samples_of
from ghsl_beam.tools.layer_files import LayerFiles
from ghsl_beam.tools.reference import Meaning, Seen, fractions
from ghsl_beam.tools.validation.levels import nested_windows
from ghsl_beam.tools.validation.scores import Floats

_BLOCK = 1024
_WHOLE = 0.999
"""A pixel counts if at least this share of it is known in the finer of the two."""
_MEETING = 0.5
"""The same where the tiles of two zones meet, if one of them knows the whole pixel."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The grid that pieces are parts of; its name is that of an error map."""

    name: str
    grid: Grid


@dataclass(frozen=True, slots=True)
class Piece:
    """A window of a canvas: fractions of product and reference, NaN without data.

    `area` has the m² of a pixel, broadcastable to the fractions. `file` is the file of the layer,
    None if the pixels are those of the reference.
    """

    product: Floats
    reference: Floats
    area: Floats
    grid: Grid
    canvas: Canvas
    window: Window
    file: str | None = None

    @property
    def crs(self) -> str:
        """The CRS of the piece as WKT."""
        return self.grid.crs

    def places(self) -> tuple[Floats, Floats]:
        """Coordinates of the pixels' centres."""
        rows, cols = np.indices(self.grid.shape)
        return place(self.grid.transform, cols + 0.5, rows + 0.5)


@dataclass(slots=True)
class Coverage:
    """The ground of the layer, the part of it that the reference covers, and warnings."""

    layer_m2: float = 0.0
    covered_m2: float = 0.0
    warnings: list[str] = field(default_factory=list)


def on_layer(
    files: LayerFiles, source: Any, how: Meaning, seen: Seen, coverage: Coverage
) -> Generator[Piece, None, None]:
    """Compare on the layer's own pixels."""
    theirs = Grid.of(source)
    for number, file in enumerate(files.paths):
        with files.opened(number) as layer:
            ours = files.grids[number]
            canvas = Canvas(_stem(file), ours)
            side = min(_BLOCK, area_mean.side(theirs, ours))
            for window, values, part, area in _with_data(files, layer, number, _BLOCK, coverage):
                expected = np.full(part.shape, np.nan)
                for inner in part.windows(side):
                    means = _means(source, theirs, part.part(inner), how, seen)
                    expected[_slices(inner)] = means
                both = np.isfinite(values) & np.isfinite(expected)
                coverage.covered_m2 += float((both * area).sum())
                yield Piece(values, expected, area, part, canvas, window, file)


def _slices(window: Window) -> tuple[slice, slice]:
    row, col = int(window.row_off), int(window.col_off)
    return slice(row, row + int(window.height)), slice(col, col + int(window.width))


def _means(source: Any, grid: Grid, target: Grid, how: Meaning, seen: Seen) -> Floats:
    """The reference's mean on each pixel of a target that it covers; NaN elsewhere."""
    total, share = np.zeros(target.shape), np.zeros(target.shape)
    for window in source_windows(grid, target):
        values = fractions(source, window, how, seen)
        sums = area_sums(values, grid.part(window), target)
        total, share = total + sums[0], share + sums[1]
    return _divided(total, share, share >= _WHOLE)


def _divided(total: Floats, share: Floats, whole: NDArray[np.bool_]) -> Floats:
    return np.where(whole, total / np.where(whole, share, 1), np.nan)


def on_reference(
    files: LayerFiles, source: Any, how: Meaning, seen: Seen, coverage: Coverage
) -> Generator[Piece, None, None]:
    """Compare on the pixels of a coarser reference; the layer is averaged over them."""
    theirs = Grid.of(source)
    for number in range(len(files.paths)):
        with files.opened(number) as layer:
            for window in files.grids[number].windows(_BLOCK):
                values = files.fractions(layer, number, window)
                area = files.grids[number].part(window).pixel_areas()
                coverage.layer_m2 += float((np.isfinite(values) * area).sum())
    for count, there in enumerate(_near(files, theirs), 1):
        near = theirs.part(there)
        canvas = Canvas(f"{files.layer}_{files.product}_reference_{count}", near)
        for window in nested_windows(near, area_mean.side(files.grids[0], near)):
            target = near.part(window)
            piece = Window(
                there.col_off + window.col_off,
                there.row_off + window.row_off,
                window.width,
                window.height,
            )
            expected = fractions(source, piece, how, seen)
            values = _layer_means(files, target)
            area = target.pixel_areas()
            both = np.isfinite(values) & np.isfinite(expected)
            coverage.covered_m2 += float((both * area).sum())
            yield Piece(values, expected, area, target, canvas, window)


def _layer_means(files: LayerFiles, target: Grid) -> Floats:
    """The layer's mean on each pixel of a target that it covers; NaN elsewhere."""
    total, share, alone = (np.zeros(target.shape) for _ in range(3))
    for number, ours in enumerate(files.grids):
        windows = source_windows(ours, target)
        if not windows:
            continue
        own = np.zeros(target.shape)
        with files.opened(number) as layer:
            for window in (p for w in windows for p in _pieces(w, _BLOCK)):
                values = files.fractions(layer, number, window)
                sums = area_sums(values, ours.part(window), target)
                total, share = total + sums[0], share + sums[1]
                if files.several_crs:
                    values = files.fractions(layer, number, window, shared=True)
                    own += area_sums(values, ours.part(window), target)[1]
        alone = np.maximum(alone, own)
    # Pixels of two zones do not nest. Where the zones meet, there are small gaps and overlaps
    # between the pixels of both tiles, although each tile has data in all of the target's pixel.
    meeting = (alone >= _WHOLE) & (share >= _MEETING)
    return _divided(total, share, (share >= _WHOLE) | meeting)


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


def with_polygons(
    files: LayerFiles, polygons: Area, coverage: Coverage
) -> Generator[Piece, None, None]:
    """Compare with the share of each pixel of the layer inside polygons."""
    around = _boxes(polygons)
    for number, file in enumerate(files.paths):
        with files.opened(number) as layer:
            ours = files.grids[number]
            canvas = Canvas(_stem(file), ours)
            # Far polygons have no position in the raster's CRS.
            shapes, reach = (parts_near(area, ours) for area in (polygons, around))
            times = samples_of(ours)
            block = max(1, _BLOCK * FINE[0] // times)
            for window, values, part, area in _with_data(files, layer, number, block, coverage):
                within_reach = burnt(part, reach, 1)
                coverage.covered_m2 += float((np.isfinite(values) * within_reach * area).sum())
                expected = burnt(part, shapes, times)
                yield Piece(values, expected, area, part, canvas, window, file)


def _with_data(
    files: LayerFiles, layer: Any, number: int, block: int, coverage: Coverage
) -> Iterator[tuple[Window, Floats, Grid, Floats]]:
    """The windows of an open file with data: window, fractions, grid and areas of the pixels.

    Their ground counts as that of the layer.
    """
    for window in nested_windows(files.grids[number], block):
        values = files.fractions(layer, number, window)
        if not np.isfinite(values).any():
            continue
        part = files.grids[number].part(window)
        area = part.pixel_areas()
        coverage.layer_m2 += float((np.isfinite(values) * area).sum())
        yield window, values, part, area


def _boxes(polygons: Area) -> Area:
    """The box around polygons; one for each side of the antimeridian if they lie at both."""
    west, _, east, _ = polygons.bounds
    parts = shapely.get_parts(polygons.geometry)
    left, _, right, _ = shapely.bounds(parts).T
    halves = [parts]
    if (west, east) == (-180, 180):
        in_east = left + right > 0
        halves = [parts[in_east], parts[~in_east]]
    boxes = [shapely.box(*shapely.total_bounds(half)) for half in halves if len(half)]
    return Area(within_180(shapely.union_all(boxes)))


def _stem(file: str) -> str:
    return file.rpartition("/")[2].removesuffix(".tif")
