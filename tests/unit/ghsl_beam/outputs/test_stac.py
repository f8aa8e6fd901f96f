"""The STAC catalogue of a run."""

import json
import re
from pathlib import Path

import numpy as np
import pyproj
import pystac
import pytest
import rasterio
import shapely
from pystac.extensions.classification import Classification
from pystac.validation.local_validator import LocalValidator
from rasterio.transform import from_origin

from ghsl_beam.outputs.stac import narrowest_box, write_catalog
from ghsl_beam.planning.products import Product, grid_path, utm_path
from transforms.elements import LAYERS, RasterError, RequestError, Window, utm_grid
from transforms.rasters.cog import cog_writer
from transforms.rasters.geotiff import raster_profile

RUN = {
    "name": "berlin",
    "epoch": 2017,
    "configuration": {"period": {"start": "2017-04-01", "end": "2017-09-30"}},
    "tiles": [
        {
            "tile": "33UUU",
            "zone": "33U",
            "model": {"file": "m.h5", "sha256": "ab", "demonstration": True},
        },
        {
            "tile": "01KAB",
            "zone": "01K",
            "model": {"file": "n.h5", "sha256": "cd", "fallback": True},
        },
    ],
}
GRID = grid_path("54009_100", "BUILT_S", 2017, "berlin", "R3_C19")
TILES_OF = {
    utm_path(tile, layer, 2017, "berlin"): (tile,)
    for tile in ("33UUU", "01KAB")
    for layer in ("BUFRAC", "RES_NRES")
} | {GRID: ("33UUU",)}


def raster(path: Path, crs: str, x: float, y: float, step: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 30, "width": 40}
    with rasterio.open(
        path, "w", **profile, crs=crs, transform=from_origin(x, y, step, step)
    ) as to:
        to.write(np.zeros((30, 40), "uint8"), 1)


@pytest.fixture
def products(tmp_path: Path) -> list[Product]:
    found = []
    for layer in ("BUFRAC", "RES_NRES"):
        found.append(Product(layer, "33UUU", "utm", utm_path("33UUU", layer, 2017, "berlin"), "f1"))
        raster(tmp_path / found[-1].path, "EPSG:32633", 330000, 5822040, 10)
    found.append(
        Product("BUFRAC", "01KAB", "utm", utm_path("01KAB", "BUFRAC", 2017, "berlin"), "f2")
    )
    raster(tmp_path / found[-1].path, "EPSG:32701", 99960, 8200000, 2000)
    found.append(Product("BUILT_S", "R3_C19", "54009_100", GRID, "f3"))
    raster(tmp_path / GRID, "ESRI:54009", 959000, 6200000, 100)
    return found


def test_reads_back_with_every_asset(tmp_path: Path, products: list[Product]) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    catalog = pystac.Catalog.from_file(tmp_path / "catalog.json")
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert set(items) == {
        "berlin-E2017-utm-33UUU",
        "berlin-E2017-utm-01KAB",
        "berlin-E2017-54009_100-R3_C19",
    }
    for item in items.values():
        for asset in item.assets.values():
            with rasterio.open(asset.get_absolute_href()) as source:
                assert list(source.bounds) == asset.extra_fields["proj:bbox"]
        assert item.properties["start_datetime"] == "2017-04-01T00:00:00Z"
    first = items["berlin-E2017-utm-33UUU"]
    assert set(first.assets) == {"BUFRAC", "RES_NRES"}
    assert first.properties["ghsl:demonstration"] is True
    assert first.properties["ghsl:models"][0]["sha256"] == "ab"
    assert first.bbox == pytest.approx([12.5, 52.5, 12.51, 52.53], abs=0.03)
    assert items["berlin-E2017-54009_100-R3_C19"].properties["proj:code"] == "ESRI:54009"
    assert items["berlin-E2017-utm-01KAB"].geometry["type"] == "MultiPolygon"
    text = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert str(tmp_path) not in text
    assert "contains modified Copernicus Sentinel data 2017" in text
    for collection in catalog.get_children():
        assert collection.extent.spatial.bboxes


def test_an_item_names_the_models_of_its_own_tiles(tmp_path: Path, products: list[Product]) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    catalog = pystac.Catalog.from_file(tmp_path / "catalog.json")
    told = {
        item.id.rpartition("-")[2]: (
            [model["file"] for model in item.properties["ghsl:models"]],
            item.properties["ghsl:demonstration"],
            item.properties["ghsl:fallback"],
        )
        for item in catalog.get_items(recursive=True)
    }
    assert told == {
        "33UUU": (["m.h5"], True, False),
        "01KAB": (["n.h5"], False, True),
        "R3_C19": (["m.h5"], True, False),
    }


