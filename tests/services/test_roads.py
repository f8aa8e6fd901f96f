"""What the products depend on of the roads' files."""

import shutil

import numpy as np
import pyogrio
import pytest
import shapely

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.roads import roads_fingerprint
from tests.support.file_server import FileServer, Status
from tests.support.jobs import write_job
from tests.support.object_storage import make_bucket, put_folder, s3_service, using
from transforms.elements import RequestError

LINE = shapely.LineString([(330100, 5819300), (331400, 5819250)])
BOX = "POLYGON ((12 52, 12.1 52, 12.1 52.1, 12 52))"


def write(file, width=10.0, field="width", crs="EPSG:32633"):
    pyogrio.raw.write(
        str(file),
        shapely.to_wkb(np.array([LINE], object)),
        [np.array([width])],
        [field],
        geometry_type="LineString",
        crs=crs,
    )


@pytest.fixture
def mark(tmp_path):
    """The fingerprint of a location's roads."""
    (tmp_path / "roads").mkdir()
    (tmp_path / "archive").mkdir()

    def found(location):
        cleaning = {"roads": str(location)}
        file = write_job(tmp_path / "job", BOX, tmp_path / "archive", cleaning=cleaning)
        return roads_fingerprint(load_job(file))

    return found


def test_every_part_of_a_shapefile_counts(tmp_path, mark):
    folder = tmp_path / "roads"
    write(folder / "Roads.shp")
    seen = {mark(folder / "Roads.shp")}
    write(folder / "Roads.shp", width=80.0)  # in the .dbf alone
    seen.add(mark(folder / "Roads.shp"))
    write(folder / "Roads.shp", width=80.0, crs="EPSG:32632")  # in the .prj alone
    seen.add(mark(folder / "Roads.shp"))
    (folder / "Roads.prj").rename(folder / "Roads.PRJ")
    assert mark(folder / "Roads.shp") in seen
    assert len(seen) == 3
    (folder / "Roads.PRJ").unlink()
    with pytest.raises(RequestError, match=r"Roads\.shp: has no CRS"):
        mark(folder / "Roads.shp")


def test_what_lies_beside_does_not_count(tmp_path, mark):
    folder = tmp_path / "roads"
    write(folder / "roads.shp")
    write(folder / "single.gpkg")
    before = mark(folder / "roads.shp"), mark(folder / "single.gpkg")
    write(folder / "roads2.shp")
    (folder / "roads.d").mkdir()
    (folder / "single.txt").write_text("notes")
    assert (mark(folder / "roads.shp"), mark(folder / "single.gpkg")) == before
    shutil.copytree(folder, tmp_path / "copy")
    assert mark(tmp_path / "copy" / "roads.shp") == before[0]
    write(folder / "single.gpkg", width=20.0)
    assert mark(folder / "single.gpkg") != before[1]


def test_parts_on_object_storage(tmp_path, mark):
    write(tmp_path / "roads" / "roads.shp")
    with s3_service() as address, using(address):
        url = put_folder(tmp_path / "roads", f"{make_bucket('parts')}/roads")
        assert mark(f"{url}/roads.shp") == mark(tmp_path / "roads" / "roads.shp")
        write(tmp_path / "roads" / "roads.shp", width=80.0)
        before = mark(f"{url}/roads.shp")
        put_folder(tmp_path / "roads", url)
        assert mark(f"{url}/roads.shp") != before


def test_parts_on_a_web_server(tmp_path, mark):
    server = FileServer()
    with server.running():
        for width in (10.0, 80.0):
            write(tmp_path / "roads" / "roads.shp", width=width)
            for path in (tmp_path / "roads").iterdir():
                server.files[f"/{path.name}"] = path.read_bytes()
            server.script["/roads.sbn"] = [
                Status(403)
            ] * 9  # what some answer for what is not there
            assert mark(f"{server.url}/roads.shp") == mark(tmp_path / "roads" / "roads.shp")


def test_a_wrong_file_is_a_wrong_request(tmp_path, mark):
    write(tmp_path / "roads" / "roads.gpkg", field="breadth")
    with pytest.raises(RequestError, match=r"cleaning\.roads: .*roads\.gpkg.*'width'.*'breadth'"):
        mark(tmp_path / "roads" / "roads.gpkg")
    (tmp_path / "roads" / "junk.gpkg").write_text("hello")
    with pytest.raises(
        RequestError, match=r"junk\.gpkg.*is named like a GeoPackage, but is not one"
    ):
        mark(tmp_path / "roads" / "junk.gpkg")
