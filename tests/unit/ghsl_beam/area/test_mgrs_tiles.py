"""Sentinel-2's tile grid."""

import math
import re
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import mgrs
import numpy as np
import pytest
import shapely
from pyproj import Transformer

from ghsl_beam.area.area_of_interest import area_in_tile, read_area
from ghsl_beam.area.mgrs_tiles import MgrsTile, grid_problem, needed_tiles, tile, tiles_of, zone_of
from transforms.elements import RequestError


def test_corner_of_every_real_product(shared_data: Path) -> None:
    texts = [path.read_text() for path in (shared_data / "safe_metadata").rglob("*.xml")]
    for archive in (shared_data / "safe_products").glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            texts += [
                opened.read(name).decode()
                for name in opened.namelist()
                if name.endswith(("MTD_TL.xml", "metadata.xml"))
            ]
    seen = set()
    for text in texts:
        name = re.search(r"<TILE_ID[^>]*>[^<]*_T(\w{5})_N", text)
        corner = re.search(r"<ULX>(\d+)</ULX>\s*<ULY>(\d+)</ULY>", text)
        code = re.search(r"<HORIZONTAL_CS_CODE>EPSG:(\d+)", text)
        if name and corner and code and name.group(1) != "34LBQ":  # a renamed copy of 34LBP
            found = tile(name.group(1))
            assert (found.epsg, found.ulx, found.uly) == (
                int(code.group(1)), float(corner.group(1)), float(corner.group(2)),
            ), name.group(1)  # fmt: skip
            seen.add(found.id)
    assert len(seen) >= 15


def test_names_and_zone() -> None:
    found = tile("33UUU")
    assert (found.zone, found.epsg, found.ulx, found.uly) == ("33U", 32633, 300000, 5900040)
    assert tile("T33UUU") == found
    assert zone_of("5MKV") == "05M"
    assert (found.center_lon, found.center_lat) == pytest.approx((12.85, 52.74), abs=0.01)


@pytest.mark.parametrize("name", ["", "33", "33IUU", "61UUU", "33UUW", "32XMH", "33UAA", "33UUD"])
def test_no_such_tile(name: str) -> None:
    with pytest.raises(RequestError):
        tile(name)


