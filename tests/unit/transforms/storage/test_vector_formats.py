"""Vector files that are hostile or damaged are refused in seconds, and nobody is asked."""

import time
import zipfile

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.area.area_of_interest import read_area
from tests.support.file_server import FileServer
from tests.support.hostile_vectors import AREAS, BOX, HOSTILE, LINE, write
from transforms.elements import RequestError, StorageError
from transforms.storage import vector_zip
from transforms.storage.vectors import local_file, on_this_machine

SECONDS = 30  # generous: what is hostile takes minutes, or never ends
SOUND = ["a.gpkg", "a.fgb", "a.shp", "a.geojson", "a.geojsonl"]


@pytest.fixture
def server():
    server = FileServer()
    with server.running():
        yield server


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused(tmp_path, server, monkeypatch, name):
    monkeypatch.setattr(vector_zip, "_MAX_BYTES", 64 << 20)
    make, said = HOSTILE[name]
    file, begun = make(tmp_path, server.url), time.monotonic()
    if "pipeline of GDAL" in name:  # an object of JSON, which GDAL is told to read as GeoJSON
        with pytest.raises(pyogrio.errors.DataSourceError):
            pyogrio.read_info(on_this_machine(str(file)))
    else:
        with pytest.raises(StorageError, match=said) as caught:
            on_this_machine(str(file))
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
    with pytest.raises(RequestError) as refused:
        read_area(str(file), ".")
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - begun < SECONDS
    assert not server.requests


@pytest.mark.parametrize("name", AREAS)
def test_a_hostile_area(tmp_path, server, name):
    make, said = AREAS[name]
    file, begun = make(tmp_path, server.url), time.monotonic()
    if said is None:
        assert read_area(str(file), ".").geometry.equals(shapely.MultiPolygon([BOX]))
        assert pyogrio.read_info(on_this_machine(str(file)))["driver"] == "GeoJSON"
    else:
        with pytest.raises(RequestError, match=said) as refused:
            read_area(str(file), ".")
        assert "\n" not in str(refused.value)
    assert time.monotonic() - begun < SECONDS
    assert not server.requests


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_sound_is_read_whole(tmp_path, name, zipped):
    rng = np.random.default_rng(1)
    boxes = [shapely.box(x, y, x + 0.01, y + 0.01) for x, y in rng.uniform(10, 20, (300, 2))]
    file = write(tmp_path / name, boxes)
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for part in tmp_path.glob("a.[!z]*"):
                archive.write(part, f"folder/{part.name}")
        file = tmp_path / "a.zip"
    _, _, geometry, (widths,) = pyogrio.raw.read(on_this_machine(str(file)))
    order = np.argsort(widths)  # FlatGeobuf sorts by place
    assert widths[order].tolist() == list(range(1, 301))
    found = shapely.bounds(shapely.from_wkb(geometry))[order]
    assert np.abs(found - shapely.bounds(boxes)).max() < 1e-6
    assert local_file(str(file)).endswith(name)


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    file = write(tmp_path / "a.gpkg")
    on_this_machine(str(file))
    file.write_text("<OGRVRTDataSource/>")
    with pytest.raises(StorageError, match="but XML"):
        on_this_machine(str(file))


def test_a_flat_geobuf_with_and_without_an_index(tmp_path):
    for count in (1, 2, 15, 16, 17, 256, 257, 300):
        for index in ("YES", "NO"):
            file = write(tmp_path / f"{count}{index}.fgb", [BOX] * count, SPATIAL_INDEX=index)
            found = pyogrio.raw.read(on_this_machine(str(file)))[2]
            assert len(found) == count


def test_a_geopackage_of_roads_with_its_triggers_and_index(tmp_path):
    file = write(tmp_path / "a.gpkg", [LINE] * 40, "LineString")
    assert pyogrio.read_info(on_this_machine(str(file)))["features"] == 40
