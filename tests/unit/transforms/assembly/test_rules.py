"""Which observations a pixel of the composite uses, against a loop over pixels and scenes."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from transforms.assembly import assemble, assemble_block, read_scene
from transforms.assembly.assemble import Quality, Rules
from transforms.assembly.masks.block_masks import Seen
from transforms.assembly.masks.classes import MaskClass
from transforms.elements import Window

GRID = (32633, 300000, 5800020)
ROWS, COLS = 24, 30
WHOLE = Window(0, 0, ROWS, COLS)
SCENES = 6


@dataclass
class Given:
    """Masks over a part of the grid; the arrays cover the whole grid, by scene."""

    classes: dict
    lifted: dict = field(default_factory=dict)
    part: Window = WHOLE

    def of(self, scene):
        place = self.part.slices_in(WHOLE)
        lifted = self.lifted.get(scene.id)
        return Seen(self.classes[scene.id][place], None if lifted is None else lifted[place])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Six passes; each has its own value, which rises with its number, and a part without data."""
    folder = tmp_path_factory.mktemp("archive")
    made = []
    for number in range(SCENES):
        dn = np.full((4, ROWS, COLS), 1000 + 100 * number, np.uint16)
        dn[:, :, : 3 * number] = 0
        day = date(2020, 6, 15) + timedelta(days=number)
        product = Product("33UUU", *GRID, dn, day=day)
        made.append(read_scene(str(write_product(folder, product))))
    return made


@pytest.fixture(scope="module")
def masks(scenes):
    random = np.random.default_rng(5)
    classes, lifted = {}, {}
    for scene in scenes:
        found = random.choice([0, 1, 2, 3], (ROWS, COLS), p=[0.3, 0.4, 0.2, 0.1]).astype(np.uint8)
        found[-4:] = random.choice([1, 2], (4, COLS))
        classes[scene.id] = found
        lifted[scene.id] = (found == MaskClass.CLOUD) & (random.random((ROWS, COLS)) < 0.2)
        lifted[scene.id][-2:] = False
    return Given(classes, lifted)


def expected(scenes, masks, rules):
    """The 50th percentile, the count and the quality, pixel by pixel."""
    values, counts = np.zeros((ROWS, COLS)), np.zeros((ROWS, COLS), int)
    quality = np.full((ROWS, COLS), Quality.NONE)
    for row in range(ROWS):
        for col in range(COLS):
            clear, lifted, masked = [], [], []
            for number, scene in enumerate(scenes):
                kind = masks.classes[scene.id][row, col]
                value = 1000 + 100 * int(scene.sensing.day - 15)
                if kind == MaskClass.NODATA or col < 3 * (scene.sensing.day - 15):
                    continue
                if kind == MaskClass.CLEAR:
                    clear.append((number, value))
                elif masks.lifted[scene.id][row, col]:
                    lifted.append((number, value))
                else:
                    masked.append((number, value))
            used = sorted(clear + lifted)[: rules.enough]
            counts[row, col] = len([one for one in used if one in clear])
            if used:
                with_bright = any(one in lifted for one in used)
                quality[row, col] = Quality.BRIGHT if with_bright else Quality.CLEAR
            elif masked and rules.fill:
                used, quality[row, col] = masked[: rules.enough], Quality.MASKED
            if used:
                values[row, col] = np.rint(np.percentile([value for _, value in used], 50))
    return values, counts, quality


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("enough", [None, 1, 2])
def test_a_pixel_uses_its_first_observations(scenes, masks, enough, fill, backwards):
    rules, order = Rules(enough, fill), scenes[::-1] if backwards else scenes
    values, counts, quality = expected(order, masks, rules)
    for part in (WHOLE, *WHOLE.split(13)):
        found = assemble_block(
            order, grid_at(*GRID, part), percentile=50, rules=rules, masks=replace(masks, part=part)
        )
        place = part.slices_in(WHOLE)
        np.testing.assert_array_equal(found.composite[0], values[place])
        np.testing.assert_array_equal(found.count, counts[place])
        np.testing.assert_array_equal(found.quality, quality[place])


def test_no_pixel_is_lost_to_a_mask(scenes, masks):
    grid = grid_at(*GRID, WHOLE)
    filled = assemble_block(scenes, grid, rules=Rules(fill=True), masks=masks)
    everywhere = Given({scene.id: np.zeros((ROWS, COLS), np.uint8) for scene in scenes})
    unmasked = assemble_block(scenes, grid, masks=everywhere)
    seen = [masks.classes[scene.id] != MaskClass.NODATA for scene in scenes]
    data = np.any([s & (np.arange(COLS) >= 3 * n) for n, s in enumerate(seen)], axis=0)
    assert (filled.composite[0] > 0)[data].all()
    assert (unmasked.composite[0] > 0).all()
    assert set(np.unique(filled.quality)) == set(map(int, Quality))


def test_what_is_not_needed_is_not_decoded(scenes, monkeypatch):
    read = []
    real = assemble.read_band

    def noted(path, grid, *rest, **more):
        read.append((path, tuple(grid.shape)))
        return real(path, grid, *rest, **more)

    monkeypatch.setattr(assemble, "read_band", noted)
    clear = {scene.id: np.zeros((ROWS, COLS), np.uint8) for scene in scenes}
    clear[scenes[0].id][5:9, 10:12] = MaskClass.CLOUD
    grid = grid_at(*GRID, WHOLE)
    assemble_block(scenes, grid, rules=Rules(enough=1), masks=Given(clear))
    assert {path for path, _ in read} <= {*scenes[0].bands, *scenes[1].bands}
    assert {shape for path, shape in read if path in scenes[1].bands} == {(4, 2)}
    wanted = np.zeros((ROWS, COLS), np.bool_)
    wanted[2, 20] = True
    read.clear()
    found = assemble_block(scenes, grid, masks=Given(clear), wanted=wanted)
    assert {shape for _, shape in read} == {(1, 1)}
    assert (found.count > 0).sum() == 1
    assert found.count[2, 20] == SCENES
