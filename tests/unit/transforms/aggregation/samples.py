"""Synthetic tiles for the tests of the aggregation."""

import numpy as np
import pyproj

from transforms.aggregation import (
    GridLayer,
    TileSource,
    aggregate_cell,
    cells_of_source,
    layer_dtype,
    published_layers,
)
from transforms.elements import Layer, Window, utm_grid


def tile_at(name, epsg, lon, lat, size=1500, shift=(0, 0)):
    """A tile of size x size pixels about a place, moved by (rows, cols) pixels."""
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    east, north = (round(v, -1) for v in to_utm.transform(lon, lat))
    ulx, uly = east - size * 5 + shift[1] * 10, north + size * 5 - shift[0] * 10
    center = to_utm.transform(ulx + size * 5, uly - size * 5, direction="INVERSE")
    return TileSource(name, utm_grid(epsg, ulx, uly, size, size), *center)


def layers_of(source, seed=0, holes=0.0):
    """BUFRAC 0 and 10..95, classes where built, greenness of any value with gaps."""
    rng = np.random.default_rng(seed)
    shape = source.extent.shape
    bufrac = rng.integers(10, 96, shape, dtype=np.uint8)
    bufrac[rng.random(shape) < 0.4] = 0
    classes = np.where(bufrac > 0, rng.integers(1, 3, shape), 0).astype(np.uint8)
    greenness = rng.integers(-10000, 10001, shape).astype(np.int16)
    greenness[rng.random(shape) < 0.3] = -32768
    if holes:
        lost = rng.random(shape) < holes
        bufrac[lost] = classes[lost] = 255
        greenness[lost] = -32768
    return {Layer.BUFRAC: bufrac, Layer.RES_NRES: classes, Layer.GREENNESS: greenness}


def reader(tiles):
    """`read` over {tile name: layers}; it checks the windows it is asked for."""

    def read(source, layer, window):
        assert window.intersect(source.extent) == window
        return tiles[source.tile][layer][window.slices_in(source.extent)]

    return read


def region_of(grid, source, cell):
    """Part of a cell (fine pixels, multiples of 1000) about all of a small tile, in the cell."""
    to_grid = pyproj.Transformer.from_crs(source.crs, grid.crs, always_xy=True)
    left, bottom, right, top = source.bounds
    x, y = to_grid.transform([left, right, left, right], [top, top, bottom, bottom])
    rows = (grid.origin[1] - np.array(y)) / grid.pixel - cell.row * grid.cell_pixels
    cols = (np.array(x) - grid.origin[0]) / grid.pixel - cell.col * grid.cell_pixels
    row, col = (int(v.min() // 1000 * 1000) for v in (rows, cols))
    bottom, right = (int(v.max() // 1000 * 1000) + 1000 for v in (rows, cols))
    whole = Window(0, 0, grid.cell_pixels, grid.cell_pixels)
    return Window(row, col, bottom - row, right - col).intersect(whole)


def assemble(grid, cell, region, sources, read, **options):
    """Arrays of a cell's region: {(level name, layer): array}; outside it all is nodata."""
    arrays, seen = {}, np.zeros(region.shape, bool)
    for level in grid.levels:
        for layer in published_layers(level):
            dtype, nodata = layer_dtype(layer, level)
            shape = tuple(side // level.factor for side in region.shape)
            arrays[level.name, layer] = np.full(shape, nodata, dtype)
    for chunk in aggregate_cell(grid, cell, sources, read, **options):
        inside = chunk.window.intersect(region)
        if inside is not None:
            assert not seen[inside.slices_in(region)].any()
            seen[inside.slices_in(region)] = True
        for part in chunk.levels:
            factor = part.level.factor
            for layer, values in part.layers.items():
                target = arrays[part.level.name, layer]
                assert values.dtype == target.dtype
                assert values.shape == part.window.shape
                _, nodata = layer_dtype(layer, part.level)
                outside = (values != nodata).sum()
                if inside is not None:
                    place = coarse(inside, factor)
                    kept = values[place.slices_in(part.window)]
                    target[place.slices_in(coarse(region, factor))] = kept
                    outside -= (kept != nodata).sum()
                assert outside == 0
    return arrays


def coarse(window, factor):
    return Window(*(v // factor for v in (window.row, window.col, window.height, window.width)))


def totals(grid, sources, read, layer=GridLayer.BUILT_S):
    """m² of built-up, or of another layer, by level over all cells the sources touch."""
    cells = {cell for source in sources for cell in cells_of_source(grid, source)}
    sums = {level.name: 0 for level in grid.levels}
    for cell in sorted(cells):
        for chunk in aggregate_cell(grid, cell, sources, read):
            for part in chunk.levels:
                built = part.layers[layer]
                sums[part.level.name] += int(built[built != part.level.nodata].sum(dtype=np.int64))
    return sums
