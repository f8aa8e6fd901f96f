"""Polygons to train on: what is read, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.tools.label_file import read_polygons
from ghsl_beam.tools.network import NetworkRequest, train_network
from ghsl_beam.tools.training import read_labels
from transforms.elements import RequestError

SQUARES = [shapely.box(12 + n / 100, 52, 12.005 + n / 100, 52.005) for n in range(4)]
BOW_TIE = shapely.Polygon([(12, 52), (12.01, 52.01), (12.01, 52), (12, 52.01)])


def vector(
    path: Path, shapes: list, values: list | None = None, layer: str = "a", **kind: object
) -> str:
    """A vector file with a field `class`."""
    wkb = np.array([None if s is None else shapely.to_wkb(s) for s in shapes], dtype=object)
    fields = [] if values is None else ["class"]
    masks = None
    columns = []
    if values is not None:
        missing = np.array([value is None for value in values])
        if any(isinstance(value, str) for value in values):
            columns = [np.array(values, dtype=object)]
        else:
            columns = [np.array([0 if value is None else value for value in values])]
            masks = [missing]
    about = {"geometry_type": "Unknown", "crs": "EPSG:4326", "driver": "GPKG"} | kind
    pyogrio.raw.write(path, wkb, columns, fields, field_mask=masks, layer=layer, **about)
    return str(path)


TWO = ["residential", "non-residential"] * 2


def test_several_layers_are_named(tmp_path: Path) -> None:
    file = vector(tmp_path / "l.gpkg", SQUARES, TWO, "old")
    vector(tmp_path / "l.gpkg", SQUARES[:2], TWO[:2], "new", append=True)
    with pytest.raises(RequestError, match=r"2 layers \(old, new\); name one as 'l.gpkg\|old'"):
        read_labels(file, "class", *TWO[:2])
    with pytest.raises(RequestError, match="has no layer 'newer'; it has old, new"):
        read_labels(f"{file}|newer", "class", *TWO[:2])
    assert len(read_labels(f"{file}|new", "class", *TWO[:2]).polygons) == 2
    assert len(read_polygons(f"{file}|old").polygons) == 4
    with pytest.raises(RequestError, match="2 layers"):
        train_network(NetworkRequest(str(tmp_path / "m.h5"), outputs=("none",), built_up=(file,)))


def test_whole_numbers_with_a_null(tmp_path: Path) -> None:
    file = vector(tmp_path / "l.gpkg", [*SQUARES, SQUARES[0], None], [1, 2, 1, 7, None, 2])
    labels = read_labels(file, "class", "1", "2")
    assert labels.classes.tolist() == [1, 2, 1]
    assert labels.left_out == {"NULL": 1, "other values": 1, "no geometry": 1}


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([*SQUARES, shapely.LineString([(12, 52), (13, 52)])], "1 of 5 .*feature 5, LineString"),
        ([shapely.Point(12, 52), *SQUARES], "1 of 5 features are not polygons .*feature 1, Point"),
        ([*SQUARES[:2], BOW_TIE, BOW_TIE], "2 of 4 polygons are not valid .*feature 3, Self-inter"),
        ([shapely.box(12, 91, 13, 92)], "is outside its CRS"),
        ([None, shapely.Polygon()], "has no polygon"),
    ],
)
def test_what_is_no_polygon(tmp_path: Path, shapes: list, said: str) -> None:
    file = vector(tmp_path / "l.gpkg", shapes, (TWO * 3)[: len(shapes)])
    for read in (
        lambda: read_labels(file, "class", *TWO[:2]),
        lambda: train_network(
            NetworkRequest(str(tmp_path / "m.h5"), outputs=("none",), built_up=(file,))
        ),
    ):
        with pytest.raises(RequestError, match=said) as refused:
            read()
        assert "\n" not in str(refused.value)


def test_no_crs(tmp_path: Path) -> None:
    file = vector(tmp_path / "l.shp", SQUARES, TWO, driver="ESRI Shapefile", crs=None,
                  geometry_type="Polygon")  # fmt: skip
    with pytest.raises(RequestError, match="has no CRS; assign one"):
        read_labels(file, "class", *TWO[:2])


def test_fields_and_values_are_named(tmp_path: Path) -> None:
    values = ["Residential", "Residential", "Non-Residential", None]
    file = vector(tmp_path / "l.gpkg", SQUARES, values)
    with pytest.raises(RequestError, match=r"has no field 'use'; it has class: .*--field"):
        read_labels(file, "use", *TWO[:2])
    said = r"it has 'Residential' \(2\), 'Non-Residential' \(1\), NULL \(1\): .*--residential"
    with pytest.raises(RequestError, match=said):
        read_labels(file, "class", *TWO[:2])
    with pytest.raises(RequestError, match="cannot mean both"):
        read_labels(file, "class", "a", "a")
    with pytest.raises(RequestError, match="no such file"):
        read_labels(str(tmp_path / "none.gpkg"), "class", "a", "b")
    (tmp_path / "text.gpkg").write_text(json.dumps({"type": "nothing"}))
    with pytest.raises(RequestError, match="cannot be read"):
        read_labels(str(tmp_path / "text.gpkg"), "class", "a", "b")
