"""Strata of rasters and polygons that lie or count in unusual ways."""

from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin

from ghsl_beam.tools.validate import validate
from ghsl_beam.tools.validation import pieces
from tests.support.references import layer, write


def features(path: Path, shapes: list[shapely.Geometry], crs: str, kind: str) -> str:
    about = {"geometry_type": kind, "crs": crs, "driver": "GPKG", "layer": "a"}
    labels = np.array([f"{number % 2}" for number in range(len(shapes))], dtype=object)
    pyogrio.raw.write(path, shapely.to_wkb(np.array(shapes, object)), [labels], ["c"], **about)
    return str(path)


def test_strata_with_a_scale_and_in_their_order(tmp_path: Path, monkeypatch) -> None:
    """Numbers are those after scale and offset, as in a reference; the table goes by number."""
    monkeypatch.setattr(pieces, "_BLOCK", 10)
    values = np.full((30, 40), 50, "uint8")
    layer(tmp_path / "run", values)
    write(tmp_path / "ref.tif", values, 255)
    stored = np.repeat([200, 30, 100], 10)[:, np.newaxis] * np.ones((1, 40))
    write(tmp_path / "s.tif", stored.astype("uint8"), None)
    with rasterio.open(tmp_path / "s.tif", "r+") as raster:
        raster.scales, raster.offsets = (0.1,), (1,)
    arguments = (str(tmp_path / "run"), f"{tmp_path}/ref.tif")
    found = validate(*arguments, unit="percent", strata=f"{tmp_path}/s.tif", strata_breaks="5,20")
    numbers = {name: one["pixels"] for name, one in found["strata"].items()}
    assert found["warnings"] == []
    assert list(numbers.items()) == [("below 5", 400), ("5 to 20", 400), ("20 and more", 400)]
    write(tmp_path / "s.tif", values, None, transform=from_origin(900_000, 5_000_000, 10, 10))
    found = validate(*arguments, unit="percent", strata=f"{tmp_path}/s.tif")
    assert list(found["strata"]) == ["no stratum"]
    assert found["warnings"] == [f"{tmp_path}/s.tif: nothing that is compared lies in a stratum"]


@pytest.mark.parametrize("crs", ["EPSG:32601", "EPSG:4326"])
def test_strata_across_the_antimeridian(tmp_path: Path, crs: str) -> None:
    """A polygon, and a raster from 0 to 360 degrees, for points and for pixels."""
    x, y = Transformer.from_crs(4326, 32601, always_xy=True).transform(-180, -17.5)
    x, y = round(x, -1), round(y, -1)
    place = {"transform": from_origin(x - 1000, y + 1000, 10, 10), "crs": "EPSG:32601"}
    layer(tmp_path / "run", np.full((200, 200), 60, "uint8"), "01KAB", **place)
    box = shapely.box(x - 500, y - 500, x + 500, y + 500)
    if crs == "EPSG:4326":
        box = shapely.box(179.995, -17.505, 180.005, -17.495)
    polygon = features(tmp_path / "s.gpkg", [box], crs, "Polygon")
    across = [shapely.Point(x + step, y) for step in (-900, -400, -50, 50, 400, 900)]
    points = features(tmp_path / "p.gpkg", across, "EPSG:32601", "Point")
    run = str(tmp_path / "run")
    given = {"field": "c", "built": "1"}
    found = validate(run, points, **given, strata=polygon, strata_field="c")
    assert {k: v["pixels"] for k, v in found["strata"].items()} == {"0": 4, "no stratum": 2}
    found = validate(run, polygon, strata=polygon, strata_field="c")
    assert found["strata"]["0"]["f1"] == 1
    assert found["overlap_percent"] == pytest.approx(found["reference_m2"] / found["pixels"], abs=2)

    halves = np.repeat(np.array([[1, 2]], "uint8"), 180, axis=1).repeat(180, axis=0)
    world = {"transform": from_origin(0, 90, 1, 1), "crs": "EPSG:4326"}
    write(tmp_path / "w.tif", halves, None, **world)
    found = validate(run, points, **given, strata=f"{tmp_path}/w.tif")
    assert {k: v["pixels"] for k, v in found["strata"].items()} == {"1": 3, "2": 3}
