import itertools

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.transforms.aggregation.samples import (
    assemble,
    layers_of,
    reader,
    region_of,
    tile_at,
)
from transforms.aggregation import (
    Fine,
    GridLayer,
    aggregate_cell,
    cells_of_source,
    geographic,
    ghsl_mollweide,
    layer_dtype,
    merge,
)
from transforms.aggregation.lattice import source_pixels
from transforms.elements import Layer, Window

MOLLWEIDE = ghsl_mollweide()


def constant(source, value, holes=0.0, seed=0):
    layers = layers_of(source, seed=seed, holes=holes)
    known = layers[Layer.BUFRAC] != 255
    layers[Layer.RES_NRES][known] = value
    return layers


@pytest.mark.parametrize(
    "tiles",
    [
        [("A", 32633, 15.0, 50.0, (0, 0)), ("B", 32633, 15.0, 50.0, (80, 250))],
        [("A", 32632, 12.0, 50.0, (0, -120)), ("B", 32633, 12.0, 50.0, (0, 130))],
        [("A", 32635, 27.0, 69.0, (0, 0)), ("B", 32635, 27.0, 69.0, (300, 0))],
    ],
)
def test_the_nearest_tile_with_data_owns_a_pixel(tiles):
    sources = [tile_at(n, e, lon, lat, 600, shift) for n, e, lon, lat, shift in tiles]
    data = {s.tile: constant(s, i + 1, 0.15, i) for i, s in enumerate(sources)}
    grid = MOLLWEIDE
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    pixels = 0
    for cell in cells_of_source(grid, sources[0]):
        for chunk in aggregate_cell(grid, cell, sources, reader(data)):
            found = chunk.levels[0].layers[GridLayer.BUILT_C_FUN]
            place = grid.fine_window(cell)
            rows = place.row + chunk.window.row + np.arange(found.shape[0]) + 0.5
            cols = place.col + chunk.window.col + np.arange(found.shape[1]) + 0.5
            rows, cols = np.meshgrid(rows, cols, indexing="ij")
            x, y = grid.origin[0] + cols * 10, grid.origin[1] - rows * 10
            lon, lat = (np.radians(v) for v in to_degrees.transform(x, y))
            here = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
            away, unsure = [], np.zeros(found.shape, bool)
            for source in sources:
                row, col = source_pixels(grid, source, rows, cols)
                for at in (row, col):
                    unsure |= np.abs(at - np.rint(at)) < 0.02
                in_tile = (row >= 0) & (row < 600) & (col >= 0) & (col < 600)
                index = tuple(np.where(in_tile, np.floor(at), 0).astype(int) for at in (row, col))
                valid = in_tile & (data[source.tile][Layer.BUFRAC][index] != 255)
                distance = np.linalg.norm(here - np.array(source.center), axis=-1)
                away.append(np.where(valid, distance, np.inf))
            with np.errstate(invalid="ignore"):
                unsure |= np.abs(away[0] - away[1]) < 0.05 / 6.4e6
            wanted = np.where(away[0] <= away[1], 1, 2)
            wanted[np.isinf(away[0]) & np.isinf(away[1])] = 255
            np.testing.assert_array_equal(found[~unsure], wanted[~unsure])
            pixels += (found != 255).sum()
    assert pixels > 100_000


def test_chunks_and_order_do_not_matter():
    a = tile_at("A", 32632, 12.0, 50.0, 900, (0, -200))
    b = tile_at("B", 32633, 12.0, 50.0, 900, (100, 200))
    read = reader({"A": layers_of(a, 1, 0.1), "B": layers_of(b, 2, 0.1)})
    for grid, chunks in ((MOLLWEIDE, (500, 1300)), (geographic((0.3, 3)), (500,))):
        cell = cells_of_source(grid, a)[0]
        region = window_of_both(grid, cell, a, b)
        expected = assemble(grid, cell, region, [a, b], read)
        assert (expected[grid.levels[0].name, GridLayer.BUILT_S] != 255).any()
        for chunk in chunks:
            found = assemble(grid, cell, region, [b, a], read, chunk=chunk)
            for key, array in expected.items():
                np.testing.assert_array_equal(found[key], array)


def window_of_both(grid, cell, a, b):
    one, two = region_of(grid, a, cell), region_of(grid, b, cell)
    row, col = min(one.row, two.row), min(one.col, two.col)
    return Window(row, col, max(one.bottom, two.bottom) - row, max(one.right, two.right) - col)


