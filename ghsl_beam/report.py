"""The report of a run: one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChainableUndefined, Environment, PackageLoader
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from ghsl_beam.run_record import stages_of
from transforms.elements import RasterError, RequestError, StorageError
from transforms.raster import storage
from transforms.raster.events import read_events
from transforms.raster.files import read_raster
from transforms.raster.store import WorkArea

MAX_PIXELS = 900
MAX_RECORD_BYTES = 1 << 30
MAX_PICTURES = 6
"""Pictures of one layer; a continent's report stays readable."""
_HEAT = ("#ffffff", "#fee8c8", "#fdbb84", "#ef6548", "#b30000", "#5b0000")
_GREEN = ("#8c6d46", "#e8dfb8", "#b7d78b", "#4f9a3f", "#0b4a1d")
_GREY = ("#1d2b53", "#3a6ea5", "#7fb8d8", "#e6f2d5")
_CLASSES = (("not built-up", "#f2f0ea"), ("residential", "#d1495b"), ("other use", "#33658a"))
_TITLES = {
    "S2": "Composite, true colour",
    "S2_COUNT": "Observations per pixel",
    "BUFRAC_RAW": "Built-up fraction as predicted",
    "BUFRAC": "Built-up fraction",
    "RES_NRES": "Residential and other use",
    "GREENNESS": "Greenness (NDVI) of the built-up domain",
    "BUILT_S": "Built-up area",
    "BUILT_S_NRES": "Built-up area that is not residential",
    "BUILT_C_FUN": "Function of built-up",
}
_ORDER = {layer: place for place, layer in enumerate(_TITLES)}


def write_report(output: str, record: Mapping[str, Any] | None = None) -> str:
    """Write `report/index.html` from the record and the layers of a run; return its location.

    Keys that the record lacks, and layers that cannot be read, are left out and said so.

    Args:
        output: the run's folder, a location.
        record: what `run.json` is going to say; None reads it.

    Raises:
        RequestError: there is no record of a run, or it cannot be read.
    """
    run = _record_of(output) if record is None else record
    environment = Environment(
        loader=PackageLoader("ghsl_beam"), autoescape=True, undefined=ChainableUndefined
    )
    stages = run.get("stages") or {}
    if not run.get("ended"):
        stages = last_events(output)
    longest = max((float(s.get("seconds") or 0) for s in stages.values()), default=0) or 1.0
    page = environment.get_template("report.html").render(
        run=run,
        tiles=run.get("tiles") or [],
        losses=run.get("losses") or [],
        stages=[
            (name, stage, 100 * float(stage.get("seconds") or 0) / longest)
            for name, stage in sorted(stages.items())
        ],
        layers=_layers(output, run.get("products") or []),
        configuration=json.dumps(run.get("configuration") or {}, indent=2, sort_keys=True),
        counts=run.get("counts") or {},
        versions=run.get("versions") or {},
        machine=run.get("machine") or {},
    )
    path = storage.join(output, "report", "index.html")
    storage.write_whole(path, page.encode())
    return path


def _record_of(output: str) -> dict[str, Any]:
    record = storage.join(output, "run.json")
    try:
        run = json.loads(storage.read_bytes(record, MAX_RECORD_BYTES))
    except (StorageError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"{record}: cannot be read ({reason}); is it a run's output?") from error
    if not isinstance(run, dict):
        raise RequestError(f"{record}: is not the record of a run")
    return run


def last_events(output: str) -> dict[str, dict[str, float]]:
    """How far the last launch came, by stage; empty where it left no events behind."""
    work = WorkArea(storage.join(output, "work"))
    events = list(work.last_sums())
    launches = [] if storage.is_url(output) else sorted(Path(work.folder, "events").glob("*"))
    if launches:
        events += read_events(launches[-1])
    return stages_of(events)


