"""Makes one output cell, chunk by chunk: map, read, resample, merge, aggregate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import GridLayer, Layer, Window

from .aggregate import aggregate, within_capacity
from .grid import Cell, GridLevel, OutputGrid
from .lattice import Mapping, map_window
from .ownership import Owned, Sphere, distance2, merge, sphere
from .resample import Fine, resample
from .source import TileSource

Read = Callable[[TileSource, Layer, Window], NDArray[Any]]
"""Reads a layer of a tile over a window of its grid: axes (rows, columns), the layer's dtype."""

INPUTS = (Layer.BUFRAC, Layer.RES_NRES, Layer.GREENNESS)
"""Layers that a cell is made of; the first is required, because it decides where there is data."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelArrays:
    """One level of a chunk: `window` in the cell, in pixels of the level, and its layers."""

    level: GridLevel
    window: Window
    layers: dict[GridLayer, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ChunkResult:
    """A chunk of a cell: `window` in the cell in fine pixels, levels finest first."""

    window: Window
    levels: tuple[LevelArrays, ...]
    tiles: tuple[str, ...]
    """Names of the tiles that own pixels of the chunk, sorted."""
    cut: int = 0
    """Built-up in m² that is in no layer, because fine pixels cannot hold it."""


def aggregate_cell(
    grid: OutputGrid,
    cell: Cell,
    sources: Sequence[TileSource],
    read: Read,
    inputs: Sequence[Layer] = INPUTS,
    chunk: int | None = None,
) -> Iterator[ChunkResult]:
    """Make an output cell; everything that is not yielded is nodata.

    One chunk and one tile of it are in memory at a time. The result does not depend on the order of
    the sources, or on the size or order of the chunks.

    Args:
        grid: the output grid.
        cell: the cell.
        sources: the tiles that may touch it, each once.
        read: reads a layer of a tile; it is called with windows inside the tile.
        inputs: layers to read; BUFRAC is required.
        chunk: side of a chunk in fine pixels, a multiple of `grid.step`.

    Yields:
        The chunks with at least one valid pixel, row by row.

    Raises:
        ValueError: the chunk is not a multiple of `grid.step`, BUFRAC is not among the inputs, or a
            tile is given twice.
        RasterError: `read` returns another shape than the window.
    """
    size = chunk or grid.chunk
    if size % grid.step:
        raise ValueError(f"chunk is {size}, expected a multiple of {grid.step}")
    if Layer.BUFRAC not in inputs:
        raise ValueError("BUFRAC is missing in the inputs, and is required")
    ordered = sorted(sources, key=lambda source: source.tile)
    if len({source.tile for source in ordered}) != len(ordered):
        raise ValueError("a tile is given twice")
    place = grid.fine_window(cell)
    for part in place.split(size):
        owned = _own_chunk(grid, part, ordered, read, inputs)
        if owned is None or not owned.fine.valid.any():
            continue
        window = Window(part.row - place.row, part.col - place.col, part.height, part.width)
        fine, cut = within_capacity(owned.fine, grid.fine_capacity)
        arrays = aggregate(fine, grid.levels)
        levels = tuple(
            LevelArrays(level, _coarse(window, level.factor), layers)
            for level, layers in zip(grid.levels, arrays, strict=True)
        )
        owners = np.flatnonzero(np.bincount(owned.owner.ravel() + 1)[1:])
        yield ChunkResult(window, levels, tuple(owned.tiles[i] for i in owners), cut)


def _coarse(window: Window, factor: int) -> Window:
    edges = (window.row, window.col, window.height, window.width)
    return Window(*(edge // factor for edge in edges))


def _own_chunk(
    grid: OutputGrid,
    window: Window,
    sources: Sequence[TileSource],
    read: Read,
    inputs: Sequence[Layer],
) -> Owned | None:
    """Layers of a fine window, each pixel from the tile that owns it; None if no tile touches."""
    mappings = [(source, map_window(grid, window, source)) for source in sources]
    touching = [(source, mapping) for source, mapping in mappings if mapping.reads is not None]
    place: Sphere | None = sphere(grid, window) if len(touching) > 1 else None
    owned: Owned | None = None
    for source, mapping in touching:
        fine = _read_fine(grid, source, mapping, read, inputs)
        away = np.zeros(window.shape) if place is None else distance2(place, source)
        owned = merge(owned, fine, away, source.tile)
    return owned


def _read_fine(
    grid: OutputGrid,
    source: TileSource,
    mapping: Mapping,
    read: Read,
    inputs: Sequence[Layer],
) -> Fine:
    if mapping.reads is None:
        raise ValueError("the source does not touch the window")
    arrays = {layer: read(source, layer, mapping.reads) for layer in dict.fromkeys(inputs)}
    return resample(
        grid,
        mapping,
        arrays[Layer.BUFRAC],
        arrays.get(Layer.RES_NRES),
        arrays.get(Layer.GREENNESS),
    )
