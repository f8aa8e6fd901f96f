"""Makes the road lines for the cleaning from a file of OpenStreetMap or Overture."""

from __future__ import annotations

import math
import os
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.tools.roads.classes import chosen_classes
from ghsl_beam.tools.roads.lines import Batch, road_lines
from ghsl_beam.tools.roads.output import Roads, write_roads
from ghsl_beam.tools.roads.schema import Origin
from ghsl_beam.tools.roads.tags import LeftOut, Stretch
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage

CREDITS = {
    Origin.OSM: "© OpenStreetMap contributors, available under the Open Database License (ODbL)",
    Origin.OVERTURE: (
        "© OpenStreetMap contributors, Overture Maps Foundation, available under the Open "
        "Database License (ODbL)"
    ),
}
"""The credit that everyone who passes the lines on must give with them."""
_MARGIN = 500.0
"""Margin around the area in metres: a street reaches 100 m, and a job reads beyond its area."""
_METRES = 111_195.0
"""Length of a degree on a sphere."""
_MOST_NAMES, _SHOWN = 10_000, 10


@dataclass
class Summary:
    """Counts of the lines of a file: written, left out, and why."""

    read: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def written(self) -> int:
        """Number of roads in the new file."""
        return self.classes.total()

    def as_json(self, origin: Origin) -> dict[str, Any]:
        """The summary for printing; the most frequent values come first."""
        return {
            "lines_read": self.read,
            "roads_written": self.written,
            "by_class": dict(self.classes.most_common()),
            "by_source_of_width": dict(self.sources.most_common()),
            "left_out": dict(self.left_out.most_common()),
            "unknown_classes": dict(self.unknown.most_common(_SHOWN)),
            "stated_but_not_taken": dict(self.ignored.most_common()),
            "credit": CREDITS[origin],
        }


def make_roads(
    file: str,
    out: str,
    classes: str = "roads",
    aoi: str | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a GeoPackage of road lines with a width; return a summary.

    Args:
        file: location of lines of OpenStreetMap or Overture, see `road_lines`.
        out: location of the GeoPackage.
        classes: names of classes and groups of classes, with commas between them.
        aoi: an area, as in a job; lines more than half a kilometre outside the boxes of its parts
            are left out. None keeps all lines.
        overwrite: whether an existing file may be replaced.

    Returns:
        The numbers of lines that were read, written (by class and by source of the width) and left
        out (by reason), and the credit that the data requires.

    Raises:
        RequestError: the file cannot be read or has no requested road, or another argument is
            wrong; nothing is written.
        StorageError: the GeoPackage cannot be written.
    """
    asked = chosen_classes(classes)
    near = None if aoi is None else _boxes(aoi)
    _check_out(file, out, overwrite)
    lines = road_lines(file)
    summary = Summary()
    roads = (_roads(batch, asked, near, summary) for batch in lines.batches)
    with closing(lines.batches), storage.published(out) as partial:
        write_roads(partial, out, roads, CREDITS[lines.origin])
        if not summary.written:
            raise RequestError(
                f"{storage.masked(file)}: has no road of the requested classes and area: "
                f"{_in_words(summary)}; choose others with --classes, or another --aoi"
            )
    return summary.as_json(lines.origin)


def _check_out(file: str, out: str, overwrite: bool) -> None:
    where = storage.masked(out)
    if not out.lower().endswith(".gpkg"):
        raise RequestError(f"--out {where}: expected the name of a GeoPackage (.gpkg)")
    source = file.partition("|")[0]
    if not storage.is_url(out):
        if os.path.exists(out) and not os.path.isfile(out):
            raise RequestError(f"--out {where}: is not a file, expected the name of a file")
        if os.path.exists(source) and os.path.exists(out) and os.path.samefile(source, out):
            raise RequestError(f"--out {where}: is the input file; give another name")
    try:
        if not overwrite and storage.is_file(out):
            raise RequestError(f"--out {where}: exists; give another name, or add --overwrite")
    except StorageError as error:
        raise request_error(f"--out {error}", error) from error


def _boxes(aoi: str) -> Any:
    """The boxes of the parts of an area, with a margin, as one prepared geometry."""
    west, south, east, north = shapely.bounds(
        shapely.get_parts(read_area(aoi, Path.cwd()).geometry)
    ).T
    up = _MARGIN / _METRES
    # Near a pole, the margin in degrees is that of a place just beside the pole.
    wide = up / np.maximum(np.cos(np.radians(np.maximum(abs(south), abs(north)))), 0.01)
    boxes = shapely.union_all(shapely.box(west - wide, south - up, east + wide, north + up))
    shapely.prepare(boxes)
    return boxes


def _roads(batch: Batch, asked: frozenset[str], near: Any, summary: Summary) -> Roads:
    """The roads on the lines of a batch; the summary counts them, and lines that are left out."""
    summary.read += len(batch.lines)
    inside = np.full(len(batch.lines), True) if near is None else _meets(near, batch.lines)
    found: list[tuple[Any, Stretch]] = []
    for line, meets, read in zip(batch.lines, inside, batch.readers, strict=True):
        if line is not None and not meets:
            summary.left_out[LeftOut.OUTSIDE] += 1
            continue
        reading = read(asked)
        for why in reading.left_out:
            summary.left_out[why] += 1
        if reading.unclear:
            summary.ignored["not understood"] += 1
        if reading.named is not None and len(summary.unknown) < _MOST_NAMES:
            summary.unknown[reading.named] += 1
        for road in reading.roads:
            parts = _parts(line, road)
            if not parts:
                summary.left_out[LeftOut.NO_LINE] += 1
                continue
            summary.classes[road.road.name] += 1
            summary.sources[road.width.source] += 1
            if road.width.ignored is not None:
                summary.ignored[road.width.ignored] += 1
            found += ((part, road) for part in parts)
    return Roads(
        [part for part, _ in found],
        [road.width.metres for _, road in found],
        [road.road.name for _, road in found],
        [str(road.width.source) for _, road in found],
    )


def _meets(near: Any, lines: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(shapely.intersects(near, lines), bool)


def _parts(line: Any, road: Stretch) -> list[Any]:
    """The single lines of a road; if it is a stretch of a line, it is cut out."""
    if line is None:
        return []
    if (road.start, road.end) == (0.0, 1.0):
        return [line] if line.geom_type == "LineString" else list(line.geoms)
    whole = line if line.geom_type == "LineString" else shapely.line_merge(line)
    return [cut(whole, road.start, road.end)] if whole.geom_type == "LineString" else []


def cut(line: Any, start: float, end: float) -> Any:
    """Cut a stretch out of a line in degrees, between two shares of its length on the ground.

    Args:
        line: shapely LineString, longitude and latitude.
        start: share of its length, 0 to 1.
        end: a larger share.
    """
    points = shapely.get_coordinates(line)
    steps = np.diff(points, axis=0)
    middle = np.radians((points[1:, 1] + points[:-1, 1]) / 2)
    lengths = np.hypot(steps[:, 0] * np.cos(middle), steps[:, 1])
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    along /= along[-1] if along[-1] > 0 else math.nan
    between = (along > start) & (along < end)
    ends = [[np.interp(share, along, points[:, axis]) for axis in (0, 1)] for share in (start, end)]
    return shapely.linestrings(np.vstack([ends[0], points[between], ends[1]]))


def _in_words(summary: Summary) -> str:
    why = ", ".join(f"{number} {reason}" for reason, number in summary.left_out.most_common())
    return f"of {summary.read} lines, {why}" if why else f"{summary.read} lines"
