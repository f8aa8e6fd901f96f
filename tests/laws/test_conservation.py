import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyproj import Transformer

from tests.unit.transforms.aggregation.samples import (
    assemble,
    layers_of,
    reader,
    region_of,
    tile_at,
    totals,
)
from transforms.aggregation import (
    GridLayer,
    aggregate_cell,
    cells_of_source,
    from_config,
    geographic,
    ghsl_mollweide,
)
from transforms.aggregation.aggregate import Pyramid, aggregate, sum_blocks
from transforms.aggregation.resample import Fine, thresholds
from transforms.elements import Layer, Window

MOLLWEIDE = ghsl_mollweide()
PLACES = [
    (32631, 3.0, 0.02),  # equator, central meridian
    (32736, 35.9, -0.3),  # equator, south, zone edge
    (32618, -74.1, 4.6),
    (32723, -46.6, -23.5),
    (32633, 12.05, 45.0),  # zone edge
    (32635, 25.0, 65.0),
    (32633, 18.9, 69.7),  # north, zone edge
    (32719, -70.9, -53.2),
    (32602, -173.0, 64.4),  # where Mollweide shears most
]


@pytest.mark.parametrize(("epsg", "lon", "lat"), PLACES)
def test_built_up_area_is_conserved(epsg, lon, lat):
    source = tile_at("t", epsg, lon, lat, size=1200)
    layers = layers_of(source, seed=epsg)
    bufrac = layers[Layer.BUFRAC].astype(np.int64)  # percent of 100 m² is m²
    for layer, of in ((GridLayer.BUILT_S, {1, 2}), (GridLayer.BUILT_S_NRES, {2})):
        expected = bufrac[np.isin(layers[Layer.RES_NRES], list(of))].sum()
        found = totals(MOLLWEIDE, [source], reader({"t": layers}), layer)
        assert found["54009_10"] == pytest.approx(expected, rel=1e-3)
        assert len(set(found.values())) == 1


@pytest.mark.parametrize("fraction", [13, 50, 100])
def test_uniform_areas_are_conserved_by_the_rounding(fraction):
    source = tile_at("t", 32631, 3.0, 6.5, size=1200)
    layers = layers_of(source)
    layers[Layer.BUFRAC][:] = fraction
    found = totals(MOLLWEIDE, [source], reader({"t": layers}))
    assert found["54009_10"] == pytest.approx(fraction * 1200**2, rel=1e-3)


def built_all_over(source):
    """A tile's layers: full but for a rim, as pixels at its edge are on the grid whole or not."""
    layers = layers_of(source)
    layers[Layer.BUFRAC][:] = 0
    layers[Layer.BUFRAC][5:-5, 5:-5] = 100
    return layers


def held_and_cut(sources, read):
    cells = {cell for source in sources for cell in cells_of_source(MOLLWEIDE, source)}
    chunks = [x for cell in sorted(cells) for x in aggregate_cell(MOLLWEIDE, cell, sources, read)]
    for chunk in chunks:
        held = chunk.levels[0].layers[GridLayer.BUILT_S]
        assert held[held != 255].max() <= 100
    return totals(MOLLWEIDE, sources, read)["54009_10"], sum(chunk.cut for chunk in chunks)


@pytest.mark.parametrize("lat", [40.0, 52.5, 65.0])
def test_what_a_full_cell_cannot_hold_is_told(lat):
    """Poleward of about 45° more than 100 m² of UTM lie in a cell: a square's area in both."""
    to_grid = Transformer.from_crs("EPSG:4326", MOLLWEIDE.crs, always_xy=True)
    to_utm = Transformer.from_crs(MOLLWEIDE.crs, "EPSG:32635", always_xy=True)
    square = shapely.Point(to_grid.transform(27.0, lat)).buffer(5000, cap_style="square")
    in_utm = shapely.transform(square.segmentize(100), to_utm.transform, interleaved=False)
    share = max(0.0, 1 - square.area / in_utm.area)
    assert (share > 0) == (lat > 45)
    source = tile_at("t", 32635, 27.0, lat, size=1000)
    held, cut = held_and_cut([source], reader({"t": built_all_over(source)}))
    assert held + cut == pytest.approx(100 * 990**2, rel=1e-4)
    assert cut / (held + cut) == pytest.approx(share, abs=1e-4)


def test_of_tiles_that_overlap_each_place_is_cut_once():
    tiles = [tile_at("a", 32635, 27, 65, 1000), tile_at("b", 32635, 27, 65, 1000, (0, 400))]
    read = reader({source.tile: built_all_over(source) for source in tiles})
    assert sum(held_and_cut(tiles, read)) == pytest.approx(100 * 990 * 1390, rel=1e-4)


