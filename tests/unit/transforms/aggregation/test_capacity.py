import numpy as np
import pytest

from tests.unit.transforms.aggregation.samples import layers_of, reader, tile_at, totals
from transforms.aggregation import from_config, geographic, ghsl_mollweide
from transforms.aggregation.capacity import MAX_CUT, MOST_REACH, reach, share_cut
from transforms.elements import Layer

EQUATOR = (32736, 33.0, -0.3)
BAVARIA = (32632, 11.5, 48.1)


@pytest.mark.parametrize(
    ("crs", "place", "kept"),
    [
        ("ESRI:54030", EQUATOR, 0.907),  # Robinson
        ("ESRI:54016", EQUATOR, 0.673),  # Gall stereographic
        ("ESRI:54002", EQUATOR, 0.558),  # equidistant cylindrical
        ("ESRI:54030", BAVARIA, 1.0),
        ("EPSG:3035", BAVARIA, 1.0),
    ],
)
def test_the_share_cut_is_what_aggregation_loses(crs, place, kept):
    grid, source = from_config(crs, (100, 1000)), tile_at("t", *place, size=300)
    layers = layers_of(source)
    layers[Layer.BUFRAC][:] = 100
    found = totals(grid, [source], reader({"t": layers}))[grid.levels[0].name] / (100 * 300**2)
    assert found == pytest.approx(kept, abs=6e-3)
    assert 1 - share_cut(grid, source) == pytest.approx(min(found, 1), abs=2e-3)


@pytest.mark.parametrize("lat", [-79, -45, -10, 0, 30, 60, 75, 83])
def test_the_grids_of_the_design_are_never_refused(lat):
    for zone in (1, 21, 33, 60):
        lon = 6 * zone - 183
        source = tile_at("t", (32600 if lat >= 0 else 32700) + zone, lon, lat, size=10_980)
        for grid in (ghsl_mollweide(), geographic()):
            assert share_cut(grid, source) < 0.6 * MAX_CUT
            assert 0.4 < reach(grid, source) < 0.9 * MOST_REACH


def test_a_tile_outside_the_crs_loses_nothing_there():
    grid = from_config("EPSG:32633", (100,))
    with np.errstate(all="raise"):
        assert share_cut(grid, tile_at("t", 32648, 105.0, 0.2)) == 0.0
    assert reach(from_config("EPSG:3035", (100,)), tile_at("t", 32760, 175.0, -42.0)) > MOST_REACH
