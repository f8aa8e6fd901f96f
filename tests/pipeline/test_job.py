"""The job from an archive to every layer, on the DirectRunner."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_validate
from scipy.ndimage import binary_dilation

from ghsl_beam import __version__
from ghsl_beam.outputs.record_schema import RECORD
from tests.pipeline.conftest import COLS, ROWS, ULX, ULY
from tests.support.jobs import differing, layers, make
from transforms.elements import LAYERS

TYPES = {
    "S2": ("uint16", 0),
    "S2_COUNT": ("uint16", 65535),
    "S2_QUALITY": ("uint8", 255),
    "BUFRAC_RAW": ("uint16", 65535),
    "BUFRAC": ("uint8", 255),
    "RES_NRES": ("uint8", 255),
    "GREENNESS": ("int16", -32768),
}


def utm(output, layer):
    return rasterio.open(output / f"utm/33UUU/{layer}_E2020_town_33UUU.tif")


def test_every_layer_is_there_in_its_encoding(made):
    output, record = made
    assert record["exit_code"] == 0
    assert record["losses"] == []
    for layer, (dtype, nodata) in TYPES.items():
        with utm(output, layer) as source:
            assert (source.dtypes[0], source.nodata) == (dtype, nodata), layer
            assert source.shape == (ROWS, COLS)
            assert source.crs.to_epsg() == 32633
            assert source.transform.almost_equals(from_origin(ULX, ULY, 10, 10))
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_every_file_says_what_it_is_and_where_it_comes_from(made):
    output, record = made
    for product in record["products"]:
        path, layer = output / product["path"], product["layer"]
        assert cog_validate(str(path), strict=True) == (True, [], []), path
        with rasterio.open(path) as source:
            tags = source.tags()
            assert (tags["LAYER"], tags["JOB"], tags["EPOCH"]) == (layer, "town", "2020")
            assert tags["SOFTWARE"] == f"ghsl-beam {__version__}"
            assert tags["PERIOD"] == "2020-06-15/2020-06-15"
            models = tags.get("MODELS") or tags.get("MODEL_SHA256", "")
            assert (record["tiles"][0]["model"]["sha256"] in models) == (layer[:2] != "S2")
            classified = layer in ("RES_NRES", "BUILT_C_FUN", "BUILT_S_NRES")
            assert (tags.get("CLASSIFIER_SHA256") == record["classifier"]["sha256"]) == classified
            assert ("classifier" in tags["CREDITS"]) == classified
            assert "Joint Research Centre" not in tags["CREDITS"]
            assert "Copernicus Sentinel data" in tags["LICENCE"]
            assert source.scales[0] == LAYERS[layer].scale
            values = source.read(1, masked=True)
            mean = source.tags(1).get("STATISTICS_MEAN")
            assert float(mean) == pytest.approx(values.mean(dtype=float), rel=1e-9)
            shared = {key: tags[key] for key in ("LAYER", "JOB", "EPOCH", "SOFTWARE", "LICENCE")}
            described = source.units, source.scales, source.colorinterp
            palette = source.colorinterp[0] is ColorInterp.palette
            colours = source.colormap(1) if palette else None
        if product["grid"] == "utm":
            with rasterio.open(output / f"utm/{layer}_E2020_town_32633.vrt") as mosaic:
                assert mosaic.tags().items() >= shared.items()
                assert (mosaic.units, mosaic.scales, mosaic.colorinterp) == described
                assert colours is None or mosaic.colormap(1) == colours


def test_the_composite_of_one_clear_scene_is_the_scene(made, scene):
    output, _ = made
    with utm(output, "S2") as source:
        np.testing.assert_array_equal(source.read(), scene)
    with utm(output, "S2_COUNT") as source:
        np.testing.assert_array_equal(source.read(1), (scene > 0).all(axis=0))


def test_values_are_in_range_and_consistent(made, scene):
    output, _ = made
    values = {layer: utm(output, layer).read(1) for layer in TYPES}
    valid = (scene > 0).all(axis=0)
    raw, bufrac = values["BUFRAC_RAW"], values["BUFRAC"]
    np.testing.assert_array_equal(raw != 65535, valid)
    assert raw[valid].max() <= 10000
    # The network sees 2 pixels around a pixel, and takes the edge of what has no data for a wall.
    seen = ~binary_dilation(~valid, np.ones((5, 5), bool))
    np.testing.assert_array_equal(bufrac != 255, seen)
    assert set(np.unique(bufrac[seen])) <= {0, *range(10, 101)}
    assert (bufrac[seen] > 0).mean() > 0.005, "the scene has no built-up: the test shows nothing"
    built = (bufrac > 0) & seen
    np.testing.assert_array_equal(np.isin(values["RES_NRES"], (1, 2)), built)
    green = values["GREENNESS"]
    domain = green != -32768
    assert not domain[~seen].any()
    # Dense built-up, but for single pixels and water, is in the domain.
    assert domain[built & (bufrac >= 50)].mean() > 0.5
    assert green.max() <= 10000


def test_the_totals_are_those_of_the_layers(made):
    output, record = made
    totals, classes = record["totals"], utm(output, "RES_NRES").read(1)
    bufrac, green = utm(output, "BUFRAC").read(1), utm(output, "GREENNESS").read(1)
    expected = {
        "observed_ha": (classes != 255).sum() / 100,
        "built_up_ha": np.isin(classes, (1, 2)).sum() / 100,
        "residential_ha": (classes == 1).sum() / 100,
        "non_residential_ha": (classes == 2).sum() / 100,
        "built_up_sum_ha": bufrac[bufrac != 255].sum(dtype=float) / 1e4,
    }
    assert {key: totals["area"][key] for key in expected} == pytest.approx(expected, abs=1e-4)
    mean = green[green != -32768].mean() / 1e4
    assert totals["area"]["greenness"] == pytest.approx(mean, abs=1e-4)
    # The area is 500 m larger than the scene on each side.
    assert totals["area"]["area_ha"] == pytest.approx((ROWS + 100) * (COLS + 100) / 100, rel=2e-3)
    cover, whole = record["cover"], (ROWS + 100) * (COLS + 100)
    assert cover["area_km2"] == pytest.approx(whole / 1e4, rel=2e-3)
    assert cover["scenes_percent"] == pytest.approx(100 * ROWS * COLS / whole, abs=0.3)
    observed = 100 * totals["area"]["observed_ha"] / totals["area"]["area_ha"]
    assert cover["data_percent"] == pytest.approx(observed, abs=0.06)
    assert record["earlier_files"] == []
    assert not totals["calibrated"]
    assert [part["name"] for part in totals["tiles"]] == ["33UUU"]
    assert [part["name"] for part in totals["zones"]] == ["EPSG:32633"]
    west, east, beyond = totals["districts"]
    assert (west["name"], east["name"], beyond["name"]) == ("West", "East", "Beyond")
    for key in ("area_ha", *expected):
        parts = (west[key] or 0) + (east[key] or 0) + (beyond[key] or 0)
        assert parts == pytest.approx(totals["area"][key], abs=0.05), key
    assert west["observed_ha"] == pytest.approx((classes[:, :333] != 255).sum() / 100, abs=3)
    assert beyond["observed_ha"] == 0


def test_nothing_is_left_behind(made):
    output, _ = made
    assert not (output / "work").exists()
    assert not [path for path in output.rglob("*") if "partial" in path.name]


def test_the_record_tells_scenes_models_and_products(made):
    output, record = made
    written = json.loads((output / "run.json").read_text())
    RECORD.validate_python(written, strict=True)
    assert written == json.loads(json.dumps(record))
    (tile,) = written["tiles"]
    assert (tile["tile"], tile["zone"]) == ("33UUU", "33U")
    assert tile["model"]["origin"] == "starter"
    assert len(tile["model"]["sha256"]) == 64
    assert [scene["baseline"] for scene in tile["scenes"]] == ["02.09"]
    assert written["classifier"]["demonstration"] is True
    for said in ("is the starter network of ghsl-beam", "is a demonstration"):
        assert len([text for text in written["warnings"] if said in text]) == 1
    assert "starter network of ghsl-beam, no model of the JRC: " in " ".join(written["credits"])
    assert written["stages"]["inference"]["pixels"] == ROWS * COLS
    with utm(output, "BUFRAC") as bufrac, utm(output, "GREENNESS") as green:
        known, inside = bufrac.read(1) != 255, green.read(1) != -32768
        assert green.tags()["PERIOD"] == "2020-06-15/2020-06-15"
    share = inside.sum() / known.sum()
    assert 0 < share < 1
    domain = written["greenness_domain"]
    assert (domain["pixels"], domain["pixels_of_area"]) == (inside.sum(), known.sum())
    assert domain["share"] == pytest.approx(share, abs=1e-4)
    assert f"{100 * domain['share']:.1f} %</dd>" in (output / "report/index.html").read_text()
    with utm(output, "S2_QUALITY") as quality, utm(output, "S2_COUNT") as count:
        by_rule, area = quality.read(1), (count.read(1) != 65535).sum()
    seen = written["observations"]
    assert seen["pixels_of_area"] == area
    assert seen["clear"] == pytest.approx((by_rule == 0).sum() / area, abs=1e-4)
    assert seen["none"] == pytest.approx(1 - (by_rule != 255).sum() / area, abs=1e-4)
    assert written["masks"]["method"] == "product"
    (on_grid,) = output.glob("grid/54009_100/GREENNESS_*.tif")
    with rasterio.open(on_grid) as source:
        assert source.tags()["PERIOD"] == "2020-06-15/2020-06-15"
    paths = {product["path"] for product in written["products"]}
    assert paths == set(layers(output))
    assert (output / "catalog.json").is_file()
    assert (output / "report" / "index.html").is_file()


def test_square_metres_on_the_grid_are_those_in_utm(made):
    output, _ = made
    bufrac, classes = (utm(output, layer).read(1) for layer in ("BUFRAC", "RES_NRES"))
    built = np.where(bufrac == 255, 0, bufrac).astype("int64")
    in_utm = {"BUILT_S": built.sum(), "BUILT_S_NRES": built[classes == 2].sum()}
    assert 0 < in_utm["BUILT_S_NRES"] < in_utm["BUILT_S"]
    sums = {}
    for layer in ("BUILT_S", "BUILT_S_NRES"):
        for size in ("100", "1000"):
            (path,) = output.glob(f"grid/54009_{size}/{layer}_E2020_town_54009_{size}_R*.tif")
            with rasterio.open(path) as source:
                values = source.read(1)
                sums[layer, size] = values[values != source.nodata].astype("int64").sum()
        assert sums[layer, "100"] == pytest.approx(in_utm[layer], rel=1e-3)
        assert sums[layer, "100"] == sums[layer, "1000"]


def test_a_second_run_computes_nothing(made, job_file):
    output, first = made
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.tif")}
    _, record = make(job_file)
    assert (record["computed"], record["exit_code"]) == (0, 0)
    assert record["reused"] == first["computed"]
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.tif")} == before


def test_a_changed_parameter_makes_only_what_depends_on_it(made, job_file, tmp_path):
    output, _ = made
    other = tmp_path / "copy"
    shutil.copytree(output, other)
    settings = (f"output={other}", "cleaning.ndvi_above=0.1")
    _, record = make(job_file, settings=settings)
    assert "assembly" not in record["stages"]
    assert "inference" not in record["stages"]
    assert record["stages"]["cleaning"]["blocks"] > 0
    changed = {name for name, count in differing(layers(output), layers(other)).items() if count}
    assert not [name for name in changed if "/S2" in name or "BUFRAC_RAW" in name]
    assert [name for name in changed if "/BUFRAC_E" in name]


def test_a_changed_greenness_makes_greenness_alone(made, job_file, tmp_path):
    output, _ = made
    other = tmp_path / "copy"
    shutil.copytree(output, other)
    settings = (f"output={other}", "greenness.radius_m=50")
    _, record = make(job_file, settings=settings)
    for stage in ("assembly", "inference", "cleaning", "classification"):
        assert stage not in record["stages"]
    assert record["stages"]["greenness"]["blocks"] > 0
    fresh, _ = make(job_file, settings=(f"output={tmp_path / 'fresh'}", "greenness.radius_m=50"))
    assert not any(differing(layers(fresh), layers(other)).values())
    changed = {name for name, count in differing(layers(output), layers(other)).items() if count}
    assert changed
    assert all("GREENNESS" in name for name in changed)
    kept = "utm/33UUU/BUFRAC_E2020_town_33UUU.tif"
    assert (other / kept).stat().st_mtime_ns == (output / kept).stat().st_mtime_ns


def test_two_processes_give_the_same_bytes(made, job_file, tmp_path):
    output, _ = made
    options = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    settings = (f"output={tmp_path / 'two'}", "block_size=256")
    two, record = make(job_file, *options, settings=settings)
    assert record["exit_code"] == 0
    assert not any(differing(layers(output), layers(two)).values())
