"""Writes a VRT over the files of one layer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from ghsl_beam.models.calibration import CALIBRATION_TAGS
from ghsl_beam.models.credits import CREDITS_TAG, line_of, lines_of
from ghsl_beam.planning.products import read_product
from transforms.rasters.geotiff import FINGERPRINT_TAG
from transforms.storage import storage

_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32"}


def write_vrt(folder: str, name: str, files: Sequence[str]) -> None:
    """Write a GDAL virtual raster over single-band files of one grid in the same folder.

    Nothing is written if there are no files.
    """
    if not files:
        return
    parts, tags = [], []
    for file in files:
        bounds, shape, crs, pixel, dtype, nodata, title, colour, file_tags = read_product(
            storage.join(folder, file),
            lambda s: (
                s.bounds, s.shape, s.crs, s.transform.a, s.dtypes[0], s.nodata, s.descriptions[0],
                s.colorinterp[0], s.tags(),
            ),
        )  # fmt: skip
        parts.append((file, bounds, shape))
        tags.append(file_tags)
    left, top = min(b.left for _, b, _ in parts), max(b.top for _, b, _ in parts)
    width = round((max(b.right for _, b, _ in parts) - left) / pixel)
    height = round((top - min(b.bottom for _, b, _ in parts)) / pixel)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = f"{left!r}, {pixel!r}, 0, {top!r}, 0, {-pixel!r}"
    metadata = ET.SubElement(root, "Metadata")
    for key, value in _tags(tags).items():
        ET.SubElement(metadata, "MDI", key=key).text = value
    band = ET.SubElement(root, "VRTRasterBand", dataType=_TYPES[dtype], band="1")
    if title:
        ET.SubElement(band, "Description").text = title
    ET.SubElement(band, "NoDataValue").text = f"{nodata:g}"
    ET.SubElement(band, "ColorInterp").text = colour.name.capitalize()
    for file, bounds, (rows, cols) in parts:
        simple = ET.SubElement(band, "SimpleSource")
        ET.SubElement(simple, "SourceFilename", relativeToVRT="1").text = file
        ET.SubElement(simple, "SourceBand").text = "1"
        size = {"xSize": str(cols), "ySize": str(rows)}
        ET.SubElement(simple, "SrcRect", {"xOff": "0", "yOff": "0", **size})
        x, y = round((bounds.left - left) / pixel), round((top - bounds.top) / pixel)
        ET.SubElement(simple, "DstRect", {"xOff": str(x), "yOff": str(y), **size})
    storage.write_whole(storage.join(folder, name), ET.tostring(root, encoding="utf-8"))


def _tags(files: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a mosaic: those that all files share, all credits, a hash of the marks.

    With these tags, a file is recognised as a product of this program, wherever it is.
    """
    result = {}
    for key in ("LAYER", "VALUES", *CALIBRATION_TAGS):
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
