"""ReprojectAndAggregate: makes an output cell from pixels of tiles in memory, without files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from numpy.typing import NDArray

from transforms.elements import Layer, Pixels, Window, centre_of
from transforms.work.losses import LOSSES, made_or_lost
from transforms.work.metrics import measured
from transforms.work.reporter import SILENT, Reporter
from transforms.work.stage import StageTransform

from .cell import INPUTS, ChunkResult, aggregate_cell
from .grid import OutputGrid
from .source import TileSource

STAGE = "aggregation"


def source_of(pixels: Pixels) -> TileSource:
    """The tile of pixels; its centre is the centre of the pixels."""
    return TileSource(pixels.block.tile, pixels.grid, *centre_of(pixels.grid))


def aggregate_pixels(grid: OutputGrid, cell: str, tiles: Iterable[Pixels]) -> Iterator[ChunkResult]:
    """Make the chunks of an output cell from tiles in memory; see `aggregate_cell`.

    Args:
        grid: the output grid.
        cell: the key of the cell.
        tiles: pixels with BUFRAC, RES_NRES and GREENNESS, each tile once.

    Raises:
        ValueError: a tile is given twice.
    """
    given = list(tiles)
    by_tile = {pixels.block.tile: pixels for pixels in given}

    def read(source: TileSource, layer: Layer, window: Window) -> NDArray[Any]:
        return by_tile[source.tile][layer][window.slices_in(source.extent)]

    sources = [source_of(pixels) for pixels in given]
    return aggregate_cell(grid, grid.parse_cell(cell), sources, read, INPUTS)


@dataclass(eq=False)
class ReprojectAndAggregate(StageTransform):
    """Make the chunks of output cells; an input is a cell's key and the pixels of its tiles.

    Outputs: main, pairs of the key and a `ChunkResult`; `losses`.
    """

    grid: OutputGrid
    reporter: Reporter = SILENT

    def expand(self, cells: PCollection[tuple[str, Iterable[Pixels]]]) -> Any:
        """Main output: chunks; further output: losses."""
        return cells | beam.FlatMap(self.aggregate).with_outputs(LOSSES, main="chunks")

    def aggregate(
        self, item: tuple[str, Iterable[Pixels]]
    ) -> Iterator[tuple[str, ChunkResult] | TaggedOutput]:
        """Make one cell."""
        key, tiles = item

        def aggregated() -> list[ChunkResult]:
            with measured(self.reporter, STAGE, self.grid.cell_pixels**2, key):
                return list(aggregate_pixels(self.grid, key, tiles))

        for made in made_or_lost(self.reporter, STAGE, key, None, aggregated):
            if isinstance(made, TaggedOutput):
                yield made
            else:
                yield from ((key, chunk) for chunk in made)
