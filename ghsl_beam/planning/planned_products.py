"""The products of a plan, with their fingerprints and inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ghsl_beam.planning.grid_plan import GridPlan
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.products import utm_path


class PlannedProduct(NamedTuple):
    """A planned product.

    `key` is an MGRS tile on `utm`, or a cell or R/C tile on an output grid. `path` is relative to
    the output. `fingerprint` is the one of a whole product.
    """

    layer: str
    key: str
    grid: str
    path: str
    fingerprint: str
    cells: tuple[str, ...]
    """Output cells that it is made of; empty for a layer of a tile."""
    tiles: tuple[str, ...]
    """MGRS tiles that it is made of."""


def planned_products(plan: JobPlan) -> Iterator[PlannedProduct]:
    """Every planned product of a job, tile by tile, then grid by grid."""
    yield from products_of_tiles(plan)
    for grid in plan.grids:
        yield from products_of_grid(grid)


def products_of_tiles(plan: JobPlan) -> Iterator[PlannedProduct]:
    """The layers of the tiles of a job."""
    job = plan.job
    for tile in plan.tiles:
        for layer, mark in tile.fingerprints.items():
            path = utm_path(tile.tile, layer, job.epoch, job.name)
            yield PlannedProduct(layer, tile.tile, "utm", path, mark, (), (tile.tile,))


def products_of_grid(grid: GridPlan) -> Iterator[PlannedProduct]:
    """The layers of an output grid, level by level."""
    of_cell = {cell.key: cell.tiles for cell in grid.cells}
    for level, layer, key, mark, cells in grid.products():
        tiles = sorted({tile for cell in cells for tile in of_cell[cell]})
        path = grid.spec.path(level, layer, key)
        yield PlannedProduct(layer, key, level.name, path, mark, cells, tuple(tiles))
