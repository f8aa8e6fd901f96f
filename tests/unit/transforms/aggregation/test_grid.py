import re

import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transforms.aggregation.samples import tile_at
from transforms.aggregation import (
    Cell,
    GridTile,
    cells_of_footprint,
    cells_of_source,
    from_config,
    geographic,
    ghsl_mollweide,
)
from transforms.aggregation.grid import MAX_STEP
from transforms.elements import RequestError, Window

MOLLWEIDE = ghsl_mollweide()


@pytest.mark.parametrize(
    ("lon", "lat", "key"),
    [  # tiles of the published GHS-BUILT-S and GHS-POP that hold these places
        (-0.1, 51.5, "R3_C19"),  # London
        (11.57, 48.13, "R4_C19"),  # Munich
        (7.4, 9.06, "R8_C19"),  # Abuja
        (0.1, 6.0, "R9_C19"),  # lower Volta
        (-66.16, -17.39, "R12_C12"),  # Cochabamba
        (100.5, 22.0, "R7_C28"),  # Mekong
    ],
)
def test_tiles_have_ghsls_names(lon, lat, key):
    epsg = (32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1
    cells = cells_of_source(MOLLWEIDE, tile_at("x", epsg, lon, lat, size=20))
    assert {MOLLWEIDE.tile_of(cell).key for cell in cells} == {key}


def test_mollweide_levels_are_those_of_the_design():
    found = [(x.name, x.factor, x.capacity, x.dtype, x.nodata) for x in MOLLWEIDE.levels]
    assert found == [
        ("54009_10", 1, 100, "uint8", 255),
        ("54009_100", 10, 10_000, "uint16", 65535),
        ("54009_1000", 100, 1_000_000, "uint32", 4294967295),
    ]
    assert (MOLLWEIDE.cell_pixels, MOLLWEIDE.chunk, MOLLWEIDE.fine) == (10_000, 1000, 10.0)


def test_geoboxes_count_from_the_origin():
    tile = MOLLWEIDE.tile_geobox(GridTile(3, 19), MOLLWEIDE.levels[1])
    assert tile.shape == (10_000, 10_000)
    assert tuple(tile.boundingbox) == (-41_000, 6_000_000, 959_000, 7_000_000)
    cell = MOLLWEIDE.parse_cell("R3_C19_r02_c05")
    assert tuple(MOLLWEIDE.cell_geobox(cell, MOLLWEIDE.levels[0]).boundingbox) == (
        359_000, 6_800_000, 459_000, 6_900_000,
    )  # fmt: skip
    assert MOLLWEIDE.window_in_tile(cell, MOLLWEIDE.levels[2]) == Window(100, 400, 100, 100)


@given(st.integers(0, 179), st.integers(0, 359))
def test_cell_names_go_back_and_forth(row, col):
    cell = Cell(row, col)
    assert MOLLWEIDE.parse_cell(MOLLWEIDE.cell_key(cell)) == cell
    tile = MOLLWEIDE.tile_of(cell)
    assert MOLLWEIDE.parse_tile(tile.key) == tile
    assert cell in MOLLWEIDE.cells_of(tile)


@pytest.mark.parametrize("key", ["R3_C19", "R3_C19_r11_c01", "R3_C19_r1_c1", "R0_C1_r01_c01", ""])
def test_other_names_are_refused(key):
    with pytest.raises(RequestError):
        MOLLWEIDE.parse_cell(key)


def test_geographic_grid():
    grid = geographic()
    assert [(x.name, x.factor, x.dtype) for x in grid.levels] == [
        ("4326_3ss", 10, "uint16"), ("4326_30ss", 100, "uint32"),
    ]  # fmt: skip
    assert (grid.fine, grid.cell_pixels, grid.tile_cells) == (pytest.approx(0.3), 12_000, 10)
    box = grid.tile_geobox(GridTile(4, 19), grid.levels[0])
    assert tuple(box.boundingbox) == pytest.approx(
        (-0.0079166667, 49.0995833, 9.9920833, 59.0995833)
    )
    assert geographic((1, 10)).cell_pixels == 10_800
    assert geographic((5,)).cell_pixels % 50 == 0


LEFT, TOP = -180.0079166666667, 89.0995833333333
"""Upper left corner of GHS-BUILT-S R2023A in EPSG:4326, at 3 and at 30 seconds of arc."""


@pytest.mark.parametrize("resolutions", [(3, 30), (3,), (30,), (1, 3, 30), (6, 30)])
@given(row=st.integers(1, 17), col=st.integers(1, 36))
def test_geographic_pixels_and_tiles_are_ghsls(resolutions, row, col):
    grid = geographic(resolutions)
    tile = grid.tile_at(row, col)
    assert tile.key == f"R{row}_C{col}"
    for level in grid.levels:
        box = grid.tile_geobox(tile, level)
        assert box.shape == (round(36_000 / level.resolution),) * 2
        assert tuple(box.boundingbox) == pytest.approx(
            (LEFT + 10 * col - 10, TOP - 10 * row, LEFT + 10 * col, TOP - 10 * row + 10), abs=1e-9
        )


@pytest.mark.parametrize(
    ("crs", "resolutions"),
    [
        ("ESRI:54009", (10, 30, 90)),
        ("ESRI:54009", (30, 300)),
        ("ESRI:54009", (15,)),
        ("EPSG:3035", (10, 100, 1000)),
        ("EPSG:32633", (25, 100)),
        ("EPSG:3857", (30,)),
    ],
)
@given(row=st.integers(0, 99), col=st.integers(0, 99))
def test_other_grids_name_tiles_by_their_corner(crs, resolutions, row, col):
    grid = from_config(crs, resolutions)
    cell = Cell(row, col)
    tile, key = grid.tile_of(cell), grid.cell_key(cell)
    left, _, _, top = grid.tile_geobox(tile, grid.levels[-1]).boundingbox
    assert tile.key == f"x{round(left)}_y{round(top)}"
    assert grid.parse_tile(tile.key) == tile
    assert grid.parse_cell(key) == cell
    assert key.startswith(f"{tile.key}_r")
    with pytest.raises(RequestError):
        grid.parse_tile(f"R{tile.row}_C{tile.col}")
    with pytest.raises(RequestError, match="not the name of a tile of this grid"):
        grid.tile_geobox(GridTile(tile.row, tile.col), grid.levels[0])


@pytest.mark.parametrize("resolutions", [(10, 100, 1000), (250, 1000), (25, 100), (20,), (80,)])
def test_tiles_of_1000_km_have_ghsls_names(resolutions):
    grid = ghsl_mollweide(resolutions)
    for level in grid.levels:
        box = grid.tile_geobox(GridTile(3, 19), level).boundingbox
        assert tuple(box) == (-41_000, 6_000_000, 959_000, 7_000_000)


@pytest.mark.parametrize(
    ("crs", "resolutions", "fine", "cell"),
    [
        ("EPSG:3035", (10, 100, 1000), 10, 10_000),
        ("EPSG:3035", (100, 1000), 10, 10_000),
        ("EPSG:3035", (20, 100), 10, 10_000),
        ("EPSG:32633", (25, 100), 12.5, 8_000),
        ("EPSG:3857", (30,), 10, 10_050),
    ],
)
def test_other_projected_grids(crs, resolutions, fine, cell):
    grid = from_config(crs, resolutions)
    assert (grid.fine, grid.cell_pixels) == (fine, cell)
    assert grid.cell_pixels % grid.step == 0
    assert grid.chunk % grid.step == 0
    system = pyproj.CRS(crs)
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", system, always_xy=True)
    left, _, _, top = to_grid.transform_bounds(*system.area_of_use.bounds)
    assert grid.origin[0] <= left
    assert grid.origin[1] >= top


@pytest.mark.parametrize(
    ("crs", "resolutions"),
    [
        ("ESRI:54009", ()),
        ("ESRI:54009", (10, 25)),
        ("ESRI:54009", (0,)),
        ("ESRI:54009", (10, 10)),
        ("ESRI:54009", (10, 100_000)),
        ("EPSG:4258", (3,)),
        ("EPSG:2263", (10,)),  # feet
        ("nonsense", (10,)),
        ("EPSG:4326", (7.1,)),
    ],
)
def test_wrong_grids_are_refused(crs, resolutions):
    with pytest.raises(RequestError):
        from_config(crs, resolutions)


@pytest.mark.parametrize(
    ("crs", "resolutions", "said"),
    [
        ("ESRI:54009", (10, 9990), "resolutions: 9990 needs .* 49950 fine .*; 10000 is possible"),
        ("ESRI:54009", (10, 9990, 19980), "resolutions: 9990 needs .*; 10000 is possible"),
        ("ESRI:54009", (30, 990), "resolutions: 990 needs .*; 1050 is possible"),
        ("ESRI:54009", (10, 100_000), "resolutions: 100000 needs .*; 20000 is possible"),
        ("ESRI:54009", (10, 20_000, 40_000), "resolutions: 40000 needs .*; leave it out"),
        ("EPSG:4326", (3, 144), "resolutions: 144 needs .* 2400 fine .*; 150 is possible"),
        ("EPSG:4326", (3600,), "resolutions: 3600 needs .*; 600 is possible"),
    ],
)
def test_resolutions_whose_chunks_fit_in_no_memory_are_refused(crs, resolutions, said):
    with pytest.raises(RequestError, match=said) as caught:
        from_config(crs, resolutions)
    assert "\n" not in str(caught.value)
    works = re.search(r"([\d.]+) works", str(caught.value))
    if works:
        from_config(crs, (*resolutions[: len(resolutions) > 1], float(works[1])))


@given(st.integers(1, 20_000) | st.floats(1, 20_000))
def test_any_one_resolution_has_chunks_of_a_size_to_be_made(resolution):
    grid = from_config("ESRI:54009", (resolution,))
    assert grid.chunk <= MAX_STEP
    assert abs(grid.fine - 10) <= max(1.12, abs(resolution / max(1, round(resolution / 10)) - 10))


@pytest.mark.parametrize(
    ("crs", "said"),
    [
        ("ESRI:102476", "cannot be computed .*name a CRS with an area of use .an EPSG code.$"),
        ("+proj=laea +lat_0=50 +lon_0=10 +units=m", "no area of use; name a CRS with an area of"),
    ],
)
def test_a_crs_without_a_corner_is_refused_with_the_remedy(crs, said):
    with pytest.raises(RequestError, match=said) as caught:
        from_config(crs, (100,))
    assert "\n" not in str(caught.value)


def test_cells_of_a_tile_are_those_its_pixels_lie_in():
    source = tile_at("33UUU", 32633, 13.0, 52.3, size=10_980)
    found = {MOLLWEIDE.cell_key(cell) for cell in cells_of_source(MOLLWEIDE, source)}
    assert found == {"R3_C19_r09_c10", "R3_C19_r10_c10", "R3_C20_r09_c01", "R3_C20_r10_c01"}


@pytest.mark.parametrize("epsg", [32660, 32601])
def test_cells_over_the_antimeridian(epsg):
    source = tile_at("x", epsg, 180.0, 65.0, size=4000)
    cols = {cell.col for cell in cells_of_source(MOLLWEIDE, source)}
    assert len(cols) == 2 or max(cols) - min(cols) > 100
    assert max(cols) - min(cols) > 100
    assert {cell.col for cell in cells_of_source(geographic(), source)} == {0, 359}


def test_a_lonlat_footprint_and_cells_off_the_globe():
    cells = cells_of_footprint(MOLLWEIDE, "EPSG:4326", (-180.0, 0.2, -179.5, 0.6))
    assert all(cell.row >= 0 and cell.col >= 0 for cell in cells)
    assert {cell.col for cell in cells} == {0}
    with pytest.raises(RequestError):
        cells_of_footprint(
            from_config("EPSG:3035", (10,), (5_000_000.0, 3_000_000.0)),
            "EPSG:4326",
            (8.0, 40.0, 8.5, 40.5),
        )
