"""The GeoPackage of road lines: written in pieces, the same bytes for the same roads."""

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
"""The name that `cleaning.road_width_field` has by default."""
_SCHEMA = pa.schema(
    [
        pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"}),
        pa.field(WIDTH_FIELD, pa.float64()),
        pa.field("class", pa.string()),
        pa.field("source", pa.string()),
    ]
)
_DATE = "2000-01-01T00:00:00.000Z"
"""The time of writing that the file states: layers depend on its bytes, which must not change."""
_UNWRITABLE = (
    DataSourceError,
    DataLayerError,
    FeatureError,
    FieldError,
    OSError,
    ValueError,
    RuntimeError,  # of pyogrio, where the stream ends in an error
)


@dataclass(frozen=True, slots=True)
class Roads:
    """Some roads: lines (shapely, longitude and latitude), widths in metres with their sources."""

    lines: list[Any]
    widths: list[float]
    classes: list[str]
    sources: list[str]


def write_roads(path: Path, out: str, batches: Iterator[Roads], credit: str) -> None:
    """Write roads to a new GeoPackage, and look whether the cleaning takes it.

    Args:
        path: local file to write.
        out: its name in messages.
        batches: the roads; those of one batch are in memory at a time.
        credit: whose data it is, which the file states.

    Raises:
        StorageError: it cannot be written whole.
        Exception: what `batches` raises.
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
                # Of the layer: for metadata of a file, GDAL writes an .aux.xml whenever it is read.
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
        # What GDAL and SQLite leave beside a file that they did not end.
        for beside in path.parent.glob(f"{glob.escape(path.name)}?*"):
            beside.unlink(missing_ok=True)
    if source.error is not None:
        raise source.error


def _check(path: Path, written: int) -> None:
    found = pyogrio.read_info(path)["features"]
    if found != written:
        raise OSError(f"{found} of {written} roads reached the file")
    RoadSource(str(path), WIDTH_FIELD).check()


class _Source:
    """What GDAL draws from: an error on the way is kept, as GDAL would keep its text alone."""

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
    """GDAL's settings for this file; its own temporary files go with the process."""
    wanted = {"OGR_CURRENT_DATE": _DATE, "CPL_TMPDIR": str(process_folder())}
    before = {name: pyogrio.get_gdal_config_option(name) for name in wanted}
    pyogrio.set_gdal_config_options(wanted)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)
