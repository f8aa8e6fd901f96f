"""Writes a commented job file for an area; its blocks come from the templates and the schema."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

import shapely
import yaml
from pydantic import BaseModel
from pyproj import Transformer

from ghsl_beam.area.area_of_interest import Area, read_area
from ghsl_beam.area.mgrs_tiles import MgrsTile, tile, tiles_of
from ghsl_beam.jobfile.configuration import Job, load_job
from ghsl_beam.jobfile.sections import STARTER_MINIMUM
from transforms.elements import RequestError
from transforms.storage import storage

_TILE = re.compile(r"[Tt]?\d{1,2}[C-HJ-NP-Xc-hj-np-x][A-Za-z]{2}")
_OPTIONAL = ("masks", "scenes", "composite", "cleaning", "residential", "greenness", "grids")
_COMMANDS = {
    "doctor": "checks this machine for it",
    "scenes": "lists the scenes",
    "plan": "shows tiles, bytes and time, and writes nothing",
    "run": "makes the layers",
}
_WIDTH = 98
_TROPIC = 23.5


class Catalogue(StrEnum):
    """The places of the scenes for which there is a template."""

    COPERNICUS = "copernicus"
    CREODIAS = "creodias"
    EARTH_SEARCH = "earth-search"
    GOOGLE = "google"
    ARCHIVE = "archive"


def new_job(
    target: Path,
    area: str,
    catalogue: Catalogue,
    *,
    name: str | None = None,
    period: str | None = None,
    archive: str | None = None,
    today: date,
) -> Job:
    """Write a job file that is complete and valid.

    Args:
        target: the file to write; it must not exist.
        area: west,south,east,north in degrees, a vector file, WKT, or an MGRS tile such as 33UUU.
        catalogue: where the scenes come from.
        name: name of the job; by default that of the file.
        period: days of acquisition; by default the last growing season.
        archive: the folder or URL of the products, for `Catalogue.ARCHIVE`.
        today: the day from which the default period counts.

    Returns:
        The job, as a run would read it.

    Raises:
        RequestError: the file exists, or a value is wrong; nothing was written.
    """
    if target.exists():
        raise RequestError(f"{target}: exists; name another file, or remove this one first")
    if not target.parent.is_dir():
        raise RequestError(f"{target.parent}: no such folder; make it first")
    if (catalogue is Catalogue.ARCHIVE) != (archive is not None):
        raise RequestError(
            "--catalogue archive and --archive need each other: give --archive /path/of/products"
        )
    shown = shlex.quote(str(target))
    text, place = _area_lines(area, target.parent)
    name = name or _name_of(target)
    source = (files("ghsl_beam.jobfile") / "templates" / f"{catalogue}.yaml").read_text("utf-8")
    lines = [
        "# A job of ghsl-beam. `ghsl-beam schema` prints all keys; docs/ describes them.",
        *(f"#   ghsl-beam {command:6} {shown}   {does}" for command, does in _COMMANDS.items()),
        "",
        "# A part of file names: letters, digits and -.",
        f"name: {_yaml(name)}",
        "",
        *text,
        "",
        "# First and last day; also 2024, 2024-Q3, 2024-06, last_month and others.",
        f"period: {period or season(place, today)}",
        "",
        *_input(source, archive),
        "",
        *_models(target, place),
        "",
        "# Folder or URL of the layers; a relative one is beside this file.",
        f"output: {_yaml(f'output/{name}')}",
        "",
        "# What follows are the defaults. To change one, remove the # before it and its section.",
        *optional_lines(),
    ]
    content = "\n".join(line.rstrip() for line in lines) + "\n"
    beside = target.with_name(f".{target.name}.new")
    try:
        beside.write_text(content, encoding="utf-8")
        try:
            job = load_job(beside, today=today)
        except RequestError as error:
            reason = str(error).removeprefix(f"{beside}: ")
            raise RequestError(f"{target}: not written: {reason}") from error
        beside.replace(target)
    except OSError as error:
        raise RequestError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return job


def season(area: Area, today: date) -> str:
    """The last months with leaves that are over; in the tropics, the last year."""
    _, south, _, north = area.bounds
    middle = (south + north) / 2
    if abs(middle) < _TROPIC:
        return str(today.year - 1)
    if middle > 0:
        year = today.year if today > date(today.year, 9, 30) else today.year - 1
        return f"{year}-05-01/{year}-09-30"
    year = today.year if today > date(today.year, 3, 31) else today.year - 1
    return f"{year - 1}-11-01/{year}-03-31"


def _name_of(target: Path) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", target.stem).strip("-")[:41] or "job"


def _area_lines(area: str, folder: Path) -> tuple[list[str], Area]:
    """The section `area` with its comments, and the area itself."""
    if _TILE.fullmatch(area.strip()):
        square = tile(area)
        polygon = _outline(square)
        wkt = shapely.to_wkt(polygon, rounding_precision=6)
        head = f"# The MGRS tile {square.id}, 109.8 x 109.8 km; longitude and latitude in degrees."
        return [head, "area:", f"  wkt: {json.dumps(wkt)}"], read_area(wkt, folder)
    place = read_area(area, Path.cwd())
    numbers = area.replace(",", " ").split()
    head = "# Or file: area.gpkg (polygons), or bbox: [west, south, east, north] in degrees."
    if len(numbers) == 4 and not re.match(r"\s*[A-Za-z]", area):
        box = ", ".join(f"{float(number):.10g}" for number in numbers)
        return [
            "# Or file: area.gpkg (GeoPackage, GeoJSON, Shapefile, WKT), or wkt: POLYGON ((...)).",
            "area:",
            f"  bbox: [{box}]   # west, south, east, north, degrees",
        ], place
    if re.match(r"\s*(SRID=\d+;)?\s*(MULTI)?POLYGON\b", area, re.I):
        return [head, "area:", f"  wkt: {json.dumps(area)}"], place
    location = area if storage.is_url(area) else storage.absolute(area, Path.cwd())
    with_relative = _relative(location, folder)
    shown = json.dumps(with_relative, ensure_ascii=False)
    return [head.replace("file: area.gpkg (polygons)", "wkt"), "area:", f"  file: {shown}"], place


def _relative(location: str, folder: Path) -> str:
    """A path from the folder of the job file, if it is below; otherwise as it is."""
    try:
        return str(Path(location).relative_to(folder.resolve()))
    except ValueError:
        return location


def _outline(square: MgrsTile) -> shapely.Polygon:
    """The ground of a tile in degrees; its edges have points, because they are curved."""
    to_lonlat = Transformer.from_crs(square.epsg, 4326, always_xy=True)
    edges = shapely.segmentize(square.footprint, 20_000)
    return shapely.transform(edges, to_lonlat.transform, interleaved=False)


def _input(template: str, archive: str | None) -> list[str]:
    """The section `input` of a template, with the comments above it."""
    lines = template.splitlines()
    first = lines.index("input:")
    start = first
    while lines[start - 1].startswith("#"):
        start -= 1
    end = next(
        (n for n in range(first + 1, len(lines)) if not lines[n].startswith(" ")), len(lines)
    )
    block = lines[start:end]
    if archive is None:
        return block
    place = archive if storage.is_url(archive) else str(Path(archive).absolute())
    return [
        f"  archive: {json.dumps(place, ensure_ascii=False)}"
        if line.startswith("  archive:")
        else line
        for line in block
    ]


def _models(target: Path, place: Area) -> list[str]:
    zones = sorted({one.zone for one in tiles_of(place)})
    text = (
        "The starter models of this program: a network and a classifier that know few landscapes "
        "(docs/starter-models.md). The JRC publishes networks by grid zone; this area may need "
        f"{', '.join(zones)}. To use them, download them with `ghsl-beam models fetch "
        f"{shlex.quote(str(target))}`, make a classifier with `ghsl-beam train residential`, and "
        "write in place of this section:"
    )
    return [
        *_comment(text),
        "#   models: {folder: cnn_models}",
        "#   residential: {model: own.skops}",
        "models:",
        "  starter: true",
    ]


def optional_lines() -> Iterator[str]:
    """The other keys as comments, with their defaults; without the first `# ` they are YAML."""
    for key in (*_OPTIONAL, "block_size", "tiles", "strict"):
        field = Job.model_fields[key]
        value = field.get_default(call_default_factory=False)
        yield "#"
        if isinstance(value, BaseModel):
            yield from _comment(type(value).__doc__ or "", "# # ")
            yield f"# {key}:"
            yield from _fields(value, "  ")
        elif key == "grids":
            yield from _comment("The output grids.", "# # ")
            yield "# grids:"
            for part in value:
                inner = list(_fields(part, "    "))
                yield from inner[:1]
                yield "#   - " + inner[1].removeprefix("#     ")
                yield from inner[2:]
        else:
            yield from _comment(field.description or "", "# # ")
            yield f"# {key}: {_yaml(value)}"


def _fields(section: BaseModel, indent: str) -> Iterator[str]:
    for key, field in type(section).model_fields.items():
        value = STARTER_MINIMUM if _is_starter(section, key) else getattr(section, key)
        yield from _comment(field.description or "", f"# {indent}# ")
        yield f"# {indent}{key}: {_yaml(value)}"


def _is_starter(section: BaseModel, key: str) -> bool:
    return type(section).__name__ == "Cleaning" and key == "minimum"


def _comment(text: str, begin: str = "# ") -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), _WIDTH - len(begin), break_on_hyphens=False):
        yield f"{begin}{line}"


def _yaml(value: Any) -> str:
    plain = json.loads(json.dumps(value))
    return (
        str(yaml.safe_dump(plain, default_flow_style=True, width=10_000)).split("\n...")[0].strip()
    )
