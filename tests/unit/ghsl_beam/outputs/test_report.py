"""The report of a run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from ghsl_beam.outputs.report import (
    _marks,
    categories,
    in_colour,
    last_events,
    quicklook,
    write_report,
)
from transforms.elements import Layer, RequestError
from transforms.observe.events import Event, emit, events_folder, happened
from transforms.work.job_reporter import JobReporter

LAYERS = {
    "S2": ("uint16", 0, 3000),
    "S2_COUNT": ("uint16", 65535, 9),
    "S2_QUALITY": ("uint8", 255, 3),
    "BUFRAC_RAW": ("uint16", 65535, 10000),
    "BUFRAC": ("uint8", 255, 100),
    "RES_NRES": ("uint8", 255, 3),
    "GREENNESS": ("int16", -32768, 8000),
}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    products = []
    for layer, (kind, nodata, high) in LAYERS.items():
        count = 4 if layer == "S2" else 1
        path = tmp_path / f"utm/33UUU/{layer}_E2017_x_33UUU.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(0).integers(1, high, (count, 120, 200)).astype(kind)
        values[:, :20] = nodata
        profile = {"driver": "GTiff", "count": count, "dtype": kind, "height": 120, "width": 200}
        profile |= {"crs": "EPSG:32633", "transform": from_origin(330000, 5822040, 10, 10)}
        with rasterio.open(path, "w", **profile, nodata=nodata) as target:
            target.write(values)
        products.append(
            {
                "layer": layer,
                "tile": "33UUU",
                "grid": "utm",
                "path": str(path.relative_to(tmp_path)),
            }
        )
    products.append({"layer": "BUFRAC", "tile": "33UVU", "grid": "utm", "path": "gone.tif"})
    run = {
        "job": "x", "name": "<b>x</b>", "epoch": 2017, "exit_code": 3, "products": products,
        "seconds": 12.3, "computed": 6, "counts": {"blocks": 1234},
        "losses": [{"stage": "assembly", "tile": "33UUU", "reason": "<script>alert(1)</script>",
                    "window": {"row": 1, "col": 2, "height": 3, "width": 4}}],
        "tiles": [{"tile": "33UUU", "zone": "33U", "model": {"file": "m.h5", "demonstration": True},
                   "scenes": [{"id": "S2A_X", "cloud_cover": 1.5, "clear": 0.6, "used": 0.25}]}],
        "masks": {"method": "csmask", "network": "1", "cloud_m": 60.0, "shadow_m": 30.0},
        "observations": {"pixels_of_area": 9, "clear": 0.729, "bright": 0.0, "masked": 0.0001,
                         "none": 0.2709},
        "stages": {"inference": {"seconds": 8.5, "blocks": 12}, "read": {}},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_report_stands_alone_and_escapes(output: Path) -> None:
    path = Path(write_report(str(output)))
    assert path == output / "report" / "index.html"
    text = path.read_text()
    assert text.count("data:image/png;base64,") == len(LAYERS)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(src|href)=[\"'](?!data:)", text)
    assert text.index("What was lost") < text.index("<h2>Layers")
    shares = "72.9 % has clear observations, 0 % is a bright target, less than 0.1 % has masked"
    mask = "27.1 % has no data: masked, or never seen"
    method = "Masks: <code>csmask</code>; clouds grow by 60 m, cloud shadows by 30 m."
    assert all(legend in text for legend in ("bright target</li>", "masked observations only</li>"))
    for said in (
        "demonstration",
        "S2A_X",
        "1,234",
        "gone.tif",
        "Finished with losses",
        shares,
        mask,
        method,
    ):
        assert said in text.replace("\N{NO-BREAK SPACE}", " ")
    write_report(str(output))
    assert path.read_text() == text


@pytest.mark.parametrize(
    "run", [{}, {"exit_code": 0}, {"tiles": [{}], "losses": [{}], "stages": {"a": {}}}]
)
def test_missing_keys_are_tolerated(run: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert Path(write_report(str(tmp_path))).is_file()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "Whole: every product was made."),
        (1, "Failed, exit code 1."),
        (3, "Finished with losses: 1 listed below."),
        (None, "Not finished when this report was written."),
    ],
)
def test_the_state_is_that_of_the_exit_code(
    code: int | None, said: str, output: Path, tmp_path: Path
) -> None:
    run = json.loads((output / "run.json").read_text()) | {"exit_code": code}
    text = Path(write_report(str(tmp_path), run)).read_text()
    state = re.search(r'<p class="state [^>]*>(.*?)</p>', text, re.DOTALL)
    assert state is not None
    assert state[1].strip() == said
    assert "What was lost" in text


def test_why_a_run_failed_is_shown(tmp_path: Path) -> None:
    run = {"exit_code": 1, "error": "StrictError: strict: <stopped>"}
    text = Path(write_report(str(tmp_path), run)).read_text()
    assert "StrictError: strict: &lt;stopped&gt;" in text


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_no_record(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(RequestError, match=r"run\.json"):
        write_report(str(tmp_path))


def test_quicklook_is_small_and_transparent_where_nodata(output: Path, tmp_path: Path) -> None:
    png, legend = quicklook(f"{output}/utm/33UUU/BUFRAC_E2017_x_33UUU.tif", "BUFRAC")
    assert png.startswith(b"\x89PNG")
    assert legend[0] == ("0 %", "#ffffff")
    assert legend[-1][0] == "100 %"
    (tmp_path / "look.png").write_bytes(png)
    with rasterio.open(tmp_path / "look.png") as source:
        alpha = source.read(4)
        assert source.shape == (100, 200)  # without the 20 rows that hold no data at all
    assert (alpha == 255).all()


def test_quicklook_shows_the_part_with_data_and_its_gaps(tmp_path: Path) -> None:
    values = np.full((3000, 2500), 255, "uint8")
    values[1200:1500, 700:1100] = 40
    values[1300:1320, 800:840] = 255
    path = tmp_path / "layer.tif"
    profile = {"driver": "GTiff", "height": 3000, "width": 2500, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", nodata=255, **profile) as target:
        target.write(values, 1)
    (tmp_path / "look.png").write_bytes(quicklook(str(path), "BUFRAC")[0])
    with rasterio.open(tmp_path / "look.png") as source:
        alpha = source.read(4)
    step = 4  # 3000 px in 900
    assert 300 <= alpha.shape[0] <= 300 + 2 * step
    assert 400 <= alpha.shape[1] <= 400 + 2 * step
    assert (alpha == 255).sum() == 300 * 400 - 20 * 40


def layer_file(path: Path, values: np.ndarray, nodata: float, crs: str, pixel: float) -> str:
    """A raster whose upper left corner is 12 E 52 N, or 900 km east and 6200 km north."""
    corner = (12.0, 52.0) if crs == "EPSG:4326" else (900_000.0, 6_200_000.0)
    profile = {"driver": "GTiff", "count": 1, "dtype": values.dtype.name, "nodata": nodata}
    profile |= {"height": values.shape[0], "width": values.shape[1], "crs": crs}
    with rasterio.open(
        path, "w", **profile, transform=from_origin(*corner, pixel, pixel), tiled=True
    ) as target:
        target.write(values, 1)
    return str(path)


def pixels_of(png: bytes, path: Path) -> np.ndarray:
    path.write_bytes(png)
    with rasterio.open(path) as source:
        return source.read()


@pytest.mark.parametrize(
    ("crs", "pixel", "cell"),
    [
        ("ESRI:54009", 100, 10_000),
        ("EPSG:4326", 3 / 3600, 5311),  # 57.25 m along the parallel of 51.99 N, 92.7 m across
        ("EPSG:4326", 30 / 3600, 531_900),
    ],
)
def test_built_up_is_shown_in_m2_of_a_cell(
    crs: str, pixel: float, cell: float, tmp_path: Path
) -> None:
    values = np.zeros((10, 10), "uint32")
    values[3, 3] = 0.95 * cell
    path = layer_file(tmp_path / "x.tif", values, 4294967295, crs, pixel)
    legend = quicklook(path, "BUILT_S")[1]
    marks = [float(label.removesuffix(" m²")) for label, _ in legend]
    assert marks[0] == 0
    assert marks[-1] == pytest.approx(cell, rel=0.01)
    values[3, 3] = 700
    path = layer_file(tmp_path / "y.tif", values, 4294967295, crs, pixel)
    assert quicklook(path, "BUILT_S")[1][-1][0] == "800 m²"  # as far as there is built-up


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (0, ["0", "1"]),
        (1, ["0", "1"]),
        (2, ["0", "1", "2"]),
        (3, ["0", "1", "2", "3"]),
        (4, ["0", "1", "2", "3", "4"]),
        (9, ["0", "2", "5", "7", "9"]),
        (1000, ["0", "250", "500", "750", "1000"]),
    ],
)
@pytest.mark.parametrize("side", [10, 2000])
def test_counts_are_whole_numbers(most: int, marks: list[str], side: int, tmp_path: Path) -> None:
    values = np.zeros((side, side), "uint16")
    values[: side // 2] = most
    path = layer_file(tmp_path / "x.tif", values, 65535, "ESRI:54009", 10)
    legend = quicklook(path, "S2_COUNT")[1]
    assert [label for label, _ in legend] == marks
    assert legend[0][1] == "#1d2b53"
    assert legend[-1][1] == "#e6f2d5"


def test_a_legend_lies_where_its_values_do() -> None:
    assert _marks(0, 3, whole=True) == [(0, 0), (1, 1 / 3), (2, 2 / 3), (3, 1)]
    assert _marks(0, 2, whole=False) == [(0, 0), (0.5, 0.25), (1, 0.5), (1.5, 0.75), (2, 1)]


def test_a_lone_cell_is_seen_in_a_large_picture(tmp_path: Path) -> None:
    values = np.zeros((3000, 3000), "uint16")
    values[1234, 2345] = 300
    values[0] = 65535
    path = layer_file(tmp_path / "x.tif", values, 65535, "ESRI:54009", 100)
    shown = pixels_of(quicklook(path, "BUILT_S")[0], tmp_path / "x.png")
    assert max(shown.shape) <= 900
    coloured = (shown[3] == 255) & (shown[:3] != 255).any(axis=0)
    assert coloured.sum() == 1


@pytest.mark.parametrize("layer", ["BUILT_S", "GREENNESS", "RES_NRES"])
def test_every_cell_of_a_small_area_on_a_large_tile_is_shown(layer: str, tmp_path: Path) -> None:
    nodata, kind = (-32768, "int16") if layer == "GREENNESS" else (255, "uint8")
    values = np.full((4000, 4000), nodata, kind)
    values[2001:2006, 777:784] = 1
    values[2003, 780] = nodata
    path = layer_file(tmp_path / "x.tif", values, nodata, "ESRI:54009", 100)
    shown = pixels_of(quicklook(path, layer)[0], tmp_path / "x.png")
    assert (shown[3] == 255).sum() == 34
    assert max(shown.shape) <= 20


def test_pixels_of_pictures() -> None:
    classes = Layer.RES_NRES.spec.picture.classes
    shown = categories(np.ma.masked_equal(np.array([[0, 1, 2, 255]], "uint8"), 255), classes)
    assert shown[3].tolist() == [[255, 255, 255, 0]]
    empty = in_colour(np.ma.masked_all((3, 4, 5), "uint16"))
    assert not empty.any()


def test_how_far_a_launch_came_that_did_not_end(tmp_path: Path) -> None:
    assert last_events(str(tmp_path)) == {}
    for name in ("earlier", "last"):
        with events_folder(tmp_path / "work" / "events"):
            emit(happened(name, "done"))
    reporter = JobReporter(str(tmp_path / "work"), launch="last")
    for _ in range(2):
        reporter.add(Event(1.0, "inference", "done", seconds=0.5))
    reporter.write_sums()
    there = {"inference": {"blocks": 2, "seconds": 1.0}}
    assert last_events(str(tmp_path)) == {"last": {"blocks": 1, "seconds": 0}} | there
