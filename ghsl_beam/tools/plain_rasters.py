"""Rasters that a person names: GeoTIFFs and this program's mosaics, which refer to nothing else.

GDAL accepts a virtual raster with the name of a GeoTIFF, and files beside it. These may refer to
other files of this machine and to other hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from ghsl_beam.planning.products import check_inside, read_product
from transforms.elements import (
    RasterError,
    RequestError,
    StorageError,
    UnavailableError,
    Window,
    request_error,
)
from transforms.rasters.geotiff import opened
from transforms.rasters.tile_sums import SUMS_TAG, read_checked
from transforms.storage import storage
from transforms.storage.gdal_access import connection_lost
from transforms.storage.vector_formats import check_regular

_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""Options with which GDAL opens no file beside a raster."""
_MAX_VRT = 1 << 26
_SOURCE = re.compile(r"([A-Za-z0-9]+/)?[A-Za-z0-9][A-Za-z0-9._-]*\.tif")
"""A file beside a mosaic, or in the folder of an MGRS tile beside it."""
_OF_MOSAIC = {
    "VRTDataset": {"SRS", "GeoTransform", "Metadata", "VRTRasterBand"},
    "Metadata": {"MDI"},
    "VRTRasterBand": {
        *("Description", "NoDataValue", "ColorInterp", "SimpleSource", "ComplexSource"),
        *("UnitType", "Scale", "ColorTable", "CategoryNames"),
    },
    "ColorTable": {"Entry"},
    "CategoryNames": {"Category"},
    "SimpleSource": {"SourceFilename", "SourceBand", "SrcRect", "DstRect"},
    "ComplexSource": {"SourceFilename", "SourceBand", "SrcRect", "DstRect", "NODATA"},
}
"""The elements that `mosaic.document` writes; GDAL knows others, which read other files."""
_BESIDE = re.compile(rb"<(NoDataValue|SRS|GeoTransform|Scale|Offset|UnitType|GCPList|Mask)\b")
"""Elements of a metadata file beside a raster that change its values or its place."""


@contextmanager
def opened_product(location: str, output: str | None = None) -> Iterator[Any]:
    """Open a GeoTIFF for reading, without any file beside it.

    Args:
        location: location of the raster.
        output: the folder that must contain it, with links followed; None for any folder.

    Raises:
        RasterError: it cannot be opened, is not a GeoTIFF, or is outside the output. Errors of the
            body are passed on.
    """
    if output is not None:
        check_inside(output, location)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**_ALONE))
        try:
            source = stack.enter_context(opened(location, "GTiff"))
        except (OSError, RasterioError) as error:
            raise unreadable(location, error) from error
        if odd := _elsewhere(source):
            raise RasterError(f"{storage.masked(location)}: {odd}")
        yield source


@contextmanager
def opened_reference(location: str) -> Iterator[Any]:
    """Open a person's raster for reading: a GeoTIFF, or a mosaic of this program.

    Raises:
        RequestError: it is neither, or needs a file beside it.
        RasterioError: it cannot be opened or read.
    """
    where = storage.masked(location)
    try:
        driver = _driver(location)
    except RasterError as error:
        raise request_error(str(error), error) from error
    with rasterio.Env(**_ALONE), opened(location, driver) as source:
        if odd := _elsewhere(source):
            raise RequestError(f"{where}: {odd}")
        yield source


@contextmanager
def named_if_unreadable(location: str) -> Iterator[None]:
    """Turn an error of reading a person's raster into one that names it.

    Raises:
        RequestError: it is damaged.
        UnavailableError: its storage does not answer.
    """
    try:
        yield
    except (OSError, RasterioError) as error:
        raise unreadable_reference(location, error) from error


def absence(location: str) -> str:
    """Why a location is not a file, in words."""
    if storage.is_url(location):
        return "no such file"
    try:
        check_regular(location)
    except StorageError as error:
        return "no such file" if error.absent else error.reason
    return "is not a file that can be read"


def read_part(source: Any, window: Window, location: str) -> NDArray[Any]:
    """Read a window of all bands of an opened product, and compare it with its checksums, if any.

    Raises:
        RasterError: it is damaged.
    """
    try:
        if SUMS_TAG in source.tags():
            return read_checked(source, window)
        place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
        return np.asarray(source.read(window=place))
    except RasterioError as error:
        raise unreadable(location, error) from error


