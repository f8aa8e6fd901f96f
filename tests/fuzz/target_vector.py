"""Areas and roads from vector files: taken whole, or refused; a file that is cut is never whole."""

import zipfile

import numpy as np
import shapely

from ghsl_beam.area.area_of_interest import read_area
from tests.fuzz import mutators
from tests.support.hostile_vectors import write
from transforms.cleaning.road_file import RoadSource

SUFFIXES = ("gpkg", "fgb", "shp", "geojson", "geojsonl", "zip")
SHAPES = [shapely.box(12 + i / 10, 52, 12.05 + i / 10, 52.05) for i in range(40)]
LINES = [shapely.LineString([(12 + i / 10, 52), (12.05 + i / 10, 52.1)]) for i in range(40)]


def prepare(folder):
    files = {}
    for name, shapes, kind in (("area", SHAPES, "Polygon"), ("roads", LINES, "LineString")):
        for suffix in SUFFIXES[:-1]:
            files[name, suffix] = write(folder / f"{name}.{suffix}", shapes, kind)
        files[name, "zip"] = folder / f"{name}.zip"
        with zipfile.ZipFile(files[name, "zip"], "w", zipfile.ZIP_DEFLATED) as archive:
            for part in folder.glob(f"{name}.[sdp][hbr][pxfj]"):
                archive.write(part, part.name)
    for suffix in SUFFIXES:
        assert _same(read_area(str(files["area", suffix]), "."))
        RoadSource(str(files["roads", suffix]), "width").check()
    return files


def case(state, dice, folder, tell):
    suffix, name = dice.choice(SUFFIXES), dice.choice(("area", "area", "roads"))
    source = state[name, suffix]
    parts = [source]
    if suffix == "shp":
        parts = sorted(source.parent.glob(f"{name}.[sdp][hbr][pxfj]"))
    spoiled = dice.choice(parts)
    how = {"zip": mutators.of_zip, "geojson": mutators.text, "geojsonl": mutators.text}
    mutation = how.get(suffix, mutators.mutate)(spoiled.read_bytes(), dice)
    tell(f"{spoiled.name}: {mutation.what}")
    for part in parts:
        data = mutation.data if part == spoiled else part.read_bytes()
        (folder / part.name).write_bytes(data)
    file = folder / source.name
    if name == "roads":
        RoadSource(str(file), "width").check()
        return "taken"
    area = read_area(str(file), ".")
    assert area.geometry.is_valid
    if _same(area):
        return "equal"
    whole = not mutation.what.startswith("cut") or suffix == "geojsonl"  # lines that are whole
    assert whole, "a file that is cut, taken for whole"
    if suffix == "zip":
        assert mutation.what.startswith("member"), "other polygons than were packed"
    return "other content"


def _same(area):
    expected = np.array([shape.bounds for shape in SHAPES])
    found = np.array(sorted(part.bounds for part in area.geometry.geoms))
    return found.shape == expected.shape and bool(np.abs(found - expected).max() < 1e-6)
