"""Totals against a count of points, and what must hold for every partition."""

from dataclasses import replace

import numpy as np
import pyproj
import pytest
import shapely
from shapely.affinity import rotate

from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.area.districts import District
from ghsl_beam.area.mgrs_tiles import tile
from ghsl_beam.outputs.totals.totals import totals_of
from tests.support.layer_files import write_layers
from transforms.elements import Layer
from transforms.rasters.fingerprints import INCOMPLETE

SIZE = 120
MEETING = (13.602, 52.293)
"""Where four tiles of zone 33 meet."""
TWO_ZONES = (12.0, 52.3)
POINTS = 500
"""Along a side, of the independent count."""
HECTARES = ("observed_ha", "built_up_ha", "residential_ha", "built_up_sum_ha")


def polygon(middle, side=600.0, turned=20.0):
    """A square of about so many metres around a point, turned by some degrees, in lon/lat."""
    lon, lat = middle
    square = shapely.box(-side, -side, side, side)
    square = rotate(square, turned, origin=(0, 0))
    scale = 111_320 * np.cos(np.radians(lat)), 111_320
    return Area(shapely.MultiPolygon([shapely.transform(square, lambda p: p / scale + (lon, lat))]))


def counted_by_points(made, area):
    """Totals of points: each belongs to the nearest tile that has data at it."""
    west, south, east, north = area.bounds
    lon, lat = np.meshgrid(
        west + (np.arange(POINTS) + 0.5) / POINTS * (east - west),
        south + (np.arange(POINTS) + 0.5) / POINTS * (north - south),
    )
    inside = shapely.contains_xy(area.geometry, lon, lat)
    lon, lat = lon[inside], lat[inside]
    geod = pyproj.Geod(ellps="sphere")
    near, values = (
        np.full(lon.shape, np.inf),
        {layer: np.full(lon.shape, np.nan) for layer in Layer},
    )
    hectares = np.zeros(lon.shape)
    for name, (transform, layers) in sorted(made.items()):
        place = tile(name)
        to_utm = pyproj.Transformer.from_crs(4326, place.epsg, always_xy=True)
        x, y = to_utm.transform(lon, lat)
        cols, rows = (np.floor(v).astype(int) for v in ~transform * (x, y))
        known = (rows >= 0) & (cols >= 0) & (rows < SIZE) & (cols < SIZE)
        rows, cols = np.clip(rows, 0, SIZE - 1), np.clip(cols, 0, SIZE - 1)
        known &= layers[Layer.BUFRAC][rows, cols] != 255
        centre = np.full(lon.shape, place.center_lon), np.full(lon.shape, place.center_lat)
        away = geod.inv(lon, lat, *centre)[2]
        mine = known & (away < near)
        near[mine] = away[mine]
        for layer, pixels in layers.items():
            found = pixels[rows, cols].astype(float)
            found[found == layer.spec.nodata] = np.nan
            values[layer][mine] = found[mine]
        one = shapely.transform(area.geometry, to_utm.transform, interleaved=False)
        hectares[mine] = one.area / 1e4 / len(lon)
    classes = values[Layer.RES_NRES]
    green = np.isfinite(values[Layer.GREENNESS])
    return {
        "observed_ha": hectares[np.isfinite(classes)].sum(),
        "built_up_ha": hectares[classes > 0].sum(),
        "residential_ha": hectares[classes == 1].sum(),
        "built_up_sum_ha": np.nansum(hectares * values[Layer.BUFRAC] / 100),
        "greenness": (values[Layer.GREENNESS][green] * 1e-4).mean(),
    }


