"""Synthetic archives in Sentinel-2's layout, and jobs over them, for the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ghsl_beam.area.mgrs_tiles import MgrsTile  # noqa: E402
from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile  # noqa: E402
from tests.support.archive import Product, write_product  # noqa: E402
from tests.support.jobs import lonlat_box, write_job  # noqa: E402
from tests.support.scenes import town  # noqa: E402
from transforms.aggregation.grid import ghsl_mollweide  # noqa: E402

_NORTH = ("VV", "r08_c01"), ("WV", "r08_c02"), ("XV", "r08_c03"), ("VU", "r09_c01")
_MIDDLE = ("XU", "r09_c04"), ("VT", "r10_c02"), ("WT", "r10_c03"), ("XT", "r10_c04")
_SOUTH = ("US", "r01_c01"), ("VS", "r01_c02"), ("WS", "r01_c03"), ("XS", "r01_c04")
_LAST = ("UR", "r02_c01"), ("VR", "r02_c02"), ("WR", "r02_c03"), ("XR", "r02_c04")
PLACES = {f"33U{square}": f"R3_C20_{cell}" for square, cell in (*_NORTH, *_MIDDLE)}
PLACES |= {f"33U{square}": f"R4_C20_{cell}" for square, cell in (*_SOUTH, *_LAST)}
"""Sixteen tiles of one grid zone, that of the demonstration model. Each has the output cell of the
Mollweide grid in whose middle its crop is, so all need the same work. The first eight are in one
R/C tile, the others in another."""


def synthetic_job(
    folder: Path,
    tiles: int,
    side: int,
    data_rows: int | None = None,
    scenes: int = 1,
    **keys: Any,
) -> Path:
    """Write an archive with a crop of `side` x `side` px of each of a number of tiles.

    Of every 1024 rows, the rows from `data_rows` on have no data. `keys` are further keys of the
    job. Returns the job file.
    """
    dn = town(side, side)
    if data_rows is not None:
        dn[:, np.arange(side) % 1024 >= data_rows] = 0
    parts = []
    for name, cell in list(PLACES.items())[:tiles]:
        place = mgrs_tile(name)
        ulx, uly = _corner(place, cell, side)
        for scene in range(scenes):
            later = np.where(dn > 0, dn + 10 * scene, 0).astype("uint16")
            day = date(2020, 6, 2 + 5 * scene)
            write_product(folder / "archive", Product(name, place.epsg, ulx, uly, later, day))
        box = lonlat_box(place.epsg, ulx, uly - 10 * side, ulx + 10 * side, uly)
        parts.append(box.removeprefix("POLYGON "))
    grids = [{"crs": "ESRI:54009", "resolutions": [10, 100, 1000]}]
    area = f"MULTIPOLYGON ({', '.join(parts)})"
    return write_job(folder, area, folder / "archive", **{"grids": grids, **keys})


def _corner(tile: MgrsTile, cell: str, side: int) -> tuple[int, int]:
    """Upper left corner of a crop in the middle of an output cell, on the pixels of the tile."""
    grid = ghsl_mollweide()
    middle = grid.cell_geobox(grid.parse_cell(cell), grid.levels[0]).extent.centroid
    x, y = middle.to_crs(f"EPSG:{tile.epsg}").points[0]
    half = side // 2
    col, row = (round(place) - half for place in tile.grid.wld2pix(x, y))
    return tile.grid.pix2wld(col, row)


@dataclass(frozen=True)
class Outcome:
    """Result of a command: seconds, the largest sum of its processes' resident memory, output."""

    seconds: float
    peak_bytes: int
    output: str


def ghsl_beam(*arguments: Any, environment: dict[str, str] | None = None) -> Outcome:
    """Run the command line in a new process."""
    return measured("-m", "ghsl_beam", *arguments, environment=environment)


def measured(*arguments: Any, environment: dict[str, str] | None = None) -> Outcome:
    """Run Python in a new process; read its memory ten times a second."""
    command = [sys.executable, *map(str, arguments)]
    start, peak = time.perf_counter(), 0
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as running:
        process = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(0.1)
        output = running.communicate()[0]
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    return Outcome(time.perf_counter() - start, peak, output)


def _resident(process: psutil.Process) -> int:
    """Bytes of a process and its descendants; a process that has just ended counts as 0."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def machine() -> str:
    """The machine, in words."""
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB"
