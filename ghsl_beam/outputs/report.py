"""The report of a run: one HTML page that needs no other file."""

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
from pyproj import Geod
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from ghsl_beam.outputs.run_record import stages_of
from ghsl_beam.outputs.scene_rows import MAX_ROWS, scene_rows
from ghsl_beam.outputs.stored_record import MAX_RECORD_BYTES, stored_record
from ghsl_beam.planning.products import check_inside, read_product, recorded_location
from transforms.elements import LAYERS, LayerSpec, RasterError, RequestError
from transforms.observe.events import Event, read_events
from transforms.storage import storage
from transforms.work.job_reporter import SUMS, JobReporter

__all__ = ["MAX_RECORD_BYTES", "last_events", "quicklook", "write_report"]

MAX_PIXELS = 900
MAX_PICTURES = 6
"""Largest number of pictures of one layer, so that a continent's report stays readable."""
_ORDER = {layer: place for place, layer in enumerate(LAYERS)}
_MAX_SECTIONS = 60
"""Largest number of layers of all grids; a job has about ten on a grid."""
_MAX_ROWS = 2000
"""Largest number of rows in a table of the page; run.json has the rest."""
_MAX_SOURCE = 1 << 28
"""Largest number of pixels of a layer without overviews that is read for a picture."""
_DETAIL = 4
"""Approximate number of pixels of a layer, or of its overview, along a pixel of a picture."""
_SMALL = 200
"""A picture that is less wide, in pixels, is shown with its pixels as squares."""
_UNKNOWN = LayerSpec("", title="", values="", line="", stage="")
"""A layer that a record names but no run makes."""


def write_report(output: str, record: Mapping[str, Any] | None = None) -> str:
    """Write `report/index.html` from the record and the layers of a run; return its location.

    Keys that the record lacks are left out. A layer that cannot be read gets a line instead of its
    picture.

    Args:
        output: the run's folder, a location.
        record: the content of the new `run.json`; None reads the stored one.

    A stored record may come from anybody: the files that it names must be inside the output.

    Raises:
        RequestError: there is no record of a run, or it cannot be read or shown.
        RasterError: a link leads from `report` out of the output.
    """
    path = storage.join(output, "report", "index.html")
    if record is None:
        check_inside(output, path)
    run = stored_record(output) if record is None else record
    environment = Environment(
        loader=PackageLoader("ghsl_beam.outputs"), autoescape=True, undefined=ChainableUndefined
    )
    environment.filters["share"] = _share
    stages = run.get("stages") or {}
    if not run.get("ended"):
        stages = last_events(output)
    longest = max((float(s.get("seconds") or 0) for s in stages.values()), default=0) or 1.0
    page = environment.get_template("report.html").render(
        run=run,
        tiles=run.get("tiles") or [],
        classifier=run.get("classifier") or {},
        scenes=scene_rows(run.get("tiles") or [], run.get("scenes_left_out") or []),
        scenes_shown=MAX_ROWS,
        losses=run.get("losses") or [],
        stages=[
            (name, stage, 100 * float(stage.get("seconds") or 0) / longest)
            for name, stage in sorted(stages.items())
        ],
        layers=_layers(output, run.get("products") or [], bool(run.get("calibration"))),
        configuration=_configuration(run),
        rows=_MAX_ROWS,
        counts=run.get("counts") or {},
        versions=run.get("versions") or {},
        machine=run.get("machine") or {},
    )
    storage.write_whole(path, page.encode(errors="backslashreplace"))
    return path


def _share(value: Any) -> str:
    """A share in percent; only what is exactly 0 is `0 %`."""
    percent = 100 * float(value or 0)
    text = "less than 0.1" if 0 < percent < 0.05 else "0" if percent == 0 else f"{percent:.1f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def _configuration(run: Mapping[str, Any]) -> str:
    try:
        return json.dumps(run.get("configuration") or {}, indent=2, sort_keys=True)
    except RecursionError as error:
        raise RequestError("run.json: configuration is nested too deeply to show") from error


def last_events(output: str) -> dict[str, dict[str, float]]:
    """The progress of the last launch by stage; empty if it left no events."""
    reporter = JobReporter(storage.join(output, "work"))
    launches = []
    if not storage.is_url(output):
        launches = sorted(Path(reporter.folder, "events").glob("*"))
        for kind in ("events", SUMS):
            for file in Path(reporter.folder, kind).glob("*/*"):
                check_inside(output, str(file))
    events = list(reporter.last_sums())
    if launches:
        events += read_events(launches[-1])
    return stages_of(event for event in events if _is_event(event))


