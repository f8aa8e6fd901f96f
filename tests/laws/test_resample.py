import importlib

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.warp import Resampling, reproject

from tests.unit.transforms.aggregation.samples import (
    assemble,
    layers_of,
    reader,
    region_of,
    tile_at,
)
from transforms.aggregation import (
    GridLayer,
    aggregate_cell,
    cells_of_source,
    from_config,
    geographic,
    ghsl_mollweide,
    map_window,
)
from transforms.aggregation.lattice import (
    LATTICE,
    SUBSAMPLES,
    nodes,
    source_pixels,
    sub_positions,
)
from transforms.elements import Layer, RasterError, Window

MOLLWEIDE = ghsl_mollweide()
resampling = importlib.import_module("transforms.aggregation.resample")
PLACES = [
    (32631, 3.0, 0.02),
    (32633, 12.05, 52.3),
    (32635, 29.9, 70.5),
    (32719, -70.9, -53.2),
    (32601, -179.2, 71.2),
    (32760, 179.3, -16.8),
    (32633, 15.0, 80.0),
]


def fine_position(grid, source):
    """Fine pixel under a source's centre, on the lattice."""
    to_grid = pyproj.Transformer.from_crs(source.crs, grid.crs, always_xy=True)
    left, bottom, right, top = source.bounds
    x, y = to_grid.transform((left + right) / 2, (bottom + top) / 2)
    row, col = (grid.origin[1] - y) / grid.pixel, (x - grid.origin[0]) / grid.pixel
    return int(row) // 100 * 100, int(col) // 100 * 100


@pytest.mark.parametrize("grid", [MOLLWEIDE, geographic()], ids=lambda g: g.label)
@pytest.mark.parametrize(("epsg", "lon", "lat"), PLACES)
def test_places_between_nodes_are_exact_to_a_fiftieth_of_a_pixel(grid, epsg, lon, lat):
    source = tile_at("t", epsg, lon, lat)
    row, col = fine_position(grid, source)
    window = Window(row, col, 2 * LATTICE, 2 * LATTICE)
    mapping = map_window(grid, window, source)
    assert not mapping.irregular
    t = (np.arange(LATTICE) + 0.5) / LATTICE
    for i in range(2):
        for j in range(2):
            exact = source_pixels(grid, source, *sub_positions(window, i, j, 1))
            for at_nodes, wanted in zip((mapping.rows, mapping.cols), exact, strict=True):
                square = at_nodes[i : i + 2, j : j + 2]
                edge = square[0] + (square[1] - square[0]) * t[:, None]
                found = edge[:, :1] + (edge[:, 1:] - edge[:, :1]) * t
                assert np.abs(found - wanted).max() < 0.02


@pytest.mark.parametrize("grid", [MOLLWEIDE, geographic((0.3, 3))], ids=lambda g: g.label)
@pytest.mark.parametrize(("epsg", "lon", "lat"), PLACES[1:6:2])
def test_classes_are_gdals_nearest(grid, epsg, lon, lat):
    source = tile_at("t", epsg, lon, lat, size=600)
    layers = layers_of(source, holes=0.1)
    row, col = fine_position(grid, source)
    cell_row, cell_col = row // grid.cell_pixels, col // grid.cell_pixels
    cell = type(cells_of_source(grid, source)[0])(cell_row, cell_col)
    region = region_of(grid, source, cell)
    found = assemble(grid, cell, region, [source], reader({"t": layers}))
    inner = np.s_[region.row : region.bottom, region.col : region.right]
    ours = found[grid.levels[0].name, GridLayer.BUILT_C_FUN]
    assert (ours != 255).sum() > 50_000
    box = grid.cell_geobox(cell, grid.levels[0])[inner]
    gdals = np.full(ours.shape, 255, np.uint8)
    # GDAL interpolates along a row (here up to 0.125 px off); in narrow strips it is exact.
    for start in range(0, ours.shape[1], 40):
        strip = np.full((ours.shape[0], 40), 255, np.uint8)
        reproject(
            layers[Layer.RES_NRES],
            strip,
            src_transform=source.grid.affine,
            src_crs=rasterio.CRS.from_string(source.crs),
            dst_transform=box[:, start : start + 40].affine,
            dst_crs=rasterio.CRS.from_user_input(grid.crs),
            src_nodata=255,
            dst_nodata=255,
            resampling=Resampling.nearest,
        )
        gdals[:, start : start + 40] = strip
    place = grid.fine_window(cell)
    rows = place.row + inner[0].start + np.arange(ours.shape[0]) + 0.5
    cols = place.col + inner[1].start + np.arange(ours.shape[1]) + 0.5
    at = source_pixels(grid, source, *np.meshgrid(rows, cols, indexing="ij"))
    near = np.zeros(ours.shape, bool)
    for place in at:
        near |= np.abs(place - np.rint(place)) < 0.02
    assert near.mean() < 0.1
    np.testing.assert_array_equal(ours[~near], gdals[~near])


