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
from transforms.elements import Layer


def tile_at(name, epsg, lon, lat, size=1500, shift=(0, 0)):
    """A tile of size x size pixels about a place, moved by (rows, cols) pixels."""
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
    east, north = (round(v, -1) for v in to_utm.transform(lon, lat))
    ulx, uly = east - size * 5 + shift[1] * 10, north + size * 5 - shift[0] * 10
    center = to_utm.transform(ulx + size * 5, uly - size * 5, direction="INVERSE")
    return TileSource(name, epsg, ulx, uly, size, size, *center)


def layers_of(source, seed=0, holes=0.0):
    """BUFRAC 0 and 10..95, classes where built, greenness of any value with gaps."""
    rng = np.random.default_rng(seed)
    shape = source.height, source.width
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


def whole_cell(grid, cell, sources, read, **options):
    """All arrays of a cell: {(level name, layer): array}; each chunk is written once."""
    arrays, seen = {}, {}
    for level in grid.levels:
        size = grid.cell_pixels // level.factor
        seen[level.name] = np.zeros((size, size), bool)
        for layer in published_layers(level):
            dtype, nodata = layer_dtype(layer, level)
            arrays[level.name, layer] = np.full((size, size), nodata, dtype)
    for chunk in aggregate_cell(grid, cell, sources, read, **options):
        for part in chunk.levels:
            index = np.s_[part.window.row : part.window.bottom, part.window.col : part.window.right]
            assert not seen[part.level.name][index].any()
            seen[part.level.name][index] = True
            for layer, values in part.layers.items():
                target = arrays[part.level.name, layer]
                assert values.dtype == target.dtype
                assert values.shape == part.window.shape
                target[index] = values
    return arrays


def totals(grid, sources, read):
    """m² of built-up by level over all cells the sources touch."""
    cells = {cell for source in sources for cell in cells_of_source(grid, source)}
    sums = {level.name: 0 for level in grid.levels}
    for cell in sorted(cells):
        for chunk in aggregate_cell(grid, cell, sources, read):
            for part in chunk.levels:
                built = part.layers[GridLayer.BUILT_S]
                sums[part.level.name] += int(built[built != part.level.nodata].sum(dtype=np.int64))
    return sums
