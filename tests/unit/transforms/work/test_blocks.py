from dataclasses import replace

import pytest
import shapely
from apache_beam.coders import FastPrimitivesCoder

from transforms.elements import Block, Layer, RasterRef, StoredTile, TilePlan, Window, utm_grid
from transforms.work.blocks import FanOut, blocks_of, is_covered
from transforms.work.work_area import WorkArea

LEFT, TOP, SIZE = 300000, 5900040, 10980


LINES = (
    ((), (Layer.S2, Layer.S2_COUNT)),
    ((Layer.S2,), (Layer.BUFRAC_RAW,)),
    ((Layer.S2, Layer.BUFRAC_RAW), (Layer.BUFRAC, Layer.RES_NRES, Layer.GREENNESS)),
)
"""What each line of the pipeline reads and makes."""


def plan_of(area):
    extent = Window(0, 0, SIZE, SIZE)
    wkb = shapely.to_wkb(area, hex=True)
    return TilePlan(
        "33UUU",
        "33U",
        utm_grid(32633, LEFT, TOP, SIZE, SIZE),
        12.8,
        52.8,
        extent,
        wkb,
        (),
        dict.fromkeys(Layer, "f"),
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


def encoded(elements):
    """Bytes of elements as Beam sends them."""
    coder = FastPrimitivesCoder()
    return sum(len(coder.encode(element)) for element in elements)


@pytest.mark.parametrize("name", ["out", "a-name-of-" + "so-many-characters-" * 10])
def test_what_a_whole_tile_sends_through_shuffles_is_small(tmp_path, name):
    work = WorkArea(str(tmp_path / name))
    plan = plan_of(shapely.box(LEFT, TOP - 10 * SIZE, LEFT + 10 * SIZE, TOP))
    work.write_plan(plan)
    references, sent = (), 0
    for inputs, layers in LINES:  # tasks, then references by tile, then by layer
        tile = StoredTile(plan.tile, references)
        margins = tuple((layer, 0) for layer in inputs)
        tasks = list(FanOut(work, layers, 1024, 64, inputs=margins).tasks_of(tile))
        assert len(tasks) == 121
        made = tuple(RasterRef(plan.tile, layer, t.block.window) for layer in layers for t in tasks)
        by_layer = [StoredTile(plan.tile, made[i : i + 121]) for i in range(0, len(made), 121)]
        sent += encoded(tasks) + encoded(made) + encoded(by_layer)
        references += made
    middle = next(task for task in tasks if task.block == Block("33UUU", tasks[60].block.window))
    assert len(middle.references) == 2 * 9
    assert sent + encoded(references) < 700_000


def test_a_reference_without_a_path_is_a_block_file(tmp_path):
    work = WorkArea(str(tmp_path))
    window = Window(0, 1024, 1024, 1024)
    block = work.located(RasterRef("33UUU", Layer.S2, window))
    assert block.path == work.block_path(Layer.S2, Block("33UUU", window))
    product = RasterRef("33UUU", Layer.S2, window, "utm/33UUU/S2.tif")
    assert work.located(product) == product


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
