"""How much of the area the scenes reach, in percent."""

from dataclasses import replace
from datetime import UTC, datetime

import pyproj
import pytest
import shapely

from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.planning.cover import cover_of
from tests.support.plans import SIDE, tile_plan
from transforms.elements import Level, Scene

TILE = tile_plan("33UUU")
WEST, SOUTH, EAST, NORTH = TILE.grid.boundingbox.bbox
TO_DEGREES = pyproj.Transformer.from_crs(32633, 4326, always_xy=True)


def degrees(west, south, east, north):
    edges = shapely.segmentize(shapely.box(west, south, east, north), 100)
    return shapely.transform(edges, TO_DEGREES.transform, interleaved=False)


def area(*bounds):
    return Area(shapely.MultiPolygon([degrees(*bounds)]))


def scene(footprint=None, cols=SIDE, number=1):
    return Scene(
        id=f"S2A_{number}",
        path="there",
        tile="33UUU",
        sensing=datetime(2020, 6, number, tzinfo=UTC),
        level=Level.L1C,
        baseline="05.00",
        cloud_cover=0.0,
        epsg=32633,
        ulx=WEST,
        uly=NORTH,
        rows=SIDE,
        cols=cols,
        quantification=10000,
        offsets=(0, 0, 0, 0),
        bands=("a", "b", "c", "d"),
        mask=None,
        mask_kind=None,
        size=0,
        footprint="" if footprint is None else shapely.to_wkb(degrees(*footprint), hex=True),
    )


@pytest.mark.parametrize(
    ("scenes", "percent"),
    [
        ([scene()], 100),
        ([scene(cols=SIDE // 2)], 50),
        ([scene((WEST, SOUTH, WEST + 900, NORTH))], 30),
        (
            [
                scene((WEST, SOUTH, WEST + 900, NORTH)),
                scene((EAST - 600, SOUTH, EAST, NORTH), number=2),
                scene((EAST - 600, SOUTH, EAST, NORTH), number=3),
            ],
            50,
        ),
    ],
)
def test_footprints_or_grids_count_once(scenes, percent):
    found = cover_of(area(WEST, SOUTH, EAST, NORTH), [replace(TILE, scenes=tuple(scenes))])
    assert found.scenes_percent == pytest.approx(percent, abs=0.2)
    assert found.area_km2 == pytest.approx(9, rel=1e-3)


def test_ground_beyond_the_tiles_has_no_scene():
    wide = area(WEST - 3000, SOUTH, EAST, NORTH)
    assert cover_of(wide, [replace(TILE, scenes=(scene(),))]).scenes_percent == pytest.approx(50)
    assert cover_of(wide, []).scenes_percent == 0
