"""What each tile owns where tiles overlap, against the rule of the aggregation, point by point."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from ghsl_beam.area.area_of_interest import area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from ghsl_beam.planning.grid_plan import plan_grid
from ghsl_beam.planning.owned import (
    DEFAULT_HALO,
    RIM,
    halo_of,
    overlap_warnings,
    square_buffer,
    sure_ground,
    with_halo,
    with_owned_parts,
    with_whole_parts,
)
from tests.support.plans import job_in
from transforms.aggregation.source import TileSource
from transforms.elements import Level, RequestError, Scene, TilePlan, extent_of
from transforms.work.blocks import blocks_of

BOTH_SIDES = ("32UQB", "32UQC", "33UTS", "33UTT", "33UUS", "33UUT")
"""Tiles of two UTM zones that overlap each other."""


def degrees_of(geometry, epsg):
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    return shapely.transform(geometry, to_degrees.transform, interleaved=False)


def scene_of(tile, footprint=None):
    """A scene with data on the whole tile, or on a part of it in metres; "" states nothing."""
    stated = "" if footprint == "" else degrees_of(footprint or tile.footprint, tile.epsg)
    return Scene(
        id=tile.id, path="", tile=tile.id, level=Level.L1C, baseline="05.10",
        sensing=datetime(2025, 7, 1, tzinfo=UTC), cloud_cover=0, quantification=10_000,
        offsets=(0, 0, 0, 0), bands=(), mask=None, mask_kind=None, epsg=tile.epsg,
        ulx=tile.ulx, uly=tile.uly, rows=tile.size, cols=tile.size, size=0,
        footprint=str(shapely.to_wkb(stated, hex=True)) if stated else "",
    )  # fmt: skip


def plan_of(name, area, *footprints):
    tile = mgrs_tile(name)
    scenes = tuple(scene_of(tile, f) for f in footprints or (None,))
    wkb = str(shapely.to_wkb(area_in_tile(area, tile), hex=True))
    place = (tile.grid, tile.center_lon, tile.center_lat, extent_of(tile.grid), wkb)
    return TilePlan(name, tile.zone, *place, scenes)


@pytest.fixture(scope="module")
def area():
    return read_area([11.2, 50.6, 13.4, 52.1], ".")


@pytest.fixture(scope="module")
def east():
    return read_area([12.2, 51.2, 15.0, 52.4], ".")


@pytest.fixture(scope="module")
def owned(area):
    return with_owned_parts([plan_of(name, area) for name in BOTH_SIDES])


def distances(plan, lon, lat):
    source = TileSource(plan.tile, plan.grid, plan.center_lon, plan.center_lat)
    lon, lat = np.radians(lon), np.radians(lat)
    flat = np.cos(lat)
    vectors = np.stack([flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)], -1)
    return ((vectors - np.array(source.center)) ** 2).sum(-1)


def holds(plan, geometry, lon, lat):
    """Whether a geometry in the tile's zone holds points."""
    x, y = Transformer.from_crs(4326, plan.grid.crs.epsg, always_xy=True).transform(lon, lat)
    return shapely.contains_xy(geometry, x, y)


def test_every_point_is_owned_by_the_nearest_tile_that_has_it(owned):
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(11.2, 13.4, 20_000), rng.uniform(50.6, 52.1, 20_000)
    away = np.array([distances(plan, lon, lat) for plan in owned])
    data = np.array([holds(p, shapely.box(*p.grid.boundingbox.bbox), lon, lat) for p in owned])
    nearest = np.where(data, away, np.inf).argmin(axis=0)
    seen = data.any(axis=0)
    for number, plan in enumerate(owned):
        mine = seen & (nearest == number)
        assert mine.any()
        # The rim is there too: what a pixel of a grid reads beside its centre.
        inner = plan.owned.buffer(-10 * (RIM - 1), join_style="mitre")
        inner = inner.union(plan.owned.difference(shapely.box(*plan.grid.boundingbox.bbox)))
        near_edge = ~holds(plan, shapely.box(*plan.grid.boundingbox.bbox).buffer(-60), lon, lat)
        assert holds(plan, inner, lon, lat)[mine & ~near_edge].all()
        assert holds(plan, plan.owned, lon, lat)[mine].all()
        others = data[number] & ~mine & holds(plan, plan.owned, lon, lat)
        assert others.sum() < 0.01 * mine.sum(), "the rim and the edge of the area are thin"


def test_scenes_are_compared_on_the_same_ground_if_tiles_are_whole(area, owned):
    plans = [plan_of(name, area) for name in BOTH_SIDES]
    whole = with_whole_parts(plans)
    for plan, cut, before in zip(whole, owned, plans, strict=True):
        assert replace(plan, measured_wkb="") == before
        assert plan.measured_wkb == cut.measured_wkb
        assert with_halo(cut, 1).measured.equals(plan.measured)
        assert plan.measured.area / before.area.area == pytest.approx(cut.owned_share, abs=0.03)
        assert with_halo(plan, 1) == plan


