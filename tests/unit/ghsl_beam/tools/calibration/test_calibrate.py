"""ghsl-beam calibrate on a small output, as a person calls it."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from ghsl_beam.models.calibration import parse
from tests.support import command
from tests.support.references import UTM, write
from tests.unit.ghsl_beam.tools.calibration.test_fit import STEPS, area_of, town
from transforms.cleaning import Curve, clean
from transforms.rasters.geotiff import FINGERPRINT_TAG

SHA256 = "ab" * 32
SIDE = 150
LEFT, TOP = 330000, 5822040
CLEANING = {"minimum": 0.1, "ndvi_above": 0.6, "ndwi_above": 0.0, "roads": None}


def stored(folder, layer):
    return folder / f"utm/33UUU/{layer}_E2017_x_33UUU.tif"


def tag(path, **tags):
    with rasterio.open(path, "r+") as target:
        target.update_tags(**tags)


@pytest.fixture(scope="module")
def truth():
    return town(11, SIDE, SIDE)


@pytest.fixture
def output(tmp_path, truth):
    raw, s2, _ = truth
    folder = tmp_path / "run"
    write(stored(folder, "BUFRAC_RAW"), raw, 65535)
    tag(stored(folder, "BUFRAC_RAW"), MODEL_SHA256=SHA256, MODEL="m.h5")
    write(stored(folder, "BUFRAC"), clean(raw, s2, STEPS), 255)
    record = {"configuration": {"cleaning": CLEANING | {"minimum_area_m2": 400}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def raster(tmp_path, truth):
    path = tmp_path / "known.tif"
    write(path, truth[2].astype(np.float32), None)
    return path


def squares(path, known):
    """Footprints with the known area of each pixel, as a part of its width."""
    rows, cols = np.nonzero(known > 0)
    left, top = LEFT + 10.0 * cols, TOP - 10.0 * rows
    boxes = shapely.box(left, top - 10, left + 10 * known[rows, cols], top)
    pyogrio.raw.write(
        path,
        shapely.to_wkb(boxes),
        [np.arange(len(boxes))],
        ["n"],
        geometry_type="Polygon",
        crs=UTM["crs"],
    )
    return path


def test_a_raster_gives_a_file_that_a_job_can_use(
    monkeypatch, capfd, output, raster, tmp_path, truth
):
    out = tmp_path / "calibration.json"
    asked = ("calibrate", output, "--reference", raster, "--unit", "fraction", "--out", out)
    code, printed, errors = command.call(monkeypatch, capfd, *asked)
    assert (code, errors) == (0, "")
    made = parse(out.read_bytes(), str(out))
    (curve,) = made.models.values()
    assert (curve.product, curve.unit, curve.reference) == ("E2017_x", "fraction", "known.tif")
    assert curve.cleaning == CLEANING | {"minimum_area_m2": 400, "roads": False, "shore_m": 0}
    assert list(made.models) == [SHA256]
    assert curve.file == "m.h5"
    assert printed.startswith(f"network m.h5 ({SHA256[:12]}): {curve.form} curve: ")
    assert f"area {curve.held_out.bias_percent:+.2f} %" in printed
    assert printed.endswith(f"{out}: use it by models.calibration in a job file\n")
    raw, s2, known = truth
    area = area_of(raw, clean(raw, s2, STEPS), Curve(tuple(curve.knots)))
    assert area == pytest.approx(known.sum(), rel=0.005)

    code, printed, errors = command.call(monkeypatch, capfd, *asked)
    assert (code, printed) == (2, "")
    assert errors.endswith(f"--out {out}: exists; give another name, or add --overwrite\n")
    before = out.read_bytes()
    assert command.call(monkeypatch, capfd, *asked, "--overwrite")[0] == 0
    assert out.read_bytes() == before, "the same inputs give the same bytes"


def test_polygons_give_nearly_the_same_curve(monkeypatch, capfd, output, raster, tmp_path, truth):
    polygons = squares(tmp_path / "known.gpkg", truth[2])
    curves = []
    for reference, unit in ((raster, ("--unit", "fraction")), (polygons, ())):
        out = tmp_path / f"{reference.suffix}.json"
        asked = ("calibrate", output, "--reference", reference, *unit, "--out", out)
        assert command.call(monkeypatch, capfd, *asked)[0] == 0
        (model,) = parse(out.read_bytes(), str(out)).models.values()
        curves.append(Curve(tuple(model.knots)).fractions(np.arange(10001)))
    assert np.abs(np.subtract(*curves)).max() < 300


def calibrated(output):
    tag(stored(output, "BUFRAC"), CALIBRATION="c.json")


def nameless(output):
    tag(stored(output, "BUFRAC_RAW"), MODEL_SHA256="")


def badly_named(output):
    tag(stored(output, "BUFRAC_RAW"), MODEL_SHA256="../" * 22)


def endless(output):
    record = {"configuration": {"cleaning": CLEANING | {"minimum": float("inf")}}}
    (output / "run.json").write_text(json.dumps(record))


def of_another_epoch(output):
    record = {"epoch": 2018, "name": "x", "configuration": {"cleaning": CLEANING}}
    (output / "run.json").write_text(json.dumps(record))


def out_of_range(output):
    with rasterio.open(stored(output, "BUFRAC_RAW"), "r+") as target:
        target.write(np.array([[60000]], np.uint16), 1, window=((0, 1), (0, 1)))


def without_raw(output):
    stored(output, "BUFRAC_RAW").unlink()


def of_another_run(output):
    write(stored(output, "BUFRAC"), np.full((SIDE, SIDE), 42, np.uint8), 255)


def elsewhere(output):
    write(stored(output, "BUFRAC"), np.full((SIDE, SIDE - 1), 42, np.uint8), 255)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (calibrated, "is calibrated already, expected the probability of the network; run the"),
        (nameless, "does not name its network; make it again"),
        (badly_named, "does not name its network; make it again"),
        (endless, "run.json: cleaning.minimum"),
        (of_another_epoch, "run.json is of E2018_x, so it does not say how E2017_x was cleaned"),
        (out_of_range, "1 pixels do not follow from BUFRAC_RAW"),
        (without_raw, "no such file beside BUFRAC; run the job again"),
        (of_another_run, "pixels do not follow from BUFRAC_RAW beside it, expected both of one"),
        (elsewhere, "has another grid than BUFRAC; run the job again"),
        (lambda output: (output / "run.json").unlink(), "is it a run's output?"),
    ],
)
def test_an_output_that_cannot_be_used_is_refused(
    monkeypatch, capfd, output, raster, tmp_path, change, said
):
    change(output)
    asked = ("calibrate", output, "--reference", raster, "--unit", "fraction")
    code, printed, errors = command.call(monkeypatch, capfd, *asked, "--out", tmp_path / "c.json")
    assert (code, printed) == (2, "")
    assert errors.count("\n") == 1
    assert said in errors
    assert not (tmp_path / "c.json").exists()


def test_a_network_with_too_little_ground_has_a_warning_and_no_curve(
    monkeypatch, capfd, output, raster, tmp_path, truth
):
    """The neighbour has another network, and the reference reaches a few pixels of it."""
    beside = {"transform": rasterio.Affine(10, 0, LEFT + 10 * (SIDE - 10), 0, -10, TOP)}
    values = {"BUFRAC_RAW": np.full((30, 30), 9000, np.uint16), "BUFRAC": np.full((30, 30), 90)}
    for layer, array in values.items():
        path = output / f"utm/33UVU/{layer}_E2017_x_33UVU.tif"
        kind = array.astype(np.uint16 if layer == "BUFRAC_RAW" else np.uint8)
        write(path, kind, np.iinfo(kind.dtype).max, **beside)
        tag(path, MODEL_SHA256="cd" * 32, MODEL="other.h5")
    more = tmp_path / "more.tif"
    write(more, np.pad(truth[2], ((0, 0), (0, 5)), "edge").astype(np.float32), None)
    out = tmp_path / "c.json"
    asked = ("calibrate", output, "--reference", more, "--unit", "fraction", "--out", out)
    code, _, errors = command.call(monkeypatch, capfd, *asked)
    assert code == 0
    assert errors.startswith("warning: without a curve: network other.h5: 150 built-up pixels in ")
    assert list(parse(out.read_bytes(), str(out)).models) == [SHA256]


def test_a_probability_is_no_reference(monkeypatch, capfd, output, tmp_path):
    probability = stored(output, "BUFRAC")
    tag(probability, **{FINGERPRINT_TAG: "00" * 32}, LAYER="BUFRAC")
    asked = ("calibrate", output, "--reference", probability, "--out", tmp_path / "c.json")
    code, _, errors = command.call(monkeypatch, capfd, *asked)
    assert (code, errors.count("\n")) == (2, 1)
    assert "is an uncalibrated BUFRAC of this program, a probability" in errors


def test_a_reference_that_cannot_be_used_is_refused(monkeypatch, capfd, output, raster, tmp_path):
    def refused(reference, *options):
        asked = ("calibrate", output, "--reference", reference, "--out", tmp_path / "c.json")
        code, printed, errors = command.call(monkeypatch, capfd, *asked, *options)
        assert (code, printed, errors.count("\n")) == (2, "", 1)
        return errors

    assert "no such file" in refused(tmp_path / "none.tif")
    assert "has no unit; give --unit" in refused(raster)
    away = rasterio.Affine(10, 0, LEFT + 90_000, 0, -10, TOP)
    far = tmp_path / "far.tif"
    write(far, np.ones((50, 50), np.float32), None, transform=away)
    assert "does not overlap BUFRAC" in refused(far, "--unit", "fraction")
    coarse = tmp_path / "coarse.tif"
    place = rasterio.Affine(100, 0, LEFT, 0, -100, TOP)
    write(coarse, np.ones((50, 50), np.float32), None, transform=place)
    assert "its pixels have 10000 m², expected at most the 100 m²" in refused(
        coarse, "--unit", "fraction"
    )
    place = rasterio.Affine(1, 0, LEFT, 0, -100, TOP)
    write(coarse, np.ones((15, 1500), np.float32), None, transform=place)
    assert "its pixels are 100 m long, expected about 10 m" in refused(coarse, "--unit", "fraction")
    polygons = squares(tmp_path / "p.gpkg", np.ones((3, 3)))
    assert "leave out --unit, which is for rasters" in refused(polygons, "--unit", "percent")
