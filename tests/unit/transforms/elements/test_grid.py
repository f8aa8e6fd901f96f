"""A grid travels as JSON and as a pickle, and comes out the same to the last bit."""

import pickle

import numpy as np
import pytest
from affine import Affine
from apache_beam.coders import FastPrimitivesCoder
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pydantic import TypeAdapter, ValidationError

from tests.support.tile_plans import tile_plan
from transforms.elements import (
    Block,
    Grid,
    Layer,
    Pixels,
    TilePlan,
    Window,
    extent_of,
    origin_of,
    part_of,
    pixel_centres,
    utm_grid,
    window_in,
)

GRIDS = TypeAdapter(Grid)
PLANS = TypeAdapter(TilePlan)
TILE = utm_grid(32633, 300000, 5900040, 10980, 10980)
metres = st.floats(-1e8, 1e8, allow_nan=False)
windows = st.builds(
    Window,
    st.integers(-500, 11000),
    st.integers(-500, 11000),
    st.integers(1, 2000),
    st.integers(1, 2000),
)


def bits(grid: GeoBox) -> tuple[object, ...]:
    return str(grid.crs), [value.hex() for value in map(float, grid.affine)], tuple(grid.shape)


@given(metres, metres, st.integers(1, 20000), st.integers(1, 20000))
def test_every_grid_survives_json_and_pickle(ulx: float, uly: float, rows: int, cols: int) -> None:
    grid = utm_grid(32733, ulx, uly, rows, cols)
    for back in (
        GRIDS.validate_json(GRIDS.dump_json(grid)),
        pickle.loads(pickle.dumps(grid)),  # noqa: S301
    ):
        assert back == grid
        assert bits(back) == bits(grid)


def test_a_plan_and_pixels_survive_json_and_beam() -> None:
    coder = FastPrimitivesCoder()
    plan = tile_plan()
    for back in (
        PLANS.validate_json(PLANS.dump_json(plan)),
        coder.decode(coder.encode(plan)),
    ):
        assert back == plan
        assert bits(back.grid) == bits(plan.grid)
    window = Window(100, 200, 3, 4)
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    pixels = Pixels(Block("33UUU", window), window, plan.place(window), {Layer.BUFRAC: array})
    back = coder.decode(coder.encode(pixels))
    assert (back.block, back.window) == (pixels.block, pixels.window)
    assert bits(back.grid) == bits(pixels.grid)
    assert np.array_equal(back[Layer.BUFRAC], array)


@pytest.mark.parametrize("text", ['{"crs": "EPSG:32633"}', "3", '{"shape": 1, "transform": 2}'])
def test_what_is_no_grid_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="expected a grid"):
        GRIDS.validate_json(text)


@given(windows)
def test_a_part_lies_where_its_window_says(window: Window) -> None:
    part = part_of(TILE, window)
    assert window_in(part, TILE) == window
    assert tuple(part.shape) == window.shape
    assert origin_of(part) == (
        origin_of(TILE)[0] + window.row,
        origin_of(TILE)[1] + window.col,
    )
    assert part_of(TILE, window.expand(3)) == part.pad(3)
    y, x = pixel_centres(part)
    assert y[0] == 5900040 - 10 * window.row - 5
    assert x[-1] == 300000 + 10 * window.right - 5
    assert extent_of(part) == Window(0, 0, *window.shape)


def test_pixels_that_are_cut_lie_where_they_lay() -> None:
    window = Window(100, 200, 6, 8)
    core = Window(101, 202, 3, 4)
    array = np.arange(48, dtype=np.uint8).reshape(6, 8)
    whole = Pixels(Block("33UUU", core), window, part_of(TILE, window), {Layer.BUFRAC: array})
    cut = whole.crop(core)
    assert cut.grid == part_of(TILE, core)
    assert np.array_equal(cut[Layer.BUFRAC], array[1:4, 2:6])


def test_a_grid_that_is_not_of_10_m_keeps_its_pixels() -> None:
    grid = GeoBox((7, 9), Affine(20, 0, 5, 0, -20, 1000), "EPSG:32633")
    assert part_of(grid, Window(1, 2, 3, 3)).boundingbox.bbox == (45, 920, 105, 980)
