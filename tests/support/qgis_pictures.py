"""Run by QGIS's own Python: opens a project, draws each of its layers, and says what it sees.

    python3 qgis_pictures.py PROJECT FOLDER

Writes a picture of each layer and of the whole map to FOLDER, and prints one JSON object.
"""

import json
import os
import sys
import xml.etree.ElementTree as ET

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage

SIDE = 500


def drawn(layers, settings, file):
    """Draw layers; the colours of the picture with their numbers of pixels, as #aarrggbb."""
    settings.setLayers(layers)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage().convertToFormat(QImage.Format_ARGB32)
    image.save(file)
    counted = {}
    for row in range(image.height()):
        for col in range(image.width()):
            pixel = image.pixel(col, row)
            counted[pixel] = counted.get(pixel, 0) + 1
    return {f"#{pixel:08x}": count for pixel, count in counted.items()}


def groups_of(node):
    """The names of the groups around a layer, from the outermost."""
    names = []
    while (node := node.parent()) is not None and node.parent() is not None:
        names.insert(0, node.name())
    return names


def main(path, folder):
    """Describe the project."""
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    read = project.read(path)
    settings = QgsMapSettings()
    settings.setOutputSize(QSize(SIDE, SIDE))
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    settings.setDestinationCrs(project.crs())
    settings.setExtent(read_extent(path))
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    said = {"read": read, "crs": project.crs().authid(), "error": project.error(), "layers": []}
    root = project.layerTreeRoot()
    for node in root.findLayers():
        layer = node.layer()
        file = os.path.join(folder, f"{node.layerId()}.png")
        known = {"id": node.layerId(), "title": node.name(), "groups": groups_of(node)}
        if layer is None or not layer.isValid():
            said["layers"].append(known | {"valid": False})
            continue
        about = {
            "valid": True,
            "shown": node.isVisible(),
            "source": os.path.relpath(layer.source(), os.path.dirname(path)),
            "renderer": layer.renderer().type(),
            "scale": layer.dataProvider().bandScale(1),
            "legend": [entry[0] for entry in layer.legendSymbologyItems()],
            "colours": drawn([layer], settings, file),
        }
        said["layers"].append(known | about)
    shown = [node.layer() for node in root.findLayers() if node.isVisible()]
    said["map"] = drawn(shown, settings, os.path.join(folder, "map.png"))
    print(json.dumps(said))
    application.exitQgis()


def read_extent(path):
    """The extent of the map in the project."""
    node = ET.parse(path).getroot().find("mapcanvas/extent")  # noqa: S314 - written by the test
    return QgsRectangle(*(float(node.findtext(n)) for n in ("xmin", "ymin", "xmax", "ymax")))


main(*sys.argv[1:])