def test_a_box_across_the_antimeridian_is_as_wide_as_what_is_in_it(
    tmp_path: Path, products: list[Product]
) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    catalog = pystac.Catalog.from_file(tmp_path / "catalog.json")
    boxes = {item.id.rpartition("-")[2]: item.bbox for item in catalog.get_items(recursive=True)}
    across, utm = boxes["01KAB"], catalog.get_child("berlin-E2017-utm")
    assert across is not None
    assert across[0] > across[2]
    assert 0.5 < across[2] + 360 - across[0] < 1
    assert isinstance(utm, pystac.Collection)
    berlin = boxes["33UUU"]
    assert berlin is not None
    assert utm.extent.spatial.bboxes == [[berlin[0], across[1], across[2], berlin[3]]]


@pytest.mark.parametrize(
    ("boxes", "around"),
    [
        ([(1, 2, 3, 4)], [1, 2, 3, 4]),
        ([(1, 2, 3, 4), (-5, 3, 2, 6)], [-5, 2, 3, 6]),
        ([(0, 0, 10, 1), (1, 0, 2, 1), (30, 0, 40, 1)], [0, 0, 40, 1]),
        ([(179, -17, 180, -16), (-180, -18, -178, -16)], [179, -18, -178, -16]),
        ([(179, 0, -178, 1), (177, 0, 178, 1)], [177, 0, -178, 1]),
        ([(-180, 80, 180, 84)], [-180, 80, 180, 84]),
        ([(-180, 80, 0, 84), (0, 80, 180, 84)], [-180, 80, 180, 84]),
        ([(-90, 0, -80, 1), (70, 0, 90, 1)], [-90, 0, 90, 1]),
        ([(-91, 0, -90, 1), (90, 0, 91, 1)], [90, 0, -90, 1]),
        ([(-90, 0, -89, 1), (89, 0, 90, 1)], [-90, 0, 90, 1]),
    ],
)
def test_the_narrowest_box(boxes: list[tuple[float, ...]], around: list[float]) -> None:
    assert narrowest_box(boxes) == around
    assert narrowest_box(boxes[::-1]) == around


def test_same_bytes_twice_in_any_order(tmp_path: Path, products: list[Product]) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    write_catalog(str(tmp_path), products[::-1], RUN, TILES_OF)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == first


def run_of(epoch: int, tile: str, year: int | None = None) -> dict:
    scenes = [{"sensing": f"{year or epoch}-05-01T10:00:00+00:00"}]
    return RUN | {
        "epoch": epoch,
        "tiles": [{"tile": tile, "zone": tile[:3], "scenes": scenes}],
        "configuration": {"period": {"start": f"{epoch}-04-01", "end": f"{epoch}-09-30"}},
    }


def made(output: Path, tile: str, epoch: int, x: float = 330000) -> Product:
    path = utm_path(tile, "BUFRAC", epoch, "berlin")
    raster(output / path, "EPSG:32633", x, 5822040, 10)
    return Product("BUFRAC", tile, "utm", path, "f1")


def catalogued(output: Path) -> dict[str, pystac.Item]:
    """Items by id, from the catalogue down; every link leads to what it says."""
    catalog = pystac.Catalog.from_file(output / "catalog.json")
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    for item in items.values():
        collection = item.get_collection()
        assert collection is not None
        assert collection.id == item.collection_id
        assert item.get_root().id == catalog.id
        assert all(Path(asset.get_absolute_href()).is_file() for asset in item.assets.values())
        interval = collection.extent.temporal.intervals[0]
        assert interval[0] <= item.common_metadata.start_datetime
        assert interval[1] >= item.common_metadata.end_datetime
    return items


