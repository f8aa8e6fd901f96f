"""AggregateCells and PublishGridTiles: make the products of an output grid from tile products."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PCollection, TaggedOutput
from numpy.typing import NDArray

from transforms.elements import (
    DTYPE,
    NODATA,
    GridLayer,
    Layer,
    Product,
    RasterError,
    RasterRef,
    Window,
    part_of,
    period_tag,
)
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import INCOMPLETE, stored_fingerprint
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile, read_window, write_block
from transforms.storage import storage
from transforms.work.losses import LOSSES, made_or_lost
from transforms.work.metrics import count, measured, reused
from transforms.work.stage import StageTransform, TellAtBundleEnd
from transforms.work.work_area import WorkArea

from .aggregate import layer_dtype, published_layers
from .cell import LevelArrays, aggregate_cell
from .grid import GridLevel, GridTile, OutputGrid
from .source import TileSource

_LOG = logging.getLogger(__name__)
STAGE = "aggregation"
Write = Callable[[Window, NDArray[Any]], None]
"""Writes pixels into a window of a product."""
_OF_CLASSES = (GridLayer.BUILT_S_NRES, GridLayer.BUILT_C_FUN)
"""The layers that the residential classifier has a part in."""
_LARGEST_FILE = 20_000
"""Pixels along a side; a larger R/C tile is published cell by cell."""


@dataclass(frozen=True)
class CellPlan:
    """An output cell, its MGRS tiles, its fingerprint; models, credits and days of the tiles.

    `credits` are those of the networks, `class_credits` also those of the classifier.
    """

    key: str
    tiles: tuple[str, ...]
    fingerprint: str
    models: tuple[str, ...] = ()
    credits: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    class_credits: tuple[str, ...] = ()


@dataclass(frozen=True)
class GridSpec:
    """An output grid of a job. `pattern` is a path with `{grid}`, `{layer}` and `{key}`."""

    grid: OutputGrid
    pattern: str
    cells: tuple[CellPlan, ...]
    tiles: tuple[tuple[str, str], ...]
    """R/C tiles and their fingerprints."""
    calibration: tuple[tuple[str, str], ...] = ()
    """Tags about the calibration of all tiles; empty if there is none."""
    calibration_credit: str = ""
    classifier: tuple[tuple[str, str], ...] = ()
    """Tags about the classifier of all tiles."""
    job: tuple[tuple[str, str], ...] = ()
    """Tags about the job."""
    licence: Callable[[str], str] = str
    """Gives the licence of a product with these credits."""
    windows: tuple[tuple[str, Window], ...] = ()
    """The parts of cells and R/C tiles that their products have, by key, in fine pixels from their
    corner, in whole pixels of every level. A product of another key has all of its cell or tile."""

    @cached_property
    def _window_of(self) -> dict[str, Window]:
        return dict(self.windows)

    def window(self, key: str, level: GridLevel) -> Window:
        """The part of a cell or R/C tile that its product has, in pixels of a level."""
        grid = self.grid
        if (part := self._window_of.get(key)) is None:
            side = grid.cell_pixels * (1 if self.by_cell(level) else grid.tile_cells)
            part = Window(0, 0, side, side)
        edges = (part.row, part.col, part.height, part.width)
        return Window(*(edge // level.factor for edge in edges))

    @cached_property
    def cell_plans(self) -> dict[str, CellPlan]:
        """Cells by key."""
        return {cell.key: cell for cell in self.cells}

    def tags(self, layer: GridLayer, mark: str, cells: Sequence[CellPlan]) -> dict[str, str]:
        """The tags of a product: what it holds, and what it was made with."""
        classified = layer in _OF_CLASSES
        tags = {**_tags(mark, cells, classified=classified), **layer.spec.tags, **dict(self.job)}
        if classified:
            tags |= dict(self.classifier)
        if self.calibration and layer.spec.follows_calibration:
            tags |= layer.spec.described(calibrated=True).tags | dict(self.calibration)
            tags["CREDITS"] += f"; {self.calibration_credit}"
        return {**tags, "LICENCE": self.licence(tags["CREDITS"])}

    def by_cell(self, level: GridLevel) -> bool:
        """Whether a level is published by cell, not by R/C tile."""
        side = self.grid.cell_pixels * self.grid.tile_cells // level.factor
        return side > _LARGEST_FILE

    def path(self, level: GridLevel, layer: GridLayer, key: str) -> str:
        """Path of a product, relative to the output."""
        return self.pattern.format(grid=level.name, layer=layer, key=key)

    def cells_in(self, tile: str) -> tuple[CellPlan, ...]:
        """The planned cells of an R/C tile."""
        grid = self.grid
        return tuple(
            cell for cell in self.cells if grid.tile_of(grid.parse_cell(cell.key)).key == tile
        )


@dataclass(frozen=True, slots=True)
class CellTask:
    """A cell to make from tiles whose layers are published."""

    key: str
    tiles: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class CellRef:
    """A stored part of an R/C tile: one layer of one level over one cell."""

    level: str
    layer: GridLayer
    tile: str
    cell: str
    path: str


def _tags(mark: str, cells: Sequence[CellPlan], *, classified: bool = False) -> dict[str, str]:
    models = sorted({model for cell in cells for model in cell.models})
    lines = (cell.class_credits if classified else cell.credits for cell in cells)
    credits = dict.fromkeys(line for of_cell in lines for line in of_cell)
    made = {"CREDITS": "; ".join(credits), "MODELS": "; ".join(models)}
    days = (day for cell in cells for day in cell.days)
    return {FINGERPRINT_TAG: mark, **made, **period_tag(days)}


@dataclass(eq=False)
class AggregateCells(StageTransform):
    """Make cell products and stored parts of R/C tiles from cell tasks.

    `paths` gives the path pattern of each layer's tile products, relative to `output`, with
    `{tile}`.
    """

    work: WorkArea
    output: str
    paths: tuple[tuple[Layer, str], ...]
    spec: GridSpec

    def expand(self, tasks: PCollection[CellTask]) -> Any:
        """Main output: `blocks`, the stored parts of R/C tiles; further output: losses."""
        making = beam.ParDo(TellAtBundleEnd(self.work.reporter, self.make))
        return tasks | making.with_outputs(LOSSES, main="blocks")

    def make(self, task: CellTask) -> Iterator[CellRef | TaggedOutput]:
        """Yield the stored parts of one cell, and publish its own products."""
        plan = self.spec.cell_plans[task.key]
        references = self._references(task.key)
        outputs = [r.path for r in references] + [
            storage.join(self.output, self.spec.path(level, layer, task.key))
            for level in self.spec.grid.levels
            if self.spec.by_cell(level)
            for layer in published_layers(level)
        ]

        def made() -> list[CellRef]:
            if all(stored_fingerprint(path) == plan.fingerprint for path in outputs):
                reused(self.work.reporter, STAGE, task.key)
            else:
                with measured(self.work.reporter, STAGE, self.spec.grid.cell_pixels**2, task.key):
                    self._compute(task, plan)
            return references

        for result in made_or_lost(self.work.reporter, STAGE, task.key, None, made):
            yield from [result] if isinstance(result, TaggedOutput) else result

    def _references(self, key: str) -> list[CellRef]:
        grid = self.spec.grid
        tile = grid.tile_of(grid.parse_cell(key)).key
        return [
            CellRef(level.name, layer, tile, key, self._block(level, layer, key))
            for level in grid.levels
            if not self.spec.by_cell(level)
            for layer in published_layers(level)
        ]

    def _block(self, level: GridLevel, layer: GridLayer, key: str) -> str:
        return storage.join(self.work.folder, "grid", level.name, layer, f"{key}.tif")

    def _read(self, source: TileSource, layer: Layer, window: Window) -> NDArray[Any]:
        path = storage.join(self.output, dict(self.paths)[layer].format(tile=source.tile))
        reference = RasterRef(source.tile, layer, source.extent, path)
        return read_window([reference], window, 1, DTYPE[layer], NODATA[layer])

    def _sources(self, tiles: tuple[str, ...]) -> list[TileSource]:
        sources = []
        for tile in tiles:
            plan = self.work.plans.read(tile)
            place = plan.place(plan.window)
            sources.append(TileSource(tile, place, plan.center_lon, plan.center_lat))
        return sources

    def _is_whole(self, task: CellTask, plan: CellPlan) -> bool:
        """Whether every tile of the cell exists with the fingerprint of its plan."""
        return task.tiles == plan.tiles and all(
            stored_fingerprint(storage.join(self.output, pattern.format(tile=tile)))
            == self.work.plans.read(tile).fingerprints[layer]
            for tile in task.tiles
            for layer, pattern in self.paths
        )

    def _compute(self, task: CellTask, plan: CellPlan) -> None:
        grid, spec = self.spec.grid, self.spec
        cell = grid.parse_cell(task.key)
        mark = plan.fingerprint if self._is_whole(task, plan) else INCOMPLETE
        sources = self._sources(task.tiles)
        self.work.reporter.begin()
        tags = _tags(mark, [plan])
        parts: dict[tuple[str, GridLayer], NDArray[Any]] = {}
        with ExitStack() as stack:
            writers = {}
            for level in grid.levels:
                box = grid.cell_geobox(cell, level)
                for layer in published_layers(level):
                    dtype, nodata = layer_dtype(layer, level)
                    if spec.by_cell(level):
                        path, kept = spec.path(level, layer, task.key), spec.window(task.key, level)
                        write = stack.enter_context(
                            cog_writer(
                                storage.join(self.output, path),
                                raster_profile(part_of(box, kept)),
                                bands=1,
                                dtype=dtype,
                                nodata=nodata,
                                tags=spec.tags(layer, mark, [plan]),
                                tell=self.work.notes.noting(path, mark),
                                spec=layer.spec,
                            )
                        )
                        writers[level.name, layer] = partial(_write_kept, write, kept, nodata)
                    else:
                        parts[level.name, layer] = np.full(box.shape, nodata, dtype)
            for chunk in aggregate_cell(grid, cell, sources, self._read):
                count(STAGE, "square_metres_cut", chunk.cut)
                for arrays in chunk.levels:
                    _put(arrays, writers, parts)
        for level in grid.levels:
            if not spec.by_cell(level):
                box = grid.cell_geobox(cell, level)
                for layer in published_layers(level):
                    path = self._block(level, layer, task.key)
                    nodata = layer_dtype(layer, level)[1]
                    write_block(path, parts[level.name, layer], raster_profile(box), nodata, tags)


def _write_kept(
    write: Write, kept: Window, nodata: int, window: Window, values: NDArray[Any]
) -> None:
    """Write the part of a window that a product has; both are counted from the whole's corner.

    Raises:
        RasterError: there are data beyond it, which would be lost.
    """
    part = window.intersect(kept)
    inside = values[:0] if part is None else values[part.slices_in(window)]
    if part != window and (values != nodata).sum() != (inside != nodata).sum():
        raise RasterError(f"data in {window} lie outside the extent {kept} of the product")
    if part is not None:
        place = Window(part.row - kept.row, part.col - kept.col, part.height, part.width)
        write(place, inside)


def _put(arrays: LevelArrays, writers: dict[Any, Any], parts: dict[Any, NDArray[Any]]) -> None:
    name, window = arrays.level.name, arrays.window
    for layer, values in arrays.layers.items():
        if (name, layer) in writers:
            writers[name, layer](window, values)
        elif (name, layer) in parts:
            rows = slice(window.row, window.bottom)
            parts[name, layer][rows, window.col : window.right] = values


@dataclass(eq=False)
class PublishGridTiles(StageTransform):
    """Write the stored parts of R/C tiles as a cloud-optimised GeoTIFF for each tile and layer."""

    work: WorkArea
    output: str
    spec: GridSpec

    def expand(self, parts: PCollection[CellRef]) -> Any:
        """Main output: products; further output: losses."""
        publishing = beam.ParDo(TellAtBundleEnd(self.work.reporter, self.publish))
        return (
            parts
            | "Key" >> beam.Map(lambda part: ((part.level, str(part.layer), part.tile), part))
            | "Group by tile" >> beam.GroupByKey()
            | "Publish" >> publishing.with_outputs(LOSSES, main="products")
        )

    def publish(self, item: tuple[tuple[str, str, str], Any]) -> Iterator[Any]:
        """Make the product of one layer of one R/C tile at one level."""
        (name, label, key), parts = item
        yield from made_or_lost(
            self.work.reporter,
            STAGE,
            key,
            None,
            lambda: self.write(name, GridLayer(label), key, sorted(set(parts))),
        )

    def write(self, name: str, layer: GridLayer, key: str, parts: list[CellRef]) -> Product:
        """Write the product, unless it exists and is up to date.

        Raises:
            RasterError: a part cannot be read, or the product cannot be written.
        """
        grid = self.spec.grid
        level = next(level for level in grid.levels if level.name == name)
        tile: GridTile = grid.parse_tile(key)
        dtype, nodata = layer_dtype(layer, level)
        path = self.spec.path(level, layer, key)
        cells = self.spec.cells_in(key)
        fingerprints = {cell.key: cell.fingerprint for cell in cells}
        whole = {part.cell for part in parts} == set(fingerprints) and all(
            stored_fingerprint(p.path) == fingerprints[p.cell] for p in parts
        )
        mark = dict(self.spec.tiles)[key] if whole else INCOMPLETE
        product = Product(layer, key, name, path, mark, whole)
        location = storage.join(self.output, path)
        if whole and stored_fingerprint(location) == mark:
            reused(self.work.reporter, "publish", key)
            return product
        kept = self.spec.window(key, level)
        box = part_of(grid.tile_geobox(tile, level), kept)
        with (
            measured(self.work.reporter, "publish", tile=key),
            cog_writer(
                location,
                raster_profile(box),
                bands=1,
                dtype=dtype,
                nodata=nodata,
                tags=self.spec.tags(layer, mark, cells),
                tell=self.work.notes.noting(path, mark),
                spec=layer.spec,
            ) as write,
        ):
            for part in parts:
                window = grid.window_in_tile(grid.parse_cell(part.cell), level)
                whole_part = Window(0, 0, window.height, window.width)
                reference = RasterRef(key, Layer.BUFRAC, whole_part, part.path)
                values = read_window([reference], whole_part, 1, dtype, nodata)
                _write_kept(write, kept, nodata, window, values)
        _LOG.info("published", extra={"tile": key, "path": path, "whole": whole})
        return product