@pytest.mark.parametrize(
    ("grid", "place"),
    [
        (geographic(), (32631, 3.0, 0.02)),
        (geographic(), (32635, 27.0, 65.0)),
        (geographic((30,)), (32719, -70.9, -53.2)),
        (from_config("EPSG:3035", (10, 100)), (32632, 11.5, 48.1)),
        (from_config("EPSG:3857", (20, 100)), (32632, 11.5, 48.1)),
        (from_config("EPSG:32633", (10, 100)), (32632, 11.9, 48.1)),
    ],
)
def test_area_is_conserved_on_other_grids(grid, place):
    source = tile_at("t", *place, size=700)
    layers = layers_of(source)
    # Pixels at the edge of the data are on the grid whole or not at all: none is built here.
    rim = np.ones_like(layers[Layer.BUFRAC], bool)
    rim[5:-5, 5:-5] = False
    layers[Layer.BUFRAC][rim] = 0
    found = totals(grid, [source], reader({"t": layers}))
    expected = layers[Layer.BUFRAC].sum(dtype=np.int64)
    assert found[grid.levels[0].name] == pytest.approx(expected, rel=1e-3)
    assert len(set(found.values())) == 1


@pytest.mark.parametrize("grid", [MOLLWEIDE, geographic((0.3, 3, 30))])
def test_levels_nest_exactly(grid):
    source = tile_at("t", 32633, 15.0, 50.0, size=900)
    read = reader({"t": layers_of(source, holes=0.3)})
    cell = cells_of_source(grid, source)[0]
    region = region_of(grid, source, cell)
    found = assemble(grid, cell, region, [source], read)
    fine = grid.levels[0]
    for layer in (GridLayer.BUILT_S, GridLayer.BUILT_S_NRES):
        ten = found[fine.name, layer]
        known = ten != fine.nodata
        for level in grid.levels[1:]:
            sums = sum_blocks(np.where(known, ten, 0), level.factor)
            some = sum_blocks(known, level.factor) > 0
            coarse = found[level.name, layer]
            np.testing.assert_array_equal(coarse, np.where(some, sums, level.nodata))
    built, other = (found[fine.name, x] for x in (GridLayer.BUILT_S, GridLayer.BUILT_S_NRES))
    classes = found[fine.name, GridLayer.BUILT_C_FUN]
    np.testing.assert_array_equal(classes == 255, built == 255)
    np.testing.assert_array_equal(other == 255, built == 255)
    assert (other <= built).all()
    green = found[fine.name, GridLayer.GREENNESS].astype(np.int64)
    inside = green != -32768
    for level in grid.levels[1:]:
        count = sum_blocks(inside, level.factor)
        mean = np.rint(sum_blocks(np.where(inside, green, 0), level.factor) / np.maximum(count, 1))
        coarse = found[level.name, GridLayer.GREENNESS]
        np.testing.assert_array_equal(coarse, np.where(count > 0, mean, -32768))


M2 = arrays(np.uint8, (20, 20), elements=st.sampled_from([0, 1, 50, 100, 255]))


@settings(max_examples=50, deadline=None)
@given(M2, M2)
def test_sums_are_the_same_by_any_way(built, other):
    grid = ghsl_mollweide((10, 50, 100))
    levels = aggregate(Fine(built, other, None, None), grid.levels)
    direct = aggregate(Fine(built, other, None, None), (grid.levels[2],))
    for layer in (GridLayer.BUILT_S, GridLayer.BUILT_S_NRES):
        np.testing.assert_array_equal(levels[2][layer], direct[0][layer])
    coarse = levels[2][GridLayer.BUILT_S]
    assert coarse[coarse != 65535].sum() == built[built != 255].sum()
    assert GridLayer.GREENNESS not in levels[0]


def test_pyramids_refuse_levels_that_do_not_nest():
    pyramid = Pyramid(np.ones((20, 20), np.uint8), np.ones((20, 20), bool))
    pyramid.coarsen(4)
    with pytest.raises(ValueError, match="multiple"):
        pyramid.coarsen(10)
    with pytest.raises(ValueError, match="multiple"):
        sum_blocks(np.ones((5, 5)), 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_800_000), st.integers(0, 3_600_000), st.floats(0, 99))
def test_rounding_keeps_the_mean_and_the_place(row, col, value):
    window = Window(row, col, 100, 100)
    rounded = np.floor(np.float64(value) + thresholds(window))
    assert abs(rounded.mean() - value) < 0.01
    inner = Window(row + 30, col + 40, 50, 20)
    np.testing.assert_array_equal(thresholds(window)[inner.slices_in(window)], thresholds(inner))