def test_a_second_epoch_joins_the_first(tmp_path: Path) -> None:
    for epoch, year in ((2017, 2016), (2021, 2021)):
        product = made(tmp_path, "33UUU", epoch)
        write_catalog(str(tmp_path), [product], run_of(epoch, "33UUU", year), {})
    items = catalogued(tmp_path)
    assert set(items) == {"berlin-E2017-utm-33UUU", "berlin-E2021-utm-33UUU"}
    assert {path.stem for path in tmp_path.glob("stac/*/*-E*.json")} == set(items)
    for epoch, year in ((2017, 2016), (2021, 2021)):
        item = items[f"berlin-E{epoch}-utm-33UUU"]
        assert item.properties["ghsl:epoch"] == epoch
        credit = item.get_collection().extra_fields["ghsl:credits"]
        assert credit.split("; ")[0] == f"contains modified Copernicus Sentinel data {year}"
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    write_catalog(str(tmp_path), [product], run_of(2021, "33UUU"), {})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_another_area_of_the_same_epoch_joins_the_first(tmp_path: Path) -> None:
    first = made(tmp_path, "33UUU", 2017)
    write_catalog(str(tmp_path), [first], run_of(2017, "33UUU"), {})
    second = made(tmp_path, "33UVU", 2017, 450000)
    write_catalog(str(tmp_path), [second], run_of(2017, "33UVU"), {})
    items = catalogued(tmp_path)
    assert set(items) == {"berlin-E2017-utm-33UUU", "berlin-E2017-utm-33UVU"}
    box = items["berlin-E2017-utm-33UUU"].get_collection().extent.spatial.bboxes[0]
    for item in items.values():
        assert box[0] <= item.bbox[0]
        assert box[2] >= item.bbox[2]
    (tmp_path / first.path).unlink()  # what is no more there is in no catalogue
    write_catalog(str(tmp_path), [second], run_of(2017, "33UVU"), {})
    assert set(catalogued(tmp_path)) == {"berlin-E2017-utm-33UVU"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"type": "Feature", "id": 1}', "[" * 100_000])
