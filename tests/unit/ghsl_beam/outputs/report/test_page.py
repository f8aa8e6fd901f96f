"""The report of a run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from ghsl_beam.outputs.report import last_events, write_report
from transforms.elements import RequestError
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
        "cover": {"area_km2": 86.16, "scenes_percent": 98.66, "data_percent": 70.5},
        "earlier_files": ["utm/33UUU/S2_20M_E2017_x_33UUU.tif"],
        "stages": {"inference": {"seconds": 8.5, "blocks": 12}, "read": {}},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_report_stands_alone_and_escapes(output: Path) -> None:
    path = Path(write_report(str(output)))
    assert path == output / "report" / "index.html"
    text = path.read_text()
    assert text.count('src="data:image/webp;base64,') == len(LAYERS)
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert text.count("<script") == 2  # the data and the program of the map
    assert "&lt;script&gt;" in markup
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", markup)
    assert not re.search(r"<[^>]*\son\w+=", markup)
    assert text.index("What was lost") < text.index("Map</h2>")
    assert "Redistribution and use in source and binary forms" in text
    shares = "72.9 % has clear observations, 0 % is a bright target, less than 0.1 % has masked"
    mask = "27.1 % has no data: masked, or never seen"
    method = "Masks: <code>csmask</code>; clouds grow by 60 m, cloud shadows by 30 m."
    assert all(legend in text for legend in ("bright target</li>", "masked observations only</li>"))
    for said in (
        "demonstration",
        "Scenes reach 98.7 % of the area of 86.2 km², and 70.5 % has data in BUFRAC.",
        "S2_20M_E2017_x_33UUU.tif",
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


def test_a_page_of_a_continent_stays_small(output: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 9000, (4, 1500, 1500)).astype("uint16")
    path = "utm/33UUU/S2_E2017_x_33UUU.tif"
    with rasterio.open(output / path) as source:
        profile = source.profile | {"height": 1500, "width": 1500}
    with rasterio.open(output / path, "w", **profile) as target:
        target.write(noise)
    long = "a reason of some length, with <markup> & more " * 20
    scenes = [{"id": long, "sensing": f"2020-01-{1 + n % 28:02}T10:00:00", "clear": 0.5,
               "reason": long if n % 3 else ""} for n in range(40)]  # fmt: skip
    total = {"area_ha": 1.0, "observed_ha": 0.5, "built_up_ha": 0.1}
    run = {
        "products": [{"layer": "S2", "tile": "33UUU", "grid": "utm", "path": path}],
        "tiles": [{"tile": f"tile {n}", "scenes": scenes} for n in range(1000)],
        "losses": [{"cause": cause, "file": long, "scene": long, "reason": f"{n} {long}"}
                   for cause in ("damaged", "storage", "") for n in range(1000)],
        "warnings": [long] * 1000, "credits": [long] * 1000,
        "totals": {"tiles": [{"name": long, **total}] * 1000},
        "configuration": {"wkt": "0 0, " * 1_000_000},
        "outline": [[[[12.0, 52.5], [12.2, 52.5], [12.2, 52.7], [12.0, 52.5]]]],
    }  # fmt: skip
    assert Path(write_report(str(output), run)).stat().st_size < 5_000_000
