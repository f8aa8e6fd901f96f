"""The output grids of a job: their cells, and the fingerprints of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from types import MappingProxyType

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sections import Extent, Grid
from ghsl_beam.models.calibration import ChosenCalibration
from ghsl_beam.models.credits import CREDITS_TAG, licence_text, lines_of
from ghsl_beam.planning.grid_extent import needed_windows
from ghsl_beam.planning.mosaic import write_vrt
from ghsl_beam.planning.products import grid_pattern
from transforms import aggregation
from transforms.aggregation.aggregate import published_layers
from transforms.aggregation.capacity import MAX_CUT, MOST_REACH, reach, share_cut
from transforms.aggregation.footprint import cells_of_source
from transforms.aggregation.grid import GridLevel, OutputGrid, from_config
from transforms.aggregation.source import TileSource
from transforms.aggregation.transform import CellPlan, GridSpec
from transforms.elements import (
    GridLayer,
    Layer,
    RequestError,
    TilePlan,
    Window,
    fingerprint,
    package_version,
)
from transforms.storage import storage


@dataclass(frozen=True)
class GridPlan:
    """One output grid of a job."""

    spec: GridSpec

    @property
    def name(self) -> str:
        """The label of the grid, `54009`."""
        return self.spec.grid.label

    @property
    def cells(self) -> tuple[CellPlan, ...]:
        """The cells, in order."""
        return self.spec.cells

    def products(self) -> Iterator[tuple[GridLevel, GridLayer, str, str, tuple[str, ...]]]:
        """Each planned product: level, layer, key, fingerprint, and the cells it is made of."""
        grid = self.spec.grid
        for level in grid.levels:
            for layer in published_layers(level):
                if self.spec.by_cell(level):
                    for cell in self.cells:
                        yield level, layer, cell.key, cell.fingerprint, (cell.key,)
                else:
                    for tile, mark in self.spec.tiles:
                        inside = tuple(cell.key for cell in self.spec.cells_in(tile))
                        yield level, layer, tile, mark, inside

    def files_of(self, cells: Iterable[str]) -> int:
        """Number of R/C tile files that contain these cells (none for levels published by cell)."""
        grid = self.spec.grid
        tiles = {grid.tile_of(grid.parse_cell(cell)).key for cell in cells}
        levels = (level for level in grid.levels if not self.spec.by_cell(level))
        return len(tiles) * sum(len(published_layers(level)) for level in levels)

    def write_mosaics(self, output: str) -> None:
        """Write a VRT over the files of each level and layer, also if there is only one file."""
        for level in self.spec.grid.levels:
            keys = self._keys(level)
            for layer in published_layers(level):
                mosaic = self._mosaic(level, layer)
                folder = storage.join(output, str(mosaic.parent))
                existing = set(storage.listing(folder))
                paths = [self.spec.path(level, layer, key) for key in keys]
                files = [file for file in map(storage.name, paths) if file in existing]
                write_vrt(folder, mosaic.name, files)

    def mosaics(self) -> Iterator[str]:
        """Paths of the mosaics, relative to the output."""
        for level in self.spec.grid.levels:
            for layer in published_layers(level):
                yield str(self._mosaic(level, layer))

    def _keys(self, level: GridLevel) -> list[str]:
        """The cells or R/C tiles that have a file of a level each."""
        if self.spec.by_cell(level):
            return [cell.key for cell in self.cells]
        return [tile for tile, _ in self.spec.tiles]

    def _mosaic(self, level: GridLevel, layer: GridLayer) -> PurePosixPath:
        return PurePosixPath(self.spec.path(level, layer, "all")).with_suffix(".vrt")


def plan_grid(
    settings: Grid,
    job: Job,
    tiles: Sequence[TilePlan],
    calibration: ChosenCalibration | None = None,
    classifier: Mapping[str, str] = MappingProxyType({}),
) -> GridPlan:
    """Cells and fingerprints of one grid for the tiles of a job.

    `calibration` is that of the job, if any. `classifier` are the tags of its classifier.

    Raises:
        RequestError: the grid is not possible, ends before the tiles, or cannot hold the built-up.
    """
    grid = from_config(settings.crs, settings.resolutions)
    _check_capacity(grid, tiles)
    of_cell: dict[str, list[TilePlan]] = {}
    for tile in tiles:
        for cell in cells_of_source(grid, _source(tile)):
            of_cell.setdefault(grid.cell_key(cell), []).append(tile)
    windows: dict[str, Window] = {}
    if settings.extent is Extent.AREA:
        places = {key: grid.fine_window(grid.parse_cell(key)) for key in of_cell}
        windows = needed_windows(grid, tiles, places)
        of_cell = {key: mine for key, mine in of_cell.items() if key in windows}
        by_key = {tile.key: tile for tile in (grid.tile_of(grid.parse_cell(k)) for k in of_cell)}
        whole = {key: grid.tile_window(tile) for key, tile in by_key.items()}
        windows |= needed_windows(grid, tiles, whole)
    cells = tuple(
        CellPlan(
            key,
            tuple(sorted(tile.tile for tile in mine)),
            _mark(grid, key, mine, windows),
            tuple(sorted({_model(tile) for tile in mine})),
            _credits(mine, Layer.BUFRAC_RAW),
            tuple(sorted({day for tile in mine for day in tile.days})),
            _credits(mine, Layer.RES_NRES),
        )
        for key, mine in sorted(of_cell.items())
    )
    by_tile: dict[str, list[str]] = {}
    for planned in cells:
        key = grid.tile_of(grid.parse_cell(planned.key)).key
        by_tile.setdefault(key, []).append(planned.fingerprint)
    marks = tuple(
        (key, fingerprint("R/C tile", prints, *_place(key, windows)))
        for key, prints in sorted(by_tile.items())
    )
    pattern = grid_pattern(job.epoch, job.name)
    chosen = () if calibration is None else tuple(calibration.tags.items())
    credit = "" if calibration is None else calibration.credit
    return GridPlan(
        GridSpec(
            grid,
            pattern,
            cells,
            marks,
            chosen,
            credit,
            tuple(classifier.items()),
            tuple(job_tags(job).items()),
            licence_text,
            tuple(sorted(windows.items())),
        )
    )


def _place(key: str, windows: Mapping[str, Window]) -> list[list[int]]:
    """The part of a cell or tile that its file has, for its fingerprint; none if it has all."""
    window = windows.get(key)
    return [] if window is None else [[window.row, window.col, window.height, window.width]]


def job_tags(job: Job) -> dict[str, str]:
    """The tags of all layers of a job: its name, its epoch, and the software."""
    return {
        "JOB": job.name,
        "EPOCH": str(job.epoch),
        "SOFTWARE": f"ghsl-beam {package_version('ghsl-beam')}",
    }


def _check_capacity(grid: OutputGrid, tiles: Sequence[TilePlan]) -> None:
    cut, worst = max(
        ((share_cut(grid, _source(tile)), tile.tile) for tile in tiles), default=(0, "")
    )
    if cut > MAX_CUT:
        raise RequestError(
            f"{grid.crs}: its pixels are too small for the ground under them: {cut:.1%} of ground "
            f"that is completely built-up would be lost in tile {worst}; give a CRS that loses at "
            f"most {MAX_CUT:.0%} there, such as ESRI:54009"
        )
    for tile in tiles:
        if tile.owned is not None and (far := reach(grid, _source(tile))) > MOST_REACH:
            raise RequestError(
                f"{grid.crs}: a pixel of it reads {far:.1f} pixels of tile {tile.tile} on each "
                f"side, expected at most {MOST_REACH:g} where tiles compute only what they own; "
                "give tiles: whole, or another CRS"
            )


def _source(tile: TilePlan) -> TileSource:
    return TileSource(tile.tile, tile.place(tile.window), tile.center_lon, tile.center_lat)


def _credits(tiles: Iterable[TilePlan], layer: Layer) -> tuple[str, ...]:
    """The credits of a layer of tiles; the calibration has its own in the grid."""
    lines = (line for tile in tiles for line in lines_of(tile.tags[layer][CREDITS_TAG]))
    return tuple(dict.fromkeys(lines))


def _model(tile: TilePlan) -> str:
    """The model of a tile in the form for a grid's files: zone, file, SHA-256."""
    tags = tile.tags[Layer.BUFRAC_RAW]
    of = " (fallback)" if tags["MODEL_FALLBACK"] == "yes" else ""
    return f"{tile.zone}: {tags['MODEL']}{of} {tags['MODEL_SHA256']}"


def _mark(grid: OutputGrid, key: str, tiles: list[TilePlan], windows: Mapping[str, Window]) -> str:
    inputs = sorted(
        [tile.tile, *(tile.fingerprints[layer] for layer in aggregation.INPUTS)] for tile in tiles
    )
    place = _place(key, windows)
    return fingerprint("cell", aggregation.METHOD_VERSION, asdict(grid), key, inputs, *place)