@pytest.mark.filterwarnings("ignore:.*Latitude Warning")
def test_every_tile_of_a_quarter_of_the_world_reads_back() -> None:
    start = time.perf_counter()
    tiles = tiles_of(read_area([-30, -80, 60, 84], "."))
    assert time.perf_counter() - start < 60
    assert len({item.id for item in tiles}) == len(tiles) > 14_000
    for item in tiles[::23]:
        assert tile(item.id) == item
        if item.center_lat > -79:
            _, hemisphere, easting, northing = mgrs.MGRS().MGRSToUTM(item.id + "0000000000")
            assert (hemisphere == "N") == (item.epsg < 32700)
            assert 0 <= easting - item.ulx <= 61
            assert 0 <= item.uly - (northing // 1e5 * 1e5 + 1e5) <= 60


def test_each_point_lies_in_the_square_that_mgrs_names() -> None:
    random = np.random.default_rng(3)
    points = [
        (lon, lat)
        for lon in (-179.99, 3.01, 6.0, 9.01, 21.01, 32.9)
        for lat in (56.01, 72.01, 79, 0.01)
    ]
    points += list(
        zip(random.uniform(-180, 180, 150), random.uniform(-79.9, 83.9, 150), strict=True)
    )
    for lon, lat in points:
        name = mgrs.MGRS().toMGRS(lat, lon, MGRSPrecision=0).zfill(5)
        area = read_area([lon - 1e-5, lat - 1e-5, min(lon + 1e-5, 180), lat + 1e-5], ".")
        tiles = tiles_of(area)
        centre = shapely.Point(lon, lat)
        # the band letter may be the neighbour's: a square has the band of its centre
        assert any(item.id[:2] + item.id[3:] == name[:2] + name[3:] for item in tiles), (lon, lat)
        for item in tiles:
            x, y = Transformer.from_crs(4326, item.epsg, always_xy=True).transform(lon, lat)
            assert item.footprint.buffer(50).contains(shapely.Point(x, y)), centre


def test_exceptions_of_norway_and_svalbard() -> None:
    bergen = {item.zone for item in tiles_of(read_area([5.2, 60.3, 5.4, 60.5], "."))}
    assert bergen == {"32V"}
    longyearbyen = {item.zone for item in tiles_of(read_area([15.5, 78.1, 15.8, 78.3], "."))}
    assert longyearbyen == {"33X"}


def test_antimeridian() -> None:
    zones = {item.id[:2] for item in tiles_of(read_area([179.9, -17, -179.9, -16.9], "."))}
    assert zones == {"01", "60"}


def test_beyond_the_tiles() -> None:
    with pytest.raises(RequestError, match="84"):
        tiles_of(read_area([0, 87, 10, 89], "."))


def test_small_area_in_the_overlap_needs_one_tile() -> None:
    area = read_area([13.40, 52.50, 13.41, 52.51], ".")
    given = tiles_of(area)
    assert [item.id for item in given] == ["32UQD", "33UUU"]
    assert [item.id for item in needed_tiles(given, area)] == ["33UUU"]
    overlap = Transformer.from_crs(32633, 4326, always_xy=True).transform(404_000, 5_797_000)
    area = read_area([overlap[0] - 0.01, overlap[1] - 0.01, overlap[0], overlap[1]], ".")
    assert len(tiles_of(area)) == 4
    assert len(needed_tiles(tiles_of(area), area)) == 1


def test_needed_tiles_leave_no_ground_without_owner() -> None:
    random = np.random.default_rng(0)
    for _ in range(6):
        lon, lat = random.uniform(-170, 170), random.uniform(-70, 70)
        area = read_area([lon, lat, lon + 2, lat + 1.5], ".")
        given = tiles_of(area)
        kept = needed_tiles(given, area)
        for epsg in {item.epsg for item in given}:
            mine = [item for item in given if item.epsg == epsg]
            left = [item for item in kept if item.epsg == epsg]
            whole = shapely.union_all([area_in_tile(area, t) & t.footprint for t in mine])
            if len({item.epsg for item in given}) == 1:
                assert whole.difference(shapely.union_all([t.footprint for t in left])).area < 1
                for point in shapely.get_coordinates(whole.buffer(-1)):
                    near = min(mine, key=lambda t: math.dist(point, t.footprint.centroid.coords[0]))
                    assert near in left
        for x, y in random.uniform([lon, lat], [lon + 2, lat + 1.5], (40, 2)):
            assert any(covers(item, x, y) for item in kept)


def covers(item: MgrsTile, lon: float, lat: float) -> bool:
    x, y = Transformer.from_crs(4326, item.epsg, always_xy=True).transform(lon, lat)
    return bool(item.footprint.contains(shapely.Point(x, y)))


def test_continent_takes_seconds() -> None:
    angles = np.linspace(0, 2 * np.pi, 12_000, endpoint=False)
    radius = 25 + 3 * np.sin(40 * angles) + 0.2 * np.sin(1500 * angles)
    shape = shapely.Polygon(
        np.column_stack([20 + radius * np.cos(angles), radius * np.sin(angles)])
    )
    start = time.perf_counter()
    area = read_area(shape.wkt, ".")
    kept = needed_tiles(tiles_of(area), area)
    assert len(kept) > 2000
    assert time.perf_counter() - start < 30


def test_a_tile_beside_its_zone() -> None:
    """ESA's grid (its KML of tiles) has 31VFL, east of zone 31V, which ends at 3 degrees."""
    found = tile("31VFL")
    assert (found.epsg, *found.bounds) == (32631, 600000, 6990240, 709800, 7100040)
    assert zone_of("31VFL") == found.zone == "32V"
    assert tile("31VEL").bounds == (499980, 6990240, 609780, 7100040)
    with pytest.raises(RequestError):
        tile("31VFM")
    area = read_area([5.8, 63.3, 6.4, 63.7], ".")
    given = tiles_of(area)
    assert {"31VFL", "32VLR"} <= {item.id for item in given}
    assert "31VFL" not in {item.id for item in needed_tiles(given, area)}
    assert needed_tiles([found], area) == [found]


def test_zones_of_norway_and_svalbard_by_the_mgrs_package() -> None:
    """Along both sides of every widened or narrowed zone's edge."""
    edges = {56.5: (3, 6, 12), 60.5: (3, 12), 63.9: (3, 12), 73: (9, 21, 33), 80: (9, 21, 33, 42)}
    for lat, lons in edges.items():
        for lon in (edge + side for edge in lons for side in (-0.05, 0.05)):
            zone = mgrs.MGRS().toMGRS(lat, lon, MGRSPrecision=0)[:3]
            area = read_area([lon, lat, lon + 1e-4, lat + 1e-4], ".")
            assert zone in {item.id[:3] for item in tiles_of(area)}, (lon, lat)
            assert not {item.zone for item in tiles_of(area)} & {"32X", "34X", "36X"}


def test_a_scene_on_the_tiles_grid() -> None:
    """A scene has the tile's grid or whole pixels of it; what is told of another is its corner."""
    whole = SimpleNamespace(epsg=32633, ulx=300000.0, uly=5900040.0, rows=10980, cols=10980)
    found = tile("33UUU")
    assert grid_problem(whole, found) is None
    for part in ({"rows": 768}, {"ulx": 330000.0, "cols": 100}, {"uly": 5900030.0, "rows": 10979}):
        assert grid_problem(SimpleNamespace(**(vars(whole) | part)), found) is None
    for odd in (
        {"ulx": 10.0}, {"ulx": 300010.0}, {"ulx": 300003.0, "cols": 10}, {"uly": 1e15},
        {"ulx": -1e300}, {"rows": 10981}, {"uly": 5900047.0, "rows": 10}, {"epsg": 32733},
    ):  # fmt: skip
        assert grid_problem(SimpleNamespace(**(vars(whole) | odd)), found), odd
