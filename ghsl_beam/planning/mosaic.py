"""Writes a VRT over the files of one layer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from rasterio.enums import ColorInterp

from ghsl_beam.models.calibration import CALIBRATION_TAGS
from ghsl_beam.models.credits import CREDITS_TAG, line_of, lines_of
from ghsl_beam.planning.products import read_product
from transforms.elements import LAYERS, Window
from transforms.rasters.geotiff import FINGERPRINT_TAG
from transforms.storage import storage

_SHARED = ("LAYER", "VALUES", "CLASSES", "JOB", "EPOCH", "SOFTWARE", "LICENCE", *CALIBRATION_TAGS)
"""Tags that a mosaic has if all its files have the same."""
_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32"}


def write_vrt(folder: str, name: str, files: Sequence[str]) -> None:
    """Write a GDAL virtual raster over single-band files of one grid in the same folder.

    Nothing is written if there are no files.
    """
    if not files:
        return
    parts, tags = [], []
    for file in files:
        bounds, shape, crs, pixel, bands, file_tags = read_product(
            storage.join(folder, file),
            lambda s: (s.bounds, s.shape, s.crs, s.transform.a, bands_of(s), s.tags()),
        )
        parts.append((file, bounds, shape))
        tags.append(file_tags)
    left, top = min(b.left for _, b, _ in parts), max(b.top for _, b, _ in parts)
    places = []
    for file, bounds, (rows, cols) in parts:
        x, y = round((bounds.left - left) / pixel), round((top - bounds.top) / pixel)
        places.append(Part(file, Window(0, 0, rows, cols), Window(y, x, rows, cols)))
    corner = (left, top, pixel)
    text = document(crs.to_wkt(), corner, bands, places, mosaic_tags(tags))
    storage.write_whole(storage.join(folder, name), text)


class Band(NamedTuple):
    """A band of a mosaic: GDAL's name of its type, its title, its colour and its nodata.

    `colours`: its colour table, with red, green, blue and opacity of each value. `classes`: the
    names of its values 0, 1, 2 and so on.
    """

    dtype: str
    title: str | None
    colour: str
    nodata: float
    unit: str = ""
    scale: float = 1.0
    colours: tuple[tuple[int, ...], ...] = ()
    classes: tuple[str, ...] = ()


class Part(NamedTuple):
    """A file of a mosaic, relative to it: the pixels of the file, and their place."""

    file: str
    source: Window
    place: Window


def bands_of(source: Any) -> list[Band]:
    """The bands of an open product, for a mosaic of it and of others of its layer."""
    spec = LAYERS.get(source.tags().get("LAYER", ""))
    names = tuple(name for name, _ in spec.picture.classes) if spec else ()
    return [
        Band(
            _TYPES[source.dtypes[number]],
            source.descriptions[number],
            colour.name.capitalize(),
            source.nodatavals[number],
            source.units[number] or "",
            source.scales[number],
            tuple(source.colormap(1).values()) if colour is ColorInterp.palette else (),
            names,
        )
        for number, colour in enumerate(source.colorinterp)
    ]


def document(
    crs: str,
    corner: tuple[float, float, float],
    bands: Sequence[Band],
    parts: Sequence[Part],
    tags: Mapping[str, str],
    *,
    over: bool = False,
) -> bytes:
    """The text of a virtual raster.

    Args:
        crs: its CRS as WKT.
        corner: left and top edge, and size of a pixel, in units of the CRS.
        bands: its bands; the files have the same.
        parts: its files.
        tags: its tags.
        over: whether the parts lie over each other; a later one then hides an earlier one where it
            has data.
    """
    left, top, pixel = corner
    width = max(part.place.right for part in parts)
    height = max(part.place.bottom for part in parts)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = crs
    ET.SubElement(root, "GeoTransform").text = f"{left!r}, {pixel!r}, 0, {top!r}, 0, {-pixel!r}"
    metadata = ET.SubElement(root, "Metadata")
    for key, value in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = value
    for number, described in enumerate(bands, 1):
        band = ET.SubElement(root, "VRTRasterBand", dataType=described.dtype, band=str(number))
        if described.title:
            ET.SubElement(band, "Description").text = described.title
        ET.SubElement(band, "NoDataValue").text = f"{described.nodata:.17g}"
        ET.SubElement(band, "ColorInterp").text = described.colour
        if described.unit:
            ET.SubElement(band, "UnitType").text = described.unit
        if described.scale != 1:
            ET.SubElement(band, "Scale").text = repr(described.scale)
        _add_classes(band, described)
        for part in parts:
            source = ET.SubElement(band, "ComplexSource" if over else "SimpleSource")
            ET.SubElement(source, "SourceFilename", relativeToVRT="1").text = part.file
            ET.SubElement(source, "SourceBand").text = str(number)
            ET.SubElement(source, "SrcRect", _rectangle(part.source))
            ET.SubElement(source, "DstRect", _rectangle(part.place))
            if over:
                ET.SubElement(source, "NODATA").text = f"{described.nodata:.17g}"
    return ET.tostring(root, encoding="utf-8")


def _add_classes(element: ET.Element, band: Band) -> None:
    """Add the colours and the names of the values of a band of classes."""
    if band.colours:
        table = ET.SubElement(element, "ColorTable")
        for colour in band.colours:
            parts = zip(("c1", "c2", "c3", "c4"), map(str, colour), strict=True)
            ET.SubElement(table, "Entry", dict(parts))
    if band.classes:
        names = ET.SubElement(element, "CategoryNames")
        for name in band.classes:
            ET.SubElement(names, "Category").text = name


def _rectangle(window: Window) -> dict[str, str]:
    sides = {"xSize": str(window.width), "ySize": str(window.height)}
    return {"xOff": str(window.col), "yOff": str(window.row), **sides}


def mosaic_tags(files: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a mosaic: those that all files share, all credits, a hash of the marks.

    With these tags, a file is recognised as a product of this program, wherever it is.
    """
    result = {}
    for key in _SHARED:
        found = {tags.get(key) for tags in files}
        if len(found) == 1 and (value := found.pop()):
            result[key] = value
    credits = dict.fromkeys(
        line for tags in files if CREDITS_TAG in tags for line in lines_of(tags[CREDITS_TAG])
    )
    if credits:
        result[CREDITS_TAG] = line_of(credits)
    marks = [tags[FINGERPRINT_TAG] for tags in files if FINGERPRINT_TAG in tags]
    if len(marks) == len(files):
        result[FINGERPRINT_TAG] = hashlib.sha256("\n".join(marks).encode()).hexdigest()
    return result