def _is_event(event: Event) -> bool:
    """Whether the fields of a stored event have the right types."""
    numbers, texts = (event.number, event.seconds), (event.stage, event.what)
    return all(isinstance(n, int | float) and math.isfinite(n) for n in numbers) and all(
        isinstance(text, str) for text in texts
    )


def _layers(
    output: str, products: Sequence[Mapping[str, Any]], calibrated: bool
) -> list[dict[str, Any]]:
    """Layers in the order in which they are made, with pictures of the first few files of each."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for product in products:
        key = (str(product.get("grid") or "utm"), str(product.get("layer")))
        grouped.setdefault(key, []).append(product)
    ordered = sorted(grouped, key=lambda k: (k[0] != "utm", k[0], _ORDER.get(k[1], 99), k[1]))
    sections = []
    for grid, layer in ordered[:_MAX_SECTIONS]:
        mine = sorted(grouped[grid, layer], key=lambda p: str(p.get("path")))
        pictures = [_picture(output, grid, layer, product) for product in mine[:MAX_PICTURES]]
        spec = LAYERS.get(layer)
        title = spec.described(calibrated=calibrated).title if spec else layer
        where = "UTM tiles" if grid == "utm" else f"grid {grid}"
        sections.append(
            {"layer": layer, "title": title, "where": where, "count": len(mine)}
            | {"pictures": pictures}
        )
    return sections


def _picture(output: str, grid: str, layer: str, product: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of one product on the page: its picture, or the reason why there is none."""
    tile, path = str(product.get("tile") or ""), str(product.get("path") or "")
    entry: dict[str, Any] = {"tile": tile, "path": path, "error": ""}
    try:
        png, legend = quicklook(recorded_location(output, grid, layer, tile, path), layer)
    except (RasterError, RasterioError, OSError, MemoryError) as error:
        return entry | {"error": storage.masked(str(error))}
    small = int.from_bytes(png[16:20]) < _SMALL  # the width in the header of the PNG
    return entry | {"png": base64.b64encode(png).decode(), "legend": legend, "small": small}


def quicklook(path: str, layer: str) -> tuple[bytes, list[tuple[str, str]]]:
    """A PNG of the part of a layer with data, at most 900 pixels a side, with a legend.

    A pixel of the picture shows the greatest of several means of the pixels below it, so that a
    house in a large forest is visible. For classes it shows the greatest class, and for the
    composite the mean.

    Args:
        path: location of the raster.
        layer: name of the layer.

    Returns:
        The PNG, and the legend as pairs of label and colour.

    Raises:
        RasterioError: the raster cannot be read.
        RasterError: it is too large for a picture, or is not a product by itself.
    """
    spec = LAYERS.get(layer, _UNKNOWN)
    picture = spec.picture

    def read(source: Any) -> tuple[Any, float]:
        if source.width * source.height > _MAX_SOURCE and not source.overviews(1):
            raise RasterError(f"{path}: is too large for a picture, because it has no overviews")
        if np.dtype(source.dtypes[0]).kind not in "iuf":
            raise RasterError(f"{path}: has pixels of type {source.dtypes[0]}, expected numbers")
        part = _part_with_data(source)
        shrink = max(1, math.ceil(max(part.width, part.height) / MAX_PIXELS))
        detail = 1 if picture.composed else min(shrink, _DETAIL)
        size = [max(1, math.ceil(side / shrink)) for side in (part.height, part.width)]
        bands = picture.composed or (1,)
        bands = bands if max(bands) <= source.count else (1,)
        shown = source.read(
            list(bands),
            window=part,
            out_shape=(len(bands), *(side * detail for side in size)),
            masked=True,
            resampling=Resampling.nearest if picture.classes else Resampling.average,
        )
        return _greatest(shown, detail), _largest_cell(source, part)

    values, cell = read_product(path, read)
    if len(values) == len(picture.composed):
        return _png(in_colour(values)), []
    band = values[0]
    if picture.classes:
        return _png(categories(band, picture.classes)), list(picture.classes)
    low, high = picture.lowest, _highest(spec, band, cell)
    fraction = (band.astype(np.float64) - low) / ((high - low) or 1)
    faint = (fraction > 0) & (fraction < picture.faintest)
    fraction[np.ma.filled(faint, False)] = picture.faintest
    unit = f" {spec.unit}" if spec.unit else ""
    legend = [
        (f"{_number(mark * picture.legend)}{unit}", _as_text(_ramp(at, picture.colours)))
        for mark, at in _marks(low, high, whole=picture.counts)
    ]
    return _png(_coloured(fraction, picture.colours)), legend


