"""The files of a grid end with the area, and every level has the same ground."""

import math
from dataclasses import replace

import pyproj
import pytest
import shapely

from ghsl_beam.area.area_of_interest import area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import tiles_of
from ghsl_beam.planning.grid_extent import needed_windows
from ghsl_beam.planning.grid_plan import plan_grid
from tests.support.plans import job_in, tile_plan
from transforms.aggregation.footprint import cells_of_source
from transforms.aggregation.grid import from_config
from transforms.aggregation.source import TileSource
from transforms.elements import extent_of, utm_grid

BOXES = {
    "Havelland": [12.53, 52.455, 12.72, 52.515],
    "Fiji": [179.9, -16.9, -179.9, -16.7],
    "equator": [8.9, -0.05, 9.1, 0.05],
    "84 N": [20.0, 83.2, 20.6, 83.3],
}
GRIDS = {"54009": ("ESRI:54009", (10, 100, 1000)), "4326": ("EPSG:4326", (3, 30))}


def plans(box):
    """The tiles of a box, each with its part of it."""
    area = read_area(box, ".")
    made = []
    for tile in tiles_of(area):
        grid = utm_grid(tile.epsg, tile.ulx, tile.uly, tile.size, tile.size)
        part = area_in_tile(area, tile)
        plan = replace(tile_plan("33UUU"), tile=tile.id, grid=grid, window=extent_of(grid))
        if not part.is_empty:
            made.append(replace(plan, area_wkb=str(shapely.to_wkb(part, hex=True))))
    return area, made


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("label", GRIDS)
def test_the_area_is_inside_and_little_more(name, label):
    area, tiles = plans(BOXES[name])
    grid = from_config(*GRIDS[label])
    cells = {
        grid.cell_key(cell): grid.fine_window(cell)
        for tile in tiles
        for cell in cells_of_source(
            grid, TileSource(tile.tile, tile.grid, tile.center_lon, tile.center_lat)
        )
    }
    windows = needed_windows(grid, tiles, cells)
    points = shapely.get_coordinates(shapely.segmentize(area.geometry, 0.001))
    to_grid = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True)
    x, y = to_grid.transform(*points.T)
    cols, rows = (x - grid.origin[0]) / grid.pixel, (grid.origin[1] - y) / grid.pixel
    if grid.geographic:
        cols %= round(360 / grid.pixel)
    parts = [(cells[key], kept) for key, kept in windows.items()]
    for row, col in zip(rows, cols, strict=True):
        assert any(
            cell.row + kept.row <= row <= cell.row + kept.bottom
            and cell.col + kept.col <= col <= cell.col + kept.right
            for cell, kept in parts
        )
    step = grid.levels[-1].factor
    assert all(edge % step == 0 for _, kept in parts for edge in (kept.row, kept.col, *kept.shape))
    shrunk = math.cos(math.radians(area.bounds[1])) if grid.geographic else 1
    m2 = sum(kept.height * kept.width for _, kept in parts) * grid.fine_capacity * shrunk
    assert m2 / 1e6 < 3 * area.area_km2 + 100


def test_a_file_has_the_area_unless_the_whole_tile_is_wanted(tmp_path):
    tile = tile_plan("33UUU")
    marks = {}
    for extent in ("area", "tile"):
        grid = {"crs": "ESRI:54009", "resolutions": [10, 1000], "extent": extent}
        job = job_in(tmp_path, grids=[grid])
        spec = plan_grid(job.grids[0], job, [tile]).spec
        fine, coarse = spec.grid.levels
        (cell,), ((key, mark),) = spec.cells, spec.tiles
        sizes = spec.window(cell.key, fine).shape, spec.window(key, coarse).shape
        marks[extent] = mark
        if extent == "tile":
            assert sizes == ((10_000, 10_000), (1000, 1000))
            assert not spec.windows
        else:
            assert sizes[0] == tuple(100 * side for side in sizes[1])
            assert max(sizes[1]) <= 5  # 3 km
    assert marks["area"] != marks["tile"]