def output_of(folder, tiles, middle, holes):
    """The products of tiles around a point, and their pixels."""
    products, made = [], {}
    for seed, name in enumerate(tiles):
        more, transform, layers = write_layers(folder, name, middle, SIZE, seed, holes)
        products += more
        made[name] = transform, layers
    return products, made


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize(
    ("tiles", "middle"),
    [
        (("33UUU",), (12.5, 52.5)),
        (("33UUT", "33UUU", "33UVT", "33UVU"), MEETING),
        (("32UQC", "33UTT"), TWO_ZONES),
    ],
)
def test_totals_are_those_of_points(tmp_path, tiles, middle, holes):
    products, made = output_of(tmp_path, tiles, middle, holes)
    area = polygon(middle, 400)
    totals = totals_of(str(tmp_path), products, area, calibrated=False)
    expected = counted_by_points(made, area)
    for key in HECTARES:
        assert totals["area"][key] == pytest.approx(expected[key], rel=0.003), key
    assert totals["area"]["greenness"] == pytest.approx(expected["greenness"], abs=0.003)
    assert totals["area"]["area_ha"] == pytest.approx(area.area_km2 * 100, rel=0.002)
    if holes == 0:
        assert totals["area"]["observed_ha"] == pytest.approx(totals["area"]["area_ha"], rel=1e-4)
    for parts in (totals["tiles"], totals["zones"]):
        for key in ("area_ha", *HECTARES):
            assert sum(part[key] for part in parts) == pytest.approx(totals["area"][key], abs=1e-3)
        assert all(part["observed_ha"] <= part["area_ha"] + 1e-3 for part in parts)


def test_the_parts_of_a_partition_sum_to_the_whole(tmp_path):
    products, _ = output_of(tmp_path, ("33UUT", "33UUU", "33UVT", "33UVU"), MEETING, 0.3)
    area = polygon(MEETING, 700)  # reaches beyond the products
    west, south, east, north = area.bounds
    points = np.random.default_rng(5).uniform((west, south), (east, north), (17, 2))
    cells = shapely.voronoi_polygons(
        shapely.multipoints(points), extend_to=shapely.box(*area.bounds)
    )
    districts = [
        District(f"district {n}", Area(shapely.MultiPolygon([cell])), cell, "EPSG:4326")
        for n, cell in enumerate(shapely.get_parts(cells))
    ]
    totals = totals_of(str(tmp_path), products, area, districts, calibrated=True)
    assert [part["name"] for part in totals["districts"]] == [one.name for one in districts]
    for key in ("area_ha", *HECTARES, "non_residential_ha"):
        parts = [part[key] or 0 for part in totals["districts"]]
        assert sum(parts) == pytest.approx(totals["area"][key], abs=0.01), key
    assert totals["area"]["observed_ha"] < 0.9 * totals["area"]["area_ha"]
    built = totals["area"]["residential_ha"] + totals["area"]["non_residential_ha"]
    assert totals["area"]["built_up_ha"] == pytest.approx(built, abs=1e-3)


def test_what_is_missing_is_null_and_what_is_of_another_job_does_not_count(tmp_path):
    products, _ = output_of(tmp_path, ("33UUU",), (12.5, 52.5), 0.0)
    area = polygon((12.5, 52.5), 300)
    bufrac = [product for product in products if product.layer == "BUFRAC"]
    totals = totals_of(str(tmp_path), bufrac, area, calibrated=True)
    assert totals["calibrated"]
    assert totals["area"]["built_up_ha"] is None
    assert totals["area"]["greenness"] is None
    assert totals["area"]["built_up_sum_ha"] > 0
    assert totals["mark"]
    assert totals_of(str(tmp_path), bufrac, area, calibrated=True, earlier=totals) is totals
    again = totals_of(str(tmp_path), products, area, calibrated=True, earlier=totals)
    assert again["area"]["built_up_ha"] > 0
    stale = [replace(product, whole=False) for product in products]
    assert totals_of(str(tmp_path), stale, area, calibrated=True)["tiles"] == []
    partial = [replace(product, whole=False, fingerprint=INCOMPLETE) for product in products]
    totals = totals_of(str(tmp_path), partial, area, calibrated=True)
    assert totals["mark"] == ""
    assert totals["area"] == again["area"]
