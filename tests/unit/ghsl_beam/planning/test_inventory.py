"""What an output holds of a plan: nothing, everything, or what was made of other things."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from ghsl_beam.planning import inventory
from ghsl_beam.planning.inventory import inventory_of, read_inventory
from ghsl_beam.planning.planned_products import planned_products
from tests.support.plans import MADE, job_in, plan_of, tile_plan
from transforms.elements import utm_grid
from transforms.rasters.fingerprints import INCOMPLETE
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile, write_block


@pytest.fixture
def plan(tmp_path):
    """A plan of two tiles that lie far apart, so that no output cell is of both."""
    return plan_of(job_in(tmp_path), tile_plan("33UUU"), tile_plan("33TWN"))


def stored_of(plan):
    return {planned.path: planned.fingerprint for planned in planned_products(plan)}


def put(plan, path, mark):
    """A raster on storage that bears a fingerprint."""
    place = raster_profile(utm_grid(32633, 330000, 5820000, 8, 8))
    file = str(Path(plan.job.output, path))
    write_block(file, np.zeros((8, 8), "uint8"), place, 255, {FINGERPRINT_TAG: mark})


def cells_of(plan):
    return {grid.name: frozenset(cell.key for cell in grid.cells) for grid in plan.grids}


def assert_all_is_missing(found):
    plan = found.plan
    assert found.has_work
    assert found.existing == frozenset()
    assert found.missing_cells == cells_of(plan)
    for line in plan.lines:
        assert found.tiles_to_do(line) == plan.tiles
        assert all(found.missing(tile, line) == line.makes for tile in plan.tiles)


def test_an_empty_output_lacks_everything(plan):
    found = read_inventory(plan)
    assert found.products == ()
    assert_all_is_missing(found)
    assert not Path(plan.job.output).exists(), "reading makes no folder"


def test_a_whole_output_lacks_nothing(plan):
    for path, mark in stored_of(plan).items():
        put(plan, path, mark)
    found = read_inventory(plan)
    assert not found.has_work
    assert [product.path for product in found.products] == list(stored_of(plan))
    assert all(product.whole for product in found.products)
    assert not any(found.missing_cells.values())
    assert set(found.missing_cells) == set(cells_of(plan))
    for line in plan.lines:
        assert found.tiles_to_do(line) == ()
    assert all(found.exists(tile, layer) for tile in plan.tiles for layer in MADE)


def test_products_of_other_things_are_there_and_do_not_count(plan):
    for path, mark in stored_of(plan).items():
        put(plan, path, mark)
    job = plan.job
    other = read_inventory(plan_of(job, tile_plan("33UUU", "new"), tile_plan("33TWN", "new")))
    assert [product.path for product in other.products] == list(stored_of(plan))
    assert not any(product.whole for product in other.products)
    assert_all_is_missing(other)


def test_one_tile_of_other_things_leaves_the_other_alone(plan):
    first, second = plan.tiles
    changed = plan_of(plan.job, tile_plan(first.tile, "new"), second)
    found = inventory_of(changed, stored_of(plan))
    for line in changed.lines:
        assert [tile.tile for tile in found.tiles_to_do(line)] == [first.tile]
    (grid,) = changed.grids
    of_first = {cell.key for cell in grid.cells if first.tile in cell.tiles}
    tiles = {grid.spec.grid.tile_of(grid.spec.grid.parse_cell(cell)).key for cell in of_first}
    beside = {cell.key for tile in tiles for cell in grid.spec.cells_in(tile)}
    assert found.missing_cells[grid.name] == beside >= of_first


@pytest.mark.parametrize("layer", MADE)
def test_one_product_that_is_gone_is_all_that_is_missing(plan, layer):
    stored = stored_of(plan)
    tile = plan.tiles[1]
    (path,) = (p.path for p in planned_products(plan) if (p.key, p.layer) == (tile.tile, layer))
    for mark in (None, INCOMPLETE, "of other things"):
        there = {**stored, path: mark} if mark else {k: v for k, v in stored.items() if k != path}
        found = inventory_of(plan, there)
        assert found.has_work
        maker = plan.lines.maker(layer)
        assert {line: found.tiles_to_do(line) for line in plan.lines} == {
            line: (tile,) if line is maker else () for line in plan.lines
        }
        assert found.missing(tile, maker) == (layer,)
        assert not any(found.missing_cells.values())
        assert len(found.products) == len(stored) - (mark is None)
        assert sum(product.whole for product in found.products) == len(stored) - 1


def test_a_file_of_a_grid_that_is_gone_asks_for_its_cells(plan):
    stored = stored_of(plan)
    (grid,) = plan.grids
    gone = next(p for p in planned_products(plan) if p.grid != "utm")
    found = inventory_of(plan, {k: v for k, v in stored.items() if k != gone.path})
    assert found.missing_cells == {grid.name: frozenset(gone.cells)}
    assert found.has_work
    assert not any(found.tiles_to_do(line) for line in plan.lines)


def test_the_output_is_read_once_and_the_plan_reads_nothing(plan, monkeypatch):
    calls = []

    def counted(folder, paths, *, verify):
        calls.append((folder, sorted(paths), verify))
        return {}

    monkeypatch.setattr(inventory, "stored_fingerprints", counted)
    checked = replace(plan, verify=True)
    found = read_inventory(checked)
    for line in checked.lines:
        found.tiles_to_do(line)
    assert found.has_work
    assert found.missing_cells
    assert calls == [(plan.job.output, sorted(stored_of(plan)), True)]
    assert {field.name for field in fields(plan)} >= set(vars(plan)) - {"lines"}
