"""The part of the map that a project shows first."""

import pyproj
import pytest
from shapely.geometry import box

from ghsl_beam.outputs.qgis.write import view
from tests.support.plans import job_in, plan_of, tile_plan


def test_one_zone_is_shown_in_its_own_crs(tmp_path) -> None:
    tile = tile_plan("33UUU")
    crs, extent = view(plan_of(job_in(tmp_path), tile))
    assert pyproj.CRS.from_wkt(crs).to_epsg() == 32633
    assert box(*extent).contains(tile.area)
    assert extent[2] - extent[0] < 1.2 * (tile.area.bounds[2] - tile.area.bounds[0])


@pytest.mark.parametrize(
    ("tiles", "wide"),
    [(("32UQD", "33UUU"), 200_000), (("60KXF", "01KAB"), 400_000), (("33XXJ", "35XMH"), 300_000)],
)
def test_several_zones_are_shown_as_they_lie(tiles: tuple, wide: float, tmp_path) -> None:
    """Also across 180 degrees, and at 80 degrees north."""
    plans = [tile_plan(name) for name in tiles]
    crs, (left, bottom, right, top) = view(plan_of(job_in(tmp_path, grids=[]), *plans))
    assert max(right - left, top - bottom) < wide
    for plan in plans:
        to_map = pyproj.Transformer.from_crs(str(plan.grid.crs), crs, always_xy=True)
        x, y = to_map.transform(*plan.area.centroid.coords[0])
        assert left < x < right
        assert bottom < y < top
