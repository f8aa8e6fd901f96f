"""Writes the page: one HTML file with its pictures, its lines and its script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import shapely
from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup
from rasterio.errors import RasterioError

from ghsl_beam.outputs.outline import recorded_outline
from ghsl_beam.outputs.scene_rows import MAX_ROWS, scene_rows
from ghsl_beam.outputs.stored_record import stored_record
from ghsl_beam.planning.products import check_inside, read_product, recorded_location
from transforms.elements import RasterError, RequestError
from transforms.storage import storage

from .clear_counts import clear_counts
from .losses import grouped
from .map.backdrop import (
    STEPS,
    Backdrop,
    as_latlng,
    backdrop_of,
    graticule,
    in_words,
    path,
    scale_bar,
)
from .map.frame import Frame, footprint_of, frame_around
from .map.pictures import Plate, plates
from .progress import last_events
from .timeline import timeline
from .totals import headline, tables

_MAX_ROWS = 2000
"""Largest number of rows in a table of the page; run.json has the rest."""
_MAX_CONFIGURATION = 60_000
"""Largest number of characters of the configuration on the page; run.json has the rest."""
_MAX_LOOKED_AT = 500
"""Largest number of products whose place is looked up if the record has no outline."""
_TEXT = 300


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
    location = storage.join(output, "report", "index.html")
    if record is None:
        check_inside(output, location)
    run = stored_record(output) if record is None else record
    storage.write_whole(location, rendered(output, run).encode(errors="backslashreplace"))
    return location


def rendered(output: str, run: Mapping[str, Any]) -> str:
    """The page of a run, HTML."""
    stages = run.get("stages") or {}
    if not run.get("ended"):
        stages = last_events(output)
    longest = max((float(s.get("seconds") or 0) for s in stages.values()), default=0) or 1.0
    configuration = _configuration(run)
    products = run.get("products") or []
    outline = recorded_outline(run)
    frame = _frame(output, outline, products)
    layers = plates(output, products, frame, bool(run.get("calibration")))
    shown = any(plate.image for plate in layers)
    lines = backdrop_of(frame, outline) if shown else Backdrop.empty(frame)
    script = _script()
    return (
        _environment()
        .get_template("report.html")
        .render(
            run=run,
            style=Markup(_style()),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - files of this package
            script_hash=_hash(script),
            leaflet_licence=_asset("LEAFLET_LICENSE.txt"),
            map_data=_map_data(frame, lines),
            sketch=_sketch(frame, lines),
            layers=layers,
            first=_first(layers),
            tiles=run.get("tiles") or [],
            classifier=run.get("classifier") or {},
            scenes=scene_rows(run.get("tiles") or [], run.get("scenes_left_out") or []),
            scenes_shown=MAX_ROWS,
            timeline=timeline(run.get("tiles") or [], run.get("scenes_left_out") or []),
            losses=run.get("losses") or [],
            loss_groups=grouped(run.get("losses") or []),
            headline=headline(run.get("totals") or {}),
            total_tables=tables(run.get("totals") or {}),
            clear=clear_counts(output, products),
            stages=[
                (name, stage, 100 * float(stage.get("seconds") or 0) / longest)
                for name, stage in sorted(stages.items())
            ],
            configuration=configuration[:_MAX_CONFIGURATION],
            configuration_cut=len(configuration) > _MAX_CONFIGURATION,
            rows=_MAX_ROWS,
            counts=run.get("counts") or {},
            versions=run.get("versions") or {},
            machine=run.get("machine") or {},
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ghsl_beam.outputs.report"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": share, "cut": cut}
    return environment


def share(value: Any) -> str:
    """A share in percent; only what is exactly 0 is `0 %`."""
    percent = 100 * float(value or 0)
    text = "less than 0.1" if 0 < percent < 0.05 else "0" if percent == 0 else f"{percent:.1f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def cut(value: Any, most: int = _TEXT) -> str:
    """A text of the record, at most so many characters long."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _configuration(run: Mapping[str, Any]) -> str:
    try:
        return json.dumps(run.get("configuration") or {}, indent=2, sort_keys=True)
    except RecursionError as error:
        raise RequestError("run.json: configuration is nested too deeply to show") from error


def _frame(
    output: str, outline: shapely.Geometry | None, products: Sequence[Mapping[str, Any]]
) -> Frame:
    """The frame around the outline; without one around the products, and without any the world."""
    shapes: list[shapely.Geometry] = [] if outline is None else [outline]
    # A file of an output grid may reach far beyond the area.
    tiles = [product for product in products if product.get("grid") == "utm"] or products
    for product in tiles[:_MAX_LOOKED_AT] if outline is None else []:
        grid, key = str(product.get("grid") or "utm"), str(product.get("tile") or "")
        try:
            place = recorded_location(
                output, grid, str(product.get("layer")), key, str(product.get("path") or "")
            )
            crs, bounds = read_product(place, lambda s: (s.crs, tuple(s.bounds)))
        except (RasterError, RasterioError, OSError):
            continue  # `plates` says why it cannot be shown
        if crs is not None:
            shapes.append(footprint_of(crs.to_wkt(), bounds))
    boxes = [part.bounds for shape in shapes for part in shapely.get_parts(shape)]
    return frame_around(boxes)


def _first(layers: Sequence[Plate]) -> int:
    """The layer that the map shows first: built-up, if there is one."""
    shown = [number for number, plate in enumerate(layers) if plate.image]
    for name in ("BUFRAC", "BUFRAC_RAW", "BUILT_S"):
        for number in shown:
            if layers[number].layer == name:
                return number
    return shown[0] if shown else -1


def _map_data(frame: Frame, lines: Backdrop) -> Markup:
    """What the script needs, as JSON that may stand within a script element."""
    west, south, east, north = frame.degrees
    left, bottom, right, top = lines.surroundings
    data = {
        "frame": [[south, west], [north, east]],
        "surroundings": [[bottom, left], [top, right]],
        "outline": as_latlng(lines.outline),
        "land": as_latlng(lines.land),
        "coast": as_latlng(lines.coast),
        "steps": STEPS,
        "credit": "Contains modified Copernicus Sentinel data"
        + ("; coast: Natural Earth" if not lines.coast.is_empty else ""),
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 - numbers, and no "<"


def _sketch(frame: Frame, lines: Backdrop) -> dict[str, Any]:
    """Lines over the pictures that are printed: outline, coast, graticule and scale bar."""
    length, words = scale_bar(frame)
    return {
        "cols": frame.cols,
        "rows": frame.rows,
        "size": max(frame.cols, frame.rows) / 30,
        "outline": path(lines.outline, frame),
        "coast": path(shapely.clip_by_rect(lines.coast, *frame.degrees), frame),
        "graticule": [(axis, in_words(axis, at), place) for axis, at, place in graticule(frame)],
        "length": length,
        "words": words,
    }


@lru_cache(maxsize=8)
def _asset(name: str) -> str:
    return files("ghsl_beam.outputs.report").joinpath("assets", name).read_text("utf-8")


def _style() -> str:
    """The styles of Leaflet, without the pictures of controls that the page has not, and ours."""
    rules = "\n".join(line for line in _asset("leaflet.css").splitlines() if "url(" not in line)
    return f"{rules}\n{_asset('report.css')}"


def _script() -> str:
    leaflet, _, _ = _asset("leaflet.js").partition("//# sourceMappingURL=")
    return f"{leaflet}\n{_asset('map.js')}"


def _hash(script: str) -> str:
    """The source of a script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
