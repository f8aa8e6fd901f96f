"""A folder in which the commands of the documentation run, with the inputs that they name."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import rasterio
import rasterio.features
import rasterio.windows
import shapely
import yaml
from rasterio.features import rasterize

from tests.conftest import ROOT

AREA = (12.57, 52.465, 12.68, 52.505)
"""West, south, east and north of a part of the demonstration."""
_LANDUSE = "data/sample/landuse.gpkg"


def workplace(folder: Path, sample: Path) -> Path:
    """The folder, with the program's files, the sample, and a job file `berlin.yaml` for it."""
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("transforms", "deploy", "benchmarks", "docs"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "data").mkdir()
    (folder / "data" / "sample").symlink_to(sample)
    content = yaml.safe_load((folder / "examples" / "havelland.yaml").read_text())
    content["area"] = {"bbox": list(AREA)}
    content["grids"] = [{"crs": "ESRI:54009", "resolutions": [100, 1000]}]  # no page needs 10 m
    (folder / "examples" / "havelland.yaml").write_text(yaml.safe_dump(content))
    content |= {"output": "output/havelland"}
    content["input"] = {"archive": "data/sample", "access": "download"}
    for name in ("berlin.yaml", "job.yaml"):
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


def add_inputs(folder: Path) -> None:
    """References and labels in the form that the pages name, from the land use of the sample."""
    for name in ("berlin", "potsdam"):
        (folder / name).symlink_to(folder / "output" / "havelland")
    shapes, uses, epsg = _land_use(folder)
    homes = shapes[uses == "residential"]
    built = _built_up(folder)
    for name in ("footprints", "houses"):
        _write(folder / f"{name}.gpkg", name, built, epsg)
    _write(folder / "city.gpkg", "houses", built, epsg)
    _write(folder / "residential.gpkg", "residential", homes, epsg)
    kinds = np.where(np.arange(len(homes)) % 2, "housing", "industry")
    _write(folder / "landuse.gpkg", "polygons", homes, epsg, use=kinds, fclass=kinds)
    left, bottom, right, top = AREA
    middle = (left + right) / 2
    halves = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    _write(folder / "districts.gpkg", "districts", halves, 4326, NAME=["West", "East"])
    _rasters(folder, homes, epsg)
    _points(folder, homes, epsg)
    _write(folder / "berlin.gpkg", "berlin", [shapely.box(*AREA)], 4326)
    west, south, east, north = AREA
    halves = [shapely.box(west, south, 12.62, north), shapely.box(12.62, south, east, north)]
    _write(folder / "districts.gpkg", "districts", halves, 4326, NAME=["West", "East"])


def _land_use(folder):
    meta, _, geometry, fields = pyogrio.raw.read(folder / _LANDUSE, columns=["fclass"])
    return shapely.from_wkb(geometry), fields[0], pyproj.CRS(meta["crs"]).to_epsg()


def _write(file, layer, shapes, epsg, **columns):
    kind = "Point" if all(one.geom_type == "Point" for one in shapes) else "Unknown"
    pyogrio.raw.write(
        file,
        np.array(shapely.to_wkb(np.asarray(shapes)), object),
        [np.asarray(one) for one in columns.values()],
        list(columns),
        layer=layer,
        geometry_type=kind,
        crs=f"EPSG:{epsg}",
        driver="GPKG",
    )


def _built_up(folder):
    """Polygons around the pixels that are most likely built-up, half of them."""
    with rasterio.open(_product(folder, "utm/*/BUFRAC_E")) as source:
        likely = source.read(1, masked=True).filled(0) >= 60
        found = rasterio.features.shapes(likely.astype("uint8"), likely, transform=source.transform)
        return [shapely.geometry.shape(one).buffer(-3) for one, _ in found]


def _product(folder, start):
    (product,) = (folder / "output" / "havelland").glob(f"{start}*.tif")
    return product


def _rasters(folder, homes, epsg):
    with rasterio.open(_product(folder, "utm/*/BUFRAC_E")) as source:
        shape, transform = source.shape, source.transform
    inside = rasterize(homes, shape, transform=transform, dtype="uint8")
    with rasterio.open(_product(folder, "grid/54009_100/BUILT_S_E")) as source:
        box = rasterio.windows.get_data_window(source.read(1, masked=True))
        profile = source.profile | {"height": box.height, "width": box.width, "tiled": False}
        profile |= {"transform": source.window_transform(box), "driver": "GTiff"}
        with rasterio.open(folder / "ghs_built_s.tif", "w", **profile) as out:
            out.write(source.read(1, window=box), 1)
    built = rasterize(_built_up(folder), shape, transform=transform, dtype="uint8")
    for name, values in (
        ("imperviousness", built * 40),
        ("worldcover", np.where(inside, 50, 40).astype("uint8")),
        ("population", inside.astype("uint16") * 900),
    ):
        profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": 1}
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            crs=f"EPSG:{epsg}",
            transform=transform,
            dtype=values.dtype,
            **profile,
        ) as out:
            out.write(values, 1)


def _points(folder, homes, epsg):
    rng = np.random.default_rng(1)
    left, bottom, right, top = shapely.total_bounds(homes)
    points = shapely.points(rng.uniform(left, right, 400), rng.uniform(bottom, top, 400))
    inside = shapely.intersects(points, shapely.union_all(homes))
    _write(
        folder / "points.gpkg",
        "points",
        points,
        epsg,
        **{
            "class": np.where(inside, np.where(rng.random(400) > 0.5, "house", "street"), "field"),
            "share": inside * 40.0,
        },
    )