def test_equally_near_ground_is_in_both(east):
    pair = with_owned_parts([plan_of(name, east) for name in ("33UUT", "33UVT")])
    x = (mgrs_tile("33UUT").ulx + mgrs_tile("33UVT").ulx + 109_800) / 2
    edges = [plan.owned.bounds for plan in pair]
    assert edges[0][2] - 10 * RIM == pytest.approx(x, abs=20)  # it is slanted
    assert edges[1][0] + 10 * RIM == pytest.approx(x, abs=20)  # it is slanted


def test_blocks_cover_what_is_needed_once_and_little_more(owned):
    for plan in owned:
        cut = with_halo(plan, 100)
        assert cut.area.area < plan.area.area
        for of_owned, wanted in (
            (False, cut.area),
            (True, cut.area.intersection(cut.owned)),
        ):
            windows = [block.window for block in blocks_of(cut, 1024, 0, of_owned)]
            boxes = [shapely.box(*cut.place(w).boundingbox.bbox) for w in windows]
            together = shapely.union_all(boxes)
            data = shapely.box(*cut.place(cut.window).boundingbox.bbox)
            assert together.area == sum(box.area for box in boxes)
            assert wanted.intersection(data).difference(together).area < 1
            assert together.area < 1.05 * wanted.area


def test_the_halo_is_around_what_the_tile_owns_and_grows_in_steps(owned):
    assert halo_of(1) == halo_of(DEFAULT_HALO) == DEFAULT_HALO
    assert halo_of(DEFAULT_HALO + 1) == 2 * DEFAULT_HALO
    plan = owned[0]
    cut = with_halo(plan, DEFAULT_HALO)
    assert with_halo(plan, 10) == cut
    reach = square_buffer(plan.owned, 10 * DEFAULT_HALO)
    assert cut.area.equals(plan.area.intersection(reach))
    again = square_buffer(plan.owned.buffer(1, quad_segs=3000), 300)
    assert again.contains(square_buffer(plan.owned, 299)), "of many corners it is larger"


def test_ground_without_sure_data_stays_with_the_farther_tile(east):
    near, far = mgrs_tile("33UVT"), mgrs_tile("33UUT")
    south, north = near.footprint.bounds[1::2]
    middle = (south + north) / 2
    half = shapely.box(near.ulx, middle, near.ulx + 109_800, north)
    there = far.footprint.intersection(near.footprint)
    for footprints, missing in (((half,), True), ((half, None), False), (("",), True)):
        plans = [plan_of("33UUT", east), plan_of("33UVT", east, *footprints)]
        mine, _ = with_owned_parts(plans)
        lower = shapely.box(near.ulx + 6000, south, far.ulx + 109_800, middle).intersection(there)
        held = mine.owned is None or mine.owned.contains(lower)
        assert held == missing
        assert any("33UVT" in text for text in overlap_warnings(plans)) == (footprints == ("",))
    # If only some of the scenes are used, only ground that all of them have is sure.
    plans = [plan_of("33UUT", east), plan_of("33UVT", east, half, None)]
    mine, _ = with_owned_parts(plans, some=True)
    assert mine.owned.contains(lower)


def test_straight_edges_in_degrees_are_no_missing_data():
    for name in ("33UVT", "01WCP", "60GUA", "33NTA"):
        tile = mgrs_tile(name)
        scene = scene_of(tile)
        assert sure_ground(scene).equals(tile.footprint)
        west, south, east, north = tile.footprint.bounds
        strip = shapely.box(west, south, east - 20_000, north)
        sure = sure_ground(scene_of(tile, strip))
        assert strip.contains(sure.buffer(-1))
        assert sure.area > 0.97 * strip.area


def test_a_tile_that_owns_nothing_is_left_out_and_one_alone_stays(east):
    small = read_area([12.6, 51.6, 12.9, 51.8], ".")
    plans = [plan_of(name, small) for name in ("33UUT", "32UQC", "33UTT")]
    assert {plan.tile for plan in with_owned_parts(plans)} == {"32UQC", "33UUT"}
    alone = plan_of("33UUT", east)
    assert with_owned_parts([alone]) == (alone,)
    assert with_halo(alone, 100) == alone
    assert not list(overlap_warnings([plan_of("33UUT", east, "")]))


def test_a_grid_whose_pixels_read_far_needs_whole_tiles(tmp_path, owned, monkeypatch):
    job = job_in(tmp_path)
    monkeypatch.setattr("ghsl_beam.planning.grid_plan.MOST_REACH", 0.5)
    with pytest.raises(RequestError, match=r"ESRI:54009: a pixel of it reads .*tiles: whole"):
        plan_grid(job.grids[0], job, owned)
    with pytest.raises(KeyError):  # beyond the check, these plans have no tags
        plan_grid(job.grids[0], job, [replace(plan, owned_wkb="") for plan in owned])
