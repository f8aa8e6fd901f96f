from dataclasses import replace

import numpy as np
import shapely

from tests.unit.transforms.work.test_blocks import plan_of
from transforms.elements import Block, Layer, RasterRef, Window
from transforms.work.work_area import WorkArea


def test_a_reference_without_a_path_is_a_block_file(tmp_path):
    blocks = WorkArea(str(tmp_path)).blocks
    window = Window(0, 1024, 1024, 1024)
    block = blocks.located(RasterRef("33UUU", Layer.S2, window))
    assert block.path == blocks.path(Layer.S2, Block("33UUU", window))
    product = RasterRef("33UUU", Layer.S2, window, "utm/33UUU/S2.tif")
    assert blocks.located(product) == product


def test_what_is_there_of_many_blocks_is_asked_for_once(bucket, front):
    work = WorkArea(f"{bucket}/many-blocks")
    plan = replace(plan_of(shapely.box(0, 0, 1, 1)), fingerprints={Layer.BUFRAC: "made"})
    work.plans.write(plan)
    blocks = [(Layer.BUFRAC, Block(plan.tile, Window(64 * row, 0, 64, 64))) for row in range(100)]
    front.asked.clear()
    assert work.blocks.stored_marks(blocks) == {}
    assert len([asked for asked in front.asked if "many-blocks" in str(asked)]) <= 3
    pixels = np.zeros((64, 64), "uint8")
    for number, whole in enumerate((True, False)):
        work.blocks.write(*blocks[number], pixels, whole=whole)
    assert work.blocks.stored_marks(blocks) == {blocks[0]: "made", blocks[1]: "incomplete"}
    work.blocks.remove(plan.tile)
    assert work.blocks.stored_marks(blocks) == {}
