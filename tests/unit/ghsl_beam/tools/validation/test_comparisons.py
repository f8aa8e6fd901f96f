"""Whole comparisons: points, strata, cells, error maps, files and tables."""

import json
import os
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from rasterio.transform import from_origin

from ghsl_beam.tools.validate import validate
from ghsl_beam.tools.validation import pieces, strata
from ghsl_beam.tools.validation.error_maps import NODATA
from tests.support import command
from tests.support.references import layer, write
from transforms.elements import RequestError

LEFT, TOP = 399_960, 5_900_040
PLACE = {"transform": from_origin(LEFT, TOP, 10, 10)}


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A layer of 5 x 6 km and a reference in percent, both with gaps; the folder and fractions."""
    random = np.random.default_rng(0)
    theirs = np.clip(np.kron(random.random((25, 30)), np.ones((20, 20))) * 130 - 20, 0, 100)
    ours = np.clip(theirs + random.normal(5, 20, theirs.shape), 0, 100)
    ours, theirs = ours.round().astype("uint8"), theirs.round().astype("uint8")
    ours[:30, :200] = 255
    theirs[-50:] = 255
    layer(tmp_path / "run", ours, **PLACE)
    write(tmp_path / "ref.tif", theirs, 255, **PLACE)
    return (
        tmp_path,
        np.where(ours == 255, np.nan, ours / 100),
        np.where(theirs == 255, np.nan, theirs / 100),
    )


def features(
    path: Path, shapes: list[shapely.Geometry], name: str, values: list[object], kind: str
) -> str:
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    column = np.array(values, dtype=object if isinstance(values[0], str | None) else None)
    about = {"geometry_type": kind, "crs": "EPSG:32633", "driver": "GPKG", "layer": "a"}
    pyogrio.raw.write(path, wkb, [column], [name], **about)
    return str(path)


def test_files_of_a_comparison(run: tuple[Path, np.ndarray, np.ndarray], monkeypatch) -> None:
    folder, ours, theirs = run
    monkeypatch.setattr(pieces, "_BLOCK", 200)  # several windows
    arguments = (str(folder / "run"), f"{folder}/ref.tif")
    found = validate(*arguments, unit="percent", out=f"{folder}/out", block_size=500)
    stored = json.loads((folder / "out/validation.json").read_text())
    assert stored == json.loads(json.dumps(found))
    assert set(found["written"]) == {path.name for path in (folder / "out").iterdir()}

    error = ours - theirs
    valid = np.isfinite(error)
    with rasterio.open(folder / "out/ERROR_BUFRAC_E2017_x_33UUU.tif") as made:
        pixels = made.read(1)
        assert (made.nodata, made.descriptions) == (NODATA, ("ERROR",))
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert "minus that of the reference" in made.tags()["VALUES"]
        assert (made.transform, made.crs.to_epsg()) == (PLACE["transform"], 32633)
    assert (pixels == np.where(valid, np.rint(np.nan_to_num(error) * 10_000), NODATA)).all()
    for name in ("curve.png", "reliability.png", "ERROR_BUFRAC_E2017_x_33UUU.png"):
        assert len(Image.open(folder / "out" / name).getcolors(1 << 20)) > 20

    assert found["bias"] == pytest.approx(error[valid].mean())
    levels = found["levels"]
    assert list(levels) == ["10 m", "100 m", "1000 m"]
    assert levels["10 m"]["rmse"] == pytest.approx(found["rmse"])
    assert [level["bias"] for level in levels.values()] == pytest.approx([found["bias"]] * 3)
    assert levels["10 m"]["rmse"] > levels["100 m"]["rmse"] > levels["1000 m"]["rmse"]
    assert levels["10 m"]["cells"] == found["pixels"] == valid.sum()
    for name in ("rmse", "f1", "kappa", "bias"):
        low, high = found["intervals"][name]
        assert low < found[name] < high
    assert found["bootstrap"]["blocks"] > 100

    # One window, the other way of cutting, the same numbers; and again, wholly the same.
    monkeypatch.setattr(pieces, "_BLOCK", 1024)
    whole = validate(*arguments, unit="percent", block_size=500)
    for name, level in whole["levels"].items():
        assert level["rmse"] == pytest.approx(levels[name]["rmse"])
        assert level["cells"] == levels[name]["cells"]
    assert whole["intervals"]["f1"] == pytest.approx(found["intervals"]["f1"])
    assert validate(*arguments, unit="percent", block_size=500) == whole


def test_a_failed_comparison_leaves_no_map(run: tuple[Path, np.ndarray, np.ndarray]) -> None:
    folder, *_ = run
    with pytest.raises(RequestError, match="values are not mask"):
        validate(str(folder / "run"), f"{folder}/ref.tif", unit="mask", out=f"{folder}/out")
    assert not [*(folder / "out").iterdir()]
    earlier = folder / "out/ERROR_BUFRAC_E2017_x_33UUU.tif"
    earlier.write_text("the map of an earlier comparison")
    with pytest.raises(RequestError, match="values are not mask"):
        validate(str(folder / "run"), f"{folder}/ref.tif", unit="mask", out=f"{folder}/out")
    assert [*(folder / "out").iterdir()] == [earlier]
    assert earlier.read_text() == "the map of an earlier comparison"


def test_strata_have_the_scores_of_their_ground(
    run: tuple[Path, np.ndarray, np.ndarray], monkeypatch
) -> None:
    folder, ours, theirs = run
    monkeypatch.setattr(pieces, "_BLOCK", 200)
    density = np.add.outer(np.arange(50), np.arange(60)).astype("float32")  # pixels of 100 m
    density[:3] = -1
    place = {"transform": from_origin(LEFT, TOP, 100, 100)}
    write(folder / "density.tif", density, -1, **place)
    arguments = (str(folder / "run"), f"{folder}/ref.tif")
    got = validate(
        *arguments, unit="percent", strata=f"{folder}/density.tif", strata_breaks="20,60"
    )
    fine = np.kron(density, np.ones((10, 10)))
    of = {
        "below 20": (fine < 20) & (fine >= 0),
        "20 to 60": (fine >= 20) & (fine < 60),
        "60 and more": fine >= 60,
        "no stratum": fine < 0,
    }
    assert set(got["strata"]) == set(of)
    for name, inside in of.items():
        error = (ours - theirs)[inside]
        error = error[np.isfinite(error)]
        assert got["strata"][name]["pixels"] == len(error)
        assert got["strata"][name]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert len(got["strata"]["20 to 60"]["intervals"]["f1"]) == 2

    west = shapely.box(LEFT, TOP - 5000, LEFT + 2000, TOP)
    both = shapely.box(LEFT + 1000, TOP - 5000, LEFT + 3000, TOP)
    shapes = features(folder / "s.gpkg", [west, both], "use", ["b", "a"], "Polygon")
    got = validate(*arguments, unit="percent", strata=shapes, strata_field="use")
    numbers = {name: one["pixels"] for name, one in got["strata"].items()}
    valid = np.isfinite(ours - theirs)
    expected = {"a": valid[:, 100:300], "b": valid[:, :100], "no stratum": valid[:, 300:]}
    assert numbers == {name: part.sum() for name, part in expected.items()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strata_field": "use"}, "--strata-field use: is for strata; give --strata too"),
        ({"strata": "s.gpkg"}, r"s\.gpkg: has polygons; name their field with --strata-field"),
        ({"strata": "s.gpkg", "strata_field": "x"}, "has no field 'x'.*with --strata-field"),
        ({"strata": "ref.tif", "strata_field": "x"}, "is a raster; leave out --strata-field"),
        ({"strata": "no.tif"}, "no such file"),
        ({"strata": "ref.tif"}, "more than 50 different values; give --strata-breaks"),
        ({"strata": "ref.tif", "strata_breaks": "9,3"}, "expected rising numbers"),
        ({"threshold": 2}, "--threshold 2: expected a fraction, 0 to 1"),
        ({"block_size": 1}, "--block-size 1: expected metres, 10 or more"),
        ({"out": "ref.tif"}, "--out ref.tif: is a file; give a folder"),
        ({"seed": -1}, "--seed -1: expected a whole number, 0 or more"),
        ({"field": "use"}, r"is not a vector file \(\.fgb, .*\); leave out --field use"),
    ],
)
def test_mistakes(
    run: tuple[Path, np.ndarray, np.ndarray], monkeypatch, options: dict[str, object], said: str
) -> None:
    folder, *_ = run
    monkeypatch.chdir(folder)
    features(folder / "s.gpkg", [shapely.box(0, 0, 1, 1)], "use", ["b"], "Polygon")
    with pytest.raises(RequestError, match=said):
        validate("run", "ref.tif", unit="percent", **options)


def test_labelled_points(run: tuple[Path, np.ndarray, np.ndarray], monkeypatch) -> None:
    """Each point is compared with the pixel that it lies in."""
    folder, ours, _ = run
    monkeypatch.chdir(folder)
    random = np.random.default_rng(1)
    x, y = LEFT + random.uniform(-500, 6500, 800), TOP - random.uniform(-500, 5500, 800)
    rows, cols = ((TOP - y) // 10).astype(int), ((x - LEFT) // 10).astype(int)
    inside = (rows >= 0) & (rows < 500) & (cols >= 0) & (cols < 600)
    there = np.full(800, np.nan)
    there[inside] = ours[rows[inside], cols[inside]]
    classes = random.choice(["house", "barn", "field"], 800).tolist()
    shapes = list(shapely.points(x, y))
    file = features(folder / "p.gpkg", shapes, "class", classes, "Point")
    got = validate("run", file, field="class", built="house,barn")
    known = np.isfinite(there)
    truth = np.isin(classes, ["house", "barn"])[known]
    assert (got["pixels"], got["levels"], got["product_m2"]) == (known.sum(), {}, None)
    assert got["bias"] == pytest.approx((there[known] - truth).mean())
    assert got["recall"] == pytest.approx((there[known] >= 0.5)[truth].mean())
    assert got["warnings"] == [f"{(~known).sum()} of 800 points lie on no data"]
    assert got["intervals"]["f1"][0] < got["f1"] < got["intervals"]["f1"][1]

    density = np.arange(4, dtype="uint8").reshape(2, 2)
    place = {"transform": from_origin(LEFT, TOP, 3000, 2500)}
    write(folder / "quarters.tif", density, None, **place)
    got = validate("run", file, field="class", built="house", strata="quarters.tif")
    numbers = {name: one["pixels"] for name, one in got["strata"].items()}
    quarter = (rows >= 250) * 2 + (cols >= 300)
    assert numbers == {str(n): (known & (quarter == n)).sum() for n in range(4)}
    west = shapely.box(LEFT, TOP - 5000, LEFT + 3000, TOP)
    west = features(folder / "s.gpkg", [west], "use", ["west"], "Polygon")
    got = validate("run", file, field="class", built="house", strata=west, strata_field="use")
    assert got["strata"]["west"]["pixels"] == (known & (cols < 300)).sum()

    shares = random.random(800).round(3)
    file = features(folder / "f.gpkg", shapes, "share", shares, "Point")
    got = validate("run", file, field="share", unit="fraction")
    error = there[known] - shares[known]
    assert got["mae"] == pytest.approx(np.abs(error).mean())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"field": "class"}, "give either --unit, .* or --built"),
        ({"field": "use", "built": "a"}, "has no field 'use'; it has class"),
        ({"field": "class", "built": "c"}, r"--built c: no point has this value.*'a' \(2\)"),
        ({"field": "class", "unit": "fraction"}, "3 of 3 values are not fraction .*as 'a'"),
        ({"field": "class", "unit": "m2"}, "--unit 'm2': expected one of fraction, percent,"),
        ({"field": "class", "built": "a", "band": 1}, "has points; leave out --band"),
        ({}, r"p\.gpkg: has points; name their field with --field"),
    ],
)
def test_mistakes_with_points(
    tmp_path: Path, monkeypatch, options: dict[str, object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    layer(tmp_path / "run", np.zeros((9, 9), "uint8"), **PLACE)
    shapes = [shapely.Point(LEFT + 5, TOP - 5)] * 3
    features(tmp_path / "p.gpkg", shapes, "class", ["a", "a", "b"], "Point")
    with pytest.raises(RequestError, match=said):
        validate("run", "p.gpkg", **options)


def test_at_most_some_strata_of_polygons(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(strata, "MOST", 2)
    boxes = [shapely.box(LEFT + n, TOP - 1, LEFT + n + 1, TOP) for n in range(3)]
    file = features(tmp_path / "s.gpkg", boxes, "n", np.arange(3), "Polygon")
    with (
        pytest.raises(RequestError, match="n has 3 different values, expected at most 2"),
        strata.opened_strata(file, "n", None),
    ):
        pass
    with strata.opened_strata(file, "n", "2") as found:
        assert list(found.polygons) == ["below 2", "2 and more"]


def test_what_is_printed(run: tuple[Path, np.ndarray, np.ndarray], monkeypatch, capfd) -> None:
    """JSON for a program, tables for a person."""
    folder, *_ = run
    arguments = ("validate", folder / "run", "--reference", folder / "ref.tif")
    unit = ("--reference-unit", "percent")
    with rasterio.open(folder / "run/utm/33UUU/BUFRAC_E2017_x_33UUU.tif", "r+") as made:
        made.update_tags(VALUES="Uncalibrated probability")
    code, printed, errors = command.call(monkeypatch, capfd, *arguments, *unit)
    assert (code, errors) == (0, "")
    found = json.loads(printed)
    assert found["layer_values"] == "Uncalibrated probability"
    code, printed, _ = command.call(monkeypatch, capfd, *arguments, *unit, "--table")
    assert code == 0
    assert printed.startswith("BUFRAC E2017_x (Uncalibrated probability) compared with ref.tif")
    for words in (f"{found['f1']:.3f}", "1000 m", "best threshold of BUFRAC", "95 % interval"):
        assert words in printed
    code, printed, errors = command.call(monkeypatch, capfd, *arguments)
    assert (code, printed) == (2, "")
    assert "has no unit" in errors
    assert errors.count("\n") == 1


def test_pixels_of_a_coarser_reference(run: tuple[Path, np.ndarray, np.ndarray]) -> None:
    """Errors, cells and map are those of the reference's pixels, off the layer's 100 m."""
    folder, ours, _ = run
    means = np.nan_to_num(ours.reshape(250, 2, 300, 2).mean((1, 3)), nan=0.25)
    truth = np.clip(means + np.linspace(-0.2, 0.4, 300), 0, 1).astype("float32")
    place = {"transform": from_origin(LEFT, TOP, 20, 20)}
    write(folder / "coarse.tif", truth, None, **place)
    got = validate(
        str(folder / "run"), f"{folder}/coarse.tif", unit="fraction", out=f"{folder}/out"
    )
    error = ours.reshape(250, 2, 300, 2).mean((1, 3)) - truth
    valid = np.isfinite(error)
    assert list(got["levels"]) == ["20 m", "100 m", "1000 m"]
    assert got["pixels"] == valid.sum()
    assert got["levels"]["1000 m"]["bias"] == pytest.approx(error[valid].mean(), abs=1e-6)
    with rasterio.open(folder / "out/ERROR_BUFRAC_E2017_x_reference_1.tif") as made:
        row, col = made.index(LEFT + 10, TOP - 10)
        pixels = made.read(1)[row : row + 250, col : col + 300]
    assert ((pixels != NODATA) == valid).all()
    np.testing.assert_allclose(pixels[valid] / 10_000, error[valid], atol=1e-4)
    picture = (folder / "out/ERROR_BUFRAC_E2017_x_reference_1.png").read_bytes()
    place = {"transform": Affine(-20, 0, LEFT + 6000, 0, 20, TOP - 5000)}  # south up, west right
    write(folder / "turned.tif", truth[::-1, ::-1], None, **place)
    turned = validate(
        str(folder / "run"), f"{folder}/turned.tif", unit="fraction", out=f"{folder}/out"
    )
    assert turned["rmse"] == pytest.approx(got["rmse"])
    assert (folder / "out/ERROR_BUFRAC_E2017_x_reference_1.png").read_bytes() == picture


@pytest.mark.parametrize("damaged", ["ref.tif", "density.tif"])
@pytest.mark.parametrize("size", [100, 90_000])
def test_the_file_that_is_damaged_is_named(
    run: tuple[Path, np.ndarray, np.ndarray], monkeypatch, damaged: str, size: int
) -> None:
    """Also while an error map is being written, at which no fault lies."""
    folder, *_ = run
    monkeypatch.setattr(pieces, "_BLOCK", 100)
    write(folder / "density.tif", np.ones((500, 600), "uint8"), None, **PLACE)
    os.truncate(folder / damaged, size)
    with pytest.raises(RequestError, match=rf"{damaged}: is damaged, truncated") as caught:
        validate(
            str(folder / "run"),
            f"{folder}/ref.tif",
            unit="percent",
            strata=f"{folder}/density.tif",
            out=f"{folder}/out",
        )
    assert "ERROR" not in str(caught.value)