def _layers(output: str, products: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Layers in the order they are made, with pictures of the first few of each."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for product in products:
        key = (str(product.get("grid") or "utm"), str(product.get("layer")))
        grouped.setdefault(key, []).append(product)
    found = []
    for grid, layer in sorted(grouped, key=lambda k: (k[0] != "utm", k[0], _ORDER.get(k[1], 99))):
        mine = sorted(grouped[grid, layer], key=lambda p: str(p.get("path")))
        pictures = []
        for product in mine[:MAX_PICTURES]:
            entry: dict[str, Any] = {
                "tile": str(product.get("tile") or product.get("key") or ""),
                "error": "",
            }
            entry["path"] = str(product.get("path") or "")
            try:
                png, legend = quicklook(storage.join(output, entry["path"]), layer)
                entry |= {"png": base64.b64encode(png).decode(), "legend": legend}
            except (RasterError, RasterioError) as error:
                entry["error"] = " ".join(str(error).split())
            pictures.append(entry)
        title = _TITLES.get(layer, layer)
        where = "UTM tiles" if grid == "utm" else f"grid {grid}"
        found.append(
            {"layer": layer, "title": title, "where": where, "count": len(mine)}
            | {"pictures": pictures}
        )
    return found


def quicklook(path: str, layer: str) -> tuple[bytes, list[tuple[str, str]]]:
    """A PNG of a layer where it has data, at most 900 px a side; legend as (label, colour).

    Raises:
        RasterioError: the raster cannot be read.
    """
    classes = layer in {"RES_NRES", "BUILT_C_FUN"}

    def read(source: Any) -> tuple[Any, float]:
        part = _part_with_data(source)
        shrink = max(part.width, part.height, MAX_PIXELS) / MAX_PIXELS
        size = (max(1, round(part.height / shrink)), max(1, round(part.width / shrink)))
        shown = source.read(
            window=part,
            out_shape=(source.count, *size),
            masked=True,
            resampling=Resampling.nearest if classes else Resampling.average,
        )
        return shown, abs(source.transform.a * source.transform.e)

    values, cell = read_raster(path, read)
    if layer == "S2" and values.shape[0] >= 3:
        return _png(true_colour(values[:3])), []
    band = values[0]
    if classes:
        return _png(categories(band)), list(_CLASSES)
    low, high, unit, colours = _scale(layer, band, cell)
    fraction = (band.astype(np.float64) - low) / ((high - low) or 1)
    steps = [(f"{low + (high - low) * i / 4:g}{unit}", i / 4) for i in range(5)]
    legend = [(text, "#" + "".join(f"{c:02x}" for c in _ramp(at, colours))) for text, at in steps]
    if layer.startswith("GREENNESS"):
        legend = [(f"{(low + (high - low) * i / 4) / 1e4:g}", c[1]) for i, c in enumerate(legend)]
    return _png(_coloured(fraction, colours)), legend


def _part_with_data(source: Any) -> Window:
    """The rectangle that holds all valid pixels, to the pixel of an overview; else everything."""
    step = max(1, math.ceil(max(source.width, source.height) / MAX_PIXELS))
    size = (math.ceil(source.height / step), math.ceil(source.width / step))
    # An average is valid where any of its pixels is.
    coarse = source.read(1, out_shape=size, masked=True, resampling=Resampling.average)
    rows, cols = np.nonzero(~np.ma.getmaskarray(coarse))
    if rows.size == 0:
        return Window(0, 0, source.width, source.height)
    down, across = source.height / size[0], source.width / size[1]
    top, left = math.floor(rows.min() * down), math.floor(cols.min() * across)
    bottom = min(source.height, math.ceil((rows.max() + 1) * down))
    right = min(source.width, math.ceil((cols.max() + 1) * across))
    return Window(left, top, right - left, bottom - top)


def true_colour(bands: np.ma.MaskedArray[Any, Any]) -> NDArray[np.uint8]:
    """RGBA (4, rows, columns) of bands R G B, stretched from the 2nd to the 98th percentile."""
    hidden = np.ma.getmaskarray(bands).any(axis=0)
    result = np.zeros((4, *hidden.shape), np.uint8)
    if hidden.all():
        return result
    for index, band in enumerate(bands.data.astype(np.float64)):
        low, high = np.percentile(band[~hidden], [2, 98])
        result[index] = np.clip((band - low) / max(high - low, 1) * 255, 0, 255)
    result[:3, hidden] = 0
    result[3] = np.where(hidden, 0, 255)
    return result


def categories(band: np.ma.MaskedArray[Any, Any]) -> NDArray[np.uint8]:
    """RGBA of classes 0, 1, 2; other values and nodata are transparent."""
    result = np.zeros((4, *band.shape), np.uint8)
    for value, (_, colour) in enumerate(_CLASSES):
        place = np.ma.filled(band == value, False)
        result[:, place] = np.array([*_rgb(colour), 255], np.uint8)[:, np.newaxis]
    return result


def _scale(
    layer: str, band: np.ma.MaskedArray[Any, Any], cell: float
) -> tuple[float, float, str, tuple[str, ...]]:
    """Lowest and highest value, unit, and colours of a continuous layer."""
    if layer == "BUFRAC_RAW":
        return 0, 10000, "", _HEAT
    if layer == "BUFRAC":
        return 0, 100, " %", _HEAT
    if layer.startswith("BUILT_S"):
        return 0, cell, " m²", _HEAT
    if layer == "GREENNESS":
        return -1000, 8000, "", _GREEN
    high = float(band.max()) if band.count() else 1.0
    return 0, max(high, 1), "", _GREY


def _coloured(fraction: np.ma.MaskedArray[Any, Any], colours: tuple[str, ...]) -> NDArray[np.uint8]:
    shown = np.clip(np.ma.filled(fraction, 0), 0, 1)
    result = np.zeros((4, *shown.shape), np.uint8)
    stops = np.linspace(0, 1, len(colours))
    for index in range(3):
        result[index] = np.interp(shown, stops, [_rgb(colour)[index] for colour in colours]).round()
    result[3] = np.where(np.ma.getmaskarray(fraction), 0, 255)
    return result


def _ramp(at: float, colours: tuple[str, ...]) -> list[int]:
    stops = np.linspace(0, 1, len(colours))
    return [round(float(np.interp(at, stops, [_rgb(c)[i] for c in colours]))) for i in range(3)]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _png(rgba: NDArray[np.uint8]) -> bytes:
    profile = {"driver": "PNG", "count": 4, "dtype": "uint8"}
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture has no place
        with memory.open(**profile, height=rgba.shape[1], width=rgba.shape[2]) as target:
            target.write(rgba)
        return bytes(memory.read())