def test_chunks_do_not_matter_at_the_ellipse():
    a = tile_at("A", 32660, 179.99, 65.0, 250)
    b = tile_at("B", 32601, 179.99, 65.0, 250, (60, 60))
    read = reader({"A": layers_of(a, 1), "B": layers_of(b, 2)})
    for cell in cells_of_source(MOLLWEIDE, a)[:1]:
        coarse = MOLLWEIDE.levels[2]
        for layer in (GridLayer.BUILT_S, GridLayer.GREENNESS):
            dtype, nodata = layer_dtype(layer, coarse)
            found = []
            for sources, chunk in (([a, b], 1000), ([b, a], 500)):
                found.append(np.full((100, 100), nodata, dtype))
                for result in aggregate_cell(MOLLWEIDE, cell, sources, read, chunk=chunk):
                    part = result.levels[2]
                    whole = Window(0, 0, 100, 100)
                    found[-1][part.window.slices_in(whole)] = part.layers[layer]
            np.testing.assert_array_equal(*found)
            assert (found[0] != nodata).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_tiles_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    shape = (6, 6)
    parts = {}
    for name in "ABC":
        built = rng.choice(np.array([0, 40, 255], np.uint8), shape)
        green = rng.integers(-5, 5, shape).astype(np.int16)
        parts[name] = (Fine(built, None, None, green), rng.integers(0, 3, shape).astype(float))
    results = []
    for order in itertools.permutations("ABC"):
        owned = None
        for name in order:
            owned = merge(owned, *parts[name], name)
        names = np.array([*owned.tiles, "-"])[owned.owner]
        results.append((owned.fine.built, owned.fine.greenness, names))
    best = np.full(shape, "-")
    for row, col in np.ndindex(shape):
        valid = [n for n, (fine, _) in parts.items() if fine.built[row, col] != 255]
        if valid:
            best[row, col] = min(valid, key=lambda n: (parts[n][1][row, col], n))
    for built, green, names in results:
        np.testing.assert_array_equal(names, best)
        np.testing.assert_array_equal(built, results[0][0])
        np.testing.assert_array_equal(green[best != "-"], results[0][1][best != "-"])


def test_a_tie_goes_to_the_first_name():
    a = tile_at("A", 32633, 15.0, 50.0, 300)
    b = tile_at("B", 32633, 15.0, 50.0, 300)
    read = reader({"A": constant(a, 1), "B": constant(b, 2)})
    cell = cells_of_source(MOLLWEIDE, a)[0]
    for chunk in aggregate_cell(MOLLWEIDE, cell, [b, a], read):
        assert set(np.unique(chunk.levels[0].layers[GridLayer.BUILT_C_FUN])) == {1, 255}
        assert chunk.tiles == ("A",)


def test_only_what_is_touched_is_read_and_yielded():
    source = tile_at("A", 32633, 15.0, 50.0, 300)
    layers = layers_of(source)
    cells = cells_of_source(MOLLWEIDE, source)
    chunks = [
        c
        for cell in cells
        for c in aggregate_cell(MOLLWEIDE, cell, [source], reader({"A": layers}))
    ]
    assert 1 <= len(chunks) <= 4
    layers[Layer.BUFRAC][:] = 255
    assert not list(aggregate_cell(MOLLWEIDE, cells[0], [source], reader({"A": layers})))
    assert not list(aggregate_cell(MOLLWEIDE, cells[0], [], reader({})))


def test_fewer_inputs_give_fewer_layers():
    source = tile_at("A", 32633, 15.0, 50.0, 300)
    read = reader({"A": layers_of(source)})
    cell = cells_of_source(MOLLWEIDE, source)[0]
    for chunk in aggregate_cell(MOLLWEIDE, cell, [source], read, inputs=(Layer.BUFRAC,)):
        assert all(set(part.layers) == {GridLayer.BUILT_S} for part in chunk.levels)


def test_wrong_calls_are_refused():
    source = tile_at("A", 32633, 15.0, 50.0, 300)
    cell = cells_of_source(MOLLWEIDE, source)[0]
    for options in ({"chunk": 550}, {"inputs": (Layer.GREENNESS,)}):
        with pytest.raises(ValueError, match=r"chunk|BUFRAC"):
            list(aggregate_cell(MOLLWEIDE, cell, [source], reader({}), **options))
    with pytest.raises(ValueError, match="twice"):
        list(aggregate_cell(MOLLWEIDE, cell, [source, source], reader({})))
