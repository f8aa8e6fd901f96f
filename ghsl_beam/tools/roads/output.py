"""Writes the GeoPackage of road lines in pieces; the same roads give the same bytes."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from transforms.cleaning.road_file import RoadSource
from transforms.elements import RasterError, StorageError
from transforms.storage.room import why_not_written
from transforms.storage.temporary import process_folder

LAYER = "roads"
WIDTH_FIELD = "width"
"""The default of `cleaning.road_width_field`."""
_SCHEMA = pa.schema(
    [
        pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"}),
        pa.field(WIDTH_FIELD, pa.float64()),
        pa.field("class", pa.string()),
        pa.field("source", pa.string()),
    ]
)
_DATE = "2000-01-01T00:00:00.000Z"
"""The time of writing in the file. It is always the same, because fingerprints depend on the bytes
of the file."""
_UNWRITABLE = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    OSError,
    ValueError,
    RuntimeError,  # from pyogrio, if the stream ends with an error
)


@dataclass(frozen=True, slots=True)
class Roads:
    """Some roads: lines (shapely, longitude and latitude), widths in metres and their sources."""

    lines: list[Any]
    widths: list[float]
    classes: list[str]
    sources: list[str]


def write_roads(path: Path, out: str, batches: Iterator[Roads], credit: str) -> None:
    """Write roads to a new GeoPackage, and check that the cleaning can read it.

    Args:
        path: local file to write.
        out: its name in messages.
        batches: the roads; one batch is in memory at a time.
        credit: credit of the data, which is written into the file.

    Raises:
        StorageError: it cannot be written completely.
        Exception: any error of `batches`.
    """
    source = _Source(batches)
    stream = pa.RecordBatchReader.from_batches(_SCHEMA, source.record_batches())
    try:
        with _configured():
            pyogrio.raw.write_arrow(
                stream,
                str(path),
                layer=LAYER,
                driver="GPKG",
                geometry_name="geometry",
                geometry_type="LineString",
                crs="EPSG:4326",
                # Metadata of the layer; for that of the file, GDAL writes an .aux.xml at each read.
                layer_metadata={"ATTRIBUTION": credit},
                layer_options={"DESCRIPTION": f"Road lines, width in metres. {credit}"},
            )
        if source.error is None and source.written:
            _check(path, source.written)
    except _UNWRITABLE as error:
        if source.error is None:
            reason = f"cannot be written: {why_not_written(error, path)}"
            raise StorageError(out, reason) from error
    except RasterError as error:
        raise StorageError(out, f"cannot be written: {error}") from error
    finally:
        # Files that GDAL and SQLite leave beside an unfinished file.
        for beside in path.parent.glob(f"{glob.escape(path.name)}?*"):
            beside.unlink(missing_ok=True)
    if source.error is not None:
        raise source.error


def _check(path: Path, written: int) -> None:
    found = pyogrio.read_info(path)["features"]
    if found != written:
        raise OSError(f"only {found} of {written} roads are in the file")
    RoadSource(str(path), WIDTH_FIELD).check()


class _Source:
    """The source that GDAL reads from; it keeps an error, because GDAL would keep only its text."""

    def __init__(self, batches: Iterator[Roads]) -> None:
        self._batches = batches
        self.written = 0
        self.error: BaseException | None = None

    def record_batches(self) -> Iterator[Any]:
        try:
            for roads in self._batches:
                if roads.lines:
                    yield _record_batch(roads)
                    self.written += len(roads.lines)
        except BaseException as error:
            self.error = error
            raise


def _record_batch(roads: Roads) -> Any:
    wkb = shapely.to_wkb(roads.lines, output_dimension=2)
    columns = [
        pa.array(wkb, pa.binary()),
        pa.array(roads.widths, pa.float64()),
        pa.array(roads.classes, pa.string()),
        pa.array(roads.sources, pa.string()),
    ]
    return pa.record_batch(columns, schema=_SCHEMA)


@contextmanager
def _configured() -> Iterator[None]:
    """GDAL settings for this file; its temporary files are removed with the process."""
    wanted = {"OGR_CURRENT_DATE": _DATE, "CPL_TMPDIR": str(process_folder())}
    before = {name: pyogrio.get_gdal_config_option(name) for name in wanted}
    pyogrio.set_gdal_config_options(wanted)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)
