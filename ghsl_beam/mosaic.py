"""A VRT over the files of one layer."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from transforms.raster import storage
from transforms.raster.files import read_raster

_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32"}


def write_vrt(folder: str, name: str, files: Sequence[str]) -> None:
    """Write a GDAL virtual raster over single-band files of one grid in the same folder.

    Nothing is written where there are no files.
    """
    if not files:
        return
    parts = []
    for file in files:
        bounds, shape, crs, pixel, dtype, nodata, title = read_raster(
            storage.join(folder, file),
            lambda s: (
                s.bounds, s.shape, s.crs, s.transform.a, s.dtypes[0], s.nodata, s.descriptions[0],
            ),
        )  # fmt: skip
        parts.append((file, bounds, shape))
    left, top = min(b.left for _, b, _ in parts), max(b.top for _, b, _ in parts)
    width = round((max(b.right for _, b, _ in parts) - left) / pixel)
    height = round((top - min(b.bottom for _, b, _ in parts)) / pixel)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = f"{left!r}, {pixel!r}, 0, {top!r}, 0, {-pixel!r}"
    band = ET.SubElement(root, "VRTRasterBand", dataType=_TYPES[dtype], band="1")
    if title:
        ET.SubElement(band, "Description").text = title
    ET.SubElement(band, "NoDataValue").text = f"{nodata:g}"
    for file, bounds, (rows, cols) in parts:
        simple = ET.SubElement(band, "SimpleSource")
        ET.SubElement(simple, "SourceFilename", relativeToVRT="1").text = file
        ET.SubElement(simple, "SourceBand").text = "1"
        size = {"xSize": str(cols), "ySize": str(rows)}
        ET.SubElement(simple, "SrcRect", {"xOff": "0", "yOff": "0", **size})
        x, y = round((bounds.left - left) / pixel), round((top - bounds.top) / pixel)
        ET.SubElement(simple, "DstRect", {"xOff": str(x), "yOff": str(y), **size})
    storage.write_whole(storage.join(folder, name), ET.tostring(root, encoding="utf-8"))
