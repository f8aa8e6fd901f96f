"""Compares the built-up area of a run with a reference."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghsl_beam.area.area_of_interest import read_area
from ghsl_beam.tools import area_mean
from ghsl_beam.tools.area_mean import Grid, source_windows
from ghsl_beam.tools.layer_files import LayerFiles
from ghsl_beam.tools.plain_rasters import absence, named_if_unreadable, opened_reference
from ghsl_beam.tools.reference import Meaning, Seen, check_seen, look_around, meaning
from ghsl_beam.tools.validation.error_maps import ErrorMaps
from ghsl_beam.tools.validation.pieces import (
    Coverage,
    Piece,
    on_layer,
    on_reference,
    with_polygons,
)
from ghsl_beam.tools.validation.points import PointPiece, has_points, labelled_points, on_points
from ghsl_beam.tools.validation.results import write_results
from ghsl_beam.tools.validation.scores import COLUMNS, WIDTH
from ghsl_beam.tools.validation.strata import NONE, VECTORS, Strata, opened_strata
from ghsl_beam.tools.validation.tally import Tally
from transforms.elements import RequestError
from transforms.storage import storage

_COARSER = 1.02
"""A reference is coarser if its pixel has more than this many times the area of ours."""
_LITTLE = 50.0
"""Percent of overlap below which there is a warning."""
_REFERENCE_M2 = COLUMNS.index("reference_m2")


def validate(
    output: str,
    reference: str,
    *,
    layer: str = "BUFRAC",
    product: str | None = None,
    grid: str | None = None,
    unit: str | None = None,
    nodata: str | None = None,
    built: str | None = None,
    band: int | None = None,
    threshold: float = 0.5,
    reference_threshold: float | None = None,
    field: str | None = None,
    strata: str | None = None,
    strata_field: str | None = None,
    strata_breaks: str | None = None,
    block_size: float = 1000.0,
    seed: int = 2017,
    out: str | None = None,
) -> dict[str, Any]:
    """Compare a layer of a run with a reference.

    Where tiles overlap, the ground counts once: for the tile with the nearest centre, of those with
    data there. A reference with finer or about equal pixels is averaged over the layer's pixels by
    area. If the reference is coarser, the layer is averaged over its pixels.

    Args:
        output: the run's folder, a location.
        reference: location of a raster of built-up, of polygons of built-up (they are converted
            to fractions; ground in several polygons counts once), or of labelled points; a layer of
            a GeoPackage as `file.gpkg|layer`.
        layer: BUFRAC or BUFRAC_RAW (tiles in UTM), or BUILT_S (an output grid).
        product: epoch and name as in the files, `E2017_berlin`; needed if there are several.
        grid: name of the output grid, `54009_100`; needed if there are several.
        unit: the meaning of a raster's values or of the points' field, a name of `reference.UNITS`;
            needed if the file does not prove it.
        nodata: a raster's nodata, or `none`; replaces the one in the file.
        built: the built-up values of a raster of classes or of the points' field, separated by
            commas.
        band: number of the band, if a raster has several.
        threshold: pixels of the layer are built-up from this fraction on.
        reference_threshold: the same for the reference; None for `threshold`.
        field: the field of the reference's points; None if it has no points.
        strata: location of a raster or of polygons; each value has scores of its own.
        strata_field: the field of the polygons with the stratum.
        strata_breaks: numbers that divide the values of the strata, separated by commas.
        block_size: side of a block of ground in metres; the intervals of confidence come from
            drawing blocks.
        seed: seed of these draws.
        out: location of a folder for the results, the error maps and the pictures; None writes
            nothing.

    Returns:
        The measures over all files, the percent of the layer's ground that the reference covers,
        and warnings; `intervals`, `levels`, `strata`, `best`, `curve` and `reliability`. If the
        layer's own pixels are compared, also the measures of each file under `files`. With `out`,
        the files that were written under `written`.

    Raises:
        RequestError: there is no such layer, product or reference; there are several and none is
            named; the reference cannot be read, has no CRS or unit, has values outside the unit, or
            shares no ground with the layer; the strata cannot be used.
        RasterError: a raster of the output cannot be read, or a result cannot be written.
    """
    vector = PurePath(reference.partition("|")[0]).suffix.lower() in VECTORS
    file = reference.partition("|")[0] if vector else reference
    if not storage.is_file(file):
        raise RequestError(
            f"{reference}: {absence(file)}; give a raster or polygons of built-up, or points"
        )
    if out is not None and storage.is_file(out):
        raise RequestError(f"--out {out}: is a file; give a folder, which need not exist")
    if field is not None:
        _check_points(reference, field, vector=vector, nodata=nodata, band=band)
    tally = _tally(threshold, reference_threshold, block_size, seed)
    coverage = Coverage()
    files = LayerFiles.find(output, layer, product, grid)
    with ExitStack() as stack:
        parts = stack.enter_context(opened_strata(strata, strata_field, strata_breaks))
        maps = stack.enter_context(ErrorMaps.into(out))
        work = _Work(files, tally, coverage, parts, maps)
        if field is not None:
            about = _with_points(work, reference, (field, unit, built))
        elif vector:
            about = _with_polygons(work, reference, (unit, nodata, built, band))
        else:
            with named_if_unreadable(reference):
                source = stack.enter_context(opened_reference(reference))
                how = meaning(source, reference, unit=unit, nodata=nodata, built=built, band=band)
            about = _with_raster(work, source, reference, how)
        if parts is not None and set(tally.strata) == {NONE}:
            coverage.warnings.append(f"{strata}: nothing that is compared lies in a stratum")
        if not tally.total[0] or not coverage.covered_m2:
            raise RequestError(
                f"{reference}: does not overlap {layer} of {output} where both have data: "
                "nothing to compare"
            )
    overlap = 100 * min(1.0, coverage.covered_m2 / coverage.layer_m2)
    results = tally.results(areas=field is None)
    found = {
        "layer": layer,
        "layer_values": files.values or None,
        "product": files.product,
        "reference": reference,
        **about,
        "overlap_percent": round(overlap, 3),
        "threshold": threshold,
        "reference_threshold": tally.reference_threshold,
        "warnings": _warnings(results, coverage, overlap, vector=vector, points=field is not None),
        **results,
    }
    if out is not None:
        found["written"] = write_results(out, found, maps)
    return found


def _tally(
    threshold: float, reference_threshold: float | None, block_size: float, seed: int
) -> Tally:
    """An empty tally, after a check of its numbers."""
    theirs = threshold if reference_threshold is None else reference_threshold
    for option, value in (("--threshold", threshold), ("--reference-threshold", theirs)):
        if not 0 <= value <= 1:
            raise RequestError(f"{option} {value:g}: expected a fraction, 0 to 1")
    if not (math.isfinite(block_size) and block_size >= 10):
        raise RequestError(f"--block-size {block_size:g}: expected metres, 10 or more")
    if seed < 0:
        raise RequestError(f"--seed {seed}: expected a whole number, 0 or more")
    return Tally(threshold, theirs, block_size, seed)


def _check_points(
    location: str, field: str, *, vector: bool, nodata: str | None, band: int | None
) -> None:
    if not vector:
        raise RequestError(
            f"{location}: is not a vector file ({', '.join(sorted(VECTORS))}); leave out --field "
            f"{field}, which is for points, or save the points in such a file"
        )
    for option, value in (("--nodata", nodata), ("--band", band)):
        if value is not None:
            raise RequestError(f"{location}: has points; leave out {option}, which is for rasters")


def _warnings(
    results: dict[str, Any], coverage: Coverage, overlap: float, *, vector: bool, points: bool
) -> list[str]:
    warnings = list(coverage.warnings)
    if overlap < _LITTLE and not points:
        warnings.append(f"the reference covers {overlap:.3g} % of the layer's ground")
    if not vector and results["product_m2"] > 0 == results["reference_m2"]:
        warnings.append("nothing is built-up in the reference where both are compared")
    return warnings


@dataclass(slots=True)
class _Work:
    """A comparison under way: where its pieces come from, and where they go."""

    files: LayerFiles
    tally: Tally
    coverage: Coverage
    strata: Strata | None
    maps: ErrorMaps

    def take(self, pieces: Generator[Piece | PointPiece, None, None]) -> None:
        """Add all pieces to the sums, and to the error maps if they have pixels."""
        with closing(pieces):  # an error closes their files here, and not some time later
            for piece in pieces:
                self.tally.add(piece, self._strata_of(piece))
                if isinstance(piece, Piece):
                    self.maps.add(piece)
        self.maps.finish()
        if self.strata is not None:
            there = self.tally.strata
            self.tally.strata = {name: there[name] for name in self.strata.ordered(there)}

    def _strata_of(self, piece: Piece | PointPiece) -> tuple[list[str], NDArray[np.int64]] | None:
        """The names of the strata of a piece, and for each pixel the place of its name."""
        if self.strata is None:
            return None
        codes = self.strata.codes(piece)
        known = np.isfinite(codes)
        values = np.unique(codes[known])
        places = np.where(known, np.searchsorted(values, np.nan_to_num(codes)), len(values))
        return [*(self.strata.name(value) for value in values), NONE], places

    def list_files(self) -> None:
        """Give each file an entry, also those that share nothing with the reference."""
        self.tally.files |= dict.fromkeys(self.files.paths, np.zeros(WIDTH))


def _with_raster(work: _Work, source: Any, location: str, how: Meaning) -> dict[str, Any]:
    theirs, ours = Grid.of(source), work.files.grids[0]
    # The size of a pixel depends on its place, above all in degrees.
    near = (window for grid in work.files.grids for window in source_windows(theirs, grid))
    place = next((theirs.part(window) for window in near), theirs)
    coarser = area_mean.mean_pixel_area(place) > _COARSER * area_mean.mean_pixel_area(ours)
    seen = Seen()
    if coarser:
        pieces = on_reference(work.files, source, how, seen, work.coverage)
    else:
        work.list_files()
        pieces = on_layer(work.files, source, how, seen, work.coverage)
    work.take(_read(pieces, location))
    if not how.certain:
        with named_if_unreadable(location):
            look_around(source, how, seen)
    work.coverage.warnings += check_seen(location, how, seen)
    size = math.sqrt(area_mean.mean_pixel_area(place if coarser else ours))
    return {
        "unit": how.unit,
        "unit_from": how.proof,
        "nodata": None if how.nodata is None else f"{how.nodata:g}",
        "compared_at": f"{size:.4g} m, pixels of the {'reference' if coarser else 'layer'}",
    }


def _read(pieces: Generator[Piece, None, None], location: str) -> Generator[Piece, None, None]:
    """The same pieces; an error of reading them names the reference, not a map being written."""
    with named_if_unreadable(location):
        yield from pieces


def _with_polygons(
    work: _Work, location: str, given: tuple[str | None, str | None, str | None, int | None]
) -> dict[str, Any]:
    names = ("--unit", "--nodata", "--built", "--band")
    odd = [name for name, value in zip(names, given, strict=True) if value is not None]
    if odd:
        raise RequestError(
            f"{location}: has polygons; leave out {', '.join(odd)}, which is for rasters (for "
            "points, give --field)"
        )
    try:
        polygons = read_area(location, ".")
    except RequestError as error:
        if has_points(location):
            raise RequestError(f"{location}: has points; name their field with --field") from error
        raise
    work.coverage.warnings += polygons.warnings
    work.list_files()
    work.take(with_polygons(work.files, polygons, work.coverage))
    if work.coverage.covered_m2 and not work.tally.total[_REFERENCE_M2]:
        work.coverage.warnings.append("no polygon lies inside the layer, only around it")
    return {"unit": "polygons", "compared_at": "pixels of the layer"}


def _with_points(
    work: _Work, location: str, given: tuple[str, str | None, str | None]
) -> dict[str, Any]:
    points = labelled_points(location, *given)
    work.coverage.warnings += points.warnings
    work.list_files()
    work.take(on_points(work.files, points))
    compared = int(work.tally.total[0])
    work.coverage.layer_m2, work.coverage.covered_m2 = float(len(points.lon)), float(compared)
    if compared < len(points.lon):
        left = len(points.lon) - compared
        work.coverage.warnings.append(f"{left} of {len(points.lon)} points lie on no data")
    return {"unit": points.unit, "compared_at": "points"}
