"""Vector files at URLs give what the same files on a local disk give."""

from itertools import count

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.area.area_of_interest import read_area
from tests.support.file_server import FileServer, Status
from tests.support.object_storage import Front, fronted, make_bucket, put_folder, s3_service
from tests.support.tile_plans import tile_plan
from transforms.cleaning.road_file import RoadSource
from transforms.elements import StorageError, Window
from transforms.storage import storage
from transforms.storage.vectors import on_this_machine

PLAN = tile_plan()
FAULTS = {"short": (Front.SHORT, {}, ""), "reset": (0, {}, "")}
SUFFIXES = ["geojson", "gpkg", "fgb", "shp"]


def write(file, shapes, kind, widths=None):
    widths = np.arange(1.0, len(shapes) + 1) if widths is None else widths
    pyogrio.raw.write(
        str(file),
        shapely.to_wkb(np.array(shapes)),
        [widths],
        ["width"],
        crs="EPSG:4326",
        geometry_type=kind,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Areas and roads in every format; the roads are some megabytes."""
    folder = tmp_path_factory.mktemp("vectors")
    dice = np.random.default_rng(3)
    starts = dice.uniform((12, 52), (13, 53), (20_000, 2))
    lines = shapely.linestrings(np.stack([starts, starts + 0.001], axis=1))
    boxes = [shapely.box(13, 52, 13.5, 52.5), shapely.box(14, 52, 14.5, 52.5)]
    for suffix in SUFFIXES:
        write(folder / f"roads.{suffix}", lines, "LineString", dice.uniform(1, 20, len(lines)))
        write(folder / f"area.{suffix}", boxes, "Polygon")
    return folder


@pytest.fixture(scope="module")
def front():
    with s3_service() as address, fronted(address) as front:
        yield front


@pytest.fixture(scope="module")
def url(front, folder):
    return put_folder(folder, f"{make_bucket('vectors')}/here")


def read(at, suffix):
    roads = RoadSource(f"{at}/roads.{suffix}", "width")
    roads.check()
    near = roads.near(PLAN.place(Window(500, 500, 2000, 2000)))
    return read_area(f"{at}/area.{suffix}", ".").geometry.wkt, near


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_same_features_also_where_answers_fail(front, folder, url, suffix, fault):
    expected, before = read(folder, suffix), front.given
    assert len(expected[1]) > 50
    for turn in count():
        here = put_folder(folder, f"{url}{fault[0]}/{suffix}/{turn}")
        front.every, front.fault = 9, fault
        found = read(here, suffix)
        front.every = 0
        assert found == expected
        if front.given > before + 2:
            break


def test_a_file_is_copied_once_and_again_when_it_is_another(front, url, tmp_path):
    write(tmp_path / "few.gpkg", [shapely.LineString([(13, 52.5), (13.01, 52.5)])], "LineString")
    at = f"{url}/few.gpkg"
    storage.write_whole(at, (tmp_path / "few.gpkg").read_bytes())
    roads = RoadSource(at, "width")
    (road,) = roads.near(PLAN.grid)
    front.asked.clear()
    assert roads.near(PLAN.grid) == (road,)
    assert all(request.startswith("HEAD") for request in front.asked)
    lines = [shapely.LineString([(13, y), (13.01, y)]) for y in (52.5, 52.6)]
    write(tmp_path / "more.gpkg", lines, "LineString")
    storage.write_whole(at, (tmp_path / "more.gpkg").read_bytes())
    assert len(roads.near(PLAN.grid)) == 2


def test_a_folder_of_the_same_stem_is_no_part(front, folder, url):
    here = put_folder(folder, f"{url}-beside")
    storage.write_whole(f"{here}/roads.d/notes.txt", b"none")
    front.asked.clear()
    assert read(here, "shp") == read(folder, "shp")
    assert not any("notes" in request for request in front.asked if request.startswith("GET"))


def test_a_web_server_that_has_no_more_than_the_parts(folder):
    server = FileServer()
    with server.running():
        for path in folder.glob("roads.*"):
            server.files[f"/{path.name}"] = path.read_bytes()
        for path in folder.glob("area.*"):
            server.files[f"/{path.name}"] = path.read_bytes()
        server.script["/roads.sbn"] = [Status(403)] * 9  # some say so of what is not there
        assert read(server.url, "shp") == read(folder, "shp")


def test_what_is_not_there(url):
    with pytest.raises(StorageError, match=r"none\.gpkg") as caught:
        on_this_machine(f"{url}/none.gpkg")
    assert caught.value.absent


def test_a_local_file_is_opened_where_it_lies(folder):
    assert on_this_machine(str(folder / "roads.shp")) == str(folder / "roads.shp")