def test_values_and_means_are_those_of_all_samples():
    source = tile_at("t", 32633, 15.0, 50.0, size=300)
    layers = layers_of(source, holes=0.2)
    grid = MOLLWEIDE
    row, col = fine_position(grid, source)
    cell = cells_of_source(grid, source)[0]
    region = region_of(grid, source, cell)
    found = assemble(grid, cell, region, [source], reader({"t": layers}))
    window = Window(row, col, LATTICE, LATTICE)
    at = source_pixels(grid, source, *sub_positions(window, 0, 0, SUBSAMPLES))
    near = np.zeros(at[0].shape, bool)
    for place in at:
        near |= np.abs(place - np.rint(place)) < 0.02

    def samples(values):
        shape = (LATTICE, SUBSAMPLES, LATTICE, SUBSAMPLES)
        return values.reshape(shape).swapaxes(1, 2).reshape(-1, SUBSAMPLES**2)

    sure = ~samples(near).any(axis=1)
    assert sure.any()
    index = tuple(np.floor(place).astype(int) for place in at)
    local = Window(row % 10_000, col % 10_000, LATTICE, LATTICE)
    inside = local.slices_in(region)
    area = map_window(grid, window, source).areas[0, 0]
    assert 99.9 < area < 100.3
    fractions = samples(np.where(layers[Layer.BUFRAC] == 255, np.nan, layers[Layer.BUFRAC])[index])
    built = found["54009_10", GridLayer.BUILT_S][inside].ravel().astype(float)
    valid = ~np.isnan(fractions[:, SUBSAMPLES**2 // 2])
    np.testing.assert_array_equal((built == 255)[sure], ~valid[sure])
    mean = np.nanmean(fractions[sure & valid], axis=1) * area / 100
    assert np.abs(built[sure & valid] - mean).max() <= 1
    part = np.where(layers[Layer.RES_NRES] == 2, layers[Layer.BUFRAC], 0)
    parts = samples(np.where(layers[Layer.BUFRAC] == 255, np.nan, part)[index])
    other = found["54009_10", GridLayer.BUILT_S_NRES][inside].ravel().astype(float)
    np.testing.assert_array_equal(other == 255, built == 255)
    mean = np.nanmean(parts[sure & valid], axis=1) * area / 100
    assert np.abs(other[sure & valid] - mean).max() <= 1
    green = layers[Layer.GREENNESS].astype(float)
    greens = samples(np.where(green == -32768, np.nan, green)[index])
    has = ~np.isnan(greens[:, SUBSAMPLES**2 // 2]) & sure
    wanted = np.rint(np.nanmean(greens[has], axis=1))
    ours = found["54009_10", GridLayer.GREENNESS][inside].ravel()
    assert np.abs(ours[has] - wanted).max() <= 1
    assert (ours[sure & np.isnan(greens[:, SUBSAMPLES**2 // 2])] == -32768).all()


@pytest.mark.parametrize("lat", [-16.8, 65.0])
def test_over_the_antimeridian_nothing_is_lost_and_nothing_invented(lat):
    south = lat < 0
    east = tile_at("60X", 32760 if south else 32660, 180.0, lat, size=500)
    layers = {"60X": layers_of(east)}
    expected = layers["60X"][Layer.BUFRAC].sum(dtype=np.int64)
    for grid in (MOLLWEIDE, geographic()):
        total, sides = 0, set()
        for cell in cells_of_source(grid, east):
            for chunk in aggregate_cell(grid, cell, [east], reader(layers)):
                part = chunk.levels[0]
                built = part.layers[GridLayer.BUILT_S]
                total += int(built[built != part.level.nodata].sum(dtype=np.int64))
                sides.add(cell.col * grid.cell_pixels * grid.pixel + grid.origin[0] > 0)
        assert sides == {True, False}
        assert total == pytest.approx(expected, rel=1e-3)


def test_outside_the_ellipse_there_is_nodata():
    source = tile_at("01K", 32701, -179.95, -16.8, size=800)
    layers = layers_of(source)
    layers[Layer.BUFRAC][:] = 50
    inside_and_out = 0
    for cell in cells_of_source(MOLLWEIDE, source):
        place = MOLLWEIDE.fine_window(cell)
        for chunk in aggregate_cell(MOLLWEIDE, cell, [source], reader({"01K": layers})):
            built = chunk.levels[0].layers[GridLayer.BUILT_S]
            part = Window(place.row + chunk.window.row, place.col + chunk.window.col, *built.shape)
            rows, cols = np.meshgrid(
                np.arange(part.row, part.bottom) + 0.5,
                np.arange(part.col, part.right) + 0.5,
                indexing="ij",
            )
            x, y = MOLLWEIDE.origin[0] + cols * 10, MOLLWEIDE.origin[1] - rows * 10
            radius = 6378137 * np.sqrt(2)
            outside = (x / (2 * radius)) ** 2 + (y / radius) ** 2 > 1
            assert (built[outside] == 255).all()
            inside_and_out += bool(outside.any() and (built != 255).any())
            if outside.any() and (built != 255).any():  # up to the very edge
                row, col = source_pixels(MOLLWEIDE, source, rows, cols)
                in_tile = (row > 1) & (row < 799) & (col > 1) & (col < 799)
                missing = in_tile & (built == 255)
                assert missing.sum(axis=1).max() <= 0
    assert inside_and_out


def test_nodes_must_lie_on_the_lattice():
    with pytest.raises(ValueError, match="lattice"):
        nodes(Window(0, 10, 50, 50))


def test_a_short_read_is_an_error():
    source = tile_at("t", 32633, 15.0, 50.0, size=300)
    cell = cells_of_source(MOLLWEIDE, source)[0]
    with pytest.raises(RasterError, match="BUFRAC"):
        list(aggregate_cell(MOLLWEIDE, cell, [source], lambda *_: np.zeros((2, 2), np.uint8)))


def test_another_grids_capacity_holds_the_largest_pixel():
    for grid in (geographic(), from_config("EPSG:3035", (10, 100)), MOLLWEIDE):
        for level in grid.levels:
            assert level.capacity < level.nodata == np.iinfo(level.dtype).max


@pytest.mark.parametrize("shift", [(0, 0), (400, 430)], ids=["inside", "across the edge"])
def test_squares_of_equal_pixels_need_no_samples(shift, monkeypatch):
    """What is skipped is what sampling gives: fields, water, a lake of nodata, and a town."""
    source = tile_at("t", 32633, 12.05, 52.3, size=1500, shift=shift)
    row, col = fine_position(MOLLWEIDE, tile_at("t", 32633, 12.05, 52.3, size=1500))
    window = Window(row - 500, col - 500, 1000, 1000)
    mapping = map_window(MOLLWEIDE, window, source)
    values = {layer: array.copy() for layer, array in layers_of(source).items()}
    for layer, empty in ((Layer.BUFRAC, 0), (Layer.RES_NRES, 0), (Layer.GREENNESS, -32768)):
        values[layer][:, :700] = empty
        values[layer][:300, :300] = layer.spec.nodata
    values[Layer.RES_NRES][500:650, 300:500] = 255
    given = [values[layer][mapping.reads.slices_in(source.extent)] for layer in values]
    made = resampling.resample(MOLLWEIDE, mapping, *given)
    found = []

    def none(mapping, reads, layers):
        found.append((equal_squares(mapping, reads, layers) >= 0).mean())
        return np.full(mapping.areas.shape, -1)

    equal_squares = resampling._equal_squares
    monkeypatch.setattr(resampling, "_equal_squares", none)
    expected = resampling.resample(MOLLWEIDE, mapping, *given)
    assert 0.1 < found[0] < 1
    for name in ("built", "non_residential", "classes", "greenness"):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))