def test_other_files_in_the_catalogues_folders_are_left_out(text: str, tmp_path: Path) -> None:
    product = made(tmp_path, "33UUU", 2017)
    for path in ("stac/utm/berlin-E2017-utm-33UVU.json", "stac/other/collection.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    write_catalog(str(tmp_path), [product], run_of(2017, "33UUU"), {})
    assert set(catalogued(tmp_path)) == {"berlin-E2017-utm-33UUU"}


def test_bands_have_names_units_and_scales(tmp_path: Path) -> None:
    products = []
    for layer in ("S2", "GREENNESS", "BUILT_S"):
        path = utm_path("33UUU", layer, 2017, "berlin")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        count = 4 if layer == "S2" else 1
        profile = {"driver": "GTiff", "count": count, "dtype": "uint16", "height": 9, "width": 9}
        place = {"crs": "EPSG:32633", "transform": from_origin(330000, 5822040, 10, 10)}
        with rasterio.open(tmp_path / path, "w", **profile, **place, nodata=0) as target:
            target.write(np.ones((count, 9, 9), "uint16"))
        products.append(Product(layer, "33UUU", "utm", path, "f"))
    write_catalog(str(tmp_path), products, RUN, {})
    (item,) = catalogued(tmp_path).values()
    bands = {key: asset.extra_fields["bands"] for key, asset in item.assets.items()}
    assert [band["name"] for band in bands["S2"]] == ["red", "green", "blue", "nir"]
    assert [band["eo:common_name"] for band in bands["S2"]] == ["red", "green", "blue", "nir"]
    assert bands["GREENNESS"] == [
        {"name": "GREENNESS", "raster:scale": 1e-4, "data_type": "uint16", "nodata": 0}
    ]
    assert bands["BUILT_S"][0]["unit"] == "m²"
    assert item.assets["S2"].extra_fields["raster:spatial_resolution"] == 10
    names = {url.split("/")[3] for url in item.stac_extensions}
    assert names == {"eo", "projection", "raster"}


def test_a_layer_says_its_classes_and_statistics(tmp_path: Path) -> None:
    spec, path = LAYERS["RES_NRES"], utm_path("33UUU", "RES_NRES", 2017, "berlin")
    place = raster_profile(utm_grid(32633, 330000, 5822040, 20, 30))
    asked = {"bands": 1, "dtype": spec.dtype, "nodata": spec.nodata, "tags": {}, "spec": spec}
    with cog_writer(str(tmp_path / path), place, **asked) as write:
        write(Window(0, 0, 20, 15), np.full((20, 15), 2, "uint8"))
    write_catalog(str(tmp_path), [Product("RES_NRES", "33UUU", "utm", path, "f")], RUN, {})
    (item,) = catalogued(tmp_path).values()
    (band,) = item.assets["RES_NRES"].extra_fields["bands"]
    classes = [Classification(one) for one in band["classification:classes"]]
    assert [(one.value, one.name, one.color_hint) for one in classes] == [
        (0, "not-built-up", "F2F0EA"),
        (1, "residential", "D1495B"),
        (2, "non-residential", "33658A"),
    ]
    assert all(re.fullmatch("[0-9A-Za-z_-]+", one.name) for one in classes)
    assert band["statistics"] == {
        "minimum": 2,
        "maximum": 2,
        "mean": 2,
        "stddev": 0,
        "valid_percent": 50,
    }
    assert {url.split("/")[3] for url in item.stac_extensions} >= {"classification", "raster"}
    licences = [link.href for link in item.get_collection().get_links("license")]
    assert len(licences) == 1


@pytest.mark.filterwarnings("ignore:.*LocalValidator")
def test_what_is_written_is_valid_stac(tmp_path: Path, products: list[Product]) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    local = LocalValidator()
    kinds = {
        "Catalog": local.catalog_validator(),
        "Collection": local.collection_validator(),
        "Feature": local.item_validator(),
    }
    for path in tmp_path.rglob("*.json"):
        written = json.loads(path.read_text())
        assert not list(kinds[written["type"]].iter_errors(written))


def test_rings_run_as_geojson_asks_for(tmp_path: Path, products: list[Product]) -> None:
    write_catalog(str(tmp_path), products, RUN, TILES_OF)
    for item in catalogued(tmp_path).values():
        for part in shapely.get_parts(shapely.geometry.shape(item.geometry)):
            assert part.exterior.is_ccw


PLACES = {
    "Fiji, across 180 degrees": ("EPSG:32701", 99960, 8200000, 3000),
    "a grid across 180 degrees": ("EPSG:3832", 3330000, -1900000, 5000),
    "70 degrees north": ("EPSG:32633", 399960, 7800000, 2700),
    "84 degrees north": ("EPSG:32633", 399960, 9330000, 1000),
    "the pole": ("EPSG:3413", -20000, 20000, 1000),
    "polar": ("EPSG:3413", -2000000, -500000, 10000),
    "the edge of Mollweide": ("ESRI:54009", -18041000, 100000, 5000),
    "the north of Mollweide": ("ESRI:54009", -100000, 9000000, 5000),
    "degrees": ("EPSG:4326", 179.0, 10.0, 0.025),
}


@pytest.mark.filterwarnings("ignore:.*LocalValidator")
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_box_and_a_geometry_hold_the_data(place: tuple, tmp_path: Path) -> None:
    crs, x, y, step = place
    path = grid_path("g", "BUILT_S", 2017, "berlin", "R1_C1")
    raster(tmp_path / path, crs, x, y, step)
    write_catalog(str(tmp_path), [Product("BUILT_S", "R1_C1", "g", path, "f")], RUN, {})
    (item,) = catalogued(tmp_path).values()
    written = json.loads(Path(item.get_self_href()).read_text())
    assert not list(LocalValidator().item_validator().iter_errors(written))
    geometry = shapely.geometry.shape(item.geometry)
    assert geometry.is_valid
    assert all(part.exterior.is_ccw for part in shapely.get_parts(geometry))
    cols, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    lon, lat = to_degrees.transform(x + cols.ravel() * step, y - rows.ravel() * step)
    there = np.isfinite(lon + lat)
    lon, lat = (lon[there] + 180) % 360 - 180, lat[there]
    assert there.any()
    assert shapely.intersects_xy(geometry, lon, lat).all()
    west, south, east, north = item.bbox
    assert ((lat >= south) & (lat <= north)).all()
    inside = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    assert inside.all()
    if crs == "EPSG:4326":
        assert east == 180, "what ends at 180 degrees does not cross them"


def test_missing_product_is_one_line(tmp_path: Path) -> None:
    gone = Product("BUFRAC", "33UUU", "utm", "gone.tif", "f")
    with pytest.raises(RasterError, match=r"gone\.tif") as caught:
        write_catalog(str(tmp_path), [gone], RUN, {})
    assert "\n" not in str(caught.value)


def test_nothing_made(tmp_path: Path) -> None:
    write_catalog(str(tmp_path), [], {}, {})
    assert json.loads((tmp_path / "catalog.json").read_text())["type"] == "Catalog"


def test_names_of_files() -> None:
    assert utm_path("33UUU", "BUFRAC", 2017, "x") == "utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
    assert (
        grid_path("54009_100", "BUILT_S", 2017, "x", "R3_C19")
        == "grid/54009_100/BUILT_S_E2017_x_54009_100_R3_C19.tif"
    )
    with pytest.raises(RequestError):
        utm_path("33UUU", "S2", 2017, "../x")