def _greatest(bands: np.ma.MaskedArray[Any, Any], side: int) -> np.ma.MaskedArray[Any, Any]:
    """The greatest valid value in each square of `side` pixels a side, (bands, rows, columns)."""
    count, rows, cols = bands.shape
    squares = bands.reshape(count, rows // side, side, cols // side, side)
    greatest: np.ma.MaskedArray[Any, Any] = squares.max(axis=(2, 4))
    return greatest


def _largest_cell(source: Any, part: Window) -> float:
    """Area in m² of a part's largest pixel; on a geographic grid, the one nearest the equator."""
    if source.crs is None or not source.crs.is_geographic:
        return abs(source.transform.a * source.transform.e)
    _, south, _, north = source.window_bounds(part)
    height, width = abs(source.transform.e), abs(source.transform.a)
    lowest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    south, north = min(lowest, 90.0), min(lowest + height, 90.0)
    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(
        [0, width, width, 0], [south, south, north, north]
    )
    return abs(float(area))


def _part_with_data(source: Any) -> Window:
    """The rectangle of all valid pixels, to the pixel of an overview; everything if none."""
    step = max(1, math.ceil(max(source.width, source.height) / MAX_PIXELS))
    size = (math.ceil(source.height / step), math.ceil(source.width / step))
    # An average is valid if any of its pixels is.
    coarse = source.read(1, out_shape=size, masked=True, resampling=Resampling.average)
    rows, cols = np.nonzero(~np.ma.getmaskarray(coarse))
    if rows.size == 0:
        return Window(0, 0, source.width, source.height)
    down, across = source.height / size[0], source.width / size[1]
    top, left = math.floor(rows.min() * down), math.floor(cols.min() * across)
    bottom = min(source.height, math.ceil((rows.max() + 1) * down))
    right = min(source.width, math.ceil((cols.max() + 1) * across))
    return Window(left, top, right - left, bottom - top)


def in_colour(bands: np.ma.MaskedArray[Any, Any]) -> NDArray[np.uint8]:
    """RGBA (4, rows, columns) of three bands, shown as red, green and blue.

    Each is stretched from its 2nd to its 98th percentile.
    """
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


def categories(
    band: np.ma.MaskedArray[Any, Any], classes: Sequence[tuple[str, str]]
) -> NDArray[np.uint8]:
    """RGBA of classes 0, 1, 2 and so on, each (name, colour); other values are transparent."""
    result = np.zeros((4, *band.shape), np.uint8)
    for value, (_, colour) in enumerate(classes):
        place = np.ma.filled(band == value, False)
        result[:, place] = np.array([*_rgb(colour), 255], np.uint8)[:, np.newaxis]
    return result


def _highest(spec: LayerSpec, band: np.ma.MaskedArray[Any, Any], cell: float) -> float:
    """The value at the end of a continuous layer's colour scale; `cell` is a pixel's area in m²."""
    if spec.picture.highest is not None:
        return spec.picture.highest
    most = float(band.max()) if band.count() else 0.0
    if spec.unit == "m²":
        return min(_round_up(most), cell)
    # The greatest mean of counts is not a whole number.
    return max(float(np.ceil(most)) if spec.picture.counts else most, 1)


def _marks(low: float, high: float, whole: bool) -> list[tuple[float, float]]:
    """Values of a legend, each with its place on the scale, 0 to 1; for counts, whole numbers."""
    values = [low + (high - low) * i / 4 for i in range(5)]
    if whole:
        values = sorted({float(np.floor(value + 0.5)) for value in values})
    return [(value, (value - low) / ((high - low) or 1)) for value in values]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.4g}"


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


def _as_text(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _png(rgba: NDArray[np.uint8]) -> bytes:
    profile = {"driver": "PNG", "count": 4, "dtype": "uint8"}
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture needs none
        with memory.open(**profile, height=rgba.shape[1], width=rgba.shape[2]) as target:
            target.write(rgba)
        return bytes(memory.read())
