"""The aggregation stage: brings tile layers to the output grid, and its fine level to coarser ones.

Built-up area is conserved: m² on the grid are m² in UTM. Where tiles overlap, a pixel belongs to
the tile with the nearest centre. This package opens no files itself; see `aggregate_cell`.
"""

from typing import TYPE_CHECKING

from transforms.elements import GridLayer, lazily

from .aggregate import aggregate, layer_dtype, published_layers
from .cell import INPUTS, ChunkResult, LevelArrays, Read, aggregate_cell
from .footprint import cells_of_footprint, cells_of_source
from .grid import Cell, GridLevel, GridTile, OutputGrid, from_config, geographic, ghsl_mollweide
from .lattice import Mapping, map_window
from .ownership import Owned, distance2, merge, sphere
from .resample import Fine, resample
from .source import TileSource

if TYPE_CHECKING:
    from .in_memory import ReprojectAndAggregate, aggregate_pixels
    from .transform import AggregateCells, CellTask, PublishGridTiles

METHOD_VERSION = "4"
"""Changes when the same inputs give other pixels; it is part of the products' fingerprints."""

__all__ = [
    "INPUTS",
    "METHOD_VERSION",
    "AggregateCells",
    "Cell",
    "CellTask",
    "ChunkResult",
    "Fine",
    "GridLayer",
    "GridLevel",
    "GridTile",
    "LevelArrays",
    "Mapping",
    "OutputGrid",
    "Owned",
    "PublishGridTiles",
    "Read",
    "ReprojectAndAggregate",
    "TileSource",
    "aggregate",
    "aggregate_cell",
    "aggregate_pixels",
    "cells_of_footprint",
    "cells_of_source",
    "distance2",
    "from_config",
    "geographic",
    "ghsl_mollweide",
    "layer_dtype",
    "map_window",
    "merge",
    "published_layers",
    "resample",
    "sphere",
]

__getattr__ = lazily(
    __name__,
    {
        "ReprojectAndAggregate": ".in_memory",
        "aggregate_pixels": ".in_memory",
        "AggregateCells": ".transform",
        "CellTask": ".transform",
        "PublishGridTiles": ".transform",
    },
)
