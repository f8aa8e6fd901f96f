from dataclasses import replace

import pytest
import shapely
from apache_beam.coders import FastPrimitivesCoder

from transforms.elements import (
    Block,
    Layer,
    RasterError,
    RasterRef,
    StoredTile,
    TilePlan,
    VersionError,
    Window,
    utm_grid,
)
from transforms.observe import event_sums
from transforms.observe.events import FOLDER
from transforms.storage import storage
from transforms.work.blocks import FanOut, blocks_of, is_covered
from transforms.work.publish import PublishTiles
from transforms.work.work_area import WorkArea

LEFT, TOP, SIZE = 300000, 5900040, 10980
WHERE = Window(0, 0, 512, 512)


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
    work.plans.write(plan)
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


def told(work):
    """The files of processes that have told that they have begun; they are removed."""
    files = storage.listing(work.reporter.sums)
    work.reporter.forget()
    event_sums._made.cache_clear()  # as another process
    return len(files)


def test_the_first_step_of_a_stretch_tells_that_a_worker_has_begun(tmp_path, monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    work = WorkArea(str(tmp_path / "work"), launch="one")
    plan = plan_of(shapely.box(LEFT, TOP - 5000, LEFT + 5000, TOP))
    work.plans.write(plan)
    fan_out = FanOut(work, (Layer.S2,), 512, 0)
    publish = PublishTiles(work, str(tmp_path), ((Layer.S2, "utm/{tile}/S2.tif"),), 512)
    (task,) = fan_out.tasks_of(StoredTile(plan.tile))
    assert told(work) == 1
    (todo,) = fan_out.skip_stored(task)
    assert (todo.make, told(work)) == ((Layer.S2,), 1)
    with pytest.raises(RasterError):
        publish.write(Layer.S2, StoredTile(plan.tile, (RasterRef(plan.tile, Layer.S2, WHERE),)))
    assert told(work) == 1
    other = replace(fan_out.work, version="ghsl-beam 0.0.9")
    with pytest.raises(VersionError):
        list(FanOut(other, (Layer.S2,), 512, 0).tasks_of(StoredTile(plan.tile)))
    assert told(work) == 0


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
