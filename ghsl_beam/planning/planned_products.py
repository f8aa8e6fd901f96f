"""The products of a plan, and what each is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import utm_path


class PlannedProduct(NamedTuple):
    """A product to be: MGRS tile or cell, path below the output, and what it is made of."""

    key: str
    path: str
    cells: tuple[str, ...]
    """Output cells; of a tile's layer, none."""
    tiles: tuple[str, ...]
    """MGRS tiles."""


def planned_products(plan: JobPlan) -> Iterator[PlannedProduct]:
    """Every product that a job is to have, tile by tile, then grid by grid."""
    job = plan.job
    for tile in plan.tiles:
        for layer in tile.fingerprints:
            path = utm_path(tile.tile, layer, job.epoch, job.name)
            yield PlannedProduct(tile.tile, path, (), (tile.tile,))
    for grid in plan.grids:
        of_cell = {cell.key: cell.tiles for cell in grid.cells}
        for level, grid_layer, key, _, cells in grid.products():
            tiles = sorted({tile for cell in cells for tile in of_cell[cell]})
            path = grid.spec.path(level, grid_layer, key)
            yield PlannedProduct(key, path, cells, tuple(tiles))
