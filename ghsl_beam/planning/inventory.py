"""The inventory: which products of a plan exist. Only it decides what is still to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from ghsl_beam.planning.lines import Line
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.planned_products import (
    PlannedProduct,
    planned_products,
    products_of_grid,
    products_of_tiles,
)
from ghsl_beam.process import status
from transforms.elements import Layer, Product, TilePlan
from transforms.rasters.fingerprints import stored_fingerprints


@dataclass(frozen=True)
class Inventory:
    """The products of a plan that existed when the output was read.

    Attributes:
        plan: The plan with the fingerprint of each product.
        products: The products on storage. One is whole if it has the plan's fingerprint.
        existing: Tile and layer of the tile products that are whole.
        missing_cells: By output grid, the cells of products that are still to be made.
    """

    plan: JobPlan
    products: tuple[Product, ...]
    existing: frozenset[tuple[str, Layer]]
    missing_cells: Mapping[str, frozenset[str]]

    @property
    def has_work(self) -> bool:
        """Whether anything is still to be made."""
        lines = any(self.tiles_to_do(line) for line in self.plan.lines)
        return lines or any(self.missing_cells.values())

    def exists(self, tile: TilePlan, layer: Layer) -> bool:
        """Whether the product of a layer of a tile exists and is whole."""
        return (tile.tile, layer) in self.existing

    def missing(self, tile: TilePlan, line: Line) -> tuple[Layer, ...]:
        """The layers of a tile that a line has to make."""
        return tuple(layer for layer in line.makes if not self.exists(tile, layer))

    def tiles_to_do(self, line: Line) -> tuple[TilePlan, ...]:
        """The tiles for which a line has something to make."""
        return tuple(tile for tile in self.plan.tiles if self.missing(tile, line))


def read_inventory(plan: JobPlan) -> Inventory:
    """Read the output once; if the plan verifies, read every product completely.

    Raises:
        RasterError: The storage does not say.
    """
    status.now("looking which products exist")
    paths = [planned.path for planned in planned_products(plan)]
    return inventory_of(plan, stored_fingerprints(plan.job.output, paths, verify=plan.verify))


def inventory_of(plan: JobPlan, stored: Mapping[str, str]) -> Inventory:
    """The inventory of an output with these rasters.

    Args:
        plan: The plan.
        stored: Fingerprints of rasters by their path, relative to the output.
    """

    def is_whole(planned: PlannedProduct) -> bool:
        return stored.get(planned.path) == planned.fingerprint

    of_tiles = tuple(products_of_tiles(plan))
    of_grids = {grid.name: tuple(products_of_grid(grid)) for grid in plan.grids}
    return Inventory(
        plan,
        tuple(
            Product(p.layer, p.key, p.grid, p.path, stored[p.path], is_whole(p))
            for p in chain(of_tiles, *of_grids.values())
            if stored.get(p.path)
        ),
        frozenset((p.key, Layer(p.layer)) for p in of_tiles if is_whole(p)),
        {
            name: frozenset(cell for p in planned if not is_whole(p) for cell in p.cells)
            for name, planned in of_grids.items()
        },
    )
