"""Labelled points and coarse pixels in several tiles, and points that cannot be used."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin

from ghsl_beam.area.mgrs_tiles import tile
from ghsl_beam.tools.validate import validate
from tests.support.references import layer, write
from transforms.elements import RequestError

LEFT, TOP = 399_960, 5_900_040


def labelled(
    path: Path, points: np.ndarray, labels: list[str], crs: str, kind: str = "Point"
) -> str:
    about = {"geometry_type": kind, "crs": crs, "driver": "GPKG", "layer": "a"}
    column = np.array(labels, dtype=object)
    pyogrio.raw.write(path, shapely.to_wkb(points), [column], ["c"], **about)
    return str(path)


def test_points_in_one_of_two_tiles(tmp_path: Path) -> None:
    """A tile without points changes nothing; points on no tile are an error in one line."""
    for name, left in (("33UUU", LEFT), ("33UVU", LEFT + 2000)):
        place = from_origin(left, TOP, 10, 10)
        layer(tmp_path / "run", np.full((9, 9), 80, "uint8"), name, transform=place)
    inside = labelled(
        tmp_path / "p.gpkg", shapely.points([[LEFT + 5, TOP - 5]] * 2), ["a", "b"], "EPSG:32633"
    )
    found = validate(str(tmp_path / "run"), inside, field="c", built="a")
    assert [file["pixels"] for file in found["files"].values()] == [2, 0]
    assert (found["precision"], found["warnings"]) == (0.5, [])
    outside = labelled(
        tmp_path / "o.gpkg", shapely.points([[LEFT - 5, TOP - 5]]), ["a"], "EPSG:32633"
    )
    with pytest.raises(RequestError, match=r"o\.gpkg: does not overlap BUFRAC"):
        validate(str(tmp_path / "run"), outside, field="c", built="a")


def test_ground_where_zones_meet_counts_once(tmp_path: Path) -> None:
    """Pixels of two zones do not nest: a point's pixels may each belong to the other tile."""
    tiles = [tile("32UQD"), tile("33UUU")]
    lon, lat = (
        sum(getattr(one, name) for one in tiles) / 2 for name in ("center_lon", "center_lat")
    )
    for one, epsg, value in zip(tiles, (32632, 32633), (20, 80), strict=True):
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
        place = from_origin(round(x, -1) - 1000, round(y, -1) + 1000, 10, 10)
        layer(
            tmp_path / "run",
            np.full((200, 200), value, "uint8"),
            one.id,
            transform=place,
            crs=f"EPSG:{epsg}",
        )
    random = np.random.default_rng(3)
    spread = random.uniform(-1, 1, (2000, 2)) * (0.0006, 0.005)
    points = shapely.points(np.add(spread, (lon, lat)))
    file = labelled(tmp_path / "p.gpkg", points, ["a", "b"] * 1000, "EPSG:4326")
    found = validate(str(tmp_path / "run"), file, field="c", built="a")
    assert found["pixels"] == 2000
    assert found["warnings"] == []
    assert min(one["pixels"] for one in found["files"].values()) > 500

    x, y = Transformer.from_crs(4326, 3035, always_xy=True).transform(lon, lat)
    place = {"transform": from_origin(x - 600, y + 600, 50, 50), "crs": "EPSG:3035"}
    write(tmp_path / "r.tif", np.full((24, 24), 0.5, "float32"), None, **place)
    found = validate(str(tmp_path / "run"), f"{tmp_path}/r.tif", unit="fraction")
    assert found["pixels"] == 24 * 24  # also those on the line between the tiles
    assert found["mae"] == pytest.approx(0.3, abs=0.01)


def test_files_of_points_that_cannot_be_used(tmp_path: Path) -> None:
    layer(tmp_path / "run", np.zeros((9, 9), "uint8"))
    several = np.array([shapely.MultiPoint([[330005, 5822035], [330015, 5822035]])])
    file = labelled(tmp_path / "p.gpkg", several, ["a"], "EPSG:32633", "MultiPoint")
    with pytest.raises(RequestError, match="has points; name their field with --field"):
        validate(str(tmp_path / "run"), file)
    with pytest.raises(RequestError, match=r"MultiPoint.*'Multipart to singleparts' of QGIS"):
        validate(str(tmp_path / "run"), file, field="c", built="a")
    square = np.array([shapely.box(330005, 5822035, 330015, 5822045)])
    file = labelled(tmp_path / "s.gpkg", square, ["a"], "EPSG:32633", "Polygon")
    with pytest.raises(RequestError, match="give points only, or a file of only the polygons that"):
        validate(str(tmp_path / "run"), file, field="c", built="a")
    file = labelled(tmp_path / "q.gpkg", shapely.points([[330005, 5822035]]), ["a"], "EPSG:32633")
    with pytest.raises(RequestError, match="--built '': no point has this value of c"):
        validate(str(tmp_path / "run"), file, field="c", built="")
