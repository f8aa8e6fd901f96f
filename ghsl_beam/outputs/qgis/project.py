"""A QGIS project: layers in groups, drawn in their styles, with paths relative to the project."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pyproj

from ghsl_beam.outputs.qgis.style import VERSION, Look, document, pipe

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Entry:
    """A raster in a project.

    Attributes:
        path: Its path, relative to the project.
        title: Its name in the list of layers.
        groups: The groups around it, from the outermost.
        look: How it is drawn.
        crs: Its CRS, as WKT.
        bounds: Left, bottom, right, top.
        about: What its values mean.
        shown: Whether it is drawn when the project is opened.
    """

    path: str
    title: str
    groups: tuple[str, ...]
    look: Look
    crs: str
    bounds: Bounds
    about: str
    shown: bool

    @property
    def id(self) -> str:
        """Its name within the project."""
        return "".join(c if c.isalnum() else "_" for c in self.path)


def project(title: str, entries: Sequence[Entry], crs: str, extent: Bounds) -> bytes:
    """The text of a project.

    Args:
        title: its title.
        entries: its layers, those that are drawn over the others first.
        crs: the CRS of the map, as WKT.
        extent: the part of the map that is seen first: left, bottom, right, top.
    """
    root = ET.Element("qgis", version=VERSION, projectname=title)
    ET.SubElement(root, "homePath", path="")
    ET.SubElement(root, "title").text = title
    root.append(_in_crs("projectCrs", crs))
    root.append(_tree(entries))
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    ET.SubElement(canvas, "units").text = "degrees" if _geographic(crs) else "meters"
    canvas.append(_box(extent))
    ET.SubElement(canvas, "rotation").text = "0"
    canvas.append(_in_crs("destinationsrs", crs))
    layers = ET.SubElement(root, "projectlayers")
    layers.extend(map(_layer, entries))
    order = ET.SubElement(root, "layerorder")
    for entry in entries:
        ET.SubElement(order, "layer", id=entry.id)
    properties = ET.SubElement(root, "properties")
    for part, key, kind, text in (
        ("Paths", "Absolute", "bool", "false"),
        ("SpatialRefSys", "ProjectionsEnabled", "int", "1"),
    ):
        ET.SubElement(ET.SubElement(properties, part), key, type=kind).text = text
    return document(root)


def _tree(entries: Iterable[Entry]) -> ET.Element:
    root = ET.Element("layer-tree-group")
    made: dict[tuple[str, ...], ET.Element] = {(): root}
    for entry in entries:
        for depth in range(1, len(entry.groups) + 1):
            group = entry.groups[:depth]
            if group not in made:
                made[group] = ET.SubElement(
                    made[group[:-1]],
                    "layer-tree-group",
                    name=group[-1],
                    checked="Qt::Checked",
                    expanded="1",
                )
        ET.SubElement(
            made[entry.groups],
            "layer-tree-layer",
            id=entry.id,
            name=entry.title,
            source=f"./{entry.path}",
            providerKey="gdal",
            checked="Qt::Checked" if entry.shown else "Qt::Unchecked",
            expanded="1" if entry.shown else "0",
        )
    return root


def _layer(entry: Entry) -> ET.Element:
    layer = ET.Element("maplayer", type="raster", styleCategories="AllStyleCategories")
    layer.append(_box(entry.bounds))
    for name, text in (
        ("id", entry.id),
        ("datasource", f"./{entry.path}"),
        ("layername", entry.title),
    ):
        ET.SubElement(layer, name).text = text
    layer.append(_in_crs("srs", entry.crs))
    about = ET.SubElement(layer, "resourceMetadata")
    for name, text in (("type", "dataset"), ("title", entry.title), ("abstract", entry.about)):
        ET.SubElement(about, name).text = text
    ET.SubElement(layer, "provider").text = "gdal"
    nodata = ET.SubElement(layer, "noData")
    for band in range(1, len(entry.look.spec.bands) + 1):
        ET.SubElement(nodata, "noDataList", bandNo=str(band), useSrcNoData="1")
    flags = ET.SubElement(layer, "flags")
    for name in ("Identifiable", "Removable", "Searchable"):
        ET.SubElement(flags, name).text = "1"
    layer.append(pipe(entry.look))
    ET.SubElement(layer, "blendMode").text = "0"
    return layer


def _box(bounds: Bounds) -> ET.Element:
    element = ET.Element("extent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True):
        ET.SubElement(element, name).text = f"{value:.12g}"
    return element


def _in_crs(name: str, wkt: str) -> ET.Element:
    """An element with a CRS in the form of QGIS."""
    element = ET.Element(name)
    system = ET.SubElement(element, "spatialrefsys")
    crs = pyproj.CRS.from_wkt(wkt)
    authority = crs.to_authority()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a PROJ string says less than WKT
        proj4 = crs.to_proj4()
    for key, text in (
        ("wkt", crs.to_wkt()),
        ("proj4", proj4),
        ("authid", ":".join(authority) if authority else ""),
        ("description", crs.name),
        ("geographicflag", str(crs.is_geographic).lower()),
    ):
        ET.SubElement(system, key).text = text
    return element


def _geographic(wkt: str) -> bool:
    return bool(pyproj.CRS.from_wkt(wkt).is_geographic)