def read_all(source: Any, location: str) -> NDArray[Any]:
    """All bands of an opened product; see `read_part`."""
    return read_part(source, Window(0, 0, source.height, source.width), location)


def why(error: Exception) -> str:
    """The cause that GDAL gives; rasterio's own text may name no cause."""
    cause = error
    while isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    return " ".join(storage.masked(str(cause)).split())[:300]


def unreadable(location: str, error: Exception) -> RasterError | UnavailableError:
    """The error of a published raster that cannot be read."""
    where = storage.masked(location)
    if connection_lost(error):
        return UnavailableError(f"{where}: cannot be read: {why(error)}")
    return RasterError(
        f"{where}: is damaged, truncated or not a GeoTIFF ({why(error)}); remove it and run the "
        "job again to make it"
    )


def unreadable_reference(location: str, error: Exception) -> RequestError | UnavailableError:
    """The error of a reference that cannot be read."""
    where = storage.masked(location)
    if connection_lost(error):
        return UnavailableError(f"{where}: cannot be read: {why(error)}")
    return RequestError(
        f"{where}: is damaged, truncated or not a raster ({why(error)}); get a new copy of it, "
        "because running again does not help"
    )


def _elsewhere(source: Any) -> str | None:
    """The other file that a GeoTIFF reads, in words; None if there is none."""
    if source.tags(ns="OVERVIEWS"):
        return "names overviews in another file, expected none"
    return None


def _driver(location: str) -> str:
    """GDAL's driver for a reference.

    Raises:
        RequestError: its format is not supported, or it needs a file beside it.
        RasterError: it cannot be read.
    """
    if not storage.is_url(location):
        _check_beside(location)
    if location.lower().endswith(".vrt"):
        _check_mosaic(location)
        return "VRT"
    if not _is_geotiff(location):
        raise RequestError(
            f"{storage.masked(location)}: is not a GeoTIFF by its first bytes; give a GeoTIFF or a "
            "mosaic (.vrt) of this program: gdal_translate converts a raster to GeoTIFF; polygons "
            "have a name with .gpkg, .geojson, .fgb or .shp: ogr2ogr converts them"
        )
    return "GTiff"


def _is_geotiff(location: str) -> bool:
    """Whether the first bytes are those of a classic TIFF or a BigTIFF, in either byte order."""
    head = storage.with_file(location, lambda file: file.read(4))
    return head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _check_beside(location: str) -> None:
    """Refuse a file beside a local raster that would change its values, because none is read."""
    check_regular(location)
    mask, about = f"{location}.msk", f"{location}.aux.xml"
    odd = mask if storage.is_file(mask) else None
    if storage.is_file(about) and _BESIDE.search(storage.read_bytes(about, _MAX_VRT)):
        odd = about
    if odd:
        raise RequestError(
            f"{location}: {storage.name(odd)} beside it is not read; save both as one GeoTIFF with "
            "gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES"
        )


def _check_mosaic(location: str) -> None:
    """Refuse a virtual raster that reads anything but GeoTIFFs in its own folder."""
    where = storage.masked(location)
    expected = "expected a mosaic in the form of this program; save it as a GeoTIFF"
    text = storage.read_bytes(location, _MAX_VRT)
    if b"<!" in text:
        raise RequestError(f"{where}: declares entities, {expected}")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no entity is declared
    except ET.ParseError as error:
        raise RequestError(f"{where}: is not valid XML ({error}), {expected}") from error
    if root.tag != "VRTDataset" or root.get("subClass") is not None:
        raise RequestError(f"{where}: is not a plain virtual raster, {expected}")
    for parent in root.iter():
        for child in parent:
            if child.tag not in _OF_MOSAIC.get(parent.tag, set()) or child.get("subClass"):
                raise RequestError(f"{where}: has a {child.tag[:40]} in {parent.tag}, {expected}")
    folder = location.rpartition("/")[0] or "."
    sources = {(s.get("relativeToVRT"), s.text or "") for s in root.iter("SourceFilename")}
    for relative, name in sorted(sources, key=str):
        if relative != "1" or not _SOURCE.fullmatch(name):
            raise RequestError(
                f"{where}: reads {storage.masked(name)[:200]}, expected GeoTIFFs beside it"
            )
        part = storage.join(folder, name)
        check_inside(folder, part)
        try:
            read_product(part, lambda made: made.shape)
        except RasterioError as error:
            raise unreadable_reference(part, error) from error
