import pickle
from dataclasses import replace

import shapely

from transforms.elements import Block, Layer, RasterRef, StoredTile, TilePlan, Window
from transforms.raster.blocks import FanOut, blocks_of, is_covered
from transforms.raster.store import WorkArea

LEFT, TOP, SIZE = 300000, 5900040, 10980


def plan_of(area):
    extent = Window(0, 0, SIZE, SIZE)
    wkb = shapely.to_wkb(area, hex=True)
    return TilePlan(
        "33UUU",
        "33U",
        32633,
        LEFT,
        TOP,
        SIZE,
        SIZE,
        12.8,
        52.8,
        extent,
        wkb,
        (),
        {Layer.BUFRAC: "f"},
    )


def test_blocks_tile_the_whole_and_leave_out_what_the_area_misses():
    whole = plan_of(shapely.box(LEFT, TOP - 10 * SIZE, LEFT + 10 * SIZE, TOP))
    windows = [block.window for block in blocks_of(whole, 1024, 0)]
    assert len(windows) == 11 * 11
    assert sum(window.height * window.width for window in windows) == SIZE**2
    # A box from pixel 2048: the blocks before it are within reach of 1 px, not of 0.
    small = plan_of(shapely.box(LEFT + 20481, TOP - 30000, LEFT + 30000, TOP - 20481))
    assert {b.window for b in blocks_of(small, 1024, 0)} == {Window(2048, 2048, 1024, 1024)}
    assert len(list(blocks_of(small, 1024, 1))) == 4


def test_what_a_whole_tile_sends_through_shuffles_is_small(tmp_path):
    work = WorkArea(str(tmp_path / "a-work-area-with-a-name-of-usual-length"))
    plan = plan_of(shapely.box(LEFT, TOP - 10 * SIZE, LEFT + 10 * SIZE, TOP))
    work.write_plan(plan)
    references = tuple(
        RasterRef(plan.tile, layer, block.window, str(work.block_path(layer, block)))
        for layer in (Layer.S2, Layer.BUFRAC_RAW)
        for block in blocks_of(plan, 1024, 0)
    )
    tile = StoredTile(plan.tile, references)
    tasks = list(FanOut(work, (Layer.BUFRAC,), 1024, 64).tasks_of(tile))
    assert len(tasks) == 121
    middle = next(task for task in tasks if task.block == Block("33UUU", tasks[60].block.window))
    assert len(middle.references) == 2 * 9
    sent = len(pickle.dumps(tile)) + sum(len(pickle.dumps(task)) for task in tasks)
    assert sent < 1_000_000


def test_a_task_knows_whether_all_that_it_needs_is_there():
    halves = [Window(0, 0, 100, 100), Window(0, 100, 100, 100)]
    needed = [(layer, window) for layer in (Layer.S2, Layer.BUFRAC_RAW) for window in halves]
    there = [RasterRef("t", layer, window, "p") for layer, window in needed]
    reach = Window(-2, 90, 104, 20)
    assert is_covered(needed, there, reach)
    assert not is_covered(needed, there[:-1], reach)
    lossy = [*there[:-1], replace(there[-1], whole=False)]
    assert not is_covered(needed, lossy, reach)
    assert is_covered(needed, [there[0], there[2]], Window(0, 0, 50, 50))
    product = RasterRef("t", Layer.S2, Window(0, 0, 100, 200), "p")
    assert is_covered(needed[:2], [product], reach)
    assert is_covered([], [], reach)
